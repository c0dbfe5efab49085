//! Guests who behave oddly for good reasons.

use crate::chance::Chance;
use crate::people::{Client, Goal, Kind, Outcome, Scene, Script, Shopper, Step, Supplier, Visit, office, partner_page};
use crate::shop::PARTNERS;
use std::net::Ipv4Addr;

/// A guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guest {
    /// Dozens of customers behind one address within half an hour.
    Office,
    /// A partner's program that reads the whole catalogue several times over.
    Batch,
    /// A customer who logs in again and again, with wrong passwords in between.
    Relogin,
    /// A customer on a bad line, whose phone sends again what it got no answer to.
    Retries,
    /// A customer who turns dozens of pages.
    Pagination,
    /// A partner's second machine whose clock is wrong.
    WrongClock,
    /// A partner's second machine that changes its user agent all the time.
    RotatingAgents,
    /// A partner that was not there before.
    NewPartner,
}

/// The program of a partner in its data centre.
pub(crate) fn partner_client(partner: usize, chance: &mut Chance) -> Client {
    let at = &PARTNERS[partner];
    let mut parts = at.network.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    let address = Ipv4Addr::new(next(), next(), next(), 20 + partner as u8);
    let mut client = Client::program(Kind::Partner, at.agent, address.into(), chance);
    client.partner = Some(partner);
    client
}

impl Guest {
    /// Name as it stands in labels.
    fn name(self) -> &'static str {
        match self {
            Self::Office => "office_nat",
            Self::Batch => "batch_client",
            Self::Relogin => "relogin",
            Self::Retries => "retries",
            Self::Pagination => "pagination",
            Self::WrongClock => "clock_skew",
            Self::RotatingAgents => "partner_rotating_agents",
            Self::NewPartner => "new_partner",
        }
    }

    /// What the guest does, and when; `number` tells guests of one kind apart.
    pub(super) fn visits(self, scene: &mut Scene<'_>, number: usize) -> Vec<(i64, Visit)> {
        let now = scene.now;
        let group = |n: usize| format!("{}-{number}-{n}", self.name());
        match self {
            Self::Office => (0..40)
                .map(|n| {
                    let mut client = customer(scene, Kind::Web);
                    client.address = office(150);
                    let script = Shopper::new(&client, scene.chance);
                    (now + scene.chance.between(0, 1_800_000), Visit::new(client, group(n), script).looking_like(self.name()))
                })
                .collect(),
            Self::Relogin => {
                vec![self.customer_visit(scene, Kind::Web, vec![Goal::ForgottenPassword, Goal::Browse, Goal::ForgottenPassword], group(0))]
            }
            Self::Pagination => vec![self.customer_visit(scene, Kind::Web, vec![Goal::Search, Goal::Pages, Goal::Browse], group(0))],
            Self::Retries => {
                let goals = vec![Goal::Orders, Goal::Buy, Goal::Browse, Goal::News, Goal::Search];
                let (at, mut visit) = self.customer_visit(scene, Kind::Android, goals, group(0));
                visit.lossy = 0.3;
                vec![(at, visit)]
            }
            Self::Batch => {
                let client = partner_client(1, scene.chance);
                vec![(now, Visit::new(client, group(0), Batch { left: 8 }).looking_like(self.name()))]
            }
            Self::WrongClock => {
                let supplier = Supplier { skew: 11 * 60_000, rounds: Some(30), ..Supplier::new(2, 60_000) };
                vec![self.supplier_visit(scene, supplier, group(0))]
            }
            Self::RotatingAgents => {
                let supplier = Supplier { rotating: true, rounds: Some(60), ..Supplier::new(3, 60_000) };
                vec![self.supplier_visit(scene, supplier, group(0))]
            }
            Self::NewPartner => vec![self.supplier_visit(scene, Supplier::new(PARTNERS.len() - 1, 240_000), group(0))],
        }
    }

    fn customer_visit(self, scene: &mut Scene<'_>, kind: Kind, goals: Vec<Goal>, group: String) -> (i64, Visit) {
        let client = customer(scene, kind);
        (scene.now, Visit::new(client, group, Shopper::with(goals)).looking_like(self.name()))
    }

    fn supplier_visit(self, scene: &mut Scene<'_>, supplier: Supplier, group: String) -> (i64, Visit) {
        let client = partner_client(supplier.partner, scene.chance);
        (scene.now, Visit::new(client, group, supplier).looking_like(self.name()))
    }
}

fn customer(scene: &mut Scene<'_>, kind: Kind) -> Client {
    let user = scene.shop.accounts.any_customer(scene.chance);
    Client::of_customer(scene.shop, user, kind, scene.chance)
}

/// Reads the whole catalogue, several times over, as fast as it comes.
#[derive(Debug)]
struct Batch {
    left: u32,
}

impl Script for Batch {
    fn next(&mut self, client: &mut Client, scene: &mut Scene<'_>, _: Outcome) -> Vec<Step> {
        if self.left == 0 {
            return Vec::new();
        }
        self.left -= 1;
        client.memory.cursor = 0;
        (0..=scene.shop.catalog.len() / 100).map(|_| Step::new(scene.chance.between(40, 120), partner_page)).collect()
    }
}
