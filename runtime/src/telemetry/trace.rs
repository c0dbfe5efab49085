//! One trace from ingest to verdict: spans of records, carried from one stage to the next by the record's header `traceparent`
//! (W3C Trace Context).
//!
//! Whether an exchange is traced is decided once, where it is written to the traffic topic; who handles it later follows the header.

use crate::log::{Output, Record};
use bytes::Bytes;
use opentelemetry::global::{self, BoxedSpan};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::sync::atomic::{AtomicBool, Ordering};

/// Header of a record that is traced.
pub const HEADER: &str = "traceparent";
/// Name of the instrumentation.
const TRACER: &str = "weir";

/// Whether this process traces at all.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// Says that this process traces from now on.
pub(super) fn begin() {
    IS_ON.store(true, Ordering::Relaxed);
}

/// Spans of records that are being written; each ends when this is dropped, which is when the log has them.
#[must_use = "spans end when this is dropped"]
pub struct Sending(Vec<BoxedSpan>);

/// Begins traces for some of the records that are to be written to a topic: the header of those says so to who reads them.
pub fn sending(outputs: &mut [Output], topic: &str) -> Sending {
    if !IS_ON.load(Ordering::Relaxed) {
        return Sending(Vec::new());
    }
    let tracer = global::tracer(TRACER);
    let root = Context::new();
    let mut spans = Vec::new();
    for output in outputs.iter_mut().filter(|output| &*output.topic == topic) {
        let builder = tracer.span_builder(format!("send {topic}")).with_kind(SpanKind::Producer);
        let mut span = tracer.build_with_context(builder, &root);
        if span.span_context().is_sampled() {
            span.set_attributes(messaging("send", topic));
            output.headers.push(header(&span));
            spans.push(span);
        }
    }
    Sending(spans)
}

impl Sending {
    /// Says of all of them that they were not written.
    pub fn failed(&mut self, why: &str) {
        self.0.iter_mut().for_each(|span| span.set_status(Status::error(why.to_owned())));
    }
}

/// Span of a record that is being handled; ends when it is dropped, which is when what became of the record is committed.
#[must_use = "the span ends when this is dropped"]
pub struct Handling(BoxedSpan);

/// Goes on with the trace of a record; `None`: it is not traced.
#[must_use]
pub fn handling(record: &Record) -> Option<Handling> {
    if !IS_ON.load(Ordering::Relaxed) {
        return None;
    }
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(record));
    if !parent.span().span_context().is_sampled() {
        return None;
    }
    let tracer = global::tracer(TRACER);
    let topic = &*record.at.topic;
    let builder = tracer.span_builder(format!("process {topic}")).with_kind(SpanKind::Consumer);
    let mut span = tracer.build_with_context(builder, &parent);
    span.set_attributes(messaging("process", topic));
    span.set_attribute(KeyValue::new("messaging.destination.partition.id", record.at.partition.to_string()));
    span.set_attribute(KeyValue::new("messaging.kafka.offset", i64::try_from(record.offset.0).unwrap_or(i64::MAX)));
    Some(Handling(span))
}

impl Handling {
    /// Says something of the record.
    pub fn say(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(name, value));
    }

    /// The header of what the record becomes, so that the trace goes on there.
    #[must_use]
    pub fn header(&self) -> (&'static str, Bytes) {
        header(&self.0)
    }

    /// Says that what became of the record was not committed.
    pub fn failed(&mut self, why: &str) {
        self.0.set_status(Status::error(why.to_owned()));
    }
}

fn messaging(operation: &'static str, topic: &str) -> [KeyValue; 4] {
    [
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.operation.type", operation),
        KeyValue::new("messaging.operation.name", operation),
        KeyValue::new("messaging.destination.name", topic.to_owned()),
    ]
}

/// `00-TRACE-SPAN-01`.
fn header(span: &BoxedSpan) -> (&'static str, Bytes) {
    let context = span.span_context();
    (HEADER, format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags()).into())
}

/// A record's headers as the propagator wants to see them.
struct Headers<'r>(&'r Record);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.header(key).and_then(|value| std::str::from_utf8(value).ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.headers.iter().map(|(name, _)| name.as_str()).collect()
    }
}
