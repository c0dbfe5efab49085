//! A visit: a client with a plan of steps, one after the other, and its reaction to what the shop answers.

use super::account;
use super::client::Client;
use crate::chance::Chance;
use crate::shop::{Peer, Shop};
use crate::wire::{Call, Mirror, exchange};
use engine::record::{Exchange, Family};
use std::collections::VecDeque;
use std::fmt;

/// What a step can see and use.
pub(crate) struct Scene<'w> {
    pub(crate) shop: &'w mut Shop,
    pub(crate) chance: &'w mut Chance,
    /// Now, epoch milliseconds.
    pub(crate) now: i64,
}

/// Builds the call of a step from what the client knows at that moment; none when there is nothing to do after all.
pub(crate) type Intent = fn(&mut Client, &mut Scene<'_>) -> Option<Call>;

/// What a step does.
#[derive(Clone)]
pub(crate) enum What {
    /// Builds a call when its time has come.
    Intent(Intent),
    /// Sends a call that stands already.
    Call(Box<Call>),
    /// Only waits.
    Pause,
}

/// One step of a plan.
#[derive(Clone)]
pub(crate) struct Step {
    /// Milliseconds after the answer to the step before.
    pub(crate) after: i64,
    pub(crate) what: What,
    /// The attack that it is part of.
    pub(crate) truth: Option<Family>,
}

impl Step {
    /// Does something after so many milliseconds.
    pub(crate) fn new(after: i64, intent: Intent) -> Self {
        Self { after, what: What::Intent(intent), truth: None }
    }

    /// Sends a call after so many milliseconds.
    pub(crate) fn call(after: i64, call: Call) -> Self {
        Self { after, what: What::Call(Box::new(call)), truth: None }
    }

    /// Waits so many milliseconds.
    pub(crate) fn pause(after: i64) -> Self {
        Self { after, what: What::Pause, truth: None }
    }

    /// An attack's call.
    pub(crate) fn attack(after: i64, family: Family, call: Call) -> Self {
        Self { after, what: What::Call(Box::new(call)), truth: Some(family) }
    }

    /// An attack's step that is built when its time has come.
    pub(crate) fn attack_intent(after: i64, family: Family, intent: Intent) -> Self {
        Self { after, what: What::Intent(intent), truth: Some(family) }
    }
}

/// How the step before ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    /// Status; 0 before the first answer.
    pub(crate) status: u16,
}

/// What a client wants over a visit.
pub(crate) trait Script {
    /// The next steps, asked for whenever the plan is used up; none ends the visit.
    fn next(&mut self, client: &mut Client, scene: &mut Scene<'_>, last: Outcome) -> Vec<Step>;
}

/// What came of one step.
pub(crate) struct Sent {
    pub(crate) exchange: Exchange<'static>,
    /// Template of the endpoint; empty where none stands.
    pub(crate) template: &'static str,
    pub(crate) truth: Option<Family>,
}

/// A client on its way through a script.
pub(crate) struct Visit {
    pub(crate) client: Client,
    /// Name of the group of exchanges that belong together, as labels give it.
    pub(crate) group: String,
    /// Family of a harmless look-alike; empty for everyday use.
    pub(crate) look_alike: &'static str,
    /// Whether it is an attacker's.
    pub(crate) hostile: bool,
    /// Share of calls that the client sends again because an answer was lost on the way.
    pub(crate) lossy: f64,
    script: Box<dyn Script>,
    plan: VecDeque<Step>,
    last: Outcome,
    tries: u8,
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("group", &self.group).field("client", &self.client).finish_non_exhaustive()
    }
}

const MAX_TRIES: u8 = 2;

impl Visit {
    /// A visit that has not begun.
    pub(crate) fn new(client: Client, group: String, script: impl Script + 'static) -> Self {
        Self {
            client,
            group,
            look_alike: "",
            hostile: false,
            lossy: 0.0,
            script: Box::new(script),
            plan: VecDeque::new(),
            last: Outcome::default(),
            tries: 0,
        }
    }

