//! What the trainer tells of itself in numbers. Every metric is listed in docs/telemetry.md.

use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};
use std::time::Duration;

/// Bounds of how long a training takes, seconds.
const SECONDS: [f64; 11] = [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0];

/// The instruments.
pub(crate) struct Metrics {
    trainings: Counter<u64>,
    duration: Histogram<f64>,
    remembered: Gauge<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = global::meter("weir.trainer");
        let trainings = meter.u64_counter("weir.trainings").with_unit("{training}");
        let duration = meter.f64_histogram("weir.training.duration").with_unit("s").with_boundaries(SECONDS.to_vec());
        let remembered = meter.u64_gauge("weir.history.size").with_unit("{exchange}");
        let trainings = trainings
            .with_description(
                "Trainings by outcome: `published`; `refused` by a gate; `overtaken` by another model that was made active; `failed`",
            )
            .build();
        // What has not happened yet is shown as 0, so that its first time is a rise.
        trainings.add(0, &[KeyValue::new("weir.outcome", "failed")]);
        Self {
            trainings,
            duration: duration.with_description("How long trainings took").build(),
            remembered: remembered.with_description("Exchanges that the trainer remembers").build(),
        }
    }

    /// A training ended.
    pub(crate) fn trained(&self, outcome: &'static str, took: Duration) {
        let outcome = [KeyValue::new("weir.outcome", outcome)];
        self.trainings.add(1, &outcome);
        self.duration.record(took.as_secs_f64(), &outcome);
    }

    /// So many exchanges are remembered.
    pub(crate) fn remembers(&self, exchanges: usize) {
        self.remembered.record(exchanges as u64, &[]);
    }
}
