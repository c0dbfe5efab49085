//! Event times as epoch milliseconds; the text forms they have on the wire. Nothing here reads a clock.

use jiff::Timestamp;

/// Last millisecond of the year 9999.
const LAST: i64 = 253_402_300_799_999;

/// The time, if it is one that a clock may have shown: 1970 to 9999. What is reckoned with such times does not overflow.
#[must_use]
pub fn plausible(ms: i64) -> Option<i64> {
    (0..=LAST).contains(&ms).then_some(ms)
}

/// RFC 3339, or digits of epoch milliseconds, to epoch milliseconds (UTC).
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    if !text.is_empty() && text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    None
}

/// Epoch milliseconds as RFC 3339 in UTC with three decimals; times outside years −9999 to 9999 as their nearest bound.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    format!("{time:.3}")
}
