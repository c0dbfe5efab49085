//! The detector by which the network takes part in `content`: how badly the values of a request come out of it.

use super::sketch::{Fields, KINDS, Sketch, place_of};
use super::{MOST, Rebuilt};
use crate::calibrate::{Shape, Tail};
use crate::content::{Content, Scratch, Valued, sidak, valued};
use crate::detect::{Aspect, Explanation, Level, Seen, Signal};
use crate::features::hash::mix;
use crate::features::{Features, Field};
use crate::neural::Head;
use crate::paths::Route;
use crate::record::EndpointId;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Held-out values that a tail rests on, at least.
const HELD_OUT: usize = 30;

/// A network with what its slots mean, and how badly benign values come out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Likeness {
    /// The network.
    pub head: Head,
    fields: Fields,
    /// By slot of the field.
    own: Vec<Option<Tail>>,
    /// By kind of value, of fields that nothing is known of.
    of_kind: Vec<Option<Tail>>,
}

/// A value that the network was asked of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Appraisal {
    /// Which of the request's values it is.
    ordinal: u16,
    /// What the network was shown.
    pub(crate) sketch: Sketch,
    /// What the oddity is about.
    bet: u64,
    /// What came out.
    pub(crate) rebuilt: Rebuilt,
}

/// What the network is to be asked of a request: of its longest values, before any answer.
pub(super) fn questions(fields: &Fields, features: &Features, route: &Route, id: EndpointId) -> SmallVec<[Appraisal; MOST]> {
    let mut longest: SmallVec<[(u16, Valued<'_>); MOST]> = SmallVec::new();
    for (ordinal, valued) in (0..).zip(valued(features, route)).filter(|(_, v)| v.field.place.is_of_endpoint() && !v.value.is_empty()) {
        let place = longest.partition_point(|(_, known)| known.value.len() >= valued.value.len());
        if place < MOST {
            longest.truncate(MOST - 1);
            longest.insert(place, (ordinal, valued));
        }
    }
    let appraisal = |(ordinal, Valued { field, value, .. }): &(u16, Valued<'_>)| Appraisal {
        ordinal: *ordinal,
        sketch: Sketch::of(fields.slot(key_of(id, field)), field.kind, value),
        bet: mix(field.id, field.kind as u64),
        rebuilt: Rebuilt { nats: 0.0, odd: 0 },
    };
    longest.iter().map(appraisal).collect()
}

/// Key of a field of an endpoint, the same in every version of a model.
pub(super) fn key_of(id: EndpointId, field: &Field) -> u64 {
    mix(id.0, field.id)
}

impl Likeness {
    /// `answers`: how held-out values came out, each in its own field and as if nothing was known of the field.
    pub(super) fn new(head: Head, fields: Fields, answers: &[(Sketch, f32)]) -> Self {
        let mut own: Vec<Vec<f32>> = vec![Vec::new(); fields.len()];
        let mut of_kind: Vec<Vec<f32>> = vec![Vec::new(); KINDS];
        for (sketch, nats) in answers {
            if sketch.field == sketch.anywhere().field {
                of_kind[usize::from(sketch.kind)].push(*nats);
            } else {
                own[usize::from(sketch.field)].push(*nats);
            }
        }
        let tails = |samples: Vec<Vec<f32>>| samples.into_iter().map(|s| Tail::fit_as(s, HELD_OUT, Shape::LIKELIHOODS)).collect();
        Self { head, fields, own: tails(own), of_kind: tails(of_kind) }
    }

    /// What its slots mean.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// What it is to be asked of a request to an endpoint: each value in its field, where its benign values are known well enough.
    pub(crate) fn ask(&self, features: &Features, route: &Route, id: EndpointId) -> SmallVec<[Appraisal; MOST]> {
        let mut asked = questions(&self.fields, features, route, id);
        for appraisal in &mut asked {
            if self.own.get(usize::from(appraisal.sketch.field)).is_none_or(Option::is_none) {
                appraisal.sketch = appraisal.sketch.anywhere();
            }
        }
        asked
    }

    /// Surprisal of a value, nats; `None` where nothing is known to judge it by.
    fn surprisal(&self, appraisal: &Appraisal) -> Option<(f32, Level)> {
        let Sketch { field, kind, .. } = appraisal.sketch;
        let tail =
            |tails: &[Option<Tail>], at: usize| tails.get(at)?.as_ref().map(|t| t.p(f64::from(appraisal.rebuilt.nats)).nats() as f32);
        let own = tail(&self.own, usize::from(field)).map(|nats| (nats, Level::Own));
        own.or_else(|| Some((tail(&self.of_kind, usize::from(kind))?, Level::Parent)))
    }

    /// The signal of what came out: the oddest value, for so many that were looked at.
    pub(super) fn signal(&self, appraisals: &[Appraisal]) -> Option<Signal> {
        let judged = || appraisals.iter().filter_map(|a| Some((self.surprisal(a)?, a.bet)));
        let ((nats, level), bet) = judged().reduce(|worst, next| if next.0.0 > worst.0.0 { next } else { worst })?;
        Some(Signal { aspect: Aspect::Likeness, score: sidak(nats, judged().count() as u32), level, bet })
    }

    /// Answers [`Aspect::Likeness`] where the network was asked.
    pub fn score(&self, appraisals: &[Appraisal], out: &mut Vec<Signal>) {
        out.extend(self.signal(appraisals));
    }

    /// Explains [`Aspect::Likeness`] by the part of the oddest value that was least expected.
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, appraisals: &[Appraisal], content: &Content, scratch: &mut Scratch) -> Option<Explanation> {
        let nats = |a: &Appraisal| self.surprisal(a).map_or(0.0, |(nats, _)| nats);
        let odd = appraisals.iter().max_by(|a, b| nats(a).total_cmp(&nats(b)))?;
        let value = valued(seen.features, seen.route).nth(usize::from(odd.ordinal))?;
        let at = place_of(odd.rebuilt.odd, &value.value).unwrap_or(0);
        content.explain_part(seen, &value, at, scratch)
    }
}
