//! Refused log-ins, counted: what stands against a source, and against whoever tries an account.

use crate::facts::Entity;
use crate::suspicion::{OCCASIONS, Suspicion, remember};
use serde::{Deserialize, Serialize};

/// Suspicion halves in this time, milliseconds: of a source, of an account (which the patient try slowly).
const SOURCE_HALF_LIFE: f32 = 1_800_000.0;
pub(super) const ACCOUNT_HALF_LIFE: f32 = 7_200_000.0;
/// One refusal counts at most so much, nats.
pub(super) const MOST: f32 = 1.5;
/// What everybody may come to by forgetting a password, nats: three accounts refused in a row; eight refusals on one, before its owner
/// gives up and asks for another password.
pub(crate) const SPARE: f32 = 5.0;
const SPARE_ON_ONE: f32 = 12.0;
/// What is left of it when it is over, nats.
const QUIET: f32 = 1.0;
/// What is left of refused log-ins when they are forgotten, nats.
const FADED: f32 = 0.02;
/// Accounts, and addresses, remembered of one another.
pub(super) const REMEMBERED: usize = 32;

/// Whose refused log-ins are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A source's (or session's), on accounts.
    Source,
    /// An account's, by sources.
    Account,
}

/// Refused log-ins of one source (or session), or on one account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// Of a source: each account counts once, so that one person's many errors are not many persons'. Of an account: each refusal.
    pub(super) suspicion: Suspicion,
    pub(super) count: u32,
    /// Of a source: accounts; of an account: sources. The latest ones.
    pub(super) others: Vec<Other>,
    /// Latest occasions that counted.
    occasions: Vec<u32>,
    /// Of an account: the source that was let in last.
    pub(super) home: u32,
}

/// Refused log-ins of one source on one account.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Other {
    /// Hash of the account, or of the source.
    who: u32,
    count: u32,
    /// What they weigh when `Refused::suspicion` was added to last.
    nats: f32,
}

impl Whose {
    pub(crate) fn of(entity: Entity) -> Self {
        if matches!(entity, Entity::Account(_)) { Self::Account } else { Self::Source }
    }

    /// How fast suspicion fades, milliseconds.
    fn half_life(self) -> f32 {
        match self {
            Self::Source => SOURCE_HALF_LIFE,
            Self::Account => ACCOUNT_HALF_LIFE,
        }
    }
}

