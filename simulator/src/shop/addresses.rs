//! Addresses of accounts. Reading one asks for a token, but not whose address it is: a weakness.

use super::Shop;
use super::accounts::Address;
use super::ask::{Ask, Handed, Reply};
use crate::ids::UserId;
use crate::json::Json;

const ON_FILE: i64 = 8;

fn write(j: &mut Json, address: &Address, recipient: &str, country: &str) {
    j.int("id", address.id).str("label", &address.label).str("recipient", recipient).str("street", &address.street);
    j.str("zip", &address.zip).str("city", &address.city).str("country", country);
}

fn answer(shop: &Shop, user: UserId, id: u32, status: u16) -> Reply {
    let identity = shop.accounts.identity(user);
    let Some(address) = shop.accounts.get(user).and_then(|u| u.addresses.iter().find(|a| a.id == id)) else {
        return Reply::missing("Address");
    };
    let recipient = format!("{} {}", identity.first, identity.last);
    Reply::json(status, Json::object(|j| write(j, address, &recipient, identity.locale.country))).hand([Handed::Address(id)])
}

/// `GET /v2/users/me/addresses`.
pub(super) fn list(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(user) = ask.user else { return Reply::forbidden() };
    let identity = shop.accounts.identity(user);
    let recipient = format!("{} {}", identity.first, identity.last);
    let addresses = shop.accounts.get(user).map_or(&[][..], |u| u.addresses());
    Reply::object(|j| {
        j.list("items", addresses, |j, a| write(j, a, &recipient, identity.locale.country));
    })
    .hand(addresses.iter().map(|a| Handed::Address(a.id)))
}

fn read(ask: &Ask<'_>) -> Result<Address, Reply> {
    for field in ["street", "zip", "city"] {
        if ask.text(field).trim().is_empty() {
            return Err(Reply::invalid(field, "must not be blank"));
        }
    }
    if ask.text("zip").len() > 12 {
        return Err(Reply::invalid("zip", "is not a postal code"));
    }
    let label = if ask.text("label").is_empty() { "home" } else { ask.text("label") };
    Ok(Address::new(label, ask.text("street"), ask.text("zip"), ask.text("city")))
}

/// `POST /v2/users/me/addresses`.
pub(super) fn add(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(user) = ask.user else { return Reply::forbidden() };
    match read(ask) {
        Ok(address) => {
            let id = shop.accounts.put_address(user, address);
            answer(shop, user, id, 201).header("location", format!("/v2/users/me/addresses/{id}"))
        }
        Err(reply) => reply,
    }
}

/// `GET /v2/users/me/addresses/{id}`.
pub(super) fn show(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let (Some(user), Ok(id)) = (ask.user, ask.vars[0].parse::<u32>()) else {
        return Reply::missing("Address");
    };
    if shop.accounts.get(user).is_some_and(|u| u.addresses.iter().any(|a| a.id == id)) {
        return answer(shop, user, id, 200);
    }
    match shop.accounts.owner_of_address(id) {
        Some(owner) => answer(shop, owner, id, 200),
        None => Reply::missing("Address"),
    }
}

/// `PUT /v2/users/me/addresses/{id}`.
pub(super) fn replace(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let (Some(user), Ok(id)) = (ask.user, ask.vars[0].parse::<u32>()) else {
        return Reply::missing("Address");
    };
    let new = match read(ask) {
        Ok(address) => address,
        Err(reply) => return reply,
    };
    if let Some(old) = shop.accounts.get_mut(user).and_then(|u| u.addresses.iter_mut().find(|a| a.id == id)) {
        *old = Address { id, ..new };
    }
    answer(shop, user, id, 200)
}

/// `DELETE /v2/users/me/addresses/{id}`.
pub(super) fn remove(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let (Some(user), Ok(id)) = (ask.user, ask.vars[0].parse::<u32>()) else {
        return Reply::missing("Address");
    };
    let Some(account) = shop.accounts.get_mut(user) else { return Reply::missing("Address") };
    let before = account.addresses.len();
    account.addresses.retain(|a| a.id != id);
    if account.addresses.len() == before { Reply::missing("Address") } else { Reply::empty(204) }
}

impl super::Accounts {
    /// Whose address it is. Numbers were given in the order of accounts at first, so that a guess and a short look around find most.
    fn owner_of_address(&self, id: u32) -> Option<UserId> {
        let has = |n: i64| u32::try_from(n).ok().and_then(|n| self.get(UserId(n))).is_some_and(|u| u.addresses.iter().any(|a| a.id == id));
        let (mut low, mut high) = (0i64, i64::from(self.len()));
        while low < high {
            let middle = (low + high) / 2;
            let first = self.get(UserId(middle as u32)).and_then(|u| u.addresses.first()).map_or(u32::MAX, |a| a.id);
            if first <= id { low = middle + 1 } else { high = middle }
        }
        (low - ON_FILE..=low + ON_FILE).find(|n| has(*n)).map(|n| UserId(n as u32))
    }
}
