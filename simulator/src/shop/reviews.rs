//! Reviews: free text below products.

use super::ask::{Ask, Handed, Reply};
use super::catalog::Catalog;
use super::{Accounts, Shop};
use crate::chance::Chance;
use crate::ids::{ProductId, UserId};
use crate::json::Json;
use crate::text;
use engine::time::rfc3339;

const PER_PRODUCT: usize = 12;
const MAX_TEXT: usize = 4_000;

/// A review.
#[derive(Debug, Clone)]
pub(super) struct Review {
    id: u32,
    stars: u32,
    title: String,
    text: String,
    author: UserId,
    written: i64,
    helpful: u32,
}

impl Review {
    /// A review from before the simulation began.
    pub(super) fn made_up(chance: &mut Chance, accounts: &Accounts, noun: &str) -> Self {
        let author = accounts.any_customer(chance);
        let language = accounts.identity(author).locale.tag;
        Self {
            id: 0,
            stars: chance.weighted(&[(5, 50), (4, 25), (3, 12), (2, 6), (1, 7)]),
            title: text::title(chance, language, noun),
            text: text::review(chance, language, noun),
            author,
            written: 1_750_000_000_000 + chance.between(0, 15_000_000_000),
            helpful: chance.rank(40) as u32,
        }
    }

    fn write(&self, j: &mut Json, accounts: &Accounts) {
        j.int("id", self.id).int("stars", self.stars).str("title", &self.title).str("text", &self.text);
        j.nested("author", |j| {
            j.int("id", self.author.number()).str("name", accounts.identity(self.author).first);
        });
        j.int("helpful", self.helpful).str("written_at", &rfc3339(self.written));
    }
}

impl Catalog {
    /// Puts a review below a product (the oldest goes when there are too many) and gives its number.
    pub(super) fn add_review(&mut self, product: ProductId, review: Review) -> u32 {
        self.next_review += 1;
        let id = self.next_review;
        if let Some(product) = self.get_mut(product) {
            if product.reviews.len() >= PER_PRODUCT {
                product.reviews.pop_front();
            }
            product.review_count += 1;
            product.stars += review.stars;
            product.reviews.push_back(Review { id, ..review });
        }
        id
    }
}

/// `GET /v2/products/{id}/reviews`.
pub(super) fn list(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(product) = ask.product(0).and_then(|id| shop.catalog.get(id)) else {
        return Reply::missing("Product");
    };
    let shown = if ask.number("page", 1) == Some(1) { 10 } else { 0 };
    let reviews = || product.reviews.iter().rev().take(shown);
    Reply::object(|j| {
        j.int("product_id", product.id.number()).int("total", product.review_count);
        j.list("items", reviews(), |j, r| r.write(j, &shop.accounts));
    })
    .cacheable()
    .hand(reviews().take(4).flat_map(|r| [Handed::Review(r.id), Handed::User(r.author)]))
}

/// `POST /v2/products/{id}/reviews`.
pub(super) fn write(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let (Some(user), Some(product)) = (ask.user, ask.product(0).filter(|id| shop.catalog.get(*id).is_some())) else {
        return Reply::missing("Product");
    };
    let Some(stars) = ask.int("stars").filter(|s| (1..=5).contains(s)) else {
        return Reply::invalid("stars", "must be between 1 and 5");
    };
    let text = ask.text("text");
    if text.trim().is_empty() || text.len() > MAX_TEXT {
        return Reply::invalid("text", "must have 1 to 4000 characters");
    }
    let review = Review {
        id: 0,
        stars: stars as u32,
        title: ask.text("title").chars().take(120).collect(),
        text: text.to_owned(),
        author: user,
        written: ask.now,
        helpful: 0,
    };
    let copy = review.clone();
    let id = shop.catalog.add_review(product, review);
    Reply::created(|j| Review { id, ..copy }.write(j, &shop.accounts)).hand([Handed::Review(id)])
}

/// `POST /v2/reviews/{id}/helpful`.
pub(super) fn helpful(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    match ask.vars[0].parse::<u32>() {
        Ok(id) if id <= shop.catalog.next_review && id > 80_000 => Reply::empty(204),
        _ => Reply::missing("Review"),
    }
}
