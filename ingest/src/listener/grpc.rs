//! OTLP/gRPC: the same spans as `POST /v1/traces`, over HTTP/2 on the same port.

use super::intake::Taken;
use super::otlp::{Spans, partial};
use super::problem::Refusal;
use super::{Accepted, Listener, append};
use crate::decode::otlp::protobuf::{Answer, Traces, spans};
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request as HttpRequest, StatusCode};
use axum::response::Response as HttpResponse;
use std::sync::Arc;
use std::time::Instant;
use tonic::codec::CompressionEncoding;
use tonic::server::Grpc;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

/// `TraceService.Export`.
pub(super) const ROUTE: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Largest message: what gRPC takes unless told otherwise.
const MAX_MESSAGE: usize = 4 << 20;

/// Takes spans.
pub(super) async fn traces(State(listener): State<Arc<Listener>>, request: HttpRequest<Body>) -> HttpResponse {
    let began = Instant::now();
    let requests = listener.requests.clone();
    let response = export(listener, request).await;
    requests.answered(ROUTE, shown(&response).as_u16(), began.elapsed());
    response
}

/// What metrics show of an answer: HTTP's own status is 200 whatever became of a call.
pub(super) fn shown(response: &HttpResponse) -> StatusCode {
    match Status::from_header_map(response.headers()).map(|status| status.code()) {
        None | Some(Code::Ok) => StatusCode::OK,
        Some(Code::Unauthenticated) => StatusCode::UNAUTHORIZED,
        Some(Code::Unavailable) => StatusCode::TOO_MANY_REQUESTS,
        Some(Code::Internal) => StatusCode::INTERNAL_SERVER_ERROR,
        Some(_) => StatusCode::BAD_REQUEST,
    }
}

async fn export(listener: Arc<Listener>, request: HttpRequest<Body>) -> HttpResponse {
    if listener.options.token.as_ref().is_some_and(|token| !token.is_shown(request.headers())) {
        return status(&Refusal::Unauthorized).into_http();
    }
    // Nobody says beforehand how large a message is: the room for the largest is taken before it is read.
    let limit = listener.options.max_body.min(MAX_MESSAGE);
    let mut room = match listener.reserve(limit) {
        Ok(room) => Some(room),
        Err(refusal) => return status(&refusal).into_http(),
    };
    let taking = tower::service_fn(move |request: Request<Traces>| {
        let (listener, room) = (Arc::clone(&listener), room.take());
        async move {
            let room = room.ok_or_else(|| Status::internal("a second message of one call"))?;
            let taken = append(listener, room, move |listener| read(listener, request.into_inner())).await;
            taken.map(answer).map_err(|refusal| status(&refusal))
        }
    });
    let codec = ProstCodec::<Answer, Traces>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(limit).accept_compressed(CompressionEncoding::Gzip);
    grpc.unary(taking, request).await.map(Body::new)
}

fn read(listener: &Listener, traces: Traces) -> Result<Taken, Refusal> {
    let mut all = Spans::of(listener);
    spans(traces, |span, service| all.take(span, service))?;
    Ok(all.taken)
}

fn answer(accepted: Accepted) -> Response<Answer> {
    Response::new(Answer { partial: partial(accepted) })
}

/// The status of a refusal: exporters try again what is `UNAVAILABLE`, and nothing else of these.
pub(super) fn status(refusal: &Refusal) -> Status {
    let said = refusal.detail();
    match refusal.status() {
        StatusCode::UNAUTHORIZED => Status::unauthenticated(said),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Status::unavailable(said),
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::BAD_REQUEST => Status::invalid_argument(said),
        _ => Status::internal(said),
    }
}
