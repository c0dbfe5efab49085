//! Where clients come from: homes, offices behind one address, mobile carriers, data centres. All of it in ranges kept for documentation,
//! benchmarks and private use.

use crate::chance::{Chance, mix};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const OFFICES: u64 = 40;

/// The home network of an account: fixed by its key. One in eight speaks IPv6.
pub(crate) fn home_of(key: u64) -> IpAddr {
    let bits = mix(key, 0x40);
    if bits.is_multiple_of(8) {
        let [_, _, a, b, c, d, ..] = bits.to_be_bytes().map(u16::from);
        return Ipv6Addr::new(0x2001, 0xdb8, 0x1000 + a, b << 4, c, d, 0, 0x17).into();
    }
    // Sixty providers with some /24s each.
    let provider = (bits >> 8) % 60;
    Ipv4Addr::new(10, 20 + provider as u8, (bits >> 16) as u8, ((bits >> 24) % 254 + 1) as u8).into()
}

/// The office of an account: many share one address.
pub(crate) fn office_of(key: u64) -> IpAddr {
    office(mix(key, 0x41) % OFFICES)
}

/// The address of an office.
pub(crate) fn office(number: u64) -> IpAddr {
    Ipv4Addr::new(198, 18, (number % 200) as u8, 10).into()
}

/// An address of a mobile carrier, shared by hundreds.
pub(crate) fn carrier_of(key: u64, chance: &mut Chance) -> IpAddr {
    let carrier = mix(key, 0x42) % 5;
    Ipv4Addr::new(100, 64 + carrier as u8, chance.below(24) as u8, (1 + chance.below(16)) as u8).into()
}

/// An address in a data centre that rents to anybody.
pub(crate) fn data_centre(chance: &mut Chance) -> IpAddr {
    Ipv4Addr::new(198, 19, 128 + chance.below(100) as u8, 1 + chance.below(254) as u8).into()
}

/// An address that looks like anybody's home: what attackers rent when they do not want to stand out.
pub(crate) fn stranger(chance: &mut Chance) -> IpAddr {
    home_of(chance.bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn homes_lie_in_many_networks() {
        let networks: BTreeSet<_> = (0..2_000u64)
            .map(|n| match home_of(mix(7, n)) {
                IpAddr::V4(v4) => v4.octets()[..3].to_vec(),
                IpAddr::V6(v6) => v6.octets()[..6].to_vec(),
            })
            .collect();
        assert!(networks.len() > 1_500, "{}", networks.len());
    }
}
