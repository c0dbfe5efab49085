//! Wish lists: named by a short hexadecimal id, which friends get as a link.

use super::Shop;
use super::ask::{Ask, Handed, Reply};
use crate::ids::{ProductId, UserId};

const MAX: usize = 30;

/// Whose wish list an id names: anybody's who is logged in, one's own first.
fn owner(shop: &Shop, ask: &Ask<'_>) -> Option<UserId> {
    let id = u64::from_str_radix(ask.vars[0], 16).ok()?;
    ask.user.filter(|u| shop.accounts.key(*u) & 0xff_ffff_ffff == id)
}

/// `GET /v2/wishlists/{id}`.
pub(super) fn show(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(user) = owner(shop, ask) else { return Reply::missing("Wish list") };
    let wishes = shop.accounts.get(user).map_or(&[][..], |u| &u.wishes);
    let products = || wishes.iter().filter_map(|id| shop.catalog.get(*id));
    Reply::object(|j| {
        j.str("id", ask.vars[0]).str("owner", shop.accounts.identity(user).first).bool("public", false);
        j.list("items", products(), |j, p| p.brief(j));
    })
    .hand(products().take(6).map(|p| Handed::Product(p.id)))
}

/// `POST /v2/wishlists/{id}/items`.
pub(super) fn add(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let product = ask.int("product_id").and_then(|n| u32::try_from(n).ok()).and_then(ProductId::of_number);
    let Some(product) = product.filter(|p| shop.catalog.get(*p).is_some()) else {
        return Reply::invalid("product_id", "is not known");
    };
    let Some(user) = owner(shop, ask) else { return Reply::missing("Wish list") };
    if let Some(account) = shop.accounts.get_mut(user)
        && !account.wishes.contains(&product)
    {
        if account.wishes.len() >= MAX {
            account.wishes.remove(0);
        }
        account.wishes.push(product);
    }
    Reply::created(|j| {
        j.str("wishlist", ask.vars[0]).int("product_id", product.number());
    })
    .hand([Handed::WishList(shop.accounts.key(user) & 0xff_ffff_ffff)])
}

/// `DELETE /v2/wishlists/{id}/items/{product}`.
pub(super) fn remove(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let (Some(user), Some(product)) = (owner(shop, ask), ask.product(1)) else {
        return Reply::missing("Wish");
    };
    if let Some(account) = shop.accounts.get_mut(user) {
        account.wishes.retain(|w| *w != product);
    }
    Reply::empty(204)
}