    /// The same, as an attacker's.
    pub(crate) fn hostile(mut self) -> Self {
        self.hostile = true;
        self
    }

    /// The same, as a harmless look-alike.
    pub(crate) fn looking_like(mut self, family: &'static str) -> Self {
        self.look_alike = family;
        self
    }

    /// Milliseconds until the next step, asking the script when the plan is used up; none when the visit is over.
    pub(crate) fn wait(&mut self, scene: &mut Scene<'_>) -> Option<i64> {
        if self.plan.is_empty() {
            self.plan.extend(self.script.next(&mut self.client, scene, self.last));
        }
        self.plan.front().map(|step| step.after.max(1))
    }

    /// Takes the next step. The number of milliseconds is how long the answer took; there is no exchange when nothing was sent.
    pub(crate) fn step(&mut self, scene: &mut Scene<'_>, mirror: Mirror) -> (Option<Sent>, i64) {
        let Some(step) = self.plan.pop_front() else { return (None, 0) };
        let call = match &step.what {
            What::Pause => None,
            What::Call(call) => Some((**call).clone()),
            What::Intent(intent) => intent(&mut self.client, scene),
        };
        let Some(call) = call else { return (None, 0) };
        let bearer = if call.anonymous { None } else { self.client.bearer.as_ref() };
        let served = scene.shop.handle(&call, Peer { bearer, address: self.client.source() }, scene.now);
        let mut reply = served.reply;
        self.last = Outcome { status: reply.status };
        let lost = reply.status < 400 && scene.chance.hit(self.lossy);
        let again = (lost || reply.status >= 400).then(|| call.clone());
        let (handed, took, status) = (std::mem::take(&mut reply.handed), reply.took_ms as i64, reply.status);
        let template = served.template.map_or("", |t| t.0);
        // Made before the client remembers: the exchange shows the token that was sent, not one that the answer brought.
        let sent = Sent { exchange: exchange(mirror, &self.client, call, reply), template, truth: step.truth };
        self.client.remember(handed);
        match again {
            Some(call) if lost => {
                let after = scene.chance.between(900, 3_500);
                self.plan.push_front(Step { after, what: What::Call(Box::new(call)), truth: step.truth });
            }
            Some(call) => self.react(step, Box::new(call), status, scene),
            None => self.tries = 0,
        }
        (Some(sent), took)
    }

    /// What people and programs do about an error. Attackers carry on with their plan, but get a new token when theirs ran out.
    fn react(&mut self, step: Step, call: Box<Call>, status: u16, scene: &mut Scene<'_>) {
        let in_force = self.client.bearer.as_ref().is_some_and(|b| b.expires > scene.now);
        let ran_out = status == 401 && !call.anonymous && self.client.user.is_some() && !in_force;
        if self.tries >= MAX_TRIES || (step.truth.is_some() && !ran_out) {
            self.tries = 0;
            return;
        }
        self.tries += 1;
        let truth = step.truth;
        let (slip, anonymous, was_refresh) = (call.slip, call.anonymous, call.path.ends_with("/refresh"));
        let retry = |after| Step { after, what: What::Call(call), truth };
        match status {
            400..=499 if slip && matches!(step.what, What::Intent(_)) => {
                self.plan.push_front(Step { after: scene.chance.think(6_000.0), ..step });
            }
            401 if !anonymous && self.client.user.is_some() => {
                self.plan.push_front(retry(60));
                let renew: Intent = if self.client.bearer.is_some() { account::refresh } else { account::log_in };
                self.plan.push_front(Step::new(80, renew));
            }
            // Whose account is locked goes on as a guest.
            423 => {
                self.client.user = None;
                self.tries = 0;
            }
            401 if was_refresh => self.plan.push_front(Step::new(4_000, account::log_in)),
            429 => self.plan.push_front(retry(31_000)),
            500 | 503 | 504 => {
                let pause = 700 * i64::from(self.tries) + scene.chance.between(0, 900);
                self.plan.push_front(retry(pause));
            }
            _ => self.tries = 0,
        }
    }
}
