//! Code and commands in values: in typed fields, in free text, in headers.

use super::disguise::{Cast, Rounds, by_hand, by_script};
use super::payloads::{self, COMMAND, LOG4J, NOSQL, SCRIPT, SQL, SSRF, TEMPLATE, TRAVERSAL};
use crate::chance::Chance;
use crate::json::Json;
use crate::people::{Client, Scene};
use crate::text;
use crate::wire::{Call, segment};

/// Where a payload goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Search,
    Sort,
    ProductId,
    Category,
    ReviewText,
    MessageText,
    MessageSubject,
    Street,
    Nickname,
    Coupon,
    Quantity,
    LoginMail,
    FileName,
    Photo,
    Invoice,
    ReturnUrl,
    UserAgent,
    Referer,
    ForwardedFor,
}

use Place::{
    Category, Coupon, FileName, ForwardedFor, Invoice, LoginMail, MessageSubject, MessageText, Nickname, Photo, ProductId, Quantity,
    Referer, ReturnUrl, ReviewText, Search, Sort, Street, UserAgent,
};

/// SQL.
pub(super) fn sql(cast: &mut Cast<'_, '_>) {
    attack(cast, SQL, &[Search, Sort, Sort, ProductId, Category, Coupon, Quantity, LoginMail, Invoice, ReviewText, Street]);
}

/// Operators of document stores: objects where texts belong.
pub(super) fn nosql(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(3, 8) as u32;
    cast.passing_by(Rounds::new(rounds, move |_, _, scene, _| {
        let user = scene.shop.accounts.anybody(scene.chance);
        let identity = scene.shop.accounts.identity(user);
        let operator = payloads::one(scene.chance, NOSQL);
        let operator = if serde_json::from_str::<serde_json::Value>(&operator).is_ok() { operator } else { NOSQL[0].to_owned() };
        let call = if scene.chance.hit(0.7) {
            Call::post(
                "/v2/auth/login",
                Json::object(|j| {
                    j.str("email", &identity.email).raw("password", &operator);
                }),
            )
            .anonymously()
        } else {
            Call::get("/v2/products").with("q[$ne]", "x").with("page", "1")
        };
        vec![by_hand(family, scene, call)]
    }));
}

/// Scripts for other people's browsers.
pub(super) fn script(cast: &mut Cast<'_, '_>) {
    attack(cast, SCRIPT, &[ReviewText, ReviewText, MessageText, MessageSubject, Nickname, Search, Street, FileName]);
}

/// Paths out of the directory.
pub(super) fn traversal(cast: &mut Cast<'_, '_>) {
    attack(cast, TRAVERSAL, &[FileName, FileName, Category, ProductId, Invoice, Photo]);
}

/// Addresses that the server is made to fetch.
pub(super) fn ssrf(cast: &mut Cast<'_, '_>) {
    attack(cast, SSRF, &[ReturnUrl, Photo, Photo, FileName, Search]);
}

/// Shell commands.
pub(super) fn command(cast: &mut Cast<'_, '_>) {
    attack(cast, COMMAND, &[FileName, FileName, Search, Coupon, Category, Nickname]);
}

/// Templates that the server renders.
pub(super) fn template(cast: &mut Cast<'_, '_>) {
    attack(cast, TEMPLATE, &[Nickname, MessageText, ReviewText, Search, MessageSubject]);
}

/// Look-ups that a logger makes.
pub(super) fn log4j(cast: &mut Cast<'_, '_>) {
    attack(cast, LOG4J, &[UserAgent, Referer, ForwardedFor, Search, LoginMail]);
}

fn attack(cast: &mut Cast<'_, '_>, payloads: &'static [&'static str], places: &'static [Place]) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(3, 9) as u32;
    let scripted = cast.scene.chance.hit(0.4);
    cast.logged_in(Rounds::new(rounds, move |_, client, scene, _| {
        let place = scene.chance.pick(places);
        let payload = payloads::one(scene.chance, payloads);
        let call = plant(client, scene, place, &payload);
        vec![if scripted { by_script(family, scene, call) } else { by_hand(family, scene, call) }]
    }));
}

