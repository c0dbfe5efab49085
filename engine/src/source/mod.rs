//! `source`: refused log-ins, by network source and by account. Many on one account is guessing a password, few on many accounts is
//! stuffing leaked ones or finding out who has an account; a colleague's typing errors among an office's log-ins are neither.
//!
//! Servers differ in how they refuse: by status, or with 200 and another answer than the one that brings a credential. Which it is, is
//! learned. What other partitions see of the same account or source comes by notes ([`crate::facts`]).
//!
//! Who tries a list of accounts from many addresses, a few from each, stands out by none of them. But hardly any address is refused on two
//! accounts; when all at once many are, among so few log-ins, each of them is one of those.

mod door;
mod refused;

pub use refused::Refused;
pub(crate) use refused::{SPARE, Trial, Whose};

use crate::detect::{Aspect, Explanation, Level, Seen, Signal};
use crate::facts::{Entity, Saw};
use crate::features::hash::mix;
use crate::partition::Live;
use crate::record::Family;
use crate::suspicion::Peers;
use door::Door;
use refused::{ACCOUNT_HALF_LIFE, MOST, REMEMBERED};
use serde::{Deserialize, Serialize};

/// Log-ins beyond the usual share that are refused to somebody who guesses: the alternative of the odds.
const GUESSING: f32 = 0.4;
/// Callers under more suspicion than this, beyond what everybody may come to, are no peers of others.
const TRUSTED: f32 = 1.0;
/// Addresses that an account must be refused from, or that must be refused on several accounts, before it, not they, is under attack.
const SPREAD: usize = 3;
/// Share of log-ins that a list of accounts comes to, tried from many addresses: the alternative of the odds; and what one address counts at
/// most, nats.
const SPREAD_OUT: f32 = 0.1;
const MOST_OF_ONE: f32 = 3.0;

/// The authentication endpoints of one API.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Accounts {
    /// By endpoint, sorted.
    doors: Vec<Door>,
}

impl Accounts {
    fn door(&self, seen: &Seen<'_>) -> Option<&Door> {
        let endpoint = seen.endpoint?.0;
        self.doors.binary_search_by_key(&endpoint, |d| d.endpoint).ok().map(|at| &self.doors[at])
    }

