//! Products: lists, search, single products, categories, recommendations.

use super::ask::{Ask, Handed, Reply};
use super::reviews::Review;
use super::{Accounts, Shop};
use crate::chance::{Chance, fixed, mix};
use crate::ids::ProductId;
use crate::json::Json;
use crate::text::{CATEGORIES, COLOURS, DESCRIPTIONS, MAKES};
use std::collections::{BTreeMap, VecDeque};

const PRODUCTS: u32 = 1_200;
const PAGE: u32 = 20;
const MAX_PAGE: u32 = 100;

/// A product.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) id: ProductId,
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) sku: String,
    pub(super) category: usize,
    pub(super) noun: &'static str,
    pub(super) description: String,
    /// Price, cents.
    pub(super) price: i64,
    pub(super) stock: i64,
    pub(super) reviews: VecDeque<Review>,
    pub(super) review_count: u32,
    /// Sum of the stars of all reviews.
    pub(super) stars: u32,
}

/// The catalogue.
#[derive(Debug)]
pub(crate) struct Catalog {
    products: Vec<Product>,
    by_word: BTreeMap<&'static str, Vec<u32>>,
    by_category: Vec<Vec<u32>>,
    pub(super) next_review: u32,
}

impl Catalog {
    /// A catalogue with its first reviews.
    pub(super) fn new(accounts: &Accounts, chance: &mut Chance) -> Self {
        let mut catalog =
            Self { products: Vec::new(), by_word: BTreeMap::new(), by_category: vec![Vec::new(); CATEGORIES.len()], next_review: 81_007 };
        for n in 0..PRODUCTS {
            let category = chance.rank(CATEGORIES.len() * 2) / 2;
            let noun = chance.pick(CATEGORIES[category].2);
            let product = Product::new(chance, ProductId(n), category, noun);
            for word in noun.split(' ') {
                catalog.by_word.entry(word).or_default().push(n);
            }
            catalog.by_category[category].push(n);
            catalog.products.push(product);
            for _ in 0..chance.below(9) {
                let review = Review::made_up(chance, accounts, noun);
                catalog.add_review(ProductId(n), review);
            }
        }
        catalog
    }

    /// A product by id.
    pub(crate) fn get(&self, id: ProductId) -> Option<&Product> {
        self.products.get(id.0 as usize)
    }

    /// A product by id, to change it.
    pub(super) fn get_mut(&mut self, id: ProductId) -> Option<&mut Product> {
        self.products.get_mut(id.0 as usize)
    }

    /// Number of products.
    pub(crate) fn len(&self) -> usize {
        self.products.len()
    }

    /// A product as people choose: few are chosen often.
    pub(crate) fn popular(&self, chance: &mut Chance) -> ProductId {
        ProductId(chance.rank(self.products.len()) as u32)
    }

    /// A product by its stock-keeping unit.
    pub(super) fn by_sku(&self, sku: &str) -> Option<ProductId> {
        let number = sku.split('-').nth(1)?.parse::<u32>().ok()?;
        self.products.get(number.checked_sub(1000)? as usize).filter(|p| p.sku == sku).map(|p| p.id)
    }

    fn search(&self, words: &str) -> &[u32] {
        let words = words.to_lowercase();
        words.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '-').find_map(|w| self.by_word.get(w)).map_or(&[], Vec::as_slice)
    }

    /// What a product is called in free text.
    pub(crate) fn noun(&self, id: Option<ProductId>) -> &'static str {
        id.and_then(|id| self.get(id)).map_or("order", |p| p.noun)
    }

    pub(super) fn category(&self, category: usize) -> &[u32] {
        &self.by_category[category]
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Product> {
        self.products.iter()
    }
}

