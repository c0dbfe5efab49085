//! `POST /v1/exchanges`: gateways push mirrored exchanges; they are acknowledged when the log has them.
//!
//! The body is one exchange, a JSON array of them, or NDJSON, plain, gzip or zstd; `Content-Type` is not looked at, since senders differ.
//! It is taken whole or not at all: with one bad record it is answered 400, the first bad ones are named, and nothing is written.
//!
//! With `?format=` (`auto`, `har`, `combined`, `json`, `otlp`, `tap`; `&field_map=` by name) it is what a gateway writes itself, and what cannot be read of it is
//! left out and counted in the answer: a gateway would send the same again, or drop all of it.
//!
//! | status | meaning |
//! | --- | --- |
//! | 202 | all records are in the log and survive a crash; the body is `{"accepted":N}`, with `?format=` also `rejected` and `why` |
//! | 400 | records that cannot be read, or none; a format or field map that is not known |
//! | 401 | the bearer token is missing or wrong |
//! | 408 | the body did not arrive within 30 s |
//! | 413 | the body, after decompression, is over the limit |
//! | 415 | an unknown `Content-Encoding` |
//! | 429 | too much is waiting for the log; `Retry-After` says when to come back |
//! | 500, 503 | the log failed; with 503 it may be sent again |
//!
//! All refusals are RFC 9457 problem details. After 500 or 503, and after a connection that broke, a sender cannot know whether the records were
//! written; sending them again may write them twice.

mod ext_proc;
mod grpc;
mod intake;
mod otlp;
mod problem;

use self::intake::{Encoding, Taken};
use self::problem::Refusal;
use crate::Preparer;
use crate::decode::{Options, Reader};
use crate::metrics::{Metrics, Requests};
use crate::report::Counts;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use http_body_util::LengthLimitError;
use runtime::config::{FieldMap, RecordFormat};
use runtime::log::Producer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest wait for a body.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Longest wait for room to unpack a body that has arrived.
const ROOM_WITHIN: Duration = Duration::from_secs(1);

/// Bytes in one permit.
const PERMIT: usize = 1 << 10;

/// How the listener takes requests.
#[derive(Debug, Clone)]
pub struct ListenerOptions {
    /// Name of the traffic topic, prefix included.
    pub topic: Arc<str>,
    /// Bearer token that senders must show; `None`: anybody may send.
    pub token: Option<Token>,
    /// Largest body of one request, bytes, after decompression.
    pub max_body: usize,
    /// Most bytes of bodies that wait for the log at one time.
    pub max_pending: usize,
    /// How bodies in gateways' own formats are read.
    pub decoding: Options,
    /// Field maps that senders may name.
    pub field_maps: BTreeMap<String, FieldMap>,
}

/// A bearer token, kept as its hash: it cannot be printed, and comparing takes the same time whatever is compared.
#[derive(Debug, Clone)]
pub struct Token(blake3::Hash);

impl Token {
    /// A token.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(blake3::hash(token.as_bytes()))
    }

    /// Whether the headers show it.
    #[must_use]
    pub fn is_shown(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.split_once(' '));
        // Hashes are compared in constant time.
        shown.is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && blake3::hash(token.trim().as_bytes()) == self.0)
    }
}

/// What the handler needs.
struct Listener {
    options: ListenerOptions,
    preparer: Preparer,
    producer: Box<dyn Producer>,
    room: Arc<Semaphore>,
    metrics: Metrics,
    requests: Requests,
}

/// The routes of the listener, to be merged with others. `counts`: where what it takes is counted.
pub fn router(options: ListenerOptions, preparer: Preparer, producer: Box<dyn Producer>, counts: Counts) -> Router {
    let permits = permits(options.max_pending.max(options.max_body));
    let metrics = Metrics::new("listener", &options.topic, counts);
    let room = Arc::new(Semaphore::new(permits as usize));
    let listener = Arc::new(Listener { options, preparer, producer, room, metrics, requests: Requests::new() });
    Router::new()
        .route("/v1/exchanges", post(exchanges))
        .route(otlp::ROUTE, post(otlp::traces))
        .route(grpc::ROUTE, post(grpc::traces))
        .route(ext_proc::ROUTE, post(ext_proc::process))
        .with_state(listener)
}

/// Permits for a number of bytes.
fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PERMIT)).unwrap_or(u32::MAX).min((Semaphore::MAX_PERMITS / 2).try_into().unwrap_or(u32::MAX)).max(1)
}

/// A request that was taken.
#[derive(Debug, Serialize)]
struct Accepted {
    /// Records that the log has.
    accepted: usize,
    /// See [`Taken`].
    #[serde(skip_serializing_if = "is_zero")]
    rejected: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What the address says of the body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    format: Option<RecordFormat>,
    field_map: Option<String>,
}

