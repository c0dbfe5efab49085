//! Names of things in the shop, as types.

use std::fmt;
use std::str::FromStr;

/// A UUID, printed in lower case with hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Uuid(u128);

impl Uuid {
    /// A version 4 UUID of random bits.
    pub(crate) fn random(high: u64, low: u64) -> Self {
        let bits = u128::from(high) << 64 | u128::from(low);
        Self(bits & !(0xF << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62)
    }

    /// 64 of its bits, to draw fixed things from.
    pub(crate) fn key(self) -> u64 {
        (self.0 >> 64) as u64 ^ self.0 as u64
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (b >> 96) as u32,
            (b >> 80) as u16,
            (b >> 64) as u16,
            (b >> 48) as u16,
            b & 0xFFFF_FFFF_FFFF
        )
    }
}

/// The text is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoUuid;

impl FromStr for Uuid {
    type Err = NoUuid;

    fn from_str(text: &str) -> Result<Self, NoUuid> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|&i| bytes[i] != b'-') {
            return Err(NoUuid);
        }
        let mut bits = 0u128;
        for (i, &byte) in bytes.iter().enumerate() {
            if matches!(i, 8 | 13 | 18 | 23) {
                continue;
            }
            let digit = char::from(byte).to_digit(16).ok_or(NoUuid)?;
            bits = bits << 4 | u128::from(digit);
        }
        Ok(Self(bits))
    }
}

/// An account of the shop: its index in the shop's table. On the wire it is [`UserId::number`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UserId(pub(crate) u32);

impl UserId {
    const FIRST: u32 = 100_214;

    /// The number that stands in paths and bodies.
    pub(crate) fn number(self) -> u32 {
        self.0 + Self::FIRST
    }

    /// The account of a number as it stands in paths.
    pub(crate) fn of_number(number: u32) -> Option<Self> {
        number.checked_sub(Self::FIRST).map(Self)
    }
}

/// A product: its index in the catalogue. On the wire it is [`ProductId::number`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProductId(pub(crate) u32);

impl ProductId {
    const FIRST: u32 = 4_011;

    /// The number that stands in paths and bodies.
    pub(crate) fn number(self) -> u32 {
        self.0 * 3 + Self::FIRST
    }

    /// The product of a number as it stands in paths.
    pub(crate) fn of_number(number: u32) -> Option<Self> {
        number.checked_sub(Self::FIRST).filter(|n| n % 3 == 0).map(|n| Self(n / 3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_prints_and_reads_back() {
        let uuid = Uuid::random(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
        let text = uuid.to_string();
        assert_eq!(text, "01234567-89ab-4def-bedc-ba9876543210");
        assert_eq!(text.parse(), Ok(uuid));
        for bad in
            ["", "01234567-89ab-4def-bedc-ba987654321", "01234567x89ab-4def-bedc-ba9876543210", "g1234567-89ab-4def-bedc-ba9876543210"]
        {
            assert_eq!(bad.parse::<Uuid>(), Err(NoUuid), "{bad}");
        }
    }

    #[test]
    fn numbers_read_back() {
        assert_eq!(UserId::of_number(UserId(9).number()), Some(UserId(9)));
        assert_eq!(UserId::of_number(3), None);
        assert_eq!(ProductId::of_number(ProductId(40).number()), Some(ProductId(40)));
        assert_eq!(ProductId::of_number(ProductId(40).number() + 1), None);
    }
}