impl Product {
    fn new(chance: &mut Chance, id: ProductId, category: usize, noun: &'static str) -> Self {
        let colour = chance.pick(COLOURS);
        let name = format!("{} {noun} {colour}", chance.pick(MAKES));
        let mut slug = String::with_capacity(name.len());
        for c in name.chars().flat_map(char::to_lowercase) {
            match c {
                c if c.is_ascii_alphanumeric() => slug.push(c),
                'é' => slug.push('e'),
                'ø' => slug.push('o'),
                _ if !slug.ends_with('-') => slug.push('-'),
                _ => {}
            }
        }
        slug.push_str(&format!("-{}", id.0));
        let first = chance.below(DESCRIPTIONS.len());
        let description =
            (0..chance.between(3, 7) as usize).map(|i| DESCRIPTIONS[(first + i * 3) % DESCRIPTIONS.len()]).collect::<Vec<_>>().join(" ");
        Self {
            id,
            name,
            slug,
            sku: format!(
                "{}-{}-{}",
                fixed(mix(u64::from(id.0), 9), &["AB", "HX", "KL", "QT", "ZN"]),
                1000 + id.0,
                fixed(mix(u64::from(id.0), 8), &["S", "M", "L", "U"])
            ),
            category,
            noun,
            description,
            price: chance.lognormal(3_900.0, 0.8) as i64 / 100 * 100 + 99,
            stock: chance.between(0, 400),
            reviews: VecDeque::new(),
            review_count: 0,
            stars: 0,
        }
    }

    pub(super) fn brief(&self, j: &mut Json) {
        j.int("id", self.id.number()).str("slug", &self.slug).str("name", &self.name).money("price", self.price).str("currency", "EUR");
        j.str("image", &format!("https://img.shop.example/p/{}/320.webp", self.id.number())).bool("in_stock", self.stock > 0);
        self.rating(j);
    }

    fn rating(&self, j: &mut Json) {
        match (self.stars * 10).checked_div(self.review_count) {
            Some(tenths) => j.raw("rating", &format!("{}.{}", tenths / 10, tenths % 10)),
            None => j.null("rating"),
        };
        j.int("review_count", self.review_count);
    }

    pub(super) fn full(&self, j: &mut Json) {
        self.brief(j);
        let (slug, name, _) = CATEGORIES[self.category];
        j.str("sku", &self.sku).str("description", &self.description);
        j.nested("category", |j| {
            j.str("slug", slug).str("name", name);
        });
        j.list("images", 1..=4, |j, n: i32| {
            j.str("url", &format!("https://img.shop.example/p/{}/{n}-1200.webp", self.id.number())).int("width", 1200).int("height", 1600);
        });
        j.nested("shipping", |j| {
            j.int("min_days", 1 + (self.id.0 % 3)).int("max_days", 3 + (self.id.0 % 5)).bool("express", self.id.0.is_multiple_of(4));
        });
        j.list("variants", ["S", "M", "L"], |j, size| {
            j.str("size", size).str("sku", &format!("{}-{size}", &self.sku[..self.sku.len() - 2])).int("stock", self.stock / 3);
        });
    }
}

/// `GET /v2/products`: search, sort, pages.
pub(super) fn list(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    if let Some(sort) = ask.query("sort")
        && !matches!(sort.as_str(), "price" | "-price" | "rating" | "newest" | "relevance")
    {
        // The column is put into the statement as it came: a quote breaks it, and shows the stack.
        return if sort.contains(['\'', '"', ';', ')']) {
            Reply::stack_trace(&format!("PSQLException: ERROR: syntax error at or near \"{sort}\""), "/v2/products")
        } else {
            Reply::invalid("sort", "must be one of price, -price, rating, newest, relevance")
        };
    }
    let (Some(page), Some(limit)) = (ask.number("page", 1), ask.number("limit", PAGE)) else {
        return Reply::problem(400, "Bad request", "page and limit must be numbers");
    };
    if page == 0 || limit == 0 || limit > MAX_PAGE {
        return Reply::invalid("limit", "must be between 1 and 100");
    }
    let catalog = &shop.catalog;
    match ask.query("q") {
        Some(words) => page_of(catalog, catalog.search(&words), page, limit),
        None => {
            let all: Vec<u32> = (0..catalog.len() as u32).collect();
            page_of(catalog, &all, page, limit)
        }
    }
}

