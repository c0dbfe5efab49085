//! Writing: reviews, messages, files that go with them.

use super::client::Client;
use super::visit::Scene;
use crate::json::Json;
use crate::text;
use crate::wire::Call;

/// Reviews the product being looked at.
pub(crate) fn write_review(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    let product = client.memory.viewed?;
    let noun = scene.shop.catalog.noun(Some(product));
    let language = client.language.unwrap_or("en-GB");
    let slip = scene.chance.hit(0.05);
    let stars = if slip { 0 } else { scene.chance.weighted(&[(5, 50), (4, 25), (3, 12), (2, 6), (1, 7)]) };
    let (title, body) = (text::title(scene.chance, language, noun), text::review(scene.chance, language, noun));
    let body = Json::object(|j| {
        j.int("stars", stars).str("title", &title).str("text", &body);
        if let Some(upload) = client.memory.upload.take() {
            j.show("photo", upload);
        }
    });
    Some(Call::post(format!("/v2/products/{}/reviews", product.number()), body).slipped(slip))
}

/// Finds a review helpful.
pub(crate) fn helpful(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::new("POST", format!("/v2/reviews/{}/helpful", client.memory.reviews.any(scene.chance)?)))
}

/// One's conversations with the shop.
pub(crate) fn messages(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::get("/v2/messages"))
}

/// Writes to the shop.
pub(crate) fn new_message(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    let noun = scene.shop.catalog.noun(client.memory.viewed);
    let language = client.language.unwrap_or("en-GB");
    let (subject, body) = (text::title(scene.chance, language, noun), text::message(scene.chance, language, noun));
    let about = client.memory.orders.last().filter(|_| scene.chance.hit(0.6));
    let body = Json::object(|j| {
        j.str("subject", &subject).str("text", &body);
        if let Some(order) = about {
            j.show("order_id", order);
        }
        if let Some(upload) = client.memory.upload.take() {
            j.show("attachment", upload);
        }
    });
    Some(Call::post("/v2/messages", body))
}

/// Reads a conversation.
pub(crate) fn read_message(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::get(format!("/v2/messages/{}", client.memory.threads.any(scene.chance)?)))
}

/// Answers in a conversation.
pub(crate) fn answer(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    let thread = client.memory.threads.last()?;
    let noun = scene.shop.catalog.noun(client.memory.viewed);
    let body = text::message(scene.chance, client.language.unwrap_or("en-GB"), noun);
    Some(Call::post(
        format!("/v2/messages/{thread}/replies"),
        Json::object(|j| {
            j.str("text", &body);
        }),
    ))
}

/// Announces a file.
pub(crate) fn upload(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    let chance = &mut *scene.chance;
    let slip = chance.hit(0.05);
    let (name, kind) = match chance.below(4) {
        0 => (format!("IMG_{:04}.HEIC", chance.below(9_999)), "image/heic"),
        1 => {
            (format!("Screenshot 2026-01-{:02} at {:02}.{:02}.png", 1 + chance.below(28), chance.below(24), chance.below(60)), "image/png")
        }
        2 => (["Rechnung (1).pdf", "scan.pdf", "O'Neill return form.pdf"][chance.below(3)].to_owned(), "application/pdf"),
        _ => (format!("photo{}.jpg", chance.below(300)), "image/jpeg"),
    };
    let body = Json::object(|j| {
        j.str("file_name", &name).str("content_type", if slip { "image/webp" } else { kind });
        j.int("size", chance.lognormal(900_000.0, 0.9) as i64).str("sha256", &chance.hex(64));
    });
    Some(Call::post("/v2/uploads", body).slipped(slip))
}

/// Looks whether the file arrived.
pub(crate) fn see_upload(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::get(format!("/v2/uploads/{}", client.memory.upload?)))
}
