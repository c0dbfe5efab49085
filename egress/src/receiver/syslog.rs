//! RFC 5424 messages, in datagrams (RFC 5426) or octet-counted over TCP (RFC 6587) and TLS (RFC 5425).
//!
//! Syslog has no acknowledgement. Over TCP and TLS a delivery is a connection: everything is written, our side is closed, and the
//! receiver's close says that it has read to the end. A receiver that dies before has not taken the messages, and gets them again.

use super::network::{self, Address};
use super::{Delivery, OpenError, Refused, Trouble};
use crate::message::Message;
use runtime::config::Transport;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio_rustls::TlsConnector;

/// Facility local0.
const FACILITY: u8 = 16;
/// Largest payload of a datagram, bytes.
const DATAGRAM: usize = 65_000;
/// What a receiver may say before it closes, bytes; it has nothing to say.
const CHATTER: u64 = 64 << 10;
/// How long the answer "nobody listens" to a datagram may take.
const ECHO: Duration = Duration::from_millis(20);
/// Time between two looks at a connection that is about to end.
const LOOK: Duration = Duration::from_millis(2);

/// A syslog receiver.
pub(crate) struct Syslog {
    address: Address,
    way: Way,
    hostname: String,
    timeout: Duration,
}

enum Way {
    Udp,
    Tcp,
    Tls(TlsConnector),
}

impl Syslog {
    pub(super) fn open(address: Address, transport: &Transport, instance: &str, timeout: Duration) -> Result<Self, OpenError> {
        let way = match transport {
            Transport::Udp => Way::Udp,
            Transport::Tcp => Way::Tcp,
            Transport::Tls(files) => Way::Tls(network::tls(files)?),
        };
        let hostname: String = instance.chars().filter(char::is_ascii_graphic).take(255).collect();
        Ok(Self { address, way, hostname: if hostname.is_empty() { "-".to_owned() } else { hostname }, timeout })
    }

    pub(super) async fn deliver(&self, messages: &[Message]) -> Delivery {
        let outcome = match &self.way {
            Way::Udp => tokio::time::timeout(self.timeout, self.datagrams(messages)).await,
            Way::Tcp => tokio::time::timeout(self.timeout, self.connection(messages, None)).await,
            Way::Tls(tls) => tokio::time::timeout(self.timeout, self.connection(messages, Some(tls))).await,
        };
        outcome.unwrap_or_else(|_| {
            let why = format!("it has not read everything and closed the connection within {:?}", self.timeout);
            Delivery::none(Trouble::new(why))
        })
    }

    async fn connection(&self, messages: &[Message], tls: Option<&TlsConnector>) -> Delivery {
        match self.hand_over(messages, tls).await {
            Ok(()) => Delivery::all(messages),
            Err(error) => Delivery::none(Trouble::new(error.to_string())),
        }
    }

    async fn hand_over(&self, messages: &[Message], tls: Option<&TlsConnector>) -> io::Result<()> {
        let mut frames = Vec::new();
        for message in messages {
            let text = self.text(message);
            frames.extend_from_slice(format!("{} ", text.len()).as_bytes());
            frames.extend_from_slice(&text);
        }
        let mut wire = network::connect(&self.address, tls).await?;
        wire.write_all(&frames).await?;
        wire.flush().await?;
        wire.shutdown().await?;
        let mut said = Vec::new();
        match (&mut wire).take(CHATTER).read_to_end(&mut said).await {
            Err(error) if !is_farewell(&error) => return Err(error),
            _ => {}
        }
        settled(wire.socket()).await
    }

    async fn datagrams(&self, messages: &[Message]) -> Delivery {
        match self.send_all(messages).await {
            Ok(refused) => Delivery { refused, ..Delivery::all(messages) },
            // A system that says "nobody listens" says it of an earlier datagram: all are sent again.
            Err(error) => Delivery::none(Trouble::new(error.to_string())),
        }
    }

    async fn send_all(&self, messages: &[Message]) -> io::Result<Vec<Refused>> {
        let socket = self.socket().await?;
        let mut refused = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let text = self.text(message);
            if text.len() > DATAGRAM {
                refused.push(Refused { index, why: format!("{} bytes are more than a datagram holds", text.len()) });
            } else {
                socket.send(&text).await?;
            }
        }
        tokio::time::sleep(ECHO).await;
        socket.take_error()?.map_or(Ok(refused), Err)
    }

    async fn socket(&self) -> io::Result<UdpSocket> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{} has no address", self.address.host));
        let to = lookup_host((self.address.host.as_str(), self.address.port)).await?.next().ok_or_else(missing)?;
        let any: SocketAddr = if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(to).await?;
        Ok(socket)
    }

    /// The message with its header. Bodies hold no line ends; should one ever, it becomes a space.
    fn text(&self, message: &Message) -> Vec<u8> {
        let priority = FACILITY * 8 + message.severity;
        let time = engine::time::rfc3339(message.time_ms);
        let mut text = format!("<{priority}>1 {time} {} weir - {} - ", self.hostname, message.kind).into_bytes();
        text.extend(message.body.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }));
        text
    }
}

/// Whether reading ended by the other side's close, in whatever way: TLS without its farewell, or with one that cannot be read. An alert of
/// TLS is none: it says that what we sent was not taken.
fn is_farewell(error: &io::Error) -> bool {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(_)) => false,
        Some(_) => true,
        None => error.kind() == io::ErrorKind::UnexpectedEof,
    }
}

/// Waits until the other side's system has acknowledged our close, or has said that nobody reads any more: a receiver that closed before our
/// bytes came has not read them, though its close looks the same. Linux has no peer for a connection that has come to its end; elsewhere
/// nothing tells, and such a delivery is lost.
async fn settled(socket: &TcpStream) -> io::Result<()> {
    while cfg!(target_os = "linux") && socket.peer_addr().is_ok() {
        tokio::time::sleep(LOOK).await;
    }
    socket.take_error()?.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_rfc_5424_whatever_the_instance_is_called() {
        let address = Address { host: "h".to_owned(), port: 1 };
        let message = Message { id: String::new(), time_ms: 1_767_722_201_879, severity: 3, kind: "alert", body: b"CEF:0|a\nb".to_vec() };
        for (instance, hostname) in [("scorer-1", "scorer-1"), ("my host\n<1>", "myhost<1>"), ("\n", "-")] {
            let syslog = Syslog::open(address.clone(), &Transport::Udp, instance, Duration::from_secs(1)).unwrap();
            let text = String::from_utf8(syslog.text(&message)).unwrap();
            assert_eq!(text, format!("<131>1 2026-01-06T17:56:41.879Z {hostname} weir - alert - CEF:0|a b"));
        }
    }
}
