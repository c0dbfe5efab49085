//! Common Event Format, version 0.
//!
//! **Invariant:** whatever stands in an exchange, there is one line, seven fields in its header, and no key in its extension but ours.

use crate::event::{Event, Kind};
use engine::IncidentLife;
use std::fmt::Write as _;
use std::net::IpAddr;

/// Longest value of the extension, characters; receivers cut longer ones.
const LONGEST: usize = 1_023;

/// The event as one line, without line end.
pub(crate) fn line(event: &Event) -> String {
    let class = event.families.first().map_or("verdict", String::as_str);
    let mut line = format!(
        "CEF:0|Weir|Weir|{}|{}|{}|{}|",
        env!("CARGO_PKG_VERSION"),
        header(class),
        header(&event.summary()),
        // Severity is 0 to 10; a score of 100 is one in ten thousand million.
        (event.score / 10.0).clamp(0.0, 10.0) as u8,
    );
    let mut extension = Extension(&mut line);
    extension.put("externalId", &event.id);
    // Milliseconds, as for `start` and `end`: receivers know no RFC 3339 here.
    if let Some(ms) = event.time.as_deref().and_then(engine::time::parse) {
        extension.put("rt", &ms.to_string());
    }
    match event.kind {
        Kind::Verdict(label) => {
            extension.put("cat", "verdict");
            extension.put("outcome", label.name());
        }
        Kind::Alert { life, verdicts, first_ms, last_ms } => {
            extension.put("cat", "alert");
            extension.put("act", name(life));
            extension.put("cnt", &verdicts.to_string());
            extension.put("start", &first_ms.to_string());
            extension.put("end", &last_ms.to_string());
        }
    }
    match event.client.as_deref().map(|client| (client, client.parse::<IpAddr>())) {
        Some((client, Ok(IpAddr::V4(_)))) => extension.put("src", client),
        Some((client, Ok(IpAddr::V6(_)))) => extension.labelled("c6a2", "Source IPv6 Address", client),
        Some((client, Err(_))) => extension.labelled("cs5", "client", client),
        None => {}
    }
    if let Some(host) = event.host() {
        extension.put("dhost", host);
    }
    if let Some(method) = event.method() {
        extension.put("requestMethod", method);
    }
    extension.put("request", &event.path);
    if let Some(subject) = &event.subject {
        extension.put("suid", subject);
    }
    if let Some(status) = event.status {
        extension.labelled("cn1", "status", &status.to_string());
    }
    extension.labelled("cs1", "endpoint", &event.endpoint);
    if let Some(why) = event.reasons.first() {
        extension.labelled("cs2", "detector", &why.detector);
        extension.put("msg", &format!("{} {}; expected {}", why.place, why.observed, why.expected));
    }
    if let Some(model) = &event.model {
        extension.labelled("cs3", "model", model);
    }
    if let Some(session) = &event.session {
        extension.labelled("cs4", "session", session);
    }
    if let Some(owasp) = &event.owasp {
        extension.labelled("cs6", "owasp", owasp);
    }
    extension.labelled("cfp1", "score", &event.score.to_string());
    extension.labelled("cfp2", "alpha", &event.alpha.to_string());
    line.truncate(line.trim_end().len());
    line
}

fn name(life: IncidentLife) -> &'static str {
    match life {
        IncidentLife::Created => "created",
        IncidentLife::Updated => "updated",
        IncidentLife::Closed => "closed",
    }
}

/// The part behind the header.
struct Extension<'l>(&'l mut String);

impl Extension<'_> {
    fn put(&mut self, key: &str, value: &str) {
        // Writing to a `String` cannot fail.
        let _ = write!(self.0, "{key}={} ", value_of(value));
    }

    fn labelled(&mut self, key: &str, label: &str, value: &str) {
        self.put(&format!("{key}Label"), label);
        self.put(key, value);
    }
}

/// A field of the header: `\` and `|` escaped, on one line.
fn header(text: &str) -> String {
    escaped(text, 512, |c| matches!(c, '\\' | '|'), |_| " ")
}

/// A value of the extension: `\` and `=` escaped, line ends written as `\n` and `\r`.
fn value_of(text: &str) -> String {
    escaped(text, LONGEST, |c| matches!(c, '\\' | '='), |c| if c == '\r' { "\\r" } else { "\\n" })
}

