//! What a scorer tells of itself in numbers, once a batch is committed. Every metric is listed in docs/telemetry.md.

use engine::{DetectorKind, Family};
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};
use runtime::status::{Restored, VerdictCounts};
use std::collections::BTreeMap;

/// Bounds of how long verdicts take, seconds.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Bounds of p-values: uniform ones fill the tenths evenly, and the small ones show how far the tail can be trusted.
const P_VALUES: [f64; 15] = [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
/// Bounds of the size of a batch, records.
const RECORDS: [f64; 9] = [1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1_000.0, 2_000.0];

/// Bounds of what a restore reads, bytes.
const BYTES: [f64; 8] = [1e3, 1e4, 1e5, 1e6, 1e7, 3e7, 1e8, 1e9];

/// The instruments.
pub(crate) struct Metrics {
    verdicts: Counter<u64>,
    families: Counter<u64>,
    blind: Counter<u64>,
    p_value: Histogram<f64>,
    latency: Histogram<f64>,
    batch: Histogram<u64>,
    alerts: Counter<u64>,
    muted: Counter<u64>,
    dead_letters: Counter<u64>,
    aborted: Counter<u64>,
    restore_time: Histogram<f64>,
    restore_size: Histogram<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = global::meter("weir.scorer");
        let counter = |name, unit, what| meter.u64_counter(name).with_unit(unit).with_description(what).build();
        let histogram = |name, unit, what, bounds: &[f64]| {
            meter.f64_histogram(name).with_unit(unit).with_description(what).with_boundaries(bounds.to_vec()).build()
        };
        let sizes = |name, unit, what, bounds: &[f64]| {
            meter.u64_histogram(name).with_unit(unit).with_description(what).with_boundaries(bounds.to_vec()).build()
        };
        let aborted = counter("weir.transactions.aborted", "{transaction}", "Transactions that were aborted and done again");
        // What has not happened yet is shown as 0, so that its first time is a rise.
        aborted.add(0, &[]);
        Self {
            verdicts: counter("weir.verdicts", "{verdict}", "Verdicts by API and label"),
            families: counter("weir.verdicts.anomalous", "{verdict}", "Anomalous verdicts by API and family; one with two counts in both"),
            blind: counter("weir.detector.blind", "{verdict}", "Verdicts by API and detector that could not look"),
            p_value: histogram("weir.verdict.p_value", "1", "p-values of verdicts that are not `insufficient`", &P_VALUES),
            latency: histogram("weir.verdict.latency", "s", "From the append of an exchange to the commit of its verdict", &SECONDS),
            batch: sizes("weir.batch.size", "{record}", "Records of a committed batch", &RECORDS),
            alerts: counter("weir.alerts", "{alert}", "New incidents by family, muted ones not counted"),
            muted: counter("weir.alerts.muted", "{alert}", "Alerts that feedback muted"),
            dead_letters: counter("weir.dead_letters", "{record}", "Records that could not be read, by stage and reason"),
            aborted,
            restore_time: histogram("weir.restore.duration", "s", "From the assignment of a partition to its first record", &SECONDS),
            restore_size: sizes("weir.restore.size", "By", "State and exchanges that restoring a partition read", &BYTES),
        }
    }

    /// Verdicts of one API.
    pub(crate) fn verdicts(&self, api: &str, counts: &VerdictCounts, p_values: &[f64]) {
        let of = |name: &'static str, value: &'static str| [KeyValue::new("weir.api", api.to_owned()), KeyValue::new(name, value)];
        for (label, n) in [("benign", counts.benign), ("anomalous", counts.anomalous), ("insufficient", counts.insufficient)] {
            if n > 0 {
                self.verdicts.add(n, &of("weir.label", label));
            }
        }
        counts.families.iter().for_each(|(family, n)| self.families.add(*n, &of("weir.family", family.name())));
        // From zero on, so that rates are right from the first.
        for detector in DetectorKind::ALL {
            self.blind.add(counts.blind.get(&detector).copied().unwrap_or(0), &of("weir.detector", detector.name()));
        }
        let api = [KeyValue::new("weir.api", api.to_owned())];
        p_values.iter().for_each(|p| self.p_value.record(*p, &api));
    }

    /// How long the verdicts of a batch took, milliseconds.
    pub(crate) fn batch(&self, latencies_ms: &[u64]) {
        if !latencies_ms.is_empty() {
            self.batch.record(latencies_ms.len() as u64, &[]);
        }
        latencies_ms.iter().for_each(|ms| self.latency.record(*ms as f64 / 1e3, &[]));
    }

    /// New incidents, and alerts that were muted.
    pub(crate) fn alerts(&self, created: &BTreeMap<Family, u64>, muted: u64) {
        created.iter().for_each(|(family, n)| self.alerts.add(*n, &[KeyValue::new("weir.family", family.name())]));
        if muted > 0 {
            self.muted.add(muted, &[]);
        }
    }

    /// Records that could not be read.
    pub(crate) fn dead_letters(&self, by_reason: &BTreeMap<&'static str, u64>) {
        for (reason, n) in by_reason {
            self.dead_letters.add(*n, &[KeyValue::new("weir.stage", "scorer"), KeyValue::new("error.type", *reason)]);
        }
    }

    /// A partition was restored.
    pub(crate) fn restored(&self, restored: Restored) {
        self.restore_time.record(restored.took_ms as f64 / 1e3, &[]);
        self.restore_size.record(restored.bytes, &[]);
    }

    /// A transaction was aborted.
    pub(crate) fn aborted(&self) {
        self.aborted.add(1, &[]);
    }
}