    /// A log-in's log-odds of somebody who guesses against everybody else. `None`: no log-in, or its outcome says nothing.
    fn weigh(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<Trial> {
        let door = self.door(seen)?;
        let is_refused = door.refuses(seen.features)?;
        let account = door.account_of(seen.features, seen.route)?;
        let nats = if is_refused {
            let others = live.shared.peers.read(&place(seen), |peers| peers.share(live.caller(), seen.now)).unwrap_or(0.0);
            let usual = door.usual().max(others);
            ((usual + GUESSING * (1.0 - usual)) / usual).ln().min(MOST)
        } else {
            (1.0 - GUESSING).ln()
        };
        let of_endpoint = seen.features.fields.iter().filter(|f| f.place.is_of_endpoint());
        let occasion = of_endpoint.fold(account, |key, f| mix(key, f.value_hash));
        Some(Trial { nats, is_refused, occasion, account })
    }

    /// What a log-in says of whether accounts are tried from many addresses: it counts as refused if its source was refused on another before.
    fn weigh_spread(&self, trial: &Trial, seen: &Seen<'_>, live: &Live<'_>) -> Option<Trial> {
        let usual = self.door(seen)?.usual_others();
        let (is_another, _) = live.refused().tries_others(trial);
        let spread = usual + SPREAD_OUT * (1.0 - usual);
        let nats = if is_another { (spread / usual).ln().min(MOST_OF_ONE) } else { ((1.0 - spread) / (1.0 - usual)).ln() };
        Some(Trial { nats, is_refused: is_another, occasion: live.caller(), account: door_key(seen) })
    }

    /// What stands against the source, against whoever tries this account, and against whoever tries several accounts here now, beyond what
    /// everybody may come to.
    fn stands(&self, trial: &Trial, seen: &Seen<'_>, live: &Live<'_>) -> [f32; 3] {
        let (of_source, _) = live.refused().of_source(trial, seen.now);
        let of_account = live.shared.accounts.read(&trial.account, |refused| {
            // Its owner, at home, is not the one who guesses.
            if refused.others.len() < SPREAD || refused.home == live.caller() as u32 {
                return 0.0;
            }
            refused.suspicion.after(trial.nats, mix(trial.occasion, live.caller()), seen.now, ACCOUNT_HALF_LIFE)
        });
        let of_spread = self.weigh_spread(trial, seen, live).filter(|_| live.refused().tries_others(trial).1).and_then(|at_door| {
            live.shared.accounts.read(&at_door.account, |refused| {
                let is_spread = refused.others.len() >= SPREAD;
                if is_spread { refused.suspicion.after(at_door.nats, at_door.occasion, seen.now, ACCOUNT_HALF_LIFE) } else { 0.0 }
            })
        });
        [of_source, of_account.unwrap_or(0.0) - SPARE, of_spread.unwrap_or(0.0) - SPARE]
    }

    /// Answers [`Aspect::Accounts`], at authentication endpoints only.
    pub fn score(&self, seen: &Seen<'_>, live: &Live<'_>, out: &mut Vec<Signal>) {
        if live.caller() == 0 {
            return;
        }
        let Some(trial) = self.weigh(seen, live) else { return };
        let score = self.stands(&trial, seen, live).into_iter().fold(0.0, f32::max);
        out.push(Signal { aspect: Aspect::Accounts, score, level: Level::Own, bet: 6 });
    }

    /// Takes note of a log-in.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        if live.caller() == 0 {
            return;
        }
        let Some(trial) = self.weigh(seen, live) else { return };
        let (of_source, _) = live.refused().of_source(&trial, seen.now);
        let caller = live.caller();
        if let Some(at_door) = self.weigh_spread(&trial, seen, live) {
            note_account(live, &at_door, seen.now);
            // Each of them, for among how many log-ins several accounts were tried, no partition sees alone.
            live.shared.report(Entity::Account(at_door.account), seen.now, Saw::LogIn { trial: at_door, other: caller });
        }
        if let Some(source) = live.source_key.filter(|_| trial.is_refused || !live.source.refused.is_nothing()) {
            live.shared.report(Entity::Source(source), seen.now, Saw::LogIn { trial: trial.clone(), other: trial.account });
        }
        live.refused_mut().add(&trial, trial.account, seen.now, Whose::Source);
        let weighed = Trial { occasion: mix(trial.occasion, caller), ..trial.clone() };
        if note_account(live, &weighed, seen.now) {
            live.shared.report(Entity::Account(trial.account), seen.now, Saw::LogIn { trial: weighed, other: caller });
        }
        if of_source < TRUSTED {
            live.note_peer(place(seen), trial.is_refused, seen.now);
        }
    }

    /// Explains [`Aspect::Accounts`].
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<Explanation> {
        let door = self.door(seen)?;
        let trial = self.weigh(seen, live)?;
        let [of_source, of_account, of_spread] = self.stands(&trial, seen, live);
        let most = of_source.max(of_account).max(of_spread);
        if most <= 0.0 {
            return None;
        }
        let one = u32::from(trial.is_refused);
        let caller = if live.source_key.is_some() { "client.ip" } else { "session" };
        let refused = |key| live.shared.accounts.read(&key, |r| (r.count, r.others.len())).unwrap_or_default();
        if of_spread >= most {
            let (count, from) = refused(door_key(seen));
            let more = if from >= REMEMBERED { " or more" } else { "" };
            let own = live.refused().told(&trial, seen.now);
            return Some(Explanation {
                family: Family::AccountTakeover,
                place: caller.to_owned(),
                observed: format!("{own}; lately {count} like this, on other accounts than before, from {from}{more} sources"),
                expected: format!(
                    "{:.2} % of log-ins here are on another account of a source that was refused",
                    100.0 * door.usual_others()
                ),
                support: door.n as u64,
            });
        }
        let (place, observed) = if of_source >= of_account {
            (caller, live.refused().told(&trial, seen.now))
        } else {
            let (count, from) = refused(trial.account);
            ("account", format!("{} refused log-ins on this account from {from} addresses", count + one))
        };
        Some(Explanation {
            family: Family::AccountTakeover,
            place: place.to_owned(),
            observed,
            expected: format!("{:.1} % of log-ins here are refused, and not to others now", 100.0 * door.usual()),
            support: door.n as u64,
        })
    }
}

/// Takes note of a log-in on an account; whether it is remembered: it is if it was refused, or another was.
fn note_account(live: &mut Live<'_>, trial: &Trial, now: i64) -> bool {
    let caller = live.caller();
    let known = live.shared.accounts.take(&trial.account);
    if known.is_none() && !trial.is_refused {
        return false;
    }
    let mut refused = known.unwrap_or_default();
    refused.add(trial, caller, now, Whose::Account);
    if !trial.is_refused {
        refused.home = caller as u32;
    }
    if !refused.is_nothing() {
        live.shared.accounts.put(trial.account, now, refused);
    }
    true
}

/// What stands for an endpoint among accounts.
fn door_key(seen: &Seen<'_>) -> u64 {
    mix(seen.id.0, 0xd00)
}

/// Where callers are compared.
fn place(seen: &Seen<'_>) -> u64 {
    Peers::key(seen.id.0, 2)
}
