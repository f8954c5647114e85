//! Addresses -> the networks that they are in.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

/// How long the prefixes are that are shown of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Networks {
    /// Bits of IPv4 addresses, 0 to 32.
    pub v4: u8,
    /// Bits of IPv6 addresses, 0 to 128. An IPv4 address written as one of IPv6 is one of IPv4.
    pub v6: u8,
}

impl Networks {
    /// What is usually taken for one line of one customer.
    pub const USUAL: Self = Self { v4: 24, v6: 48 };

    /// Makes the network of an address; false when it is none.
    pub(super) fn apply(self, value: &mut Vec<u8>) -> bool {
        let Some(network) = self.of(value) else { return false };
        value.clear();
        value.extend_from_slice(Shown::of(network).text());
        true
    }

    fn of(self, value: &[u8]) -> Option<(IpAddr, u8)> {
        let text = std::str::from_utf8(value).ok()?;
        // The interface of a link-local address says nothing to others.
        let address: IpAddr = text.split_once('%').map_or(text, |(address, _)| address).parse().ok()?;
        Some(match address.to_canonical() {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.v4.min(32))).unwrap_or(0);
                (IpAddr::from((address.to_bits() & mask).to_be_bytes()), self.v4.min(32))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.v6.min(128))).unwrap_or(0);
                (IpAddr::from((address.to_bits() & mask).to_be_bytes()), self.v6.min(128))
            }
        })
    }

    /// True when `value` is such a network.
    pub(super) fn may_show(self, value: &[u8]) -> bool {
        let address = memchr::memrchr(b'/', value).and_then(|slash| value.get(..slash));
        let network = address.and_then(|address| self.of(address));
        network.is_some_and(|network| Shown::of(network).text() == value)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.v4, self.v6)
    }
}

/// A network as text.
struct Shown {
    /// The longest address of IPv6, a slash and three digits are 49.
    text: [u8; 64],
    length: usize,
}

impl Shown {
    fn of((address, bits): (IpAddr, u8)) -> Self {
        let mut shown = Self { text: [0; 64], length: 0 };
        // It always has room.
        let _ = write!(shown, "{address}/{bits}");
        shown
    }

    fn text(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Write for Shown {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.text.get_mut(self.length..self.length + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(networks: Networks, address: &str) -> Option<String> {
        let mut value = address.as_bytes().to_vec();
        networks.apply(&mut value).then(|| String::from_utf8(value).expect("text"))
    }

    #[test]
    fn addresses_become_their_networks() {
        let usual = Networks::USUAL;
        let cases = [
            ("192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("fe80::1%eth0", "fe80::/48"),
            ("::1", "::/48"),
        ];
        for (address, network) in cases {
            assert_eq!(shown(usual, address).as_deref(), Some(network));
            assert!(usual.may_show(network.as_bytes()));
        }
        for no_address in ["", "unix", "192.0.2", "192.0.2.1:80", "[::1]", "192.0.2.0/24", "1.2.3.4 ", "::g"] {
            assert_eq!(shown(usual, no_address), None, "{no_address}");
        }
        for other in ["192.0.2.0/25", "192.0.2.1/24", "192.0.2.0", "::/47", "/24", "", "::ffff:192.0.2.0/24"] {
            assert!(!usual.may_show(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn every_length_is_possible() {
        for v4 in 0..=32 {
            let whole = shown(Networks { v4, v6: 0 }, "255.255.255.255").expect("a network");
            let (address, bits) = whole.split_once('/').expect("a slash");
            let ones = address.parse::<std::net::Ipv4Addr>().expect("an address").to_bits().leading_ones();
            assert_eq!((ones, bits.parse()), (u32::from(v4), Ok(v4)));
        }
        for v6 in 0..=128 {
            let whole = shown(Networks { v4: 0, v6 }, &format!("{}", std::net::Ipv6Addr::from_bits(u128::MAX)));
            let whole = whole.expect("a network");
            let (address, bits) = whole.split_once('/').expect("a slash");
            let ones = address.parse::<std::net::Ipv6Addr>().expect("an address").to_bits().leading_ones();
            assert_eq!((ones, bits.parse()), (u32::from(v6), Ok(v6)));
        }
    }
}
