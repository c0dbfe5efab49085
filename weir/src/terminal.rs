//! What a person reads: colours on a terminal only, numbers with separators, and nothing of an attacker's that a terminal would obey.

use engine::{Label, Verdict};
use std::fmt::Write as _;
use std::io::IsTerminal;

/// Colours or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    colour: bool,
}

impl Paint {
    /// Colours if standard output is a terminal and `NO_COLOR` is not set.
    pub(crate) fn of_stdout() -> Self {
        Self { colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// No colours.
    pub(crate) fn plain() -> Self {
        Self { colour: false }
    }

    fn sgr(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Stands out.
    pub(crate) fn bold(self, text: &str) -> String {
        self.sgr("1", text)
    }

    /// Steps back.
    pub(crate) fn dim(self, text: &str) -> String {
        self.sgr("2", text)
    }

    /// Is wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.sgr("1;31", text)
    }

    /// Is well.
    pub(crate) fn green(self, text: &str) -> String {
        self.sgr("32", text)
    }

    /// Is to be looked at.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.sgr("33", text)
    }

    /// A verdict on one line: time, label, score, endpoint, status, families.
    pub(crate) fn verdict_line(self, verdict: &Verdict) -> String {
        let time = verdict.time.as_deref().unwrap_or("(no time)");
        let label = match verdict.label {
            Label::Anomalous => self.red("anomalous   "),
            Label::Benign => self.green("benign      "),
            Label::Insufficient => self.dim("insufficient"),
        };
        let status = verdict.status.map_or_else(|| "–".to_owned(), |s| s.to_string());
        let families: Vec<&str> = verdict.families.iter().map(|f| f.name()).collect();
        let mut line = format!(
            "{}  {label}  {:>6.2}  {}  {}",
            self.dim(&clean(time)),
            verdict.score,
            self.bold(&clean(&verdict.endpoint)),
            self.dim(&status)
        );
        if !families.is_empty() {
            let _ = write!(line, "  {}", self.yellow(&families.join(", ")));
        }
        let _ = write!(line, "  {}", self.dim(&clean(&verdict.id)));
        line
    }

    /// The reasons of a verdict, indented, below who sent the request and for what path: where, what was observed, what was expected, on how
    /// much support. Ends with a line end unless empty.
    pub(crate) fn reasons(self, verdict: &Verdict) -> String {
        let mut text = String::new();
        if !verdict.reasons.is_empty() {
            let client = verdict.client.as_deref().map_or_else(String::new, |client| format!("{}  ", clean(client)));
            let _ = writeln!(text, "    {}", self.dim(&format!("{client}{}", clean(&verdict.path))));
        }
        for reason in &verdict.reasons {
            let owasp = reason.owasp.as_deref().map_or_else(String::new, |class| format!(" {class}"));
            let _ = writeln!(
                text,
                "    {} {}  {}",
                self.yellow(reason.family.name()),
                self.bold(&clean(&reason.place)),
                self.dim(&format!("({}{owasp}, p {:.1e})", reason.detector.name(), reason.p))
            );
            let _ = writeln!(text, "        observed  {}", clean(&reason.observed));
            let _ = write!(text, "        expected  {}", clean(&reason.expected));
            if reason.support > 0 {
                let _ = write!(text, " {}", self.dim(&format!("(on {} observations)", count(reason.support))));
            }
            text.push('\n');
        }
        text
    }
}

/// Text without control characters: an attacker's path must not move the cursor or change the title of the window.
pub(crate) fn clean(text: &str) -> String {
    if !text.chars().any(is_unprintable) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_unprintable(c) { format!("\\u{{{:x}}}", u32::from(c)) } else { c.to_string() }).collect()
}

/// Controls, and the marks that turn the direction of text.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// 1234567 as `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::{DetectorKind, Family, Reason, Stage};

    fn verdict() -> Verdict {
        Verdict {
            id: "weir.traffic-0-7".to_owned(),
            exchange_id: None,
            time: Some("2026-01-05T10:00:00.000Z".to_owned()),
            stage: Stage::Evaluating,
            model: Some("v1".to_owned()),
            label: Label::Anomalous,
            score: 51.2,
            p: 7.6e-6,
            alpha: 1e-4,
            api: "a".to_owned(),
            endpoint: "POST a/v1/\u{1b}]0;owned\u{7}".to_owned(),
            path: "/v1".to_owned(),
            status: Some(201),
            session: None,
            subject: None,
            client: Some("203.0.113.7".to_owned()),
            families: vec![Family::MassAssignment],
            reasons: vec![Reason {
                detector: DetectorKind::Content,
                family: Family::MassAssignment,
                owasp: Family::MassAssignment.owasp().map(str::to_owned),
                p: 7.1e-6,
                place: "request.body.is_admin".to_owned(),
                observed: "never sent".to_owned(),
                expected: "one of 6 known fields".to_owned(),
                support: 482_110,
            }],
            blind: Vec::new(),
        }
    }

    #[test]
    fn a_terminal_obeys_nothing_that_a_verdict_carries() {
        let line = Paint::plain().verdict_line(&verdict());
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.contains("\\u{1b}"), "{line}");
        assert!(clean("a\u{202e}b").is_ascii());
    }

    #[test]
    fn a_reason_says_where_what_was_seen_and_what_was_expected() {
        let text = Paint::plain().reasons(&verdict());
        assert_eq!(
            text,
            "    203.0.113.7  /v1\n    mass_assignment request.body.is_admin  (content API3:2023, p 7.1e-6)\n        observed  never sent\n        expected  one of 6 known fields (on 482,110 observations)\n"
        );
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
    }
}