async fn exchanges(
    State(listener): State<Arc<Listener>>,
    shape: Result<Query<Shape>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let began = Instant::now();
    let requests = listener.requests.clone();
    let accepted = match shape.map_err(|error| Refusal::UnknownShape(error.body_text())).and_then(|Query(shape)| listener.read(shape)) {
        Ok(read) => accept(listener, &headers, body, read).await,
        Err(refusal) => Err(refusal),
    };
    let response = match accepted {
        Ok(accepted) => (StatusCode::ACCEPTED, Json(accepted)).into_response(),
        Err(refusal) => refused(refusal),
    };
    requests.answered("/v1/exchanges", response.status().as_u16(), began.elapsed());
    response
}

/// Says why, to the sender and to the log.
fn refused(refusal: Refusal) -> Response {
    if refusal.status().is_server_error() {
        tracing::error!(status = refusal.status().as_u16(), %refusal, "exchanges were not accepted");
    } else {
        tracing::debug!(status = refusal.status().as_u16(), %refusal, "exchanges were refused");
    }
    refusal.into_response()
}

/// Reads a body in clear.
type Read = Box<dyn FnOnce(&Listener, &Bytes) -> Result<Taken, Refusal> + Send>;

/// Takes a request: admit, receive, unpack, prepare, append.
async fn accept(listener: Arc<Listener>, headers: &HeaderMap, body: Body, read: Read) -> Result<Accepted, Refusal> {
    if listener.options.token.as_ref().is_some_and(|token| !token.is_shown(headers)) {
        return Err(Refusal::Unauthorized);
    }
    let encoding = Encoding::named(headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?")))?;
    let limit = listener.options.max_body;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Refusal::TooLarge { limit });
    }
    let room = listener.reserve(announced.unwrap_or(limit))?;
    let (body, room) = listener.receive(body, encoding, room).await?;
    append(listener, room, move |listener| read(listener, &encoding.decoded(body, listener.options.max_body)?)).await
}

/// Reads, prepares and writes what came; `room` is given back when the log has it, also when the sender is gone by then.
async fn append(
    listener: Arc<Listener>,
    room: OwnedSemaphorePermit,
    read: impl FnOnce(&Listener) -> Result<Taken, Refusal> + Send + 'static,
) -> Result<Accepted, Refusal> {
    let written = tokio::task::spawn_blocking(move || {
        let _room = room;
        let Taken { mut outputs, rejected, why } = read(&listener)?;
        let accepted = outputs.len();
        if accepted > 0 {
            let sent = listener.metrics.sending(&mut outputs);
            match listener.producer.append(outputs) {
                Ok(_) => sent.done(),
                Err(error) => {
                    sent.failed(&error);
                    return Err(error.into());
                }
            }
        }
        tracing::debug!(records = accepted, rejected, "accepted");
        Ok(Accepted { accepted, rejected, why })
    });
    written.await.unwrap_or(Err(Refusal::Stopping))
}

impl Listener {
    /// How a body of this shape is read.
    fn read(&self, Shape { format, field_map }: Shape) -> Result<Read, Refusal> {
        let map = field_map.map(|name| {
            self.options.field_maps.get(&name).cloned().ok_or(Refusal::UnknownShape(format!("there is no field map `{name}`")))
        });
        let map = map.transpose()?;
        if format.is_none() && map.is_none() {
            return Ok(Box::new(|listener, body| intake::exchanges(body, &listener.options.topic, &listener.preparer)));
        }
        let format = format.unwrap_or(if map.is_some() { RecordFormat::Json } else { RecordFormat::Auto });
        let reader = Reader::new(&Options { format, field_map: map, ..self.options.decoding.clone() });
        Ok(Box::new(move |listener, body| Ok(intake::foreign(body, &reader, &listener.options.topic, &listener.preparer))))
    }

    /// Room for a body of this size, or a refusal at once.
    fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.room).try_acquire_many_owned(permits(bytes)).map_err(|_| Refusal::Busy)
    }

    /// Receives a body; the room then reserved is what it takes unpacked.
    async fn receive(
        &self,
        body: Body,
        encoding: Encoding,
        mut room: OwnedSemaphorePermit,
    ) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
        let limit = self.options.max_body;
        let body = tokio::time::timeout(BODY_WITHIN, axum::body::to_bytes(body, limit)).await.map_err(|_| Refusal::SlowBody)?;
        let body = body.map_err(|error| over_limit(error, limit))?;
        let needed = if encoding == Encoding::Identity { body.len() } else { limit };
        let (held, needed) = (room.num_permits(), permits(needed));
        if (needed as usize) < held {
            drop(room.split(held - needed as usize));
        } else if needed as usize > held {
            let more = Arc::clone(&self.room).acquire_many_owned(needed - u32::try_from(held).unwrap_or(needed));
            let more = tokio::time::timeout(ROOM_WITHIN, more).await.map_err(|_| Refusal::Busy)?;
            room.merge(more.map_err(|_| Refusal::Stopping)?);
        }
        Ok((body, room))
    }
}

/// Tells a body over the limit from one that broke off.
fn over_limit(error: axum::Error, limit: usize) -> Refusal {
    if error.into_inner().is::<LengthLimitError>() {
        Refusal::TooLarge { limit }
    } else {
        Refusal::UnreadableBody(std::io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests;
