//! The course of things: who arrives when, whose turn is next, and what is true of what was sent.

use crate::attacks::{self, Launch};
use crate::chance::Chance;
use crate::config::Config;
use crate::hard::{self, SALE_BOOST, Season};
use crate::ids::UserId;
use crate::label::{Label, Split, TrueLabel};
use crate::people::{
    Carrier, Client, Kind, Kiosk, LoadBalancer, OldApp, PEAK, PaymentProvider, Rhythm, Scene, Sent, Shopper, Staff, Supplier, Visit,
    home_of, level, office, stranger,
};
use crate::shop::{Bearer, PARTNERS, Shop};
use crate::wire::Mirror;
use engine::record::Exchange;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::Ipv4Addr;

/// Exchanges of a customer's visit on average; measured.
const MEAN_VISIT: f64 = 14.0;
const CUSTOMER_SHARE: f64 = 0.86;
const STAFF_SHARE: f64 = 0.02;
const OLD_APP_SHARE: f64 = 0.006;
const MEAN_STAFF: f64 = 22.0;
const MEAN_OLD_APP: f64 = 3.5;
const MEAN_KIOSK: f64 = 6.0;
/// Share of the visits at kiosks that cross over.
const CROSSED: f64 = 0.05;
/// Highest level of a stream, look-alikes included.
const CEILING: f64 = PEAK * SALE_BOOST;

/// A simulation under way: an iterator of exchanges in time order, each with its truth. It ends with the configured days.
#[derive(Debug)]
pub struct Simulation {
    config: Config,
    shop: Shop,
    chance: Chance,
    queue: BinaryHeap<Due>,
    streams: Vec<Stream>,
    launches: VecDeque<Launch>,
    season: Season,
    devices: Vec<Devices>,
    number: u64,
    visits: u64,
    turns: u64,
}

/// Tokens that the devices of an account keep between visits.
#[derive(Debug, Clone, Default)]
struct Devices {
    browser: Option<Bearer>,
    phone: Option<Bearer>,
}

/// A visit whose turn comes at a moment.
#[derive(Debug)]
struct Due {
    at: i64,
    turn: u64,
    visit: Box<Visit>,
}

impl Due {
    fn key(&self) -> Reverse<(i64, u64)> {
        Reverse((self.at, self.turn))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Customers,
    Staff,
    OldApps,
    Kiosks,
}

/// Arrivals of one sort of visitor: a Poisson process whose rate follows the day.
#[derive(Debug)]
struct Stream {
    who: Who,
    rhythm: Rhythm,
    /// Mean milliseconds between arrivals at level 1.
    every: f64,
    next: i64,
}

impl Stream {
    fn new(who: Who, rhythm: Rhythm, config: &Config, (share, mean_length): (f64, f64)) -> Self {
        let per_day = f64::from(config.requests_per_day) * share / mean_length;
        Self { who, rhythm, every: 86_400_000.0 / per_day.max(1e-6), next: config.start }
    }

    /// Draws the next arrival by thinning; gives up behind the end.
    fn advance(&mut self, chance: &mut Chance, season: &Season, end: i64) {
        let mut at = self.next as f64;
        while at < end as f64 {
            at += chance.exponential(self.every / CEILING);
            let boost = if self.who == Who::Customers { season.boost(at as i64) } else { 1.0 };
            if chance.unit() * CEILING < level(self.rhythm, at as i64) * boost {
                break;
            }
        }
        self.next = at as i64 + 1;
    }
}

impl Simulation {
    /// A simulation at its beginning.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut chance = Chance::new(config.seed, 0);
        let mut shop = Shop::new(config.seed, config.users.max(100), config.start);
        let season = Season::new(&config, &mut chance);
        season.announce(&mut shop.conditions);
        let mut streams = vec![
            Stream::new(Who::Customers, Rhythm::Customers, &config, (CUSTOMER_SHARE, MEAN_VISIT)),
            Stream::new(Who::Staff, Rhythm::Office, &config, (STAFF_SHARE, MEAN_STAFF)),
            Stream::new(Who::OldApps, Rhythm::Customers, &config, (OLD_APP_SHARE, MEAN_OLD_APP)),
        ];
        if config.kiosks > 0.0 {
            streams.push(Stream::new(Who::Kiosks, Rhythm::Customers, &config, (config.kiosks.min(1.0), MEAN_KIOSK)));
        }
        let launches = attacks::plan(&config, &mut chance).into();
        let mut simulation = Self {
            config,
            shop,
            chance,
            queue: BinaryHeap::new(),
            streams,
            launches,
            season,
            devices: Vec::new(),
            number: 0,
            visits: 0,
            turns: 0,
        };
        simulation.start_machines();
        for stream in &mut simulation.streams {
            stream.advance(&mut simulation.chance, &simulation.season, simulation.config.end());
        }
        simulation
    }

