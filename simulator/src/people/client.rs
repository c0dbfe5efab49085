//! A client: the device or program that sends calls, what it identifies itself with and what it remembers of answers.

use super::network;
use crate::chance::{Chance, fixed, mix};
use crate::ids::{ProductId, UserId, Uuid};
use crate::shop::{Bearer, Handed, Shop};
use crate::wire::{Call, agent};
use engine::record::Headers;
use std::borrow::Cow;
use std::net::IpAddr;

/// What sort of client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A browser with the web shop.
    Web,
    /// The app on an iPhone.
    Ios,
    /// The app on an Android phone.
    Android,
    /// A partner's program.
    Partner,
    /// Another machine: load balancer, provider, script.
    Machine,
}

impl Kind {
    /// Value of the `accept` header.
    pub(crate) fn accepts(self) -> &'static str {
        match self {
            Self::Web => "application/json, text/plain, */*",
            Self::Ios | Self::Android | Self::Partner => "application/json",
            Self::Machine => "*/*",
        }
    }

    /// Whether it is the app.
    pub(crate) fn is_app(self) -> bool {
        matches!(self, Self::Ios | Self::Android)
    }
}

/// The latest few of something.
#[derive(Debug, Clone)]
pub(crate) struct Recent<T>(Vec<T>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + PartialEq> Recent<T> {
    const KEPT: usize = 12;

    /// Remembers one; the oldest is forgotten.
    pub(crate) fn push(&mut self, item: T) {
        if self.0.contains(&item) {
            return;
        }
        if self.0.len() >= Self::KEPT {
            self.0.remove(0);
        }
        self.0.push(item);
    }

    /// Any of them.
    pub(crate) fn any(&self, chance: &mut Chance) -> Option<T> {
        if self.0.is_empty() { None } else { Some(chance.pick(&self.0)) }
    }

    /// The latest.
    pub(crate) fn last(&self) -> Option<T> {
        self.0.last().copied()
    }

    /// Forgets one.
    pub(crate) fn forget(&mut self, item: T) {
        self.0.retain(|i| *i != item);
    }
}

/// What a client remembers of answers: ids that it will use in later calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub(crate) products: Recent<ProductId>,
    pub(crate) viewed: Option<ProductId>,
    pub(crate) etag: Option<(ProductId, String)>,
    pub(crate) users: Recent<UserId>,
    pub(crate) addresses: Recent<u32>,
    pub(crate) orders: Recent<Uuid>,
    pub(crate) invoices: Recent<u32>,
    pub(crate) threads: Recent<Uuid>,
    pub(crate) reviews: Recent<u32>,
    pub(crate) checkout: Option<Uuid>,
    pub(crate) upload: Option<Uuid>,
    pub(crate) wish_list: Option<u64>,
    pub(crate) cart: usize,
    pub(crate) cursor: u32,
    /// Words of the search whose pages are turned, and the page.
    pub(crate) search: Option<(String, u32)>,
}

/// A client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) kind: Kind,
    /// Whose account it would log in to.
    pub(crate) user: Option<UserId>,
    pub(crate) bearer: Option<Bearer>,
    pub(crate) address: IpAddr,
    pub(crate) agent: Cow<'static, str>,
    pub(crate) language: Option<&'static str>,
    /// Version of the app.
    pub(crate) version: &'static str,
    /// Identity of the device; a browser's cookie is drawn from it.
    pub(crate) device: u64,
    /// Which partner's program it is.
    pub(crate) partner: Option<usize>,
    pub(crate) memory: Memory,
}

const WEB_AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.2903.86",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1.1 Safari/605.1.15",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.81 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
];
const VERSIONS: &[&str] = &["5.4.0", "5.4.0", "5.4.0", "5.3.2", "5.3.2", "5.2.1"];
const IPHONES: &[&str] = &["iPhone15,2; iOS 18.1.1", "iPhone14,5; iOS 17.6.1", "iPhone16,1; iOS 18.1", "iPhone12,8; iOS 16.7.10"];

impl Client {
    /// The client on which a customer uses the shop.
    pub(crate) fn of_customer(shop: &Shop, user: UserId, kind: Kind, chance: &mut Chance) -> Self {
        let key = shop.accounts.key(user);
        let address = match kind {
            Kind::Web if chance.hit(0.15) => network::office_of(key),
            Kind::Ios | Kind::Android if chance.hit(0.55) => network::carrier_of(key, chance),
            _ => network::home_of(key),
        };
        let mut client = Self::new(kind, address, key);
        client.user = Some(user);
        client.language = Some(shop.accounts.identity(user).locale.tag);
        client
    }

    /// A client of somebody without an account.
    pub(crate) fn of_stranger(kind: Kind, address: IpAddr, chance: &mut Chance) -> Self {
        let key = chance.bits();
        let mut client = Self::new(kind, address, key);
        client.language = Some(chance.pick(crate::text::LOCALES).tag);
        client
    }

