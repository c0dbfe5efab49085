//! Whether a network is worth its place: held-out steps must be likelier to it than to the Markov chain alone, and sessions that were
//! tampered with must be caught more often with it than without.

use super::learn::{Event, walk_all};
use super::{Foresight, HeadError, Heads};
use crate::calibrate::{Shape, Tail, bar};
use crate::detect::Aspect;
use crate::features::hash::mix;
use crate::fuse::together;
use crate::sequence::{Sequence, Trace};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Sessions that are tampered with, at most.
const MOST_SESSIONS: usize = 2_000;
/// Steps of a session that is tampered with, at least and at most.
const STEPS: std::ops::Range<usize> = 5..200;

/// How a held-out session is tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mutation {
    /// One step is another session's.
    Substituted,
    /// All steps in another order.
    Shuffled,
    /// Goes on as another session that did the same three steps: what only a longer memory can see.
    Spliced,
}

impl Mutation {
    const ALL: [Self; 3] = [Self::Substituted, Self::Shuffled, Self::Spliced];

    /// As manifests name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Substituted => "substituted",
            Self::Shuffled => "shuffled",
            Self::Spliced => "spliced",
        }
    }
}

/// How many of the sessions that were tampered with in one way are over the bar that 1 % of benign sessions are over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Caught {
    /// The way.
    pub mutation: Mutation,
    /// Sessions.
    pub sessions: u64,
    /// Share caught by the chain alone, 0 to 1.
    pub chain: f64,
    /// Share caught by chain and network.
    pub both: f64,
}

/// What a network was measured by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Slots of its vocabulary.
    pub slots: u64,
    /// Held-out steps.
    pub held_out: u64,
    /// Mean −ln P of a held-out step by the network, nats.
    pub nats: f64,
    /// The same by the chain.
    pub chain_nats: f64,
    /// By way of tampering.
    pub caught: Vec<Caught>,
    /// Passes over the lesson.
    pub epochs: u32,
    /// Whether it went on from the network before.
    pub is_warm: bool,
    /// Largest difference between trained and exported network.
    pub parity: f32,
}

impl Figures {
    /// Why the network is not to judge, if there is a reason.
    #[must_use]
    pub fn objection(&self) -> Option<String> {
        let mean = |share: fn(&Caught) -> f64| self.caught.iter().map(share).sum::<f64>() / self.caught.len().max(1) as f64;
        let (chain, both) = (mean(|c| c.chain), mean(|c| c.both));
        if self.nats.is_nan() || self.nats >= self.chain_nats {
            return Some(format!("held-out steps cost it {:.3} nats, the chain {:.3}", self.nats, self.chain_nats));
        }
        (both <= chain).then(|| format!("of tampered sessions {:.1} % are caught with it, {:.1} % without", 100.0 * both, 100.0 * chain))
    }

    /// For the manifest.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let rounded = |x: f64| (x * 1e4).round() / 1e4;
        let caught: serde_json::Map<String, serde_json::Value> = self
            .caught
            .iter()
            .map(|c| {
                let figures = serde_json::json!({ "sessions": c.sessions, "chain": rounded(c.chain), "both": rounded(c.both) });
                (c.mutation.name().to_owned(), figures)
            })
            .collect();
        serde_json::json!({
            "slots": self.slots,
            "held_out_steps": self.held_out,
            "nats": rounded(self.nats),
            "markov_nats": rounded(self.chain_nats),
            "caught_at_1_percent": caught,
            "epochs": self.epochs,
            "warm_start": self.is_warm,
            "parity": self.parity,
        })
    }
}

/// Per step that is no repeat: nats, and what speaks against it.
#[derive(Default)]
struct Scores {
    nats: Vec<f32>,
    /// By session.
    against: Vec<Vec<f32>>,
}

/// Compares network and chain on held-out sessions. Passes, warmth and parity are the caller's to fill in.
pub(super) fn compare(
    foresight: &Foresight,
    heads: &mut dyn Heads,
    chain: &Sequence,
    sessions: &[&[Event]],
    seed: u64,
) -> Result<Figures, HeadError> {
    let (by_chain, by_head) = (chain_scores(chain, sessions), head_scores(foresight, heads, sessions)?);
    let tail = |scores: &Scores| Tail::fit_as(scores.against.concat(), 1, Shape::LIKELIHOODS);
    let mean = |scores: &Scores| scores.nats.iter().map(|x| f64::from(*x)).sum::<f64>() / scores.nats.len().max(1) as f64;
    let mut figures = Figures {
        slots: foresight.slots() as u64,
        held_out: by_head.nats.len() as u64,
        nats: mean(&by_head),
        chain_nats: mean(&by_chain),
        caught: Vec::new(),
        epochs: 0,
        is_warm: false,
        parity: 0.0,
    };
    let (Some(chain_tail), Some(head_tail)) = (tail(&by_chain), tail(&by_head)) else { return Ok(figures) };
    let oddest = |by_chain: &Scores, by_head: &Scores, n: usize| {
        let alone = by_chain.against[n].iter().map(|s| chain_tail.p(f64::from(*s)).nats()).fold(0.0, f64::max);
        let steps = by_chain.against[n].iter().zip(&by_head.against[n]);
        let both = steps
            .map(|(chain, head)| together([(Aspect::Step, *chain, &chain_tail), (Aspect::Foreseen, *head, &head_tail)]))
            .fold(0.0, f64::max);
        (alone, both)
    };
    let chosen: Vec<usize> = (0..sessions.len()).filter(|n| STEPS.contains(&by_chain.against[*n].len())).take(MOST_SESSIONS).collect();
    if chosen.is_empty() {
        return Ok(figures);
    }
    let benign: Vec<(f64, f64)> = chosen.iter().map(|n| oddest(&by_chain, &by_head, *n)).collect();
    let bar = (bar(benign.iter().map(|b| b.0)), bar(benign.iter().map(|b| b.1)));
    for mutation in Mutation::ALL {
        let tampered = tamper(mutation, sessions, &chosen, seed);
        let tampered: Vec<&[Event]> = tampered.iter().map(Vec::as_slice).collect();
        let (by_chain, by_head) = (chain_scores(chain, &tampered), head_scores(foresight, heads, &tampered)?);
        let scores: Vec<(f64, f64)> = (0..tampered.len()).map(|n| oddest(&by_chain, &by_head, n)).collect();
        let share = |over: usize| over as f64 / scores.len().max(1) as f64;
        figures.caught.push(Caught {
            mutation,
            sessions: scores.len() as u64,
            chain: share(scores.iter().filter(|s| s.0 > bar.0).count()),
            both: share(scores.iter().filter(|s| s.1 > bar.1).count()),
        });
    }
    Ok(figures)
}

