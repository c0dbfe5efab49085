//! Bytes that foreign exporters and gateways sent (`testdata/wire`), by the routes that they sent them to.

use super::*;
use axum::http::Version;
use engine::Exchange;
use http_body_util::BodyExt;

const OTLP_PB: &[u8] = include_bytes!("../../../testdata/wire/otlp.pb");
const OTLP_GRPC: &[u8] = include_bytes!("../../../testdata/wire/otlp.grpc");
const OTLP_GZIP: &[u8] = include_bytes!("../../../testdata/wire/otlp-gzip.grpc");
const EXT_PROC_POST: &[u8] = include_bytes!("../../../testdata/wire/ext-proc-post.grpc");
const EXT_PROC_GET: &[u8] = include_bytes!("../../../testdata/wire/ext-proc-get.grpc");

/// A message of gRPC that says nothing.
const EMPTY: &[u8] = &[0; 5];

/// Calls a method with framed messages; returns the status of the call and the framed answer.
async fn call(router: &Router, route: &str, headers: &[(&str, &str)], frames: impl Into<Body>) -> (String, Bytes) {
    let mut request = Request::post(route).version(Version::HTTP_2).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(frames.into()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "whatever becomes of a call, HTTP's own status is 200");
    let at_once = response.headers().get("grpc-status").cloned();
    let answer = response.into_body().collect().await.unwrap();
    let status = at_once.or_else(|| answer.trailers()?.get("grpc-status").cloned()).unwrap();
    (status.to_str().unwrap().to_owned(), answer.to_bytes())
}

/// What was written, in the order of its paths.
fn written(bench: &Bench) -> Vec<Exchange<'static>> {
    let outputs = bench.outputs.lock().unwrap();
    let read = |output: &Output| Exchange::from_json(output.value.as_deref().unwrap()).unwrap().into_owned();
    let mut written: Vec<Exchange<'static>> = outputs.iter().map(read).collect();
    written.sort_by(|a, b| a.method.cmp(&b.method).then(a.path.cmp(&b.path)));
    written
}

fn header<'e>(exchange: &'e Exchange<'_>, name: &str) -> Option<&'e str> {
    exchange.request.headers.as_ref()?.get(name)
}

/// The two requests of the instrumented service; the step between them is no request.
fn are_the_requests_of_the_service(bench: &Bench) {
    let [get, post] = &written(bench)[..] else { panic!("two requests: {:?}", written(bench)) };
    assert_eq!((&*get.method, &*get.path, get.query.as_deref()), ("GET", "/v1/cats", Some("tag=a&tag=b&q=%22x%22")));
    assert_eq!((&*post.method, &*post.path, post.query.as_deref()), ("POST", "/v1/cats", None));
    assert_eq!((get.response.status, post.response.status), (Some(200), Some(201)));
    for exchange in [get, post] {
        assert_eq!((exchange.host.as_deref(), exchange.source.as_deref()), (Some("pets.example"), Some("pets")));
        assert_eq!(exchange.client.user_agent.as_deref(), Some("petapp/2"));
        assert!(exchange.time.is_some() && exchange.duration_ms.is_some() && exchange.id.is_some());
        assert!(header(exchange, "authorization").unwrap().starts_with("Bearer ~h:"), "{exchange:?}");
        let types = exchange.response.headers.as_ref().unwrap();
        assert_eq!(types.get("content-type"), Some("application/json"));
    }
    assert_eq!((get.client.ip.as_deref(), post.client.ip.as_deref()), (Some("203.0.113.9"), Some("127.0.0.1")));
    assert!(get.session.is_some() && post.session.is_some() && get.session != post.session);
}

#[tokio::test]
async fn spans_of_a_foreign_sdk_over_http() {
    let bench = bench(Does::Takes, None);
    let said = send_spans(&bench.router, &[("content-type", "application/x-protobuf")], OTLP_PB).await;
    assert_eq!(said, (200, Bytes::new()), "all was taken: there is no partial success");
    are_the_requests_of_the_service(&bench);
}

