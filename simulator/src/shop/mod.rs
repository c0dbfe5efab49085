//! The shop: a small web shop with its own state, which answers real JSON to the bytes that are sent to it. It is weak on purpose:
//! invoices, addresses and tracking are given to whoever asks, a profile takes any field, a checkout step can be skipped, partner calls can
//! be replayed, exports have no limit, old endpoints were forgotten and some errors show their stack.

mod accounts;
mod addresses;
mod admin;
mod ask;
mod auth;
mod cart;
mod catalog;
mod checkout;
mod conditions;
mod extras;
mod graphql;
mod legacy;
mod ops;
mod orders;
mod partner;
mod profile;
mod reviews;
mod route;
mod support;
mod wishes;

pub(crate) use accounts::{Accounts, Bearer, Identity};
pub(crate) use ask::{Handed, Reply};
pub(crate) use conditions::{Conditions, Span};
pub(crate) use ops::Event;
pub(crate) use orders::invoice_number;
pub(crate) use partner::{PARTNERS, api_key, signature};
pub(crate) use route::{Template, templates};

use crate::chance::Chance;
use crate::ids::UserId;
use crate::wire::Call;
use ask::Ask;
use catalog::Catalog;
use checkout::Checkouts;
use conditions::Limiter;
use orders::Orders;
use route::{Access, Found, Router};
use serde_json::Value;
use std::collections::VecDeque;

/// Who sends a call, as far as the shop can see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer<'a> {
    /// Token that came along.
    pub(crate) bearer: Option<&'a Bearer>,
    /// Hash of the address, for the rate limit.
    pub(crate) address: u64,
}

/// An answer, and the template of the endpoint that gave it (none where no endpoint stands).
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) reply: Reply,
    pub(crate) template: Option<Template>,
}

/// The shop and all it remembers. Every table is capped.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) accounts: Accounts,
    pub(crate) catalog: Catalog,
    pub(crate) orders: Orders,
    /// Weather: outages, slow times, what was released.
    pub(crate) conditions: Conditions,
    checkouts: Checkouts,
    limiter: Limiter,
    router: Router,
    /// Payments and parcels of which the providers have not told yet.
    payments: VecDeque<Event>,
    parcels: VecDeque<Event>,
    /// Tokens that stand in a log which others can read: a weakness.
    leaked: VecDeque<Bearer>,
    chance: Chance,
}

const LEAKED: usize = 32;
const OUTBOX: usize = 256;

impl Shop {
    /// A shop that opened some time before `now`, with `users` accounts, their addresses and past orders.
    pub(crate) fn new(seed: u64, users: u32, now: i64) -> Self {
        let mut chance = Chance::new(seed, 1);
        let mut accounts = Accounts::new(seed, users, &mut chance);
        let catalog = Catalog::new(&accounts, &mut chance);
        let mut orders = Orders::new(users);
        for user in (0..accounts.len()).map(UserId) {
            for _ in 0..chance.weighted(&[(0, 30), (1, 30), (2, 20), (4, 15), (7, 5)]) {
                let lines = vec![(catalog.popular(&mut chance), chance.between(1, 2) as u32)];
                let placed = now - chance.between(1, 200) * 86_400_000 - chance.between(0, 86_399_999);
                orders.place(&mut accounts, &catalog, orders::Placing { user, lines, placed, id: chance.uuid() });
            }
        }
        Self {
            accounts,
            catalog,
            orders,
            conditions: Conditions::default(),
            checkouts: Checkouts::default(),
            limiter: Limiter::default(),
            router: Router::new(),
            payments: VecDeque::with_capacity(OUTBOX),
            parcels: VecDeque::with_capacity(OUTBOX),
            leaked: VecDeque::with_capacity(LEAKED),
            chance,
        }
    }

