//! Buying: wish list, cart, checkout step by step, orders and what comes after.

use super::client::{Client, Kind};
use super::visit::Scene;
use crate::json::Json;
use crate::shop::invoice_number;
use crate::text;
use crate::wire::{Call, segment};

fn sku(client: &Client, scene: &mut Scene<'_>) -> Option<String> {
    let product = client.memory.viewed.or_else(|| client.memory.products.any(scene.chance))?;
    scene.shop.catalog.get(product).map(|p| p.sku.clone())
}

/// Puts the product being looked at into the cart.
pub(crate) fn add_to_cart(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    let sku = sku(client, scene)?;
    let slip = scene.chance.hit(0.02);
    let quantity = if slip { 0 } else { scene.chance.weighted(&[(1, 80), (2, 14), (3, 4), (6, 2)]) };
    let new_field = client.kind.is_app() && client.version >= "5.6";
    let body = Json::object(|j| {
        j.str("sku", &sku).int("quantity", quantity);
        if client.kind.is_app() {
            j.str("source", "app");
        }
        if new_field {
            j.int("client_ts", scene.now / 1000);
        }
    });
    Some(Call::post("/v2/cart/items", body).slipped(slip))
}

/// Looks into the cart.
pub(crate) fn see_cart(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::get("/v2/cart"))
}

/// Changes how many.
pub(crate) fn change_quantity(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    if client.memory.cart == 0 {
        return None;
    }
    let path = format!("/v2/cart/items/{}", segment(&sku(client, scene)?));
    let quantity = scene.chance.between(1, 4);
    Some(Call::new("PATCH", path).with_body(Json::object(|j| {
        j.int("quantity", quantity);
    })))
}

/// Takes something out again.
pub(crate) fn take_out(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    if client.memory.cart < 2 {
        return None;
    }
    Some(Call::new("DELETE", format!("/v2/cart/items/{}", segment(&sku(client, scene)?))))
}

/// Tries a coupon; many are no longer good.
pub(crate) fn coupon(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    if client.memory.cart == 0 {
        return None;
    }
    let code = text::coupon(scene.chance);
    Some(Call::post(
        "/v2/cart/coupon",
        Json::object(|j| {
            j.str("code", &code);
        }),
    ))
}

/// Goes to the checkout.
pub(crate) fn open_checkout(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    (client.memory.cart > 0).then(|| Call::new("POST", "/v2/checkout").with_body("{}".to_owned()))
}

/// Chooses where to send it.
pub(crate) fn choose_address(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let checkout = client.memory.checkout?;
    let address = client.memory.addresses.any(scene.chance)?;
    let body = Json::object(|j| {
        j.int("address_id", address).bool("billing_same", true);
    });
    Some(Call::new("PUT", format!("/v2/checkout/{checkout}/address")).with_body(body))
}

/// Authorises the payment, with a fresh idempotency key.
pub(crate) fn pay(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let checkout = client.memory.checkout?;
    let method = scene.chance.weighted(&[("card", 55), ("paypal", 25), ("sepa", 12), ("invoice", 8)]);
    let body = Json::object(|j| {
        j.str("method", method)
            .str("return_url", if client.kind == Kind::Web { "https://www.shop.example/checkout/done" } else { "shopapp://checkout/done" });
        if method == "card" {
            j.str("card_token", &format!("tok_{}", scene.chance.base62(24)));
        }
    });
    let call = Call::post(format!("/v2/checkout/{checkout}/payment-intent"), body);
    Some(call.header("idempotency-key", scene.chance.uuid().to_string()))
}

/// Orders.
pub(crate) fn order(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let checkout = client.memory.checkout.take()?;
    let chance = &mut *scene.chance;
    let body = Json::object(|j| {
        j.bool("accept_terms", true);
        if chance.hit(0.15) {
            j.str(
                "note",
                chance.pick(&[
                    "Please gift-wrap :)",
                    "It's a surprise - no invoice in the box!",
                    "Bitte klingeln, Hund beißt nicht",
                    "select the blue one if possible",
                    "livrer après 18h svp",
                ]),
            );
        }
    });
    Some(Call::post(format!("/v2/checkout/{checkout}/order"), body))
}

/// One's orders.
pub(crate) fn orders(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::get("/v2/orders"))
}

/// One of one's orders.
pub(crate) fn see_order(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get(format!("/v2/orders/{}", client.memory.orders.any(scene.chance)?)))
}

/// The order just placed.
pub(crate) fn see_new_order(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get(format!("/v2/orders/{}", client.memory.orders.last()?)))
}

/// Where the parcel is.
pub(crate) fn track(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get(format!("/v2/orders/{}/tracking", client.memory.orders.last()?)))
}

/// The invoice of an order.
pub(crate) fn invoice(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get(format!("/v2/invoices/{}", invoice_number(client.memory.invoices.any(scene.chance)?))))
}

/// Cancels the latest order, which is often too late.
pub(crate) fn cancel(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let order = client.memory.orders.last()?;
    let reason = scene.chance.pick(&["ordered_twice", "found_cheaper", "too_slow", "other"]);
    Some(Call::post(
        format!("/v2/orders/{order}/cancel"),
        Json::object(|j| {
            j.str("reason", reason);
        }),
    ))
}

/// One's orders of a year in one go.
pub(crate) fn export(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::get("/v2/orders/export").with("format", "json").with("limit", scene.chance.pick(&["10", "25", "50"])))
}

/// One's wish list.
pub(crate) fn wishes(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::get(format!("/v2/wishlists/{:010x}", client.memory.wish_list?)))
}

/// Wishes for the product being looked at.
pub(crate) fn wish(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    let (list, product) = (client.memory.wish_list?, client.memory.viewed?);
    Some(Call::post(
        format!("/v2/wishlists/{list:010x}/items"),
        Json::object(|j| {
            j.int("product_id", product.number());
        }),
    ))
}

/// Wishes no longer for it.
pub(crate) fn unwish(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    let (list, product) = (client.memory.wish_list?, client.memory.products.any(scene.chance)?);
    Some(Call::new("DELETE", format!("/v2/wishlists/{list:010x}/items/{}", product.number())))
}
