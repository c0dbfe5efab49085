//! `POST` of JSON over HTTP/1.1, signed after Standard Webhooks.
//!
//! Nothing of an exchange stands in a header: ids are made of topic, partition and offset.

use super::network::{self, Address};
use super::{Delivery, OpenError, Refused, Trouble};
use crate::message::Message;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use runtime::clock::Clock;
use runtime::config::{Receiver, Target};
use sha2::Sha256;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_rustls::TlsConnector;

/// After this long with one receiver the log gets its turn.
const TURN: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read, so that the connection can be used again.
const ANSWER: usize = 64 << 10;

/// A receiver over HTTP.
pub(crate) struct Webhook {
    address: Address,
    authority: HeaderValue,
    path: String,
    tls: Option<TlsConnector>,
    secret: Option<Vec<u8>>,
    authorization: Option<HeaderValue>,
    batch: usize,
    timeout: Duration,
    clock: Clock,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// What a receiver made of a request.
enum Answer {
    Taken,
    Refused(String),
    Trouble(Trouble),
}

impl Webhook {
    pub(super) fn open(declared: &Receiver, clock: Clock) -> Result<Self, OpenError> {
        let Target::Webhook { url, tls, secret_file, authorization_file, batch } = &declared.to else {
            return Err(OpenError::Address(format!("{:?}", declared.to)));
        };
        let bad = || OpenError::Address(url.clone());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
        let authority = uri.authority().ok_or_else(bad)?.as_str();
        Ok(Self {
            address: Address { host, port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }) },
            authority: HeaderValue::from_str(authority).map_err(|_| bad())?,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            tls: if is_tls { Some(network::tls(tls)?) } else { None },
            secret: secret_file.as_deref().map(secret).transpose()?,
            authorization: authorization_file.as_deref().map(authorization).transpose()?,
            batch: (*batch).max(1),
            timeout: declared.timeout,
            clock,
            connection: None,
        })
    }

    pub(super) async fn deliver(&mut self, messages: &[Message]) -> Delivery {
        let began = Instant::now();
        let mut delivery = Delivery::default();
        // Messages before this one are sent one by one: a request that held them all was refused.
        let mut single_until = 0;
        while delivery.done < messages.len() && began.elapsed() < TURN {
            let rest = &messages[delivery.done..];
            let size = if delivery.done < single_until { 1 } else { self.batch.min(rest.len()) };
            match self.post(&rest[..size]).await {
                Answer::Taken => delivery.done += size,
                Answer::Refused(why) if size == 1 => {
                    delivery.refused.push(Refused { index: delivery.done, why });
                    delivery.done += 1;
                }
                Answer::Refused(_) => single_until = delivery.done + size,
                Answer::Trouble(trouble) => {
                    delivery.trouble = Some(trouble);
                    break;
                }
            }
        }
        delivery
    }

    async fn post(&mut self, messages: &[Message]) -> Answer {
        let answered = tokio::time::timeout(self.timeout, self.exchange(messages)).await;
        match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => {
                self.connection = None;
                Answer::Trouble(Trouble::new(why))
            }
            Err(_) => {
                self.connection = None;
                Answer::Trouble(Trouble::new(format!("no answer within {:?}", self.timeout)))
            }
        }
    }

    async fn exchange(&mut self, messages: &[Message]) -> Result<Answer, String> {
        let request = self.request(messages)?;
        let mut kept = self.connection.take();
        let is_open = match &mut kept {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        let mut sender = match kept {
            Some(sender) if is_open => sender,
            _ => self.connect().await?,
        };
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let answer = judge(&response);
        if Limited::new(response.into_body(), ANSWER).collect().await.is_ok() {
            self.connection = Some(sender);
        }
        Ok(answer)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let wire = network::connect(&self.address, self.tls.as_ref()).await.map_err(|e| e.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(wire)).await.map_err(|e| e.to_string())?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a webhook broke");
            }
        });
        Ok(sender)
    }

    fn request(&self, messages: &[Message]) -> Result<Request<Full<Bytes>>, String> {
        let (content_type, id) = match messages {
            [one] => ("application/json", one.id.clone()),
            several => {
                ("application/x-ndjson", several.first().map_or_else(String::new, |first| format!("{}+{}", first.id, several.len())))
            }
        };
        let body = messages.iter().map(|message| &message.body[..]).collect::<Vec<_>>().join(&b'\n');
        let timestamp = (self.clock)() / 1_000;
        let mut request = Request::post(&self.path)
            .header(HOST, self.authority.clone())
            .header(USER_AGENT, concat!("weir/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, content_type)
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp);
        if let Some(secret) = &self.secret {
            request = request.header("webhook-signature", signature(secret, &id, timestamp, &body)?);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request.body(Full::new(body.into())).map_err(|e| e.to_string())
    }
}

/// What an answer means. Only what speaks of the body is a refusal of it: a wrong token or address is put right by people, and then the
/// record is taken.
fn judge<B>(response: &Response<B>) -> Answer {
    let status = response.status();
    match status {
        _ if status.is_success() => Answer::Taken,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Answer::Refused(format!("it answered {status}"))
        }
        _ => {
            let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            Answer::Trouble(Trouble { why: format!("it answered {status}"), wait: wait.map(Duration::from_secs) })
        }
    }
}

/// `v1,` and base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`.
fn signature(secret: &[u8], id: &str, timestamp: i64, body: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|e| e.to_string())?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

fn secret(path: &Path) -> Result<Vec<u8>, OpenError> {
    let text = line_of(path)?;
    match text.strip_prefix("whsec_") {
        None => Ok(text.into_bytes()),
        Some(encoded) => {
            let why = "behind `whsec_` there is no base64".to_owned();
            STANDARD.decode(encoded).map_err(|_| OpenError::Content { path: path.to_owned(), why })
        }
    }
}

fn authorization(path: &Path) -> Result<HeaderValue, OpenError> {
    let mut value = HeaderValue::from_str(&line_of(path)?)
        .map_err(|_| OpenError::Content { path: path.to_owned(), why: "this is no value of a header".to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

fn line_of(path: &Path) -> Result<String, OpenError> {
    let text = std::fs::read_to_string(path).map_err(|error| OpenError::File { path: path.to_owned(), error })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(OpenError::Content { path: path.to_owned(), why: "it is empty".to_owned() }) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        // The example of the specification.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_a_word_about_the_body_is_a_refusal() {
        let answer = |status: u16| judge(&Response::builder().status(status).header("retry-after", "7").body(()).unwrap());
        assert!([200, 201, 202, 204].into_iter().all(|s| matches!(answer(s), Answer::Taken)));
        assert!([400, 413, 422].into_iter().all(|s| matches!(answer(s), Answer::Refused(_))));
        for status in [301, 401, 403, 404, 408, 429, 500, 502, 503] {
            assert!(
                matches!(answer(status), Answer::Trouble(Trouble { wait: Some(wait), .. }) if wait == Duration::from_secs(7)),
                "{status}"
            );
        }
    }
}