fn chain_scores(chain: &Sequence, sessions: &[&[Event]]) -> Scores {
    let mut scores = Scores { nats: Vec::new(), against: vec![Vec::new(); sessions.len()] };
    for (events, of_session) in sessions.iter().zip(&mut scores.against) {
        let mut trace = Trace::default();
        for event in *events {
            if !trace.is_at(event.token, event.at) {
                let (nats, against) = chain.surprise(&trace, event.token, event.at);
                scores.nats.push(nats);
                of_session.push(against);
            }
            trace.follow(event.token, event.at);
        }
    }
    scores
}

fn head_scores(foresight: &Foresight, heads: &mut dyn Heads, sessions: &[&[Event]]) -> Result<Scores, HeadError> {
    let mut scores = Scores { nats: Vec::new(), against: vec![Vec::new(); sessions.len()] };
    walk_all(foresight, heads, sessions, &mut |session, _, ask, answer| {
        scores.nats.push(answer.nats);
        scores.against[session].push(foresight.against(ask.next, answer.nats));
    })?;
    Ok(scores)
}

/// The chosen sessions, each tampered with; those that cannot be are left out.
fn tamper(mutation: Mutation, sessions: &[&[Event]], chosen: &[usize], seed: u64) -> Vec<Vec<Event>> {
    let continued = continuations(sessions, chosen);
    let tampered = chosen.iter().filter_map(|n| {
        let mut events = sessions[*n].to_vec();
        let dice = |sides: usize, salt: u64| (mix(mix(seed, *n as u64), salt) % sides.max(1) as u64) as usize;
        match mutation {
            Mutation::Substituted => {
                let other = sessions[chosen[dice(chosen.len(), 1)]];
                let at = dice(events.len(), 2);
                events[at].token = other[dice(other.len(), 3)].token;
            }
            Mutation::Shuffled => {
                for at in (1..events.len()).rev() {
                    let with = dice(at + 1, at as u64);
                    let token = events[at].token;
                    events[at].token = events[with].token;
                    events[with].token = token;
                }
            }
            Mutation::Spliced => {
                let at = 3 + dice(events.len() - 3, 4);
                let others = continued.get(&last_three(&events, at)?)?;
                let (other, from) = others[dice(others.len(), 5)];
                let shift = events[at - 1].at - sessions[other][from - 1].at;
                events.truncate(at);
                events.extend(sessions[other][from..].iter().map(|e| Event { at: e.at + shift, ..*e }));
                if other == *n || events.len() >= STEPS.end {
                    return None;
                }
            }
        }
        Some(events)
    });
    tampered.collect()
}

/// Where three steps are followed by something: (session, index of what follows), a few for each.
fn continuations(sessions: &[&[Event]], chosen: &[usize]) -> FxHashMap<u64, Vec<(usize, usize)>> {
    let mut continued: FxHashMap<u64, Vec<(usize, usize)>> = FxHashMap::default();
    for n in chosen {
        for at in 3..sessions[*n].len() {
            let Some(three) = last_three(sessions[*n], at) else { continue };
            let known = continued.entry(three).or_default();
            if known.len() < 16 {
                known.push((*n, at));
            }
        }
    }
    continued
}

fn last_three(events: &[Event], at: usize) -> Option<u64> {
    let three = events.get(at.checked_sub(3)?..at)?;
    Some(three.iter().fold(3, |key, e| mix(key, e.token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(nats: f64, chain: f64, both: f64) -> Figures {
        let caught = vec![Caught { mutation: Mutation::Shuffled, sessions: 100, chain, both }];
        Figures { slots: 9, held_out: 900, nats, chain_nats: 1.0, caught, epochs: 3, is_warm: false, parity: 0.0 }
    }

    #[test]
    fn a_network_must_be_better_in_both_ways() {
        assert_eq!(figures(0.9, 0.5, 0.6).objection(), None);
        assert!(figures(1.0, 0.5, 0.9).objection().expect("worse").contains("nats"));
        assert!(figures(f64::NAN, 0.5, 0.9).objection().is_some());
        assert!(figures(0.5, 0.5, 0.5).objection().expect("no better").contains("50.0 % without"));
    }
}
