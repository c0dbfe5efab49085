//! Whether an API still is what its model was learned from: signs of drift, counted over traffic that the model has not seen. No detector:
//! whoever trains asks it whether to learn again.

use crate::features::Features;
use crate::model::Model;
use crate::rate::Rate;
use crate::record::{ApiName, Label, Verdict};
use std::collections::BTreeMap;
use std::fmt;

/// Requests before anything is said.
const LEAST: u64 = 1_000;
/// Requests after which older ones count half.
const WINDOW: u64 = 20_000;
/// Share of successful requests that may bring something new, beyond what training itself left unknown.
const NEW: f64 = 0.02;
/// Level that harmless verdicts are held against, and how many times more often p may lie below it.
const LEVEL: f64 = 0.1;
const FACTOR: f64 = 2.0;
/// Confidence of a sign.
const CONFIDENCE: f64 = 0.99;

/// Counts of every API of a model.
#[derive(Debug, Default)]
pub struct Drift(BTreeMap<ApiName, Counts>);

#[derive(Debug, Default)]
struct Counts {
    seen: u64,
    /// Of successes: to endpoints that are not known.
    endpoints: Rate,
    /// What that share was in training.
    learned: f64,
    /// Of successes at known endpoints: with a field that is not known.
    fields: Rate,
    /// Of verdicts that are not anomalous: with p at or below [`LEVEL`].
    small: Rate,
}

/// Why a model no longer fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sign {
    /// Endpoints that it does not know succeed.
    Endpoints(Rate),
    /// Fields that it does not know succeed.
    Fields(Rate),
    /// Harmless requests look odd to it.
    Levels(Rate),
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, what) = match self {
            Self::Endpoints(rate) => (rate, "of successful requests are to endpoints that the model does not know"),
            Self::Fields(rate) => (rate, "of successful requests bring a field that the model does not know"),
            Self::Levels(rate) => (rate, "of harmless requests have a p that a tenth should have"),
        };
        write!(f, "{:.1} % {what}", 100.0 * rate.share())
    }
}

impl Drift {
    /// Takes note of a request and what the model said of it.
    pub fn see(&mut self, model: &Model, features: &Features, verdict: &Verdict) {
        let Some(api) = model.api(&features.host) else { return };
        let route = api.paths.route(features);
        let endpoint = route.endpoint.filter(|_| api.peers(features, &route).is_known);
        let counts = self.0.entry(api.name.clone()).or_insert_with(|| Counts { learned: api.unknown_share(), ..Counts::default() });
        counts.seen += 1;
        if features.succeeded() != Some(false) {
            count(&mut counts.endpoints, endpoint.is_none());
            if let Some(endpoint) = endpoint {
                count(&mut counts.fields, !api.rooms.content.knows_fields(endpoint, features));
            }
        }
        if verdict.label == Label::Benign {
            count(&mut counts.small, verdict.p <= LEVEL);
        }
        if counts.seen >= WINDOW {
            counts.seen /= 2;
            for rate in [&mut counts.endpoints, &mut counts.fields, &mut counts.small] {
                *rate = Rate { events: rate.events / 2, of: rate.of / 2 };
            }
        }
    }

    /// APIs whose model no longer fits, each with the first sign of it.
    #[must_use]
    pub fn signs(&self) -> Vec<(&ApiName, Sign)> {
        self.0.iter().filter_map(|(api, counts)| Some((api, counts.sign()?))).collect()
    }
}

impl Counts {
    fn sign(&self) -> Option<Sign> {
        let is_above = |rate: Rate, level: f64| rate.of >= LEAST && rate.interval(CONFIDENCE).0 > level;
        if is_above(self.endpoints, self.learned + NEW) {
            Some(Sign::Endpoints(self.endpoints))
        } else if is_above(self.fields, NEW) {
            Some(Sign::Fields(self.fields))
        } else if is_above(self.small, FACTOR * LEVEL) {
            Some(Sign::Levels(self.small))
        } else {
            None
        }
    }
}

fn count(rate: &mut Rate, is_event: bool) {
    rate.events += u64::from(is_event);
    rate.of += 1;
}
