//! Lines of the common and the combined log format, as Apache and nginx write them, with or without a virtual host in front.
//!
//! `[vhost[:port] ]address ident user [time] "request" status bytes[ "referer" "user agent"[ "forwarded for"]]`; what follows is not read.

use super::target::{self, Target};
use super::{Decoded, Fault, GatewayFields, Position, Reason};
use engine::{Client, Exchange, Response};
use std::net::IpAddr;

/// Reads one line.
///
/// # Errors
/// It is no line of an access log, or what it tells of was no HTTP request.
pub(crate) fn decode(line: &[u8], at: Position) -> Result<Decoded, Fault> {
    let line = Parts::of(line)?;
    let request = target::percent_encoded(&line.request);
    let (method, target) = target::request_line(&request)?;
    let mut exchange = Exchange {
        time: Some(line.time),
        method: method.to_owned().into(),
        host: line.host.map(Into::into),
        client: Client { ip: line.address.map(Into::into), user_agent: line.user_agent.map(Into::into) },
        response: Response { status: line.status, bytes: line.bytes, ..Response::default() },
        ..Exchange::default()
    };
    if method == "CONNECT" && !target.contains('/') {
        exchange.host = Some(target.to_owned().into());
        exchange.path = "/".into();
    } else {
        Target::parse(target)?.fill(&mut exchange);
    }
    let gateway = GatewayFields { subject: line.user, forwarded_for: line.forwarded_for, ..GatewayFields::default() };
    Ok(Decoded { exchange, gateway, at })
}

/// A line, taken apart.
struct Parts {
    host: Option<String>,
    address: Option<String>,
    user: Option<String>,
    time: i64,
    request: Vec<u8>,
    status: Option<u16>,
    bytes: Option<u64>,
    user_agent: Option<String>,
    forwarded_for: Option<String>,
}

impl Parts {
    fn of(line: &[u8]) -> Result<Self, Fault> {
        let wrong = |what: &'static str| move || Fault::new(Reason::NotALogLine, what);
        let (start, end) = time_field(line).ok_or_else(wrong("no `[day/Mon/year:time zone]`"))?;
        let time = std::str::from_utf8(&line[start + 1..end]).ok().and_then(clf_time).ok_or_else(wrong("the time cannot be read"))?;
        let (host, address, user) = who(&String::from_utf8_lossy(&line[..start]));
        let mut rest = Rest(&line[end + 1..]);
        let request = rest.quoted().ok_or_else(wrong("no quoted request line"))?;
        let status = rest.word().ok_or_else(wrong("no status"))?;
        let bytes = rest.word();
        let _referer = rest.quoted();
        let user_agent = rest.quoted().map(|text| String::from_utf8_lossy(&text).into_owned()).filter(|text| !is_blank(text));
        let forwarded_for = rest.quoted().map(|text| String::from_utf8_lossy(&text).into_owned()).filter(|text| is_address_list(text));
        let status = number(status).and_then(|status| u16::try_from(status).ok()).filter(|status| (100..1000).contains(status));
        Ok(Self { host, address, user, time, request, status, bytes: bytes.and_then(number), user_agent, forwarded_for })
    }
}

/// Where `[10/Oct/2000:13:55:36 -0700]` stands: its brackets. A user name in front of it is the client's to choose, so the first bracket that
/// opens a time counts, not the first bracket.
fn time_field(line: &[u8]) -> Option<(usize, usize)> {
    memchr::memchr_iter(b'[', line).find_map(|start| {
        let field = &line[start + 1..];
        let end = memchr::memchr(b']', &field[..field.len().min(40)])?;
        (end >= 20 && field[0].is_ascii_digit() && field[..end].contains(&b'/')).then_some((start, start + 1 + end))
    })
}

/// `10/Oct/2000:13:55:36 -0700` to epoch milliseconds.
pub(crate) fn clf_time(text: &str) -> Option<i64> {
    let time = jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).ok()?;
    time.to_timestamp().ok().map(jiff::Timestamp::as_millisecond)
}

/// Host, address and user from what stands before the time. With host names looked up, the address is a name, which is of no use.
fn who(text: &str) -> (Option<String>, Option<String>, Option<String>) {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let is_address = |word: &&str| word.parse::<IpAddr>().is_ok();
    let at =
        usize::from(words.len() > 3 && !words.first().is_some_and(is_address) && words.get(1).is_some_and(|w| is_address(w) || *w != "-"));
    let host = (at == 1).then(|| words[0].to_owned()).filter(|host| !is_blank(host));
    let address = words.get(at).filter(|word| is_address(word)).map(|word| (*word).to_owned());
    let user = words.get(at + 2..).map(|user| user.join(" ")).filter(|user| !is_blank(user));
    (host, address, user)
}