    /// A program with an agent of its own.
    pub(crate) fn program(kind: Kind, agent: impl Into<Cow<'static, str>>, address: IpAddr, chance: &mut Chance) -> Self {
        let mut client = Self::new(kind, address, chance.bits());
        client.agent = agent.into();
        client
    }

    fn new(kind: Kind, address: IpAddr, key: u64) -> Self {
        let key = mix(key, kind as u64);
        let mut client = Self {
            kind,
            user: None,
            bearer: None,
            address,
            agent: Cow::Borrowed(fixed(key >> 7, WEB_AGENTS)),
            language: None,
            version: fixed(key >> 12, VERSIONS),
            device: key,
            partner: None,
            memory: Memory::default(),
        };
        client.wear_version(client.version);
        client
    }

    /// Puts on the user agent of an app version.
    pub(crate) fn wear_version(&mut self, version: &'static str) {
        self.version = version;
        match self.kind {
            Kind::Ios => self.agent = format!("ShopApp/{version} ({})", fixed(self.device >> 17, IPHONES)).into(),
            Kind::Android => self.agent = if version < "5.3" { "okhttp/4.11.0".into() } else { "okhttp/4.12.0".into() },
            Kind::Web | Kind::Partner | Kind::Machine => {}
        }
    }

    /// The id of a request, as the client or the gateway makes it.
    pub(crate) fn request_id(&self, number: u64) -> String {
        Uuid::random(mix(self.device, number), mix(number, self.device)).to_string()
    }

    /// The opaque session as an ingest would make it: of the log-in session, else of the browser's cookie or a partner's key, else of address
    /// and user agent.
    pub(crate) fn session(&self, call: &Call) -> String {
        let word = match (&self.bearer, self.kind) {
            (Some(bearer), _) if !call.anonymous => mix(bearer.login, 0x51),
            (_, Kind::Web) => mix(self.device, 0x52),
            (_, Kind::Partner) => mix(self.partner.map_or(self.device, |p| p as u64), 0x53),
            _ => agent(self, call).bytes().fold(self.source(), |word, byte| mix(word, u64::from(byte))),
        };
        format!("{word:016x}{:016x}", mix(word, 1))
    }

    /// A hash of the address.
    pub(crate) fn source(&self) -> u64 {
        match self.address {
            IpAddr::V4(v4) => mix(u64::from(u32::from(v4)), 4),
            IpAddr::V6(v6) => mix((u128::from(v6) >> 64) as u64, u128::from(v6) as u64),
        }
    }

    /// Headers that clients of this kind always send.
    pub(crate) fn own_headers(&self, call: &Call, headers: &mut Headers<'static>) {
        match self.kind {
            Kind::Web => {
                for (name, value) in [("origin", "https://www.shop.example"), ("referer", "https://www.shop.example/")] {
                    if call.header_value(name).is_none() {
                        headers.push(name, value);
                    }
                }
                headers.push("cookie", format!("sid={:016x}{:016x}; consent=all", self.device, mix(self.device, 9)));
                headers.push("sec-fetch-mode", "cors");
            }
            Kind::Ios | Kind::Android => {
                headers.push("x-app-version", self.version);
                headers.push("x-platform", if self.kind == Kind::Ios { "ios" } else { "android" });
                headers.push("x-device-id", Uuid::random(self.device, mix(self.device, 8)).to_string());
            }
            Kind::Partner | Kind::Machine => {}
        }
    }

    /// Takes from an answer what later calls will need.
    pub(crate) fn remember(&mut self, handed: Vec<Handed>) {
        for handed in handed {
            match handed {
                Handed::Product(id) => self.memory.products.push(id),
                Handed::User(id) => self.memory.users.push(id),
                Handed::Login(bearer) => {
                    self.user = Some(bearer.user);
                    self.bearer = Some(bearer);
                }
                Handed::Etag(id, etag) => self.memory.etag = Some((id, etag)),
                Handed::LoggedOut => self.bearer = None,
                Handed::Address(id) => self.memory.addresses.push(id),
                Handed::Order(id) => self.memory.orders.push(id),
                Handed::Invoice(number) => self.memory.invoices.push(number),
                Handed::Checkout(id) => self.memory.checkout = Some(id),
                Handed::Thread(id) => self.memory.threads.push(id),
                Handed::Review(id) => self.memory.reviews.push(id),
                Handed::Upload(id) => self.memory.upload = Some(id),
                Handed::WishList(id) => self.memory.wish_list = Some(id),
                Handed::Cart(lines) => self.memory.cart = lines,
                Handed::Cursor(at) => self.memory.cursor = at,
            }
        }
    }
}
