//! Asks a running `weir up` over HTTP.

use crate::terminal::clean;
use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use runtime::config::Config;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpStream;

/// Longest line of an answer, bytes.
const LONGEST: usize = 4 << 20;

/// An answer under way.
pub(crate) struct Answer {
    response: Response<Incoming>,
    rest: Vec<u8>,
}

/// Asks the configured address; `None`: nobody listens there.
pub(crate) async fn get(config: &Config, path: &str) -> anyhow::Result<Option<Answer>> {
    ask(config, Method::GET, path, Bytes::new()).await
}

/// Sends JSON to the configured address; `None`: nobody listens there.
pub(crate) async fn post(config: &Config, path: &str, json: Vec<u8>) -> anyhow::Result<Option<Answer>> {
    ask(config, Method::POST, path, json.into()).await
}

async fn ask(config: &Config, method: Method, path: &str, body: Bytes) -> anyhow::Result<Option<Answer>> {
    let address = reachable(config.listen);
    let Ok(stream) = TcpStream::connect(address).await else { return Ok(None) };
    let asking = || format!("asking http://{address}{path}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(asking)?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, address.to_string());
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(token) = &config.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
    }
    let response = sender.send_request(request.body(Full::new(body))?).await.with_context(asking)?;
    match response.status() {
        StatusCode::OK => Ok(Some(Answer { response, rest: Vec::new() })),
        StatusCode::UNAUTHORIZED => bail!("{}: it wants a token (`token`, WEIR_TOKEN)", asking()),
        status => {
            let body = response.into_body().collect().await.with_context(asking)?.to_bytes();
            let problem: Option<Problem> = serde_json::from_slice(&body).ok();
            bail!("{}: {}", asking(), problem.map_or_else(|| format!("it answered {status}"), |problem| clean(&problem.title)))
        }
    }
}

/// What an error's body says.
#[derive(serde::Deserialize)]
struct Problem {
    title: String,
}

impl Answer {
    /// All of it.
    pub(crate) async fn bytes(self) -> anyhow::Result<Bytes> {
        Ok(self.response.into_body().collect().await.context("reading the answer")?.to_bytes())
    }

    /// The next line; `None` at the end.
    pub(crate) async fn line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let mut line: Vec<u8> = self.rest.drain(..=end).collect();
                line.pop();
                return Ok(Some(line));
            }
            let Some(frame) = self.response.body_mut().frame().await else { return Ok(None) };
            if let Ok(data) = frame.context("reading the answer")?.into_data() {
                self.rest.extend_from_slice(&data);
            }
            if self.rest.len() > LONGEST {
                bail!("the answer has a line of more than {LONGEST} bytes");
            }
        }
    }
}

/// Where to connect to for an address that is listened on.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
