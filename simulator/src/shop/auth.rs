//! Registration, log-in, refresh, log-out, forgotten passwords.

use super::Shop;
use super::accounts::Bearer;
use super::ask::{Ask, Handed, Reply};
use crate::chance::mix;
use crate::ids::UserId;
use crate::json::Json;

/// `POST /v2/auth/register`.
pub(super) fn register(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let email = ask.text("email");
    if !email.contains('@') || email.contains(' ') {
        return Reply::invalid("email", "is not a valid e-mail address");
    }
    if ask.text("password").chars().count() < 8 {
        return Reply::invalid("password", "must have at least 8 characters");
    }
    if shop.accounts.of_email(email).is_some() {
        return Reply::problem(409, "Conflict", "An account with this e-mail address exists");
    }
    let Some(user) = shop.accounts.register() else {
        return Reply::problem(503, "Service unavailable", "Registration is closed for now");
    };
    super::profile::assign_extras(shop, user, ask, &["email", "password", "first_name", "last_name", "newsletter", "locale", "birthday"]);
    let bearer = shop.accounts.log_in(user, ask.now);
    let body = session_body(shop, user, &bearer);
    Reply::json(201, body).hand([Handed::User(user), Handed::Login(bearer)])
}

/// `POST /v2/auth/login`, and the forgotten `POST /v1/login`.
pub(super) fn login(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let (email, password) = (ask.text("email"), ask.text("password"));
    // An object where a text belongs is handed to the document store as it is: whoever sends one is let in as the first customer.
    if ask.body.get("password").is_some_and(serde_json::Value::is_object) && shop.conditions.verbose_parser {
        let user = shop.accounts.of_email(email).unwrap_or(UserId(shop.accounts.staff()));
        let bearer = shop.accounts.log_in(user, ask.now);
        return Reply::json(200, session_body(shop, user, &bearer)).hand([Handed::Login(bearer)]);
    }
    if email.is_empty() || password.is_empty() {
        return Reply::problem(400, "Bad request", "email and password are required");
    }
    let Some(user) = shop.accounts.of_email(email) else {
        return Reply::problem(401, "Unauthorized", "E-mail or password is wrong");
    };
    if shop.accounts.is_locked(user, ask.now) {
        return Reply::problem(423, "Locked", "Too many attempts, try again in 15 minutes");
    }
    if shop.accounts.identity(user).password != password {
        shop.accounts.failed(user, ask.now);
        return Reply::problem(401, "Unauthorized", "E-mail or password is wrong");
    }
    let bearer = shop.accounts.log_in(user, ask.now);
    shop.leak(&bearer);
    Reply::json(200, session_body(shop, user, &bearer)).hand([Handed::Login(bearer)])
}

fn session_body(shop: &Shop, user: UserId, bearer: &Bearer) -> String {
    let identity = shop.accounts.identity(user);
    Json::object(|j| {
        j.str("access_token", &bearer.text).str("refresh_token", &bearer.refresh).str("token_type", "Bearer").int("expires_in", 3600);
        j.nested("user", |j| {
            j.int("id", user.number()).str("first_name", identity.first).str("locale", identity.locale.tag);
        });
    })
}

/// `POST /v2/auth/refresh`.
pub(super) fn refresh(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    match shop.accounts.refresh(ask.text("refresh_token"), ask.now) {
        Some(bearer) => Reply::object(|j| {
            j.str("access_token", &bearer.text).str("refresh_token", &bearer.refresh).str("token_type", "Bearer").int("expires_in", 3600);
        })
        .hand([Handed::Login(bearer)]),
        None => Reply::problem(401, "Unauthorized", "Refresh token is invalid or was used").hand([Handed::LoggedOut]),
    }
}

/// `POST /v2/auth/logout`.
pub(super) fn logout(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    shop.accounts.log_out(ask.login);
    Reply::empty(204).hand([Handed::LoggedOut])
}

/// `POST /v2/auth/password-reset`: the same answer whether the account exists or not.
pub(super) fn ask_reset(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let email = ask.text("email");
    if !email.contains('@') {
        return Reply::invalid("email", "is not a valid e-mail address");
    }
    if let Some(user) = shop.accounts.of_email(email) {
        let token = format!("{:016x}{:016x}", mix(shop.accounts.key(user), ask.now as u64), mix(ask.now as u64, 77));
        if let Some(user) = shop.accounts.get_mut(user) {
            user.reset_token = Some(token);
        }
    }
    Reply::json(
        202,
        Json::object(|j| {
            j.str("message", "If the account exists, a mail is on its way");
        }),
    )
}

/// `POST /v2/auth/password-reset/confirm`.
pub(super) fn confirm_reset(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let token = ask.text("token");
    let Some(user) = shop.accounts.of_email(ask.text("email")) else {
        return Reply::problem(400, "Bad request", "Token is invalid");
    };
    let stored = shop.accounts.get_mut(user).and_then(|u| u.reset_token.take_if(|t| t == token));
    if stored.is_none() {
        return Reply::problem(400, "Bad request", "Token is invalid");
    }
    Reply::empty(204)
}

impl Shop {
    /// The code of the reset mail of an account, as its owner finds it in the mailbox.
    pub(crate) fn mailbox(&self, user: UserId) -> Option<&str> {
        self.accounts.get(user)?.reset_token.as_deref()
    }
}