impl Refused {
    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.suspicion.is_none() && self.others.is_empty()
    }

    /// What stands against it, nats: by how many were tried, or by how often one was.
    pub(crate) fn weight(&self, now: i64, whose: Whose) -> f32 {
        let most = self.others.iter().map(|o| o.nats).fold(0.0, f32::max);
        self.suspicion.after(0.0, 0, now, whose.half_life()).max(most * self.suspicion.faded(now, whose.half_life()))
    }

    /// Whether next to nothing is left of what stood against it for how many were tried, or for how often.
    pub(crate) fn is_quiet(&self, now: i64, whose: Whose) -> bool {
        self.suspicion.after(0.0, 0, now, whose.half_life()) < QUIET
    }

    /// Takes over what others know, if they saw all that was refused here, or if it weighs more.
    pub(crate) fn learn(&mut self, others: Self, now: i64) {
        if others.count >= self.count || self.weight(now, Whose::Account) < others.weight(now, Whose::Account) {
            let home = if self.home == 0 { others.home } else { self.home };
            *self = Self { home, ..others };
        }
    }

    fn on(&self, who: u64) -> Option<&Other> {
        self.others.iter().find(|o| o.who == who as u32)
    }

    /// Of a source: whether a log-in that is refused to it is one on another account than those refused before, and whether there are several.
    pub(super) fn tries_others(&self, trial: &Trial) -> (bool, bool) {
        let is_another = trial.is_refused && !self.others.is_empty() && self.on(trial.account).is_none();
        (is_another, trial.is_refused && (is_another || self.others.len() > 1))
    }

    fn is_new(&self, trial: &Trial) -> bool {
        trial.is_refused && !self.occasions.contains(&(trial.occasion as u32))
    }

    /// What a log-in adds to the suspicion.
    fn gain(&self, trial: &Trial, other: u64, whose: Whose) -> f32 {
        let is_again = trial.is_refused && whose == Whose::Source && self.on(other).is_some();
        if is_again { 0.0 } else { trial.nats }
    }

    /// Of a source: what it comes to with a log-in, beyond what everybody may come to; and whether that is for how often it tried one account,
    /// not for how many it tried.
    pub(super) fn of_source(&self, trial: &Trial, now: i64) -> (f32, bool) {
        let many = self.suspicion.after(self.gain(trial, trial.account, Whose::Source), trial.occasion, now, SOURCE_HALF_LIFE) - SPARE;
        let faded = self.suspicion.faded(now, SOURCE_HALF_LIFE);
        let gain = if self.is_new(trial) { trial.nats } else { 0.0 };
        let on_this = self.on(trial.account).map_or(0.0, |o| o.nats) * faded + gain;
        let one = self.others.iter().map(|o| o.nats * faded).fold(on_this, f32::max) - SPARE_ON_ONE;
        (many.max(one), one > many)
    }

    pub(crate) fn add(&mut self, trial: &Trial, other: u64, now: i64, whose: Whose) {
        let faded = self.suspicion.faded(now, whose.half_life());
        for o in &mut self.others {
            o.nats *= faded;
        }
        let nats = if self.is_new(trial) { trial.nats } else { 0.0 };
        self.suspicion.add(self.gain(trial, other, whose), trial.occasion, now, whose.half_life());
        if trial.is_refused {
            remember(&mut self.occasions, trial.occasion as u32, OCCASIONS);
            self.refuse(other as u32, nats);
        } else if whose == Whose::Source {
            self.redeem(other, now);
        }
        self.forget();
    }

    /// What a source did, in words.
    pub(super) fn told(&self, trial: &Trial, now: i64) -> String {
        let one = u32::from(trial.is_refused);
        let on_this = self.on(trial.account).map_or(0, |o| o.count) + one;
        if self.of_source(trial, now).1 {
            let most = self.others.iter().map(|o| o.count).fold(on_this, u32::max);
            return format!("{most} refused log-ins on 1 account");
        }
        let on = self.others.len() + usize::from(trial.is_refused && self.on(trial.account).is_none());
        let more = if on >= REMEMBERED { " or more" } else { "" };
        format!("{} refused log-ins on {on} accounts{more}", self.count + one)
    }

    fn refuse(&mut self, who: u32, nats: f32) {
        self.count = self.count.saturating_add(1);
        if let Some(on) = self.others.iter_mut().find(|o| o.who == who) {
            on.nats += nats;
            on.count = on.count.saturating_add(1);
            return;
        }
        if self.others.len() >= REMEMBERED {
            self.others.remove(0);
        }
        self.others.push(Other { who, count: 1, nats });
    }

    /// Who is let in after errors that everybody may make is the account's owner: they no longer count.
    fn redeem(&mut self, account: u64, now: i64) {
        let Some(at) = self.others.iter().position(|o| o.who == account as u32 && o.nats <= SPARE_ON_ONE) else { return };
        let owner = self.others.remove(at);
        self.count = self.count.saturating_sub(owner.count);
        self.suspicion.add(-owner.nats.min(MOST), 0, now, SOURCE_HALF_LIFE);
    }

    /// Drops what has faded.
    fn forget(&mut self) {
        let mut faded = 0;
        self.others.retain(|o| {
            faded += if o.nats < FADED { o.count } else { 0 };
            o.nats >= FADED
        });
        self.count = self.count.saturating_sub(faded);
        if self.is_nothing() {
            *self = Self { home: self.home, ..Self::default() };
        }
    }
}
/// One log-in, weighed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(super) nats: f32,
    pub(super) is_refused: bool,
    pub(super) occasion: u64,
    pub(super) account: u64,
}
