//! Envoy's external processor in observability mode: gRPC, one stream for each HTTP request, headers and bodies both ways. Nothing is answered, and
//! Envoy waits for nothing.

use super::intake::Taken;
use super::problem::Refusal;
use super::{Accepted, Listener, append, grpc};
use crate::decode::ext_proc::{Nothing, Seen, Watching};
use crate::decode::{Decoded, GatewayFields, Position};
use crate::traffic;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request as HttpRequest;
use axum::response::Response as HttpResponse;
use runtime::clock::now_ms;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;
use tonic::server::Grpc;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// `ExternalProcessor.Process`.
pub(super) const ROUTE: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
/// Largest message: Envoy sends bodies in pieces of its buffers.
const MAX_MESSAGE: usize = 4 << 20;
/// Room that one request takes besides its bodies.
const ROOM: usize = 16 << 10;

/// Watches one request.
pub(super) async fn process(State(listener): State<Arc<Listener>>, request: HttpRequest<Body>) -> HttpResponse {
    let began = Instant::now();
    let requests = listener.requests.clone();
    let response = watch(listener, request).await;
    requests.answered(ROUTE, grpc::shown(&response).as_u16(), began.elapsed());
    response
}

async fn watch(listener: Arc<Listener>, request: HttpRequest<Body>) -> HttpResponse {
    if listener.options.token.as_ref().is_some_and(|token| !token.is_shown(request.headers())) {
        return grpc::status(&Refusal::Unauthorized).into_http();
    }
    let mut room = match listener.reserve(ROOM) {
        Ok(room) => Some(room),
        Err(refusal) => return grpc::status(&refusal).into_http(),
    };
    let watching = tower::service_fn(move |request: Request<Streaming<Seen>>| {
        let (listener, room) = (Arc::clone(&listener), room.take());
        async move {
            let room = room.ok_or_else(|| Status::internal("a second stream of one call"))?;
            take(listener, room, request.into_inner()).await.map(|_| Response::new(Nothing {}))
        }
    });
    let codec = ProstCodec::<Nothing, Seen>::default();
    Grpc::new(codec).max_decoding_message_size(MAX_MESSAGE).client_streaming(watching, request).await.map(Body::new)
}

/// Reads a stream to its end and writes what it showed. A stream that breaks off is a client that went away: what was seen counts.
async fn take(listener: Arc<Listener>, mut room: OwnedSemaphorePermit, mut stream: Streaming<Seen>) -> Result<Accepted, Status> {
    let mut watched = Watching::default();
    while let Ok(Some(seen)) = stream.message().await {
        let more = listener.reserve(seen.body_bytes());
        watched.take(seen, now_ms(), more.is_ok());
        if let Ok(more) = more {
            room.merge(more);
        }
        // Envoy leaves the stream open for some seconds more.
        if watched.is_over() {
            break;
        }
    }
    append(listener, room, move |listener| exchange(listener, watched)).await.map_err(|refusal| grpc::status(&refusal))
}

fn exchange(listener: &Listener, watched: Watching) -> Result<Taken, Refusal> {
    let at = Position { file: ROUTE.into(), line: 1, entry: None };
    let decoded = Decoded { exchange: watched.exchange()?, gateway: GatewayFields::default(), at };
    let exchange = listener.preparer.prepared(decoded);
    Ok(Taken { outputs: vec![traffic::record(&exchange, &listener.options.topic)?], ..Taken::default() })
}
