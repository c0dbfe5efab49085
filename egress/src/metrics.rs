//! What forwarding tells of itself in numbers. Every metric is listed in docs/telemetry.md.

use opentelemetry::{KeyValue, global};
use runtime::status::OutputStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The status of an output, shared with whoever looks at it when metrics are sent.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<OutputStatus>>);

impl Shared {
    /// Is looked at from now on.
    pub(crate) fn observed(status: OutputStatus) -> Self {
        let shared = Self(Arc::new(Mutex::new(status)));
        let meter = global::meter("weir.egress");
        let counter = |name: &'static str, what: &'static str, of: fn(&OutputStatus) -> u64| {
            let shared = shared.clone();
            let builder = meter.u64_observable_counter(name).with_unit("{record}").with_description(what);
            builder.with_callback(move |observer| shared.observe(|status, output| observer.observe(of(status), output))).build();
        };
        counter("weir.output.delivered", "Records that the receiver took", |status| status.delivered);
        counter("weir.output.refused", "Records that the receiver refused for good", |status| status.refused);
        counter("weir.output.lost", "Records that retention deleted before the receiver took them", |status| status.lost);
        let gauge = |name: &'static str, unit: &'static str, what: &'static str, of: fn(&OutputStatus) -> u64| {
            let shared = shared.clone();
            let builder = meter.u64_observable_gauge(name).with_unit(unit).with_description(what);
            builder.with_callback(move |observer| shared.observe(|status, output| observer.observe(of(status), output))).build();
        };
        gauge("weir.output.lag", "{record}", "Records that wait for the receiver", |status| status.lag);
        gauge("weir.output.failing", "", "1 while the receiver takes nothing", |status| status.failing.is_some().into());
        shared
    }

    fn observe(&self, look: impl FnOnce(&OutputStatus, &[KeyValue])) {
        let status = self.lock();
        look(&status, &[KeyValue::new("weir.output", status.output.clone())]);
    }

    /// The newest status.
    pub(crate) fn set(&self, status: &OutputStatus) {
        self.lock().clone_from(status);
    }

    fn lock(&self) -> MutexGuard<'_, OutputStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