fn escaped(text: &str, longest: usize, is_special: impl Fn(char) -> bool, line_end: impl Fn(char) -> &'static str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(longest) {
        match c {
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push_str(line_end(c)),
            c if c.is_control() => out.push(' '),
            c if is_special(c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Why;
    use crate::message::tests::{alert, verdict};
    use proptest::prelude::*;

    /// Header fields and extension of a line, as a receiver takes them apart.
    fn taken_apart(line: &str) -> (Vec<String>, Vec<(String, String)>) {
        let mut fields = vec![String::new()];
        let mut chars = line.chars();
        while fields.len() < 8 {
            match chars.next() {
                Some('\\') => fields.last_mut().unwrap().extend(chars.next()),
                Some('|') => fields.push(String::new()),
                Some(c) => fields.last_mut().unwrap().push(c),
                None => break,
            }
        }
        fields.pop();
        let rest: Vec<char> = chars.collect();
        let is_equals = |i: usize| rest[i] == '=' && rest[..i].iter().rev().take_while(|c| **c == '\\').count() % 2 == 0;
        let starts: Vec<(usize, usize)> = (0..rest.len())
            .filter(|i| is_equals(*i))
            .map(|equals| (rest[..equals].iter().rposition(|c| *c == ' ').map_or(0, |space| space + 1), equals))
            .collect();
        let ends = starts.iter().skip(1).map(|(start, _)| start - 1).chain([rest.len()]);
        let text = |range: std::ops::Range<usize>| rest[range].iter().collect::<String>();
        (fields, starts.iter().zip(ends).map(|((start, equals), end)| (text(*start..*equals), text(*equals + 1..end))).collect())
    }

    #[test]
    fn an_alert_on_one_line() {
        let line = line(&Event::of_alert(&alert()).unwrap());
        assert_eq!(
            line,
            "CEF:0|Weir|Weir|0.1.0|mass_assignment|mass_assignment on PATCH api.shop.example/v2/users/me: request.body.is_admin field never sent to this endpoint (bool)|10|\
             externalId=weir.traffic-0-18791-mass_assignment rt=1767722301879 cat=alert act=updated cnt=3 start=1767722201879 end=1767722301879 \
             src=203.0.113.7 dhost=api.shop.example requestMethod=PATCH request=/v2/users/me suid=7fc6 cn1Label=status cn1=200 \
             cs1Label=endpoint cs1=PATCH api.shop.example/v2/users/me cs2Label=detector cs2=content \
             msg=request.body.is_admin field never sent to this endpoint (bool); expected one of 7 known fields \
             cs3Label=model cs3=v1 cs4Label=session cs4=ab48 cs6Label=owasp cs6=API3:2023 cfp1Label=score cfp1=102.12 cfp2Label=alpha cfp2=0.0001"
        );
    }

    #[test]
    fn pipes_equals_signs_and_line_ends_of_an_attacker_stay_values() {
        let mut event = Event::of_verdict(&verdict()).unwrap();
        event.path = "/x\\\nCEF:0|Fake|Fake|1|1|calm|0| act=allowed src=10.0.0.1".to_owned();
        event.endpoint = "GET h/|a|b\r\n<14>1 - fake".to_owned();
        let line = line(&event);
        assert!(!line.contains(['\n', '\r']), "{line}");
        let (header, extension) = taken_apart(&line);
        assert_eq!(header.len(), 7, "{header:?}");
        assert!(
            extension.iter().all(|(key, _)| key != "act" && key != "src" || key == "src" && line.contains("src=203.0.113.7")),
            "{extension:?}"
        );
        assert_eq!(extension.iter().filter(|(key, _)| key == "src").count(), 1);
        assert!(line.contains(r"request=/x\\\nCEF:0|Fake|Fake|1|1|calm|0| act\=allowed src\=10.0.0.1"), "{line}");
    }

    proptest! {
        #[test]
        fn no_text_adds_a_line_a_header_field_or_a_key(texts in proptest::collection::vec("\\PC{0,20}|[|=\\\\\\n\\r \u{2028}a-c]{0,20}", 8)) {
            let mut event = Event::of_verdict(&verdict()).unwrap();
            let known = taken_apart(&line(&event)).1.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
            let [path, endpoint, place, observed, expected, session, family, model] = <[String; 8]>::try_from(texts).unwrap();
            event.reasons = vec![Why { detector: "content".to_owned(), place, observed, expected }];
            (event.path, event.endpoint, event.families) = (path, format!("GET h/{endpoint}"), vec![family]);
            (event.session, event.model) = (Some(session), Some(model));
            let line = line(&event);
            let is_line_end = |c: char| c.is_control() || c == '\u{2028}';
            prop_assert!(!line.contains(is_line_end));
            let (header, extension) = taken_apart(&line);
            prop_assert_eq!(header.len(), 7);
            prop_assert_eq!(extension.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), known);
        }
    }
}
