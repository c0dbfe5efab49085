//! What the networks of values say of a batch: the longest values of all its records, asked together. An answer depends on nothing but the
//! value, so it holds whenever its record's turn comes.

use super::Partition;
use crate::features::Features;
use crate::model::ApiModel;
use crate::neural::values::{Appraisal, Likeness, Rebuilt, Sketch};
use crate::neural::{HeadId, Heads};
use std::collections::BTreeMap;

/// Appraisals of the records of a batch.
#[derive(Debug, Default)]
pub(super) struct Appraised {
    all: Vec<Appraisal>,
    /// Where those of each record end; empty: nothing was asked.
    ends: Vec<usize>,
}

impl Appraised {
    /// Those of a record of the batch.
    pub(super) fn of(&self, record: usize) -> &[Appraisal] {
        let Some(end) = self.ends.get(record) else { return &[] };
        let start = record.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start..*end]
    }
}

/// What one network is asked.
struct Asked<'m> {
    likeness: &'m Likeness,
    sketches: Vec<Sketch>,
    /// Where the answers go.
    places: Vec<usize>,
}

impl Partition {
    /// Asks about the values of a batch, as far as the model has networks for them.
    pub(super) fn appraise(&mut self, features: &[Features], heads: &mut dyn Heads) -> Appraised {
        let Some(model) = self.model.clone().filter(|m| m.apis().iter().any(|api| api.likeness().is_some())) else {
            return Appraised::default();
        };
        let mut appraised = Appraised::default();
        let mut asked: BTreeMap<HeadId, Asked<'_>> = BTreeMap::new();
        for features in features {
            if let Some((api, likeness)) = model.api(&features.host).and_then(|api: &ApiModel| Some((api, api.likeness()?))) {
                let route = api.paths.route(features);
                if let Some(endpoint) = route.endpoint.filter(|e| api.facts[e.0 as usize].is_known) {
                    let asked =
                        asked.entry(likeness.head.id).or_insert_with(|| Asked { likeness, sketches: Vec::new(), places: Vec::new() });
                    for appraisal in likeness.ask(features, &route, api.paths.endpoint(endpoint).id) {
                        asked.sketches.push(appraisal.sketch);
                        asked.places.push(appraised.all.len());
                        appraised.all.push(appraisal);
                    }
                }
            }
            appraised.ends.push(appraised.all.len());
        }
        let mut answers: Vec<Rebuilt> = Vec::new();
        for Asked { likeness, sketches, places } in asked.values() {
            if let Err(error) = heads.rebuild(&likeness.head, sketches, &mut answers) {
                self.failure.get_or_insert(error);
                return Appraised::default();
            }
            if answers.len() != places.len() {
                return Appraised::default();
            }
            for (place, answer) in places.iter().zip(&answers) {
                appraised.all[*place].rebuilt = *answer;
            }
        }
        appraised
    }
}
