//! `GET /healthz`, `/readyz`, `/v1/status`, `/v1/verdicts`, `/v1/model`, `/v1/arrivals`, `POST /v1/models` and `/v1/feedback`.

use super::board::{Board, Overview};
use super::verdicts::{self, Query};
use crate::catalogue::{self, Action};
use crate::commands::ingest::survey;
use crate::feedback::{Ask, FeedbackError, give};
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query as Parameters, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use ingest::listener::Token;
use runtime::config::Config;
use runtime::log::Log;
use runtime::model_file;
use runtime::shutdown::Shutdown;
use runtime::topics::Topics;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Verdicts that wait for a slow reader of `/v1/verdicts`; then the topic waits.
const PENDING: usize = 256;

/// Largest model file that is imported, bytes of base64.
const MODEL_FILE: usize = 128 << 20;

#[derive(Clone)]
struct Console {
    board: Board,
    log: Arc<dyn Log>,
    verdicts: Arc<str>,
    config: Arc<Config>,
    shutdown: Shutdown,
}

/// The routes; those that show traffic ask for the token where one is configured.
pub(crate) fn routes(config: &Config, board: Board, log: Arc<dyn Log>, shutdown: Shutdown) -> Router {
    let console = Console { board, log, verdicts: Topics::new(config).verdicts, config: Arc::new(config.clone()), shutdown };
    let token = config.token.as_ref().map(|token| Token::new(token.expose()));
    let guarded = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/verdicts", get(stream))
        .route("/v1/model", get(model))
        .route("/v1/models", post(models).layer(DefaultBodyLimit::max(MODEL_FILE)))
        .route("/v1/arrivals", get(arrivals))
        .route("/v1/feedback", post(feedback))
        .layer(from_fn(move |request, next| guard(token.clone(), request, next)));
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).merge(guarded).with_state(console)
}

async fn guard(token: Option<Token>, request: Request, next: Next) -> Response {
    if token.is_some_and(|token| !token.is_shown(request.headers())) {
        let problem = problem(StatusCode::UNAUTHORIZED, "a bearer token is required");
        return ([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response();
    }
    next.run(request).await
}

async fn ready(State(console): State<Console>) -> (StatusCode, &'static str) {
    if console.board.overview().is_ready() { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}

async fn status(State(console): State<Console>) -> Json<Overview> {
    Json(console.board.overview())
}

/// The active model as a file; 404 before there is one.
async fn model(State(console): State<Console>) -> Response {
    let read = move || anyhow::Ok(catalogue::model(&*console.log, &console.config)?.map(|file| model_file::write(&file)).transpose()?);
    match tokio::task::spawn_blocking(read).await.map_err(anyhow::Error::from).flatten() {
        Ok(Some(bytes)) => ([(header::CONTENT_TYPE, "application/zip")], bytes).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "no model has been published yet"),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "reading the active model");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the active model cannot be read; the log says why")
        }
    }
}

/// Does what an operator wants done about models. It must say that it is JSON: so no page that a browser shows can ask.
async fn models(State(console): State<Console>, Json(action): Json<Action>) -> Response {
    let perform = move || catalogue::perform(&action, &console.log, &console.config);
    match tokio::task::spawn_blocking(perform).await {
        Ok(Ok(done)) => done.into_response(),
        Ok(Err(error)) => problem(StatusCode::BAD_REQUEST, &format!("{error:#}")),
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    }
}

/// What has arrived lately, in plain words.
async fn arrivals(State(console): State<Console>) -> Response {
    let surveying = tokio::task::spawn_blocking(move || survey(&*console.log, &Topics::new(&console.config)));
    match surveying.await.map_err(anyhow::Error::from).and_then(|survey| Ok(survey?)) {
        Ok(survey) => survey.to_string().into_response(),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "looking at what arrived");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "what arrived cannot be read; the log says why")
        }
    }
}

/// Takes feedback of one verdict. It must say that it is JSON: so no page that a browser shows can send any.
async fn feedback(State(console): State<Console>, Json(ask): Json<Ask>) -> Response {
    let given = tokio::task::spawn_blocking(move || give(&*console.log, &Topics::new(&console.config), ask)).await;
    match given {
        Ok(Ok(given)) => Json(given).into_response(),
        Ok(Err(error @ FeedbackError::NoVerdict(_))) => problem(StatusCode::NOT_FOUND, &error.to_string()),
        Ok(Err(error @ (FeedbackError::Id(_) | FeedbackError::Until(_) | FeedbackError::TooLong))) => {
            problem(StatusCode::BAD_REQUEST, &error.to_string())
        }
        Ok(Err(error @ (FeedbackError::Log(_) | FeedbackError::Json(_)))) => {
            tracing::error!(%error, "taking feedback");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "feedback cannot be written; the log says why")
        }
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    }
}

fn problem(status: StatusCode, title: &str) -> Response {
    (status, Json(serde_json::json!({"type": "about:blank", "title": title, "status": status.as_u16()}))).into_response()
}

/// Verdicts as NDJSON. The topic is read on a thread of its own, which ends when the reader has gone.
async fn stream(State(console): State<Console>, Parameters(query): Parameters<Query>) -> Response {
    let (send, receive) = mpsc::channel::<Bytes>(PENDING);
    tokio::task::spawn_blocking(move || {
        let read = verdicts::each(&*console.log, &console.verdicts, &query, &console.shutdown, |value| pass_on(&send, &value));
        if let Err(error) = read {
            tracing::warn!(%error, "reading verdicts for somebody");
        }
    });
    let lines = futures_util::stream::unfold(receive, |mut receive| async move {
        let line = receive.recv().await?;
        Some((Ok::<_, Infallible>(line), receive))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

fn pass_on(send: &mpsc::Sender<Bytes>, value: &Bytes) -> ControlFlow<()> {
    if value.is_empty() {
        return if send.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    }
    let mut line = value.to_vec();
    line.push(b'\n');
    match send.try_send(line.into()) {
        Ok(()) => ControlFlow::Continue(()),
        Err(TrySendError::Closed(_)) => ControlFlow::Break(()),
        Err(TrySendError::Full(line)) => send.blocking_send(line).map_or(ControlFlow::Break(()), |()| ControlFlow::Continue(())),
    }
}
