//! Learning of fields: counts per fold, profiles without each fold to score that fold with, then the final profiles with tails
//! fitted on those held-out scores.

use super::basis::{Basis, Judge, kind_key, name_key};
use super::field::{FieldProfile, Scratch};
use super::folds::{Counted, EVEN};
use super::tails::{SCORES, Scores};
use super::{Content, HELD_OUT, OF_VALUES, Worst, valued};
use crate::detect::{Level, Signal};
use crate::features::ValueKind;
use crate::features::hash::mix;
use crate::learn::{FOLDS, Row};
use rustc_hash::FxHashMap;

/// What learning gives: the room's profile, and its held-out answers for each row.
pub(crate) struct Learned {
    pub(crate) content: Content,
    /// One list a row, in the rows' order.
    pub(crate) held_out: Vec<Vec<Signal>>,
}

/// One value, scored by a profile that had not seen it.
#[derive(Clone)]
struct Scored {
    key: u64,
    scores: Scores,
    basis: Basis,
    other_kind: Option<ValueKind>,
    bet: u64,
    /// Slot in [`OF_VALUES`].
    question: usize,
    /// How surprising it can be at most, since it was seen before.
    at_most: f32,
    /// The same value among all of its kind.
    of_kind: Option<(u64, Scores)>,
}

/// Learns the fields of one API. `networks_known`: whether breadth over networks can be asked for.
pub(crate) fn learn(rows: &[Row<'_>], endpoints: usize, networks_known: bool) -> Learned {
    let counted = Counted::of(rows);
    let shared = counted.shared_names();
    let mut held_out: Vec<Vec<Signal>> = vec![Vec::new(); rows.len()];
    let mut samples: FxHashMap<u64, Vec<[f32; SCORES]>> = FxHashMap::default();
    let mut scored: Vec<Vec<Scored>> = vec![Vec::new(); rows.len()];
    let mut scratch = Scratch::default();
    for fold in 0..FOLDS {
        let without = counted.compile(Some(fold), endpoints, networks_known);
        for (at, row) in rows.iter().enumerate().filter(|(_, r)| r.fold == fold) {
            let seen = row.seen();
            for v in valued(row.features, &row.route) {
                let Some(judge) = without.judge(row.endpoint, &v.field) else { continue };
                let Judge { key, profile, basis } = judge;
                let mut score = |key, profile: &FieldProfile| {
                    let scores = profile.scores(&v.value, v.field.kind, without.pool(), &mut scratch);
                    samples.entry(key).or_default().push(scores.whole);
                    scores
                };
                let scores = score(key, profile);
                let of_kind = without.second_opinion(&judge, &v.field).map(|(kind, profile)| (kind, score(kind, profile)));
                // Fields that are judged by their own values show how odd those of their name and kind get, for others that are not.
                let is_shown = basis == Basis::Own
                    && v.field.place.is_of_endpoint()
                    && (mix(v.field.id, at as u64) % 10_000) as f32 * profile.n < EVEN * 10_000.0;
                let (name, kind) = (name_key(&v.field), kind_key(profile.main_kind, v.field.place));
                let asked = of_kind.as_ref().map(|(kind, _)| *kind);
                let others = [shared.contains(&name).then_some(name), Some(kind).filter(|kind| asked != Some(*kind))];
                for other in others.into_iter().flatten().filter(|_| is_shown) {
                    if let Some(profile) = without.profile(other) {
                        score(other, profile);
                    }
                }
                let bet = mix(v.field.id, v.field.kind as u64);
                scored[at].push(Scored {
                    key,
                    scores,
                    basis,
                    other_kind: judge.other_kind(&v.field),
                    bet,
                    question: v.question(false),
                    at_most: profile.most_surprising(&v.value, v.field.kind, v.field.value_hash),
                    of_kind,
                });
            }
            without.score(&seen, None, &mut scratch, &mut held_out[at]);
            held_out[at].retain(|s| !OF_VALUES.contains(&s.aspect));
        }
    }
    let little_known = scored.iter().flatten().filter(|s| s.basis.level() == Level::Parent);
    let (all, others) = little_known.fold((0u32, 0u32), |(all, others), s| (all + 1, others + u32::from(s.other_kind.is_some())));
    let other_kind = -((others as f32 + 0.5) / (all as f32 + 1.0)).ln();
    let mut content = Content { other_kind, ..counted.compile(None, endpoints, networks_known) };
    for (key, at) in content.by_key.sorted() {
        if let Some(sample) = samples.get(&key) {
            content.profiles[at as usize].calibrate(sample, HELD_OUT);
        }
    }
    // A profile without tails of its own cannot judge: leave it to its parent.
    let calibrated: Vec<bool> = content.profiles.iter().map(FieldProfile::is_calibrated).collect();
    content.by_key.0.retain(|_, at| calibrated[*at as usize]);
    for (at, list) in scored.iter().enumerate() {
        let mut worst = [Worst::default(); OF_VALUES.len()];
        for s in list {
            if let Some((profile, tails)) = content.profile(s.key).and_then(|p| Some((p, p.tails()?))) {
                let own = s.basis.tempered(tails.nats_of(&s.scores));
                let of_kind = s.of_kind.as_ref().and_then(|(kind, scores)| Some(content.profile(*kind)?.tails()?.nats_of(scores)));
                let nats = content.agree(profile, s.other_kind, own, of_kind);
                worst[s.question].take_bet(nats.min(s.at_most), s.basis.level(), s.bet);
            }
        }
        held_out[at].extend(worst.iter().zip(OF_VALUES).filter_map(|(worst, aspect)| worst.signal(aspect)));
    }
    remember(&mut content, &counted, rows, &mut scratch);
    Learned { content, held_out }
}

/// Lets each profile answer for its frequent values from memory.
fn remember(content: &mut Content, counted: &Counted, rows: &[Row<'_>], scratch: &mut Scratch) {
    let mut nats: FxHashMap<u64, FxHashMap<u64, f32>> = FxHashMap::default();
    for row in rows.iter().filter(|r| r.features.status() < 400) {
        for v in valued(row.features, &row.route) {
            let Some(Judge { key, profile, .. }) = content.judge(row.endpoint, &v.field) else { continue };
            let known = nats.entry(key).or_default();
            if known.len() >= 1_000 || known.contains_key(&v.field.value_hash) {
                continue;
            }
            if let Some(nats) = profile.nats(&v.value, v.field.kind, content.pool(), scratch) {
                known.insert(v.field.value_hash, nats.min(profile.most_surprising(&v.value, v.field.kind, v.field.value_hash)));
            }
        }
    }
    for (key, at) in content.by_key.sorted() {
        let Some(known) = nats.get(&key) else { continue };
        if counted.is_field(key) {
            content.profiles[at as usize].remember(&counted.of_field(None, key), |value| known.get(&value).copied());
        }
    }
}
