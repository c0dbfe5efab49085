//! Harmless things that look like attacks: what befalls everybody for a while (a sale, an outage, slow answers, a new version of the app),
//! and guests who behave oddly for good reasons. All of it lies behind the learning time.

mod guests;

pub(crate) use guests::partner_client;

use crate::chance::Chance;
use crate::config::Config;
use crate::people::{Rhythm, Scene, Shopper, Visit, level};
use crate::shop::{Conditions, Span};
use guests::Guest;
use std::collections::VecDeque;

/// Factor on the arrivals of customers during a sale.
pub(crate) const SALE_BOOST: f64 = 6.0;
const NEW_VERSION: &str = "5.6.0";

/// What is special about this simulation, and when.
#[derive(Debug, Default)]
pub(crate) struct Season {
    sale: Option<Span>,
    outage: Option<Span>,
    slow: Option<Span>,
    /// From when on phones get the new version.
    release: Option<i64>,
    /// Who comes besides, in time order.
    guests: VecDeque<(i64, Guest)>,
}

impl Season {
    /// The season of a simulation: nothing special without look-alikes.
    pub(crate) fn new(config: &Config, chance: &mut Chance) -> Self {
        let (from, until) = (config.learning_ends(), config.end());
        if !config.look_alikes || until <= from {
            return Self::default();
        }
        let length = until - from;
        let at = |share: f64| awake(from + (length as f64 * share) as i64, until);
        let span = |share: f64, most_ms: i64| Some(Span { from: at(share), until: at(share) + most_ms.min(length / 20) });
        let mut guests: Vec<(i64, Guest)> = vec![
            (at(0.22), Guest::Office),
            (at(0.38), Guest::Batch),
            (at(0.30), Guest::RotatingAgents),
            (at(0.45), Guest::WrongClock),
            (at(0.60), Guest::NewPartner),
        ];
        for _ in 0..config.launches * 4 {
            for guest in [Guest::Relogin, Guest::Retries, Guest::Pagination] {
                guests.push((from + chance.below(length as usize) as i64, guest));
            }
        }
        guests.sort_by_key(|(at, _)| *at);
        Self {
            sale: span(0.12, 25 * 60_000),
            outage: span(0.50, 10 * 60_000),
            slow: span(0.70, 10 * 60_000),
            release: Some(from + length / 100 * 65),
            guests: guests.into(),
        }
    }

    /// Tells the shop what will befall it.
    pub(crate) fn announce(&self, conditions: &mut Conditions) {
        conditions.outage = self.outage;
        conditions.slow = self.slow;
        conditions.verbose_parser = true;
    }

    /// Factor on the arrivals of customers.
    pub(crate) fn boost(&self, at: i64) -> f64 {
        if self.sale.is_some_and(|s| s.has(at)) { SALE_BOOST } else { 1.0 }
    }

    /// What everyday use at a moment looks like; empty at ordinary times.
    pub(crate) fn name(&self, at: i64, status: Option<u16>) -> &'static str {
        if self.outage.is_some_and(|s| s.has(at)) || (status == Some(504) && self.outage.is_some()) {
            "outage"
        } else if self.slow.is_some_and(|s| s.has(at)) {
            "latency_spike"
        } else if self.sale.is_some_and(|s| s.has(at)) {
            "sale_peak"
        } else {
            ""
        }
    }

    /// Changes a customer's visit as the season wants: hurry in a sale, the new version after its release.
    pub(crate) fn dress(&self, at: i64, mut visit: Visit, script: Shopper, chance: &mut Chance) -> Visit {
        if self.sale.is_some_and(|s| s.has(at)) {
            return Visit::new(visit.client, visit.group, script.at_pace(0.5));
        }
        if visit.client.kind.is_app() && self.release.is_some_and(|release| release <= at) && chance.hit(0.15) {
            visit.client.wear_version(NEW_VERSION);
            return Visit::new(visit.client, visit.group, script.with_loyalty()).looking_like("new_app_version");
        }
        visit
    }

    /// The visits of the next guest who comes before `until`.
    pub(crate) fn next_guests(&mut self, until: i64, scene: &mut Scene<'_>) -> Option<Vec<(i64, Visit)>> {
        let (at, _) = *self.guests.front().filter(|(at, _)| *at <= until)?;
        let (_, guest) = self.guests.pop_front()?;
        scene.now = at;
        Some(guest.visits(scene, self.guests.len()))
    }
}

/// The first moment from `at` on when people are awake; `at` itself when there is none well before `until`.
fn awake(at: i64, until: i64) -> i64 {
    const QUARTER: i64 = 15 * 60_000;
    let moments = (0..96).map(|n| at + n * QUARTER).take_while(|moment| *moment < until - 4 * QUARTER);
    moments.into_iter().find(|moment| level(Rhythm::Customers, *moment) >= 0.9).unwrap_or(at)
}
