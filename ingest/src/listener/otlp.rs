//! `POST /v1/traces`: OTLP/HTTP, as OpenTelemetry's exporters and collectors send it, in Protocol Buffers or JSON.
//!
//! A span that cannot be read does not keep the others out: exporters drop what is answered by 400, all of it. What was not taken is said as the
//! protocol wants it, by a partial success.

use super::intake::Taken;
use super::problem::Refusal;
use super::{Accepted, Listener, accept, refused};
use crate::decode::otlp::protobuf::{Answer, Partial};
use crate::decode::otlp::{self, json, protobuf};
use crate::decode::{Fault, Position};
use crate::traffic;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use prost::Message as _;
use runtime::log::Output;
use std::sync::Arc;
use std::time::Instant;

/// Where exporters send traces to.
pub(super) const ROUTE: &str = "/v1/traces";

/// Takes spans.
pub(super) async fn traces(State(listener): State<Arc<Listener>>, headers: HeaderMap, body: Body) -> Response {
    let began = Instant::now();
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let read = if is_json { from_json } else { from_protobuf };
    let response = match accept(Arc::clone(&listener), &headers, body, Box::new(read)).await {
        Ok(accepted) => answer(accepted, is_json),
        Err(refusal) => refused(refusal),
    };
    listener.requests.answered(ROUTE, response.status().as_u16(), began.elapsed());
    response
}

fn from_json(listener: &Listener, body: &Bytes) -> Result<Taken, Refusal> {
    let mut spans = Spans::of(listener);
    json::spans(body, |span, service| spans.take(span, service))?;
    Ok(spans.taken)
}

fn from_protobuf(listener: &Listener, body: &Bytes) -> Result<Taken, Refusal> {
    let mut spans = Spans::of(listener);
    protobuf::spans(protobuf::parse(body.clone())?, |span, service| spans.take(span, service))?;
    Ok(spans.taken)
}

/// Records of the spans so far.
pub(super) struct Spans<'l> {
    listener: &'l Listener,
    at: Position,
    pub(super) taken: Taken,
}

impl<'l> Spans<'l> {
    pub(super) fn of(listener: &'l Listener) -> Self {
        Self { listener, at: Position { file: ROUTE.into(), line: 1, entry: None }, taken: Taken::default() }
    }

    pub(super) fn take(&mut self, span: Result<otlp::Span, Fault>, service: Option<&str>) {
        match otlp::exchange(span, service, &self.at).map(|decoded| self.output(decoded?)) {
            None => {}
            Some(Ok(output)) => self.taken.outputs.push(output),
            Some(Err(fault)) => self.taken.reject(&fault),
        }
    }

    fn output(&self, decoded: crate::decode::Decoded) -> Result<Output, Fault> {
        traffic::record(&self.listener.preparer.prepared(decoded), &self.listener.options.topic)
    }
}

fn answer(accepted: Accepted, is_json: bool) -> Response {
    let partial = partial(accepted);
    if is_json {
        let said = |Partial { rejected_spans, error_message }| serde_json::json!({ "partialSuccess": { "rejectedSpans": rejected_spans.to_string(), "errorMessage": error_message } });
        return Json(partial.map_or_else(|| serde_json::json!({}), said)).into_response();
    }
    ([(header::CONTENT_TYPE, "application/x-protobuf")], Answer { partial }.encode_to_vec()).into_response()
}

/// What was not taken, as the protocol says it; `None`: everything was.
pub(super) fn partial(Accepted { rejected, why, .. }: Accepted) -> Option<Partial> {
    let rejected_spans = i64::try_from(rejected).unwrap_or(i64::MAX);
    (rejected > 0).then_some(Partial { rejected_spans, error_message: why })
}
