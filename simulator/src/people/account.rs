//! One's account: log-in and what goes wrong there, profile, addresses, notifications.

use super::client::{Client, Kind};
use super::visit::Scene;
use crate::json::Json;
use crate::shop::Identity;
use crate::text;
use crate::wire::Call;

/// Logs in. Some mistype their password first.
pub(crate) fn log_in(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let identity = scene.shop.accounts.identity(client.user?);
    let slip = scene.chance.hit(0.05);
    let password = if slip { mistyped(&identity.password) } else { identity.password };
    Some(log_in_with(client, &identity.email, &password).slipped(slip))
}

/// Logs in with given credentials.
pub(crate) fn log_in_with(client: &Client, email: &str, password: &str) -> Call {
    Call::post(
        "/v2/auth/login",
        Json::object(|j| {
            j.str("email", email).str("password", password);
            if client.kind.is_app() {
                j.str("device_name", if client.kind == Kind::Ios { "iPhone" } else { "Android" }).bool("remember", true);
            }
        }),
    )
    .anonymously()
}

fn mistyped(password: &str) -> String {
    let mut letters: Vec<char> = password.chars().collect();
    letters.pop();
    letters.into_iter().collect()
}

/// A wrong password, typed in good faith.
pub(crate) fn wrong_password(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let identity = scene.shop.accounts.identity(client.user?);
    let guess = format!("{}{}", identity.password, scene.chance.below(100));
    Some(log_in_with(client, &identity.email, &guess))
}

/// Asks for a reset mail.
pub(crate) fn forgot_password(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let identity = scene.shop.accounts.identity(client.user?);
    Some(
        Call::post(
            "/v2/auth/password-reset",
            Json::object(|j| {
                j.str("email", &identity.email);
            }),
        )
        .anonymously(),
    )
}

/// Types in the code of the reset mail.
pub(crate) fn confirm_reset(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let user = client.user?;
    let identity = scene.shop.accounts.identity(user);
    let token = scene.shop.mailbox(user)?;
    let body = Json::object(|j| {
        j.str("email", &identity.email).str("token", token).str("password", &identity.password);
    });
    Some(Call::post("/v2/auth/password-reset/confirm", body).anonymously())
}

/// Renews the access token.
pub(crate) fn refresh(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    let token = client.bearer.as_ref()?.refresh.clone();
    Some(
        Call::post(
            "/v2/auth/refresh",
            Json::object(|j| {
                j.str("refresh_token", &token);
            }),
        )
        .anonymously(),
    )
}

/// Logs out.
pub(crate) fn log_out(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::new("POST", "/v2/auth/logout"))
}

/// Opens an account.
pub(crate) fn register(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let identity = scene.shop.accounts.identity(scene.shop.accounts.next());
    let slip = scene.chance.hit(0.12);
    let call = registration(&identity, slip, |_| {});
    client.language = Some(identity.locale.tag);
    Some(call.slipped(slip))
}

/// The form that opens an account; `more` may put further fields into it.
pub(crate) fn registration(identity: &Identity, slip: bool, more: impl FnOnce(&mut Json)) -> Call {
    let email = if slip { identity.email.replace('@', " at ") } else { identity.email.clone() };
    Call::post(
        "/v2/auth/register",
        Json::object(|j| {
            j.str("email", &email).str("password", &identity.password);
            j.str("first_name", identity.first)
                .str("last_name", identity.last)
                .bool("newsletter", false)
                .str("locale", identity.locale.tag);
            more(j);
        }),
    )
    .anonymously()
}

/// One's profile.
pub(crate) fn me(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::get("/v2/users/me"))
}

/// Changes something in one's profile.
pub(crate) fn change_profile(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let identity = scene.shop.accounts.identity(client.user?);
    let slip = scene.chance.hit(0.06);
    let chance = &mut *scene.chance;
    let body = Json::object(|j| {
        match chance.below(4) {
            0 => j.str("nickname", &format!("{}{}", identity.first, chance.between(1, 99))),
            1 => j.bool("newsletter", chance.hit(0.5)),
            2 => j
                .str("phone", if slip { identity.phone.trim_start_matches('+') } else { &identity.phone })
                .str("locale", identity.locale.tag),
            _ => j.str("first_name", identity.first).str("last_name", identity.last).str("birthday", &identity.birthday),
        };
    });
    Some(Call::new("PATCH", "/v2/users/me").with_body(body).slipped(slip))
}

/// One's addresses.
pub(crate) fn addresses(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::get("/v2/users/me/addresses"))
}

/// One of one's addresses.
pub(crate) fn address(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get(format!("/v2/users/me/addresses/{}", client.memory.addresses.any(scene.chance)?)))
}

fn address_form(client: &Client, scene: &mut Scene<'_>, slip: bool) -> Option<String> {
    let locale = scene.shop.accounts.identity(client.user?).locale;
    let chance = &mut *scene.chance;
    Some(Json::object(|j| {
        j.str("label", chance.pick(&["home", "work", "mum & dad", "Büro", "chez moi", "neighbour (2nd floor)"]));
        j.str("street", &if slip { " ".to_owned() } else { text::street(chance, locale) });
        j.str("zip", &text::zip(locale, chance.bits())).str("city", chance.pick(locale.cities)).str("country", locale.country);
        if chance.hit(0.2) {
            j.str(
                "note",
                chance.pick(&[
                    "please ring twice",
                    "c/o O'Brien",
                    "Tor links; Code 1234#",
                    "drop at the union club",
                    "3ème étage, porte B",
                ]),
            );
        }
    }))
}

/// One more address.
pub(crate) fn add_address(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let slip = scene.chance.hit(0.08);
    Some(Call::post("/v2/users/me/addresses", address_form(client, scene, slip)?).slipped(slip))
}

/// One's first address, when there is none to choose from.
pub(crate) fn first_address(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    if client.bearer.is_none() || client.memory.addresses.last().is_some() {
        return None;
    }
    add_address(client, scene)
}

/// Corrects an address.
pub(crate) fn change_address(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let path = format!("/v2/users/me/addresses/{}", client.memory.addresses.any(scene.chance)?);
    Some(Call::new("PUT", path).with_body(address_form(client, scene, false)?))
}

/// Removes an address.
pub(crate) fn remove_address(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let id = client.memory.addresses.any(scene.chance)?;
    client.memory.addresses.forget(id);
    Some(Call::new("DELETE", format!("/v2/users/me/addresses/{id}")))
}

/// What is new, as apps ask for it all the time.
pub(crate) fn notifications(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    let since = scene.now / 1000 - scene.chance.between(60, 86_400);
    Some(Call::get("/v2/notifications").with("since", &since.to_string()))
}

/// Marks what is new as read.
pub(crate) fn read_notifications(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::new("POST", "/v2/notifications/read"))
}

/// The loyalty card of the later app.
pub(crate) fn loyalty(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(Call::get("/v2/loyalty/card"))
}
