//! The detector by which a network takes part in `sequence`: how surprising a step is after all that the session did before.

use super::vocabulary::gap;
use super::{Answer, Ask, Head, HeadId, STATE, Vocabulary};
use crate::detect::{Aspect, Explanation, Level, Signal};
use crate::features::hash::mix;
use crate::partition::Live;
use crate::paths::{Endpoint, Paths};
use crate::record::Family;
use crate::sequence::Trace;
use serde::{Deserialize, Serialize};

/// A network is sure of a step that it gives this probability, at least.
const SURE: f32 = 0.995;

/// A network with what its slots mean.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Foresight {
    /// The network.
    pub head: Head,
    pub(crate) vocabulary: Vocabulary,
    /// By slot: −ln of the share of steps that are this one, whatever came before.
    alone: Vec<f32>,
    /// Steps that it learned from.
    steps: u64,
}

/// What a session carries for a network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// Whose state it is: another network starts afresh.
    head: HeadId,
    /// [`STATE`] floats; empty before the first step.
    state: Vec<f32>,
}

impl Carried {
    /// The state that a network goes on from.
    fn state_for(&self, head: HeadId) -> [f32; STATE] {
        if self.head == head { self.state.as_slice().try_into().unwrap_or([0.0; STATE]) } else { [0.0; STATE] }
    }

    pub(crate) fn carry(&mut self, head: HeadId, state: &[f32; STATE]) {
        self.head = head;
        self.state.clear();
        self.state.extend_from_slice(state);
    }
}

impl Foresight {
    /// `counts`: by slot, how much breadth its step was seen with.
    pub(super) fn new(head: Head, vocabulary: Vocabulary, counts: &[f32], steps: u64) -> Self {
        let total: f32 = counts.iter().sum();
        let slots = vocabulary.len() as f32;
        let alone = (0..vocabulary.len()).map(|s| -((counts.get(s).unwrap_or(&0.0) + 0.5) / (total + 0.5 * slots)).ln()).collect();
        Self { head, vocabulary, alone, steps }
    }

    /// What its slots mean.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Slots of its vocabulary.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.vocabulary.len()
    }

    /// What the network is to be asked of a step: nothing, if it is the same again.
    pub(crate) fn ask(&self, token: u64, now: i64, trace: &Trace, carried: &Carried) -> Option<Ask> {
        (!trace.is_at(token, now) && !trace.is_unknown()).then(|| self.ask_of(token, now, trace, carried.state_for(self.head.id)))
    }

    pub(super) fn ask_of(&self, token: u64, now: i64, trace: &Trace, state: [f32; STATE]) -> Ask {
        let (newest, last) = trace.newest();
        Ask { previous: self.vocabulary.slot(newest), gap: gap(last, now), next: self.vocabulary.slot(token), state }
    }

    /// How much the way here speaks against a step, nats: what it is less likely than without the way.
    pub(super) fn against(&self, next: u16, nats: f32) -> f32 {
        (nats - self.alone.get(usize::from(next)).copied().unwrap_or(nats)).max(0.0)
    }

    /// What an answer says of a step. `bet`: what came before and what was done.
    pub(super) fn signal(&self, ask: &Ask, answer: &Answer) -> Signal {
        let bet = mix(u64::from(ask.previous), 7);
        Signal { aspect: Aspect::Foreseen, score: self.against(ask.next, answer.nats), level: Level::Own, bet }
    }

    /// The same where the network was sure of a step: nats that another one costs; 0 where it was not sure, or right.
    ///
    /// A step that is rare at its endpoint happens to everybody now and then; one that is never taken where the way leaves no choice does
    /// not. It is measured over all requests that the network was asked about: few of many.
    pub(super) fn certain(ask: &Ask, answer: &Answer) -> Signal {
        let [(slot, p), ..] = answer.likely;
        let score = if slot == ask.next || p < SURE { 0.0 } else { answer.nats };
        Signal { aspect: Aspect::Certain, score, level: Level::Own, bet: mix(u64::from(ask.previous), 8) }
    }

    /// Answers [`Aspect::Foreseen`] and [`Aspect::Certain`] where the network was asked.
    pub fn score(&self, live: &Live<'_>, out: &mut Vec<Signal>) {
        if let Some((ask, answer)) = &live.foreseen {
            out.extend([self.signal(ask, answer), Self::certain(ask, answer)]);
        }
    }

    /// Carries the state on.
    pub fn observe(&self, live: &mut Live<'_>) {
        if let Some((_, answer)) = &live.foreseen {
            live.session.carried.carry(self.head.id, &answer.state);
        }
    }

    /// Explains [`Aspect::Foreseen`] and [`Aspect::Certain`] by the steps that were likelier.
    #[must_use]
    pub fn explain(&self, live: &Live<'_>, paths: &Paths) -> Option<Explanation> {
        let (_, answer) = live.foreseen.as_ref()?;
        let expected: Vec<String> =
            answer.likely.iter().filter_map(|(slot, p)| Some(format!("{} ({:.1} %)", self.name(*slot, paths)?, 100.0 * p))).collect();
        Some(Explanation {
            family: Family::Sequence,
            place: "session".to_owned(),
            observed: format!("this step after all of the session so far (1 in {:.0})", answer.nats.min(20.0).exp()),
            expected: expected.join(", "),
            support: self.steps,
        })
    }

    /// Name of a slot's step: endpoint, and status class where it is no success.
    fn name(&self, slot: u16, paths: &Paths) -> Option<String> {
        let (id, hundreds) = self.vocabulary.step(slot)?;
        let name = paths.endpoints().iter().find(|e| e.id == id).map(Endpoint::name)?;
        Some(if hundreds == 2 { name } else { format!("{name} answered {hundreds}xx") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_network_was_sure_of_speaks_alone() {
        let said = |next: u16, p: f32| {
            let ask = Ask { previous: 1, gap: 0, next, state: [0.0; STATE] };
            let answer = Answer { nats: 8.5, state: [0.0; STATE], likely: [(4, p), (5, 0.001), (6, 0.0)] };
            Foresight::certain(&ask, &answer).score
        };
        assert_eq!([said(4, 0.999), said(7, 0.999), said(7, 0.9)], [0.0, 8.5, 0.0]);
    }

    #[test]
    fn another_network_starts_afresh() {
        let mut carried = Carried::default();
        carried.carry(HeadId(1), &[0.5; STATE]);
        assert_eq!(carried.state_for(HeadId(1)), [0.5; STATE]);
        assert_eq!(carried.state_for(HeadId(2)), [0.0; STATE]);
    }
}