/// A call that is everyday but for the payload in one place.
pub(super) fn plant(client: &Client, scene: &mut Scene<'_>, place: Place, payload: &str) -> Call {
    let product = client.memory.products.any(scene.chance).unwrap_or_else(|| scene.shop.catalog.popular(scene.chance));
    let noun = scene.shop.catalog.noun(Some(product));
    let words = text::search(scene.chance);
    let chance = &mut *scene.chance;
    let message = |j: &mut Json, subject: &str, text: &str| {
        j.str("subject", subject).str("text", text);
    };
    match place {
        Search => {
            let prefix = if chance.hit(0.5) { words + " " } else { String::new() };
            Call::get("/v2/products").with("q", &(prefix + payload))
        }
        Sort => Call::get("/v2/products").with("q", &words).with("sort", payload),
        ProductId => Call::get(format!("/v2/products/{}{}", product.number(), segment(payload))),
        Category => Call::get(format!("/v2/categories/{}", segment(payload))),
        ReviewText => review(chance, product.number(), noun, payload),
        MessageText => {
            let text = around(chance, &text::message(&mut chance.clone(), "en-GB", noun), payload);
            Call::post("/v2/messages", Json::object(|j| message(j, "Question", &text)))
        }
        MessageSubject => {
            let text = text::message(chance, "en-GB", noun);
            Call::post("/v2/messages", Json::object(|j| message(j, payload, &text)))
        }
        Street => Call::post(
            "/v2/users/me/addresses",
            Json::object(|j| {
                j.str("label", "home").str("street", payload).str("zip", "10115").str("city", "Berlin").str("country", "DE");
            }),
        ),
        Nickname => Call::new("PATCH", "/v2/users/me").with_body(Json::object(|j| {
            j.str("nickname", payload);
        })),
        Coupon => Call::post(
            "/v2/cart/coupon",
            Json::object(|j| {
                j.str("code", payload);
            }),
        ),
        Quantity => Call::post(
            "/v2/cart/items",
            Json::object(|j| {
                j.str("sku", "AB-1001-M").str("quantity", payload);
            }),
        ),
        LoginMail => Call::post(
            "/v2/auth/login",
            Json::object(|j| {
                j.str("email", payload).str("password", "x");
            }),
        )
        .anonymously(),
        FileName => Call::post(
            "/v2/uploads",
            Json::object(|j| {
                j.str("file_name", payload).str("content_type", "image/jpeg").int("size", 48_211).str("sha256", &chance.hex(64));
            }),
        ),
        Photo => Call::post(
            format!("/v2/products/{}/reviews", product.number()),
            Json::object(|j| {
                j.int("stars", 4).str("title", "Nice").str("text", &text::review(chance, "en-GB", noun)).str("photo", payload);
            }),
        ),
        Invoice => Call::get(format!("/v2/invoices/{}", segment(payload))),
        ReturnUrl => {
            let checkout = client.memory.checkout.unwrap_or_else(|| chance.uuid());
            let body = Json::object(|j| {
                j.str("method", "paypal").str("return_url", payload);
            });
            Call::post(format!("/v2/checkout/{checkout}/payment-intent"), body).header("idempotency-key", chance.uuid().to_string())
        }
        UserAgent => Call::get(format!("/v2/products/{}", product.number())).header("user-agent", payload),
        Referer => Call::get(format!("/v2/products/{}", product.number())).header("referer", payload),
        ForwardedFor => Call::get("/v2/categories").header("x-forwarded-for", payload),
    }
}

fn review(chance: &mut Chance, product: u32, noun: &str, payload: &str) -> Call {
    let text = text::review(chance, "en-GB", noun);
    let text = around(chance, &text, payload);
    let body = Json::object(|j| {
        j.int("stars", chance.between(1, 5)).str("title", "Review").str("text", &text);
    });
    Call::post(format!("/v2/products/{product}/reviews"), body)
}

/// The payload alone, or within what somebody else would write.
fn around(chance: &mut Chance, text: &str, payload: &str) -> String {
    match chance.below(3) {
        0 => payload.to_owned(),
        1 => format!("{text} {payload}"),
        _ => format!("{payload} {text}"),
    }
}
