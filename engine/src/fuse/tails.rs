//! Tails of one question: of each endpoint, of each class, and of the whole API.

use super::{CLASS_SUPPORT, Held, OWN_SUPPORT};
use crate::ablation::{Plan, Step};
use crate::calibrate::{Shape, Tail};
use crate::detect::{Aspect, Class};
use crate::learn::{Census, FAMILIAR};
use crate::paths::EndpointIndex;
use crate::record::PValue;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// How benign traffic answers one question.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct AspectTails {
    endpoints: Vec<(EndpointIndex, Tail)>,
    /// By class, of known endpoints; then by class, of all.
    classes: Vec<Option<Tail>>,
    all: Option<Tail>,
}

impl AspectTails {
    /// Fits what rows that count say; where an endpoint has one caller, its own rows say it.
    pub(super) fn fit(rows: &[Held<'_>], aspect: Aspect, plan: Plan, is_wary: bool) -> Self {
        let mut endpoints: FxHashMap<EndpointIndex, Sample> = FxHashMap::default();
        let mut classes: Vec<Sample> = vec![Sample::default(); Class::COUNT * 2];
        let mut all = Sample::default();
        for row in rows.iter().filter(|r| r.counts || r.is_sole) {
            for signal in row.signals.iter().filter(|s| s.aspect == aspect) {
                let put = |sample: &mut Sample| sample.push(signal.score, row, is_wary);
                if aspect.is_pooled() {
                    put(&mut all);
                    continue;
                }
                if row.counts {
                    put(&mut all);
                    put(&mut classes[class_slot(row.class, false)]);
                }
                if let Some(endpoint) = row.endpoint {
                    if row.counts {
                        put(&mut classes[class_slot(row.class, true)]);
                    }
                    put(endpoints.entry(endpoint).or_default());
                }
            }
        }
        let fit = |sample: Sample, least| Tail::fit_as(sample.scores(), least, plan.shape(Shape::LIKELIHOODS));
        let shrunk = |mut tail: Tail, to: Option<&Tail>| {
            if let Some(to) = to.filter(|_| plan.takes(Step::Shrinkage)) {
                tail.shrink_to(to);
            }
            tail
        };
        let all = fit(all, 1);
        let support = if plan.takes(Step::Classes) { CLASS_SUPPORT } else { usize::MAX };
        let classes: Vec<Option<Tail>> = classes.into_iter().map(|sample| Some(shrunk(fit(sample, support)?, all.as_ref()))).collect();
        let kinds: FxHashMap<EndpointIndex, (Class, bool)> =
            rows.iter().filter_map(|r| Some((r.endpoint?, (r.class, r.is_sole)))).collect();
        let mut own: Vec<(EndpointIndex, Tail)> = endpoints
            .into_iter()
            .filter(|_| plan.takes(Step::Endpoints))
            .filter_map(|(e, sample)| {
                let (class, is_sole) = *kinds.get(&e)?;
                let class = classes[class_slot(class, true)].as_ref();
                Some((e, shrunk(fit(sample, if is_sole { FAMILIAR } else { OWN_SUPPORT })?, class.or(all.as_ref()))))
            })
            .collect();
        own.sort_unstable_by_key(|(e, _)| *e);
        Self { endpoints: own, classes, all }
    }

    /// p of a score: by the endpoint, else its class, else the API.
    pub(super) fn p(&self, endpoint: Option<EndpointIndex>, class: Class, score: f64) -> PValue {
        let own = endpoint.and_then(|e| self.endpoints.binary_search_by_key(&e, |(k, _)| *k).ok()).map(|at| &self.endpoints[at].1);
        let of_class = self.classes.get(class_slot(class, endpoint.is_some())).and_then(Option::as_ref);
        match own.or(of_class).or(self.all.as_ref()) {
            Some(tail) => tail.p(score),
            None => PValue::from_nats(score),
        }
    }
}

/// Scores of one question; if wary, with who had any.
#[derive(Debug, Clone, Default)]
struct Sample {
    scores: Vec<f32>,
    /// Which of them are above 0, and at which endpoint each was.
    deeds: Vec<(usize, Option<EndpointIndex>)>,
    census: Census,
    at_endpoints: FxHashMap<Option<EndpointIndex>, Census>,
}

impl Sample {
    fn push(&mut self, score: f32, row: &Held<'_>, is_wary: bool) {
        if is_wary {
            let did = score > 0.0;
            if did {
                self.deeds.push((self.scores.len(), row.endpoint));
            }
            self.census.note(row.unit, row.network, did);
            self.at_endpoints.entry(row.endpoint).or_default().note(row.unit, row.network, did);
        }
        self.scores.push(score);
    }

    /// What only one or two of many did, of all or of those who call an endpoint, counts as never done, where that was looked at.
    fn scores(mut self) -> Vec<f32> {
        let is_of_few = |endpoint| self.census.is_of_few() || self.at_endpoints.get(endpoint).is_some_and(Census::is_of_few);
        for (at, _) in self.deeds.iter().filter(|(_, endpoint)| is_of_few(endpoint)) {
            self.scores[*at] = 0.0;
        }
        self.scores
    }
}

fn class_slot(class: Class, is_known: bool) -> usize {
    class as usize + if is_known { 0 } else { Class::COUNT }
}
