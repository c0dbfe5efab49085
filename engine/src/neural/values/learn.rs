//! From rows to a network: distinct values of four fifths of the sessions are a lesson, those of the last fifth tell whether it was worth
//! it and give the scores that calibration rests on.

use super::gate::{self, Figures, Panel};
use super::likeness::{Likeness, key_of, questions};
use super::sketch::{Fields, Sketch};
use super::{Appraisal, MOST, Rebuilt};
use crate::content::{self, valued};
use crate::detect::Signal;
use crate::features::hash::mix;
use crate::learn::Row;
use crate::neural::learn::HELD_OUT;
use crate::neural::{Epoch, Head, HeadError, Heads, Previous, Report, Taught, TeachError, Teacher, ValueLesson};
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// Distinct values of one lesson, at most; beyond them an even part is left out.
const MOST_VALUES: usize = 60_000;
/// Distinct values to learn from, and to be held to, at least.
const LEAST_VALUES: usize = 1_000;
const LEAST_HELD_OUT: usize = 200;
/// One value in so many is shown as if nothing was known of its field, too.
const ANYWHERE: u64 = 4;
/// Distinct fields looked at, at most: names are written by callers.
const MOST_FIELDS: usize = 40_000;
/// Questions of one round.
const ROUND: usize = 256;

/// A network, if it helps, with its answers for rows that it had not seen.
pub(crate) struct Learned {
    pub(crate) likeness: Option<Likeness>,
    pub(crate) report: Report<Figures>,
    /// By row; of held-out rows only.
    pub(crate) signals: Vec<(usize, Signal)>,
}

/// Learns a network that rebuilds values, and keeps it if it helps. `endpoints`, `networks_known`: as `content` is told.
pub(crate) fn learn(
    rows: &[Row<'_>],
    (endpoints, networks_known): (usize, bool),
    api: &str,
    teacher: &mut dyn Teacher,
    progress: &mut dyn FnMut(Epoch),
) -> Learned {
    let left_out = |why: String, figures| Learned { likeness: None, report: Report::LeftOut { why, figures }, signals: Vec::new() };
    let before = teacher.previous_values(api);
    let fields = Fields::of(&breadths(rows), before.as_ref().map(|(fields, _)| fields));
    let of_rows = |is_held_out: bool| rows.iter().filter(move |r| (r.fold == HELD_OUT) == is_held_out);
    let (lesson, held_out) = (distinct(of_rows(false), &fields), distinct(of_rows(true), &fields));
    if lesson.len() < LEAST_VALUES || held_out.len() < LEAST_HELD_OUT {
        return left_out(format!("{} distinct values and {} held-out ones are too few", lesson.len(), held_out.len()), None);
    }
    let previous =
        before.filter(|(earlier, _)| earlier.is_start_of(&fields)).map(|(earlier, onnx)| Previous { onnx, slots: earlier.len() });
    let seed = lesson.iter().fold(lesson.len() as u64, |seed, (sketch, _)| mix(seed, hash_of(sketch)));
    let taught = teacher.teach_values(&ValueLesson { slots: fields.len(), values: &lesson, held_out: &held_out, seed, previous }, progress);
    let Taught { onnx, mut heads, epochs, is_warm, parity } = match taught {
        Ok(taught) => taught,
        Err(TeachError::Off) => return Learned { likeness: None, report: Report::Off, signals: Vec::new() },
        Err(error) => return left_out(error.to_string(), None),
    };
    let judged = Panel::of(rows, &fields, Head::new(onnx), &mut *heads).and_then(|panel| {
        // Profiles that never saw the rows that both are held to.
        let others: Vec<Row<'_>> = of_rows(false).cloned().collect();
        let apart = content::learn(&others, endpoints, networks_known).content;
        Ok((gate::compare(&panel, &mut *heads, &apart, seed)?, panel))
    });
    match judged {
        Err(error) => left_out(error.to_string(), None),
        Ok((compared, panel)) => {
            let figures = Figures { values: lesson.len() as u64, epochs, is_warm, parity, ..compared };
            match figures.objection() {
                Some(why) => left_out(why, Some(figures)),
                None => Learned { signals: panel.signals(), likeness: Some(panel.likeness), report: Report::Kept(figures) },
            }
        }
    }
}

/// Breadth of every field of a known endpoint.
fn breadths(rows: &[Row<'_>]) -> BTreeMap<u64, f32> {
    let mut breadths = BTreeMap::new();
    for row in rows.iter().filter(|r| is_lesson(r)) {
        for field in valued(row.features, &row.route).map(|v| v.field).filter(|f| f.place.is_of_endpoint()) {
            let key = key_of(row.id, &field);
            if breadths.len() < MOST_FIELDS || breadths.contains_key(&key) {
                *breadths.entry(key).or_default() += row.weight;
            }
        }
    }
    breadths
}

/// Whether a row's values are what values should be.
fn is_lesson(row: &Row<'_>) -> bool {
    row.endpoint.is_some() && row.features.status() < 400
}

/// Distinct values with their weight: what many sent counts once, what one unit sent in bulk less.
fn distinct<'r>(rows: impl Iterator<Item = &'r Row<'r>>, fields: &Fields) -> Vec<(Sketch, f32)> {
    let mut weights: BTreeMap<Sketch, f32> = BTreeMap::new();
    for row in rows.filter(|r| is_lesson(r)) {
        for Appraisal { sketch, .. } in questions(fields, row.features, &row.route, row.id) {
            let anywhere = hash_of(&sketch).is_multiple_of(ANYWHERE).then(|| sketch.anywhere());
            for sketch in [Some(sketch), anywhere].into_iter().flatten() {
                let weight = weights.entry(sketch).or_default();
                *weight = (*weight + row.weight).min(1.0);
            }
        }
    }
    let share = weights.len().div_ceil(MOST_VALUES).max(1) as u64;
    weights.into_iter().filter(|(sketch, _)| mix(hash_of(sketch), 0x1e550).is_multiple_of(share)).collect()
}

fn hash_of(sketch: &Sketch) -> u64 {
    let place = u64::from(sketch.field) << 8 | u64::from(sketch.kind);
    mix(mix(place, sketch.grams as u64), (sketch.grams >> 64) as u64) >> 16
}

/// Lets a network answer what requests raise.
pub(super) fn answer(head: &Head, heads: &mut dyn Heads, asked: &mut [SmallVec<[Appraisal; MOST]>]) -> Result<(), HeadError> {
    let (mut sketches, mut answers): (Vec<Sketch>, Vec<Rebuilt>) = Default::default();
    for asked in asked.chunks_mut(ROUND / MOST) {
        sketches.clear();
        sketches.extend(asked.iter().flatten().map(|a| a.sketch));
        heads.rebuild(head, &sketches, &mut answers)?;
        for (appraisal, answer) in asked.iter_mut().flatten().zip(&answers) {
            appraisal.rebuilt = *answer;
        }
    }
    Ok(())
}
