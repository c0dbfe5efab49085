//! How telemetry travels: HTTP/1.1, plain or in TLS.
//!
//! The SDK exports from threads of its own, which know no async runtime: requests are handed to ours.

use super::TelemetryError;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::HttpError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Most bytes of an answer that are read.
const ANSWER: usize = 1 << 20;
/// Longest wait for an answer, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says another.
const WITHIN: Duration = Duration::from_secs(10);

/// An HTTP client for exporters. Clones share connections.
#[derive(Debug, Clone)]
pub(super) struct Client {
    handle: Handle,
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    within: Duration,
}

impl Client {
    /// Trusts the system's authorities, or those of the file that `OTEL_EXPORTER_OTLP_CERTIFICATE` names.
    ///
    /// # Errors
    /// That file cannot be read.
    pub(super) fn new(handle: Handle) -> Result<Self, TelemetryError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| TelemetryError::Otlp(e.to_string()))?
            .with_root_certificates(authorities()?)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let milliseconds = std::env::var("OTEL_EXPORTER_OTLP_TIMEOUT").ok().and_then(|text| text.parse().ok());
        Ok(Self {
            handle,
            http: HttpClient::builder(TokioExecutor::new()).build(connector),
            within: milliseconds.map_or(WITHIN, Duration::from_millis),
        })
    }
}

/// Who is trusted. A system without authorities trusts nobody, which plain HTTP does not mind.
fn authorities() -> Result<RootCertStore, TelemetryError> {
    let mut roots = RootCertStore::empty();
    match std::env::var("OTEL_EXPORTER_OTLP_CERTIFICATE") {
        Ok(path) if !path.is_empty() => {
            let wrong = |why: String| TelemetryError::Otlp(format!("OTEL_EXPORTER_OTLP_CERTIFICATE ({path}): {why}"));
            for certificate in CertificateDer::pem_file_iter(&path).map_err(|e| wrong(e.to_string()))? {
                let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
                roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
            }
        }
        _ => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

#[async_trait]
impl opentelemetry_http::HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, within) = (self.http.clone(), self.within);
        let exchange = async move {
            let (parts, body) = http.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(parts, body))
        };
        // Timers, too, belong to the runtime: they are made on it.
        self.handle.spawn(async move { tokio::time::timeout(within, exchange).await }).await??
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_http::HttpClient as _;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    #[test]
    fn a_thread_without_a_runtime_can_send() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let receiver = std::thread::spawn(move || {
            let (mut stream, _) = socket.accept().unwrap();
            let mut request = vec![0; 1 << 10];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok").unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let ours = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let client = Client::new(ours.handle().clone()).unwrap();
        let request = Request::post(format!("http://{address}/v1/logs")).body(Bytes::from_static(b"x")).unwrap();
        // As the SDK's threads: nothing here has timers or sockets.
        let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let response = bare.block_on(client.send_bytes(request)).unwrap();
        assert_eq!((response.status().as_u16(), &response.body()[..]), (202, &b"ok"[..]));
        assert!(receiver.join().unwrap().starts_with("POST /v1/logs HTTP/1.1"));
    }
}