#[tokio::test]
async fn spans_of_a_foreign_sdk_over_grpc() {
    for (frames, headers) in [(OTLP_GRPC, &[][..]), (OTLP_GZIP, &[("grpc-encoding", "gzip")])] {
        let bench = bench(Does::Takes, None);
        assert_eq!(call(&bench.router, grpc::ROUTE, headers, frames).await, ("0".to_owned(), Bytes::from_static(EMPTY)));
        are_the_requests_of_the_service(&bench);
    }
}

#[tokio::test]
async fn grpc_that_is_none_or_shows_no_token_writes_nothing() {
    let bench = bench(Does::Takes, Some("letmein"));
    let token = ("authorization", "Bearer letmein");
    assert_eq!(call(&bench.router, grpc::ROUTE, &[], OTLP_GRPC).await.0, "16");
    assert_eq!(call(&bench.router, ext_proc::ROUTE, &[], EXT_PROC_POST).await.0, "16");
    let larger_than_the_limit = [&[0, 0x7f, 0xff, 0xff, 0xff][..], b"abc"].concat();
    for frames in [&b"\0\0\0\0\x03abc"[..], &OTLP_GRPC[..100], &larger_than_the_limit] {
        assert_ne!(call(&bench.router, grpc::ROUTE, &[token], frames.to_vec()).await.0, "0");
    }
    assert!(written(&bench).is_empty());
    assert_eq!(call(&bench.router, grpc::ROUTE, &[token], OTLP_GRPC).await.0, "0", "refused calls must have given their room back");
    are_the_requests_of_the_service(&bench);
}

#[tokio::test]
async fn what_envoy_shows_its_external_processor() {
    let bench = bench(Does::Takes, None);
    for frames in [EXT_PROC_POST, EXT_PROC_GET] {
        assert_eq!(call(&bench.router, ext_proc::ROUTE, &[], frames).await.0, "0");
    }
    let [get, post] = &written(&bench)[..] else { panic!("two requests: {:?}", written(&bench)) };
    assert_eq!((&*post.method, &*post.path, post.query.as_deref()), ("POST", "/v1/cats", Some("tag=a&tag=b")));
    assert_eq!(post.request.body.as_deref(), Some(r#"{"name":"Mi\"ezi","age":null}"#));
    assert_eq!((post.request.bytes, post.request.truncated), (Some(29), false));
    assert_eq!((&*get.method, &*get.path, get.query.as_deref()), ("GET", "/v1/cats/7", None));
    assert_eq!((get.request.body.as_deref(), get.request.bytes), (None, Some(0)));
    assert_eq!((get.response.status, post.response.status), (Some(200), Some(201)));
    assert_eq!(get.response.body.as_deref(), Some(r#"{"path": "/v1/cats/7", "got": 0, "name": "Jürgen"}"#));
    for exchange in [get, post] {
        assert_eq!((exchange.host.as_deref(), exchange.source.as_deref()), (Some("pets.example"), Some("envoy")));
        assert_eq!((exchange.scheme.as_deref(), exchange.client.ip.as_deref()), (Some("http"), Some("192.0.2.2")));
        assert_eq!(exchange.response.bytes, exchange.response.body.as_ref().map(|body| body.len() as u64));
        assert!(exchange.time.is_some() && exchange.duration_ms.is_some());
    }
    assert!(header(post, "authorization").unwrap().starts_with("Bearer ~h:") && get.session != post.session);
}

#[tokio::test]
async fn of_a_stream_that_breaks_off_what_was_seen_counts() {
    let bench = bench(Does::Takes, None);
    // The request's headers and body are whole; the response's headers are cut.
    let cut = EXT_PROC_POST.windows(7).position(|bytes| bytes == b":status").unwrap();
    assert_eq!(call(&bench.router, ext_proc::ROUTE, &[], &EXT_PROC_POST[..cut]).await.0, "0");
    let [post] = &written(&bench)[..] else { panic!("one request: {:?}", written(&bench)) };
    assert_eq!((post.request.body.as_ref().map(|body| body.len()), post.response.status), (Some(29), None));
    assert_ne!(call(&bench.router, ext_proc::ROUTE, &[], &EXT_PROC_POST[..40]).await.0, "0", "no request was seen");
    assert_eq!(written(&bench).len(), 1);
}