    /// What is simulated.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Visits under way.
    #[must_use]
    pub fn active(&self) -> usize {
        self.queue.len()
    }

    fn start_machines(&mut self) {
        let at = self.config.start;
        let checks = self.config.interval(0.025) * 4;
        for n in 0..2u8 {
            let mut client = Client::program(Kind::Machine, "ELB-HealthChecker/2.0", Ipv4Addr::new(10, 0, n, 5).into(), &mut self.chance);
            client.device = u64::from(n);
            let name = format!("balancer-{n}");
            self.enter(at + i64::from(n) * 37, Visit::new(client, name, LoadBalancer { every: checks }).looking_like("health_check"));
        }
        let address = Ipv4Addr::new(192, 0, 2, 200).into();
        let provider = Client::program(Kind::Machine, "PaymentProvider-Hooks/1.4", address, &mut self.chance);
        self.enter(at, Visit::new(provider, "payments".to_owned(), PaymentProvider { every: self.config.interval(0.02).min(20_000) }));
        let address = Ipv4Addr::new(198, 51, 100, 77).into();
        let carrier = Client::program(Kind::Machine, "CarrierEvents (java 17)", address, &mut self.chance);
        self.enter(at, Visit::new(carrier, "carrier".to_owned(), Carrier { every: self.config.interval(0.002).min(1_800_000) }));
        let regular = PARTNERS.len() - 1;
        let every = self.config.interval(0.06 / (regular as f64 * 1.5));
        for partner in 0..regular {
            let visit = self.supplier(partner, every);
            self.enter(at + partner as i64 * 4_000, visit);
        }
    }

    fn supplier(&mut self, partner: usize, every: i64) -> Visit {
        let mut client = hard::partner_client(partner, &mut self.chance);
        client.partner = Some(partner);
        Visit::new(client, format!("partner-{}", PARTNERS[partner].name), Supplier::new(partner, every))
    }

    /// Puts a visit into the queue; its first step comes at `at` or after.
    fn enter(&mut self, at: i64, mut visit: Visit) {
        let mut scene = Scene { shop: &mut self.shop, chance: &mut self.chance, now: at };
        if let Some(wait) = visit.wait(&mut scene) {
            self.turns += 1;
            self.queue.push(Due { at: at + wait, turn: self.turns, visit: Box::new(visit) });
        }
    }

    fn name(&mut self, sort: &str) -> String {
        self.visits += 1;
        format!("{sort}{}", self.visits)
    }

    /// Lets in whoever arrives next of a stream.
    fn arrive(&mut self, stream: usize) {
        let at = self.streams[stream].next;
        let visit = match self.streams[stream].who {
            Who::Customers => self.customer(at),
            Who::Staff => {
                let user = UserId(self.chance.below(self.shop.accounts.staff() as usize) as u32);
                let mut client = Client::of_customer(&self.shop, user, Kind::Web, &mut self.chance);
                client.address = office(101);
                client.bearer = self.kept(user, Kind::Web);
                let tasks = self.chance.between(4, 16) as u32;
                Visit::new(client, self.name("s"), Staff::new(tasks))
            }
            Who::OldApps => {
                let key = self.chance.below(30) as u64;
                let mut client =
                    Client::program(Kind::Machine, "ShopApp/2.9.4 CFNetwork/978.0.7 Darwin/18.7.0", home_of(key), &mut self.chance);
                client.device = key;
                Visit::new(client, self.name("o"), OldApp::default())
            }
            Who::Kiosks => self.kiosk(at),
        };
        self.enter(at, visit);
        self.streams[stream].advance(&mut self.chance, &self.season, self.config.end());
    }

    fn kiosk(&mut self, at: i64) -> Visit {
        let address = stranger(&mut self.chance);
        let client = Client::of_stranger(Kind::Web, address, &mut self.chance);
        let script = Kiosk::new(self.chance.hit(0.5));
        if self.config.attacks && at >= self.config.learning_ends() && self.chance.hit(CROSSED) {
            return Visit::new(client, self.name("kiosk_crossed-"), script.crossed()).hostile();
        }
        Visit::new(client, self.name("k"), script)
    }