fn page_of(catalog: &Catalog, ids: &[u32], page: u32, limit: u32) -> Reply {
    let from = (page as usize - 1).saturating_mul(limit as usize).min(ids.len());
    let shown = &ids[from..(from + limit as usize).min(ids.len())];
    let products = || shown.iter().filter_map(|n| catalog.get(ProductId(*n)));
    let total = ids.len() as u32;
    let reply = Reply::object(|j| {
        j.list("items", products(), |j, p| p.brief(j));
        j.int("page", page).int("limit", limit).int("total", total).int("pages", total.div_ceil(limit));
    });
    reply.cacheable().hand(products().take(12).map(|p| Handed::Product(p.id)))
}

/// `GET /v2/products/{id}`; answers 304 to a client that has it.
pub(super) fn show(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(product) = ask.product(0).and_then(|id| shop.catalog.get(id)) else {
        // A quote in the number reaches the database: the second place where the stack shows.
        return if ask.vars[0].contains("%27") {
            Reply::stack_trace("NumberFormatException: For input string", ask.call.path.as_str())
        } else {
            Reply::missing("Product")
        };
    };
    let etag = format!("\"p{}-{}-{}\"", product.id.number(), product.review_count, product.price);
    if ask.call.header_value("if-none-match").is_some_and(|known| known == etag) {
        return Reply::empty(304).cacheable().hand([Handed::Product(product.id)]).header("etag", etag);
    }
    let known = Handed::Etag(product.id, etag.clone());
    Reply::object(|j| product.full(j)).cacheable().hand([Handed::Product(product.id), known]).header("etag", etag)
}

/// `GET /v2/products/by-slug/{slug}`.
pub(super) fn by_slug(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let slug = ask.vars[0];
    let id = slug.rsplit('-').next().and_then(|n| n.parse().ok()).map(ProductId);
    match id.and_then(|id| shop.catalog.get(id)).filter(|p| p.slug == slug) {
        Some(product) => Reply::object(|j| product.full(j)).cacheable().hand([Handed::Product(product.id)]),
        None => Reply::missing("Product"),
    }
}

/// `GET /v2/products/{id}/recommendations`.
pub(super) fn recommendations(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(product) = ask.product(0).and_then(|id| shop.catalog.get(id)) else {
        return Reply::missing("Product");
    };
    let same = shop.catalog.category(product.category);
    let at = product.id.0 as usize;
    let picks: Vec<&Product> =
        (1..=8).filter_map(|i| same.get((at * 7 + i * 13) % same.len())).filter_map(|n| shop.catalog.get(ProductId(*n))).collect();
    Reply::object(|j| {
        j.list("items", picks.iter(), |j, p| p.brief(j));
    })
    .cacheable()
    .hand(picks.iter().map(|p| Handed::Product(p.id)))
}

/// `GET /v2/categories`.
pub(super) fn categories(shop: &mut Shop, _: &Ask<'_>) -> Reply {
    Reply::object(|j| {
        j.list("items", CATEGORIES.iter().enumerate(), |j, (n, (slug, name, _))| {
            j.str("slug", slug).str("name", name).int("products", shop.catalog.category(n).len() as i64);
        });
    })
    .cacheable()
}

/// `GET /v2/categories/{slug}`.
pub(super) fn category(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let (Some(page), Some(limit)) = (ask.number("page", 1), ask.number("limit", PAGE)) else {
        return Reply::problem(400, "Bad request", "page and limit must be numbers");
    };
    if page == 0 || limit == 0 || limit > MAX_PAGE {
        return Reply::invalid("limit", "must be between 1 and 100");
    }
    match CATEGORIES.iter().position(|(slug, _, _)| *slug == ask.vars[0]) {
        Some(n) => page_of(&shop.catalog, shop.catalog.category(n), page, limit),
        None => Reply::missing("Category"),
    }
}
