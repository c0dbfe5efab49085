//! Health checks, web hooks of providers, and the answers of places where nothing stands.

use super::Shop;
use super::ask::{Ask, Reply};
use crate::ids::Uuid;
use crate::wire::Call;

/// Something of which a provider tells the shop.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The payment provider took the money.
    Paid { intent: String, cents: i64 },
    /// The carrier has the parcel.
    Shipped { order: Uuid },
}

/// `GET /health/live`.
pub(super) fn live(_: &mut Shop, _: &Ask<'_>) -> Reply {
    Reply::json(200, "{\"status\":\"up\"}".to_owned())
}

/// `GET /health/ready`.
pub(super) fn ready(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    if shop.conditions.is_out(ask.now) {
        return Reply::json(503, "{\"status\":\"down\",\"db\":\"up\",\"cache\":\"up\",\"payments\":\"down\"}".to_owned());
    }
    Reply::json(200, "{\"status\":\"up\",\"db\":\"up\",\"cache\":\"up\",\"payments\":\"up\"}".to_owned())
}

/// Why a web hook is refused.
pub(super) fn refusal(call: &Call) -> Option<Reply> {
    let signed = call.header_value("x-webhook-signature").is_some_and(|s| s.starts_with("t="));
    (!signed).then(|| Reply::problem(401, "Unauthorized", "Signature is missing"))
}

/// `POST /webhooks/payments` and `POST /webhooks/carrier`: takes an event as often as it comes.
pub(super) fn hook(_: &mut Shop, ask: &Ask<'_>) -> Reply {
    if ask.text("id").is_empty() {
        return Reply::invalid("id", "must not be blank");
    }
    Reply::json(200, "{\"received\":true}".to_owned())
}

/// What the server says where no endpoint stands: mostly 404, but a listing and a back-up were left lying about.
pub(super) fn nowhere(call: &Call) -> Reply {
    match call.path.as_str() {
        "/static/" | "/backup/" => {
            let body = "<html><head><title>Index of /backup/</title></head><body><h1>Index of /backup/</h1><pre><a href=\"../\">../</a>\n<a href=\"shop-2025-11.sql.gz\">shop-2025-11.sql.gz</a> 02-Nov-2025 03:00 48M\n</pre></body></html>";
            Reply { content_type: "text/html", ..Reply::json(200, body.to_owned()) }.header("server", "nginx/1.18.0 (Ubuntu)")
        }
        "/.env" => Reply {
            content_type: "text/plain",
            ..Reply::json(200, "APP_ENV=production\nAPP_DEBUG=true\nDB_HOST=db-01.internal\nDB_PASSWORD=s3cr3t-Winter-2024\n".to_owned())
        },
        _ => Reply::problem(404, "Not found", "No such resource"),
    }
}
