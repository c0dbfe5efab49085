//! Durations and sizes as people write them.

use std::time::Duration;

const DURATIONS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: [(&str, u64); 8] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads `250ms`, `10s`, `30m`, `24h`, `30d`, or several in a row (`1h30m`).
///
/// # Errors
/// Says what a duration looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no duration: write a number and a unit, like `250ms`, `10s`, `30m`, `24h` or `30d`");
    let mut rest = text.trim();
    let mut millis: u64 = 0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let factor = DURATIONS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor).ok_or_else(bad)?;
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(*factor)).ok_or_else(bad)?;
        millis = millis.checked_add(part).ok_or_else(bad)?;
        rest = tail;
    }
    Ok(Duration::from_millis(millis))
}

/// Reads `512KiB`, `64MiB`, `8GiB`, `1000000` (bytes).
///
/// # Errors
/// Says what a size looks like.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is no size: write bytes, or a number and a unit, like `512KiB`, `64MiB` or `8GiB`");
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number = number.parse::<u64>().map_err(|_| bad())?;
    let unit = unit.trim_start();
    let factor = if unit.is_empty() {
        1
    } else {
        *SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| factor).ok_or_else(bad)?
    };
    number.checked_mul(factor).ok_or_else(bad)
}

/// A duration, in the largest unit that leaves nothing over.
pub(super) fn written_duration(millis: u64) -> String {
    let fits = DURATIONS.iter().rev().find(|(_, factor)| millis >= *factor && millis.is_multiple_of(*factor));
    fits.map_or_else(|| format!("{millis}ms"), |(unit, factor)| format!("{}{unit}", millis / factor))
}

/// A size, in the largest binary unit that leaves nothing over.
pub(super) fn written_size(bytes: u64) -> String {
    let fits = SIZES[1..5].iter().rev().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    fits.map_or_else(|| format!("{bytes}B"), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_written() {
        for (text, millis) in
            [("250ms", 250), ("10s", 10_000), ("30m", 1_800_000), ("24h", 86_400_000), ("30d", 2_592_000_000), ("1h30m", 5_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "s", "10 s", "-1s", "1.5h", "10y", "99999999999999999999d", "18446744073709551615d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_written() {
        for (text, bytes) in
            [("0", 0), ("17", 17), ("512KiB", 524_288), ("64 MiB", 67_108_864), ("1gib", 1_073_741_824), ("5MB", 5_000_000)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "3 bananas", "18446744073709551615KiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(n in any::<u64>(), small in 0..1_000_000u64) {
            for n in [n, small, small * 1_024, small * 60_000] {
                prop_assert_eq!(duration(&written_duration(n)), Ok(Duration::from_millis(n)));
                prop_assert_eq!(size(&written_size(n)), Ok(n));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = (duration(&text), size(&text));
        }
    }
}