    fn customer(&mut self, at: i64) -> Visit {
        let kind = self.chance.weighted(&[(Kind::Web, 52), (Kind::Ios, 25), (Kind::Android, 23)]);
        if self.chance.hit(0.012) {
            let address = stranger(&mut self.chance);
            let client = Client::of_stranger(kind, address, &mut self.chance);
            let script = Shopper::new(&client, &mut self.chance).registering();
            return Visit::new(client, self.name("v"), script);
        }
        let user = self.somebody();
        let mut client = Client::of_customer(&self.shop, user, kind, &mut self.chance);
        if kind.is_app() || self.chance.hit(0.5) {
            client.bearer = self.kept(user, kind);
        }
        let script = Shopper::new(&client, &mut self.chance);
        let name = self.name("v");
        self.season.dress(at, Visit::new(client, name, script.clone()), script, &mut self.chance)
    }

    /// A customer; some come oftener than others.
    fn somebody(&mut self) -> UserId {
        let (staff, all) = (self.shop.accounts.staff() as usize, self.shop.accounts.len() as usize);
        let regulars = if self.chance.hit(0.35) { (all - staff) / 6 } else { all - staff };
        UserId((staff + self.chance.below(regulars)) as u32)
    }

    fn kept(&self, user: UserId, kind: Kind) -> Option<Bearer> {
        let devices = self.devices.get(user.0 as usize)?;
        if kind.is_app() { devices.phone.clone() } else { devices.browser.clone() }
    }

    /// What the devices of a customer keep after a visit.
    fn keep(&mut self, visit: &Visit) {
        let Some(user) = visit.client.user.filter(|u| u.0 < self.shop.accounts.len()) else { return };
        if visit.hostile || !matches!(visit.client.kind, Kind::Web | Kind::Ios | Kind::Android) {
            return;
        }
        if self.devices.len() <= user.0 as usize {
            self.devices.resize(user.0 as usize + 1, Devices::default());
        }
        let devices = &mut self.devices[user.0 as usize];
        let slot = if visit.client.kind.is_app() { &mut devices.phone } else { &mut devices.browser };
        slot.clone_from(&visit.client.bearer);
    }

    /// The truth about what a visit sent.
    fn truth(&self, visit: &Visit, sent: &Sent, at: i64) -> TrueLabel {
        let (label, family) = match sent.truth {
            Some(family) => (Label::Attack, family.name()),
            None if visit.hostile => (Label::Benign, ""),
            None if !visit.look_alike.is_empty() => (Label::Benign, visit.look_alike),
            None => (Label::Benign, self.season.name(at, sent.exchange.response.status)),
        };
        let split = if at < self.config.learning_ends() { Split::Train } else { Split::Test };
        TrueLabel { label, family, split, template: sent.template, group: visit.group.clone() }
    }

    /// Lets in whoever comes before `until`; false when nobody does.
    fn admit(&mut self, until: i64) -> bool {
        if self.launches.front().is_some_and(|l| l.at <= until) {
            if let Some(launch) = self.launches.pop_front() {
                let mut scene = Scene { shop: &mut self.shop, chance: &mut self.chance, now: launch.at };
                for (at, visit) in launch.visits(&mut scene) {
                    self.enter(at, visit);
                }
            }
            return true;
        }
        let mut scene = Scene { shop: &mut self.shop, chance: &mut self.chance, now: until };
        if let Some(visits) = self.season.next_guests(until, &mut scene) {
            for (at, visit) in visits {
                self.enter(at, visit);
            }
            return true;
        }
        let first = (0..self.streams.len()).min_by_key(|n| self.streams[*n].next).filter(|n| self.streams[*n].next <= until);
        if let Some(stream) = first {
            self.arrive(stream);
        }
        first.is_some()
    }
}

impl Iterator for Simulation {
    type Item = (Exchange<'static>, TrueLabel);

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.config.end();
        loop {
            let head = self.queue.peek().map_or(end, |due| due.at).min(end);
            if self.admit(head) {
                continue;
            }
            let Due { at, mut visit, .. } = self.queue.pop().filter(|due| due.at < end)?;
            let mut scene = Scene { shop: &mut self.shop, chance: &mut self.chance, now: at };
            let mirror = Mirror { number: self.number, time: at, bodies: self.config.bodies };
            let (sent, took) = visit.step(&mut scene, mirror);
            scene.now = at + took;
            let wait = visit.wait(&mut scene);
            let item = sent.map(|sent| (self.truth(&visit, &sent, at), sent.exchange));
            match wait {
                Some(wait) => {
                    self.turns += 1;
                    self.queue.push(Due { at: at + took + wait, turn: self.turns, visit });
                }
                None => self.keep(&visit),
            }
            if let Some((truth, exchange)) = item {
                self.number += 1;
                return Some((exchange, truth));
            }
        }
    }
}