    /// Answers one call.
    pub(crate) fn handle(&mut self, call: &Call, peer: Peer<'_>, now: i64) -> Served {
        let found = self.router.find(call);
        let (mut reply, template, base_ms) = match found {
            Found::Route(route, vars) => {
                let reply = match self.refusal(call, peer, route.access, now) {
                    Some(reply) => reply,
                    None => self.serve(call, peer, now, (route, vars)),
                };
                (reply, Some(graphql::operation(call).unwrap_or(route.template)), route.base_ms)
            }
            Found::WrongMethod => (Reply::problem(405, "Method not allowed", "This resource has no such method"), None, 3.0),
            Found::Nothing => (ops::nowhere(call), None, 3.0),
        };
        if self.conditions.cors_reflects(call) {
            let origin = call.header_value("origin").unwrap_or("*").to_owned();
            reply = reply.header("access-control-allow-origin", origin).header("access-control-allow-credentials", "true");
        }
        reply.took_ms = self.chance.lognormal(base_ms, 0.35) * self.conditions.slowness(now);
        Served { reply, template }
    }

    /// Why a call is refused before its handler sees it.
    fn refusal(&mut self, call: &Call, peer: Peer<'_>, access: Access, now: i64) -> Option<Reply> {
        if let Some(reply) = self.conditions.fault(&mut self.chance, access, now) {
            return Some(reply);
        }
        let key = peer.bearer.map_or(peer.address, |b| b.login);
        if access.is_limited() && !self.limiter.allow(key, now) {
            return Some(Reply::problem(429, "Too many requests", "Rate limit exceeded, try again later").header("retry-after", "30"));
        }
        match access {
            Access::Open | Access::Probe => None,
            Access::User | Access::Staff if self.accounts.who(peer.bearer, now).is_none() => {
                Some(Reply::problem(401, "Unauthorized", "Token is missing or expired").header("www-authenticate", "Bearer"))
            }
            Access::User | Access::Staff => None,
            Access::Partner => partner::refusal(call),
            Access::Provider => ops::refusal(call),
        }
    }

    fn serve(&mut self, call: &Call, peer: Peer<'_>, now: i64, (route, vars): (&'static route::Route, [&str; 3])) -> Reply {
        let body = match call.body.as_deref().map(serde_json::from_str::<Value>) {
            None => Value::Null,
            Some(Ok(body)) => body,
            Some(Err(error)) if self.conditions.verbose_parser => {
                return Reply::stack_trace(&format!("HttpMessageNotReadable: {error}"), &call.path);
            }
            Some(Err(_)) => return Reply::problem(400, "Bad request", "Body is not valid JSON"),
        };
        let user = self.accounts.who(peer.bearer, now);
        let login = peer.bearer.map_or(0, |b| b.login);
        let ask = Ask { call, now, user, login, vars, body };
        (route.handler)(self, &ask)
    }

    /// Something happened of which the payment provider or the carrier will tell the shop; the oldest is forgotten when too many wait.
    fn announce(&mut self, event: Event) {
        let outbox = if matches!(event, Event::Paid { .. }) { &mut self.payments } else { &mut self.parcels };
        if outbox.len() >= OUTBOX {
            outbox.pop_front();
        }
        outbox.push_back(event);
    }

    fn leak(&mut self, bearer: &Bearer) {
        if self.leaked.len() >= LEAKED {
            self.leaked.pop_front();
        }
        self.leaked.push_back(bearer.clone());
    }

    /// Somebody's token from the log, good for some minutes yet; one of the latest.
    pub(crate) fn leaked_token(&self, chance: &mut Chance, now: i64) -> Option<Bearer> {
        let good: Vec<&Bearer> = self.leaked.iter().filter(|b| self.accounts.who(Some(b), now + 10 * 60_000).is_some()).collect();
        if good.is_empty() { None } else { Some(chance.pick(&good).clone()) }
    }

    /// The next payment of which the provider has to tell the shop.
    pub(crate) fn next_payment(&mut self) -> Option<Event> {
        self.payments.pop_front()
    }

    /// The next parcel of which the carrier has to tell the shop.
    pub(crate) fn next_parcel(&mut self) -> Option<Event> {
        self.parcels.pop_front()
    }
}
