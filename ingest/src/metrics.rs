//! What ingest tells of itself in numbers, and the spans of exchanges that are traced. Every metric is listed in docs/telemetry.md.

use crate::report::Counts;
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};
use runtime::log::Output;
use runtime::telemetry::trace::{Sending, sending};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Bounds of how long a request takes, seconds: those that the conventions name.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What came in one way.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    input: &'static str,
    traffic: Arc<str>,
    counts: Counts,
    accepted: Counter<u64>,
    dead_letters: Counter<u64>,
}

impl Metrics {
    /// `input`: the way, in one word. `traffic`: the topic that exchanges are written to. `counts`: where all ways are counted together.
    pub(crate) fn new(input: &'static str, traffic: &Arc<str>, counts: Counts) -> Self {
        let meter = global::meter("weir.ingest");
        let counter = |name, unit, what| meter.u64_counter(name).with_unit(unit).with_description(what).build();
        Self {
            input,
            traffic: Arc::clone(traffic),
            counts,
            accepted: counter("weir.exchanges.accepted", "{exchange}", "Exchanges that the log has, by the way they came"),
            dead_letters: counter("weir.dead_letters", "{record}", "Records that could not be read, by stage and reason"),
        }
    }

    /// Records that are to be written now: those of exchanges begin their traces.
    pub(crate) fn sending(&self, outputs: &mut [Output]) -> Sent<'_> {
        let accepted = outputs.iter().filter(|output| output.topic == self.traffic).count() as u64;
        let reasons = outputs.iter().flat_map(|output| &output.headers).filter(|(name, _)| *name == "reason");
        let mut dead: BTreeMap<String, u64> = BTreeMap::new();
        for (_, reason) in reasons {
            *dead.entry(String::from_utf8_lossy(reason).into_owned()).or_default() += 1;
        }
        Sent { metrics: self, accepted, dead, traced: sending(outputs, &self.traffic) }
    }
}

/// Records on their way into the log.
#[must_use = "whether the log took them is to be said"]
pub(crate) struct Sent<'m> {
    metrics: &'m Metrics,
    accepted: u64,
    dead: BTreeMap<String, u64>,
    traced: Sending,
}

impl Sent<'_> {
    /// The log has them.
    pub(crate) fn done(self) {
        let Metrics { input, counts, accepted, dead_letters, .. } = self.metrics;
        counts.add(self.accepted, self.dead.values().sum());
        if self.accepted > 0 {
            accepted.add(self.accepted, &[KeyValue::new("weir.input", *input)]);
        }
        for (reason, n) in self.dead {
            dead_letters.add(n, &[KeyValue::new("weir.stage", "ingest"), KeyValue::new("error.type", reason)]);
        }
    }

    /// The log did not take them.
    pub(crate) fn failed(mut self, why: &dyn std::fmt::Display) {
        self.traced.failed(&why.to_string());
    }
}

/// Requests to the listener.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    duration: Histogram<f64>,
    shed: Counter<u64>,
}

impl Requests {
    pub(crate) fn new() -> Self {
        let meter = global::meter("weir.ingest");
        let duration = meter.f64_histogram("http.server.request.duration").with_unit("s").with_boundaries(SECONDS.to_vec());
        let shed = meter.u64_counter("weir.requests.shed").with_unit("{request}");
        let shed = shed.with_description("Requests that were turned away because too much waited for the log").build();
        // What has not happened yet is shown as 0, so that its first time is a rise.
        shed.add(0, &[]);
        Self { duration: duration.with_description("Requests to the listener by route and status").build(), shed }
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: &'static str, status: u16, took: Duration) {
        let attributes = [
            KeyValue::new("http.request.method", "POST"),
            KeyValue::new("http.route", route),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        self.duration.record(took.as_secs_f64(), &attributes);
        if status == 429 {
            self.shed.add(1, &[]);
        }
    }
}