fn is_blank(text: &str) -> bool {
    matches!(text, "" | "-" | "\"\"")
}

fn is_address_list(text: &str) -> bool {
    text.split(',').all(|word| word.trim().parse::<IpAddr>().is_ok())
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// What is left of a line.
struct Rest<'l>(&'l [u8]);

impl<'l> Rest<'l> {
    /// The next word.
    fn word(&mut self) -> Option<&'l [u8]> {
        let text = self.0.trim_ascii_start();
        let end = memchr::memchr2(b' ', b'\t', text).unwrap_or(text.len());
        self.0 = &text[end..];
        (end > 0).then(|| &text[..end])
    }

    /// The next quoted text, unescaped: `\"`, `\\`, `\n`, `\t`, … as Apache writes them, `\xHH` as both do.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let text = self.0.trim_ascii_start().strip_prefix(b"\"")?;
        let mut bytes = Vec::with_capacity(text.len().min(256));
        let mut at = 0;
        loop {
            let hit = at + memchr::memchr2(b'"', b'\\', &text[at..])?;
            bytes.extend_from_slice(&text[at..hit]);
            if text[hit] == b'"' {
                self.0 = &text[hit + 1..];
                return Some(bytes);
            }
            let hex = text.get(hit + 2..hit + 4).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
            let (byte, used) = match (text.get(hit + 1)?, hex) {
                (b'x', Some(byte)) => (byte, 4),
                (b'n', _) => (b'\n', 2),
                (b'r', _) => (b'\r', 2),
                (b't', _) => (b'\t', 2),
                (other, _) => (*other, 2),
            };
            bytes.push(byte);
            at = hit + used;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(line: &str) -> Result<Decoded, Fault> {
        decode(line.as_bytes(), Position { file: "t".into(), line: 1, entry: None })
    }

    #[test]
    fn the_common_format_with_a_virtual_host_and_a_user_with_spaces() {
        let d = decoded("shop.example:443 2001:db8::7 - ann lee [10/Oct/2000:13:55:36 -0700] \"GET /a?b=1 HTTP/1.0\" 200 -").unwrap();
        assert_eq!(d.exchange.host.as_deref(), Some("shop.example:443"));
        assert_eq!(d.exchange.client.ip.as_deref(), Some("2001:db8::7"));
        assert_eq!(d.gateway.subject.as_deref(), Some("ann lee"));
        assert_eq!(d.exchange.time, Some(971_211_336_000));
        assert_eq!((&*d.exchange.path, d.exchange.query.as_deref()), ("/a", Some("b=1")));
        assert_eq!((d.exchange.response.status, d.exchange.response.bytes), (Some(200), None));
        assert_eq!(d.exchange.request.headers, None);
    }

    #[test]
    fn a_user_name_cannot_pass_for_the_time() {
        let d = decoded("192.0.2.1 - [x] [10/Oct/2000:13:55:36 +0000] \"GET / HTTP/1.0\" 200 5").unwrap();
        assert_eq!(d.gateway.subject.as_deref(), Some("[x]"));
    }

    #[test]
    fn escapes_of_both_servers() {
        let d = decoded(
            r#"192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] "GET /a\"b\x22\\\xff\x0a HTTP/1.1" 404 0 "-" "curl \"8\"" "10.0.0.1, 10.0.0.2""#,
        )
        .unwrap();
        assert_eq!(&*d.exchange.path, "/a\"b\"\\%FF%0A");
        assert_eq!(d.exchange.client.user_agent.as_deref(), Some("curl \"8\""));
        assert_eq!(d.gateway.forwarded_for.as_deref(), Some("10.0.0.1, 10.0.0.2"));
    }

    #[test]
    fn what_is_no_request_says_so() {
        let tls = decoded(r#"192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] "\x16\x03\x01\x02" 400 157 "-" "-""#).unwrap_err();
        assert_eq!(tls.reason, Reason::NotARequest);
        for line in [
            "",
            "hello",
            "192.0.2.1 - - [10/Oct/2000:13:55:36 +0000]",
            "192.0.2.1 - - [99/Oct/2000:13:55:36 +0000] \"GET / HTTP/1.0\" 200 1",
        ] {
            assert_eq!(decoded(line).unwrap_err().reason, Reason::NotALogLine, "{line}");
        }
    }
}
