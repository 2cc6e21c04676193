//! Networks of either address family.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use rustc_hash::FxHashSet;

/// Bits in front of the IPv4 address in a v4-mapped one.
const MAPPED_BITS: u8 = 96;

/// A network of either family.
///
/// One of IPv4 also has the v4-mapped addresses of its hosts, which sockets of IPv6 have for connections over IPv4. One
/// of IPv6 has addresses of IPv6 sockets only. That is how the kernel's filter sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// Bits that all its addresses share.
    pub prefix_len: u8,
}

impl Network {
    /// The network that has this address and this many bits in common with it. A v4-mapped one is one of IPv4.
    pub fn new(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if prefix_len > bits {
            return None;
        }
        if let (IpAddr::V6(v6), MAPPED_BITS..) = (address, prefix_len)
            && let Some(v4) = v6.to_ipv4_mapped()
        {
            return Self::new(v4.into(), prefix_len - MAPPED_BITS);
        }
        let address = match address {
            IpAddr::V4(v4) => (v4 & v4_mask(prefix_len)).into(),
            IpAddr::V6(v6) => (v6 & v6_mask(prefix_len)).into(),
        };
        Some(Self { address, prefix_len })
    }

    /// Whether an address, in the family of its socket, lies in it.
    #[cfg(test)]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(v4)) => v4 & v4_mask(self.prefix_len) == network,
            (IpAddr::V4(network), IpAddr::V6(v6)) => {
                v6.to_ipv4_mapped().is_some_and(|v4| v4 & v4_mask(self.prefix_len) == network)
            }
            (IpAddr::V6(network), IpAddr::V6(v6)) => v6 & v6_mask(self.prefix_len) == network,
            (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Networks, sorted by the length of their prefixes: however many there are, few looks tell whether an address is in one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    all: Vec<Network>,
    by_prefix: Vec<(u8, FxHashSet<Network>)>,
}

impl Networks {
    /// All of them, in the order in which they were given.
    pub fn as_slice(&self) -> &[Network] {
        &self.all
    }

    /// Whether an address, in the family of its socket, lies in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        let v4 = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map(IpAddr::V4),
            IpAddr::V4(_) => None,
        };
        self.by_prefix.iter().any(|(prefix_len, networks)| {
            let is_in = |address| Network::new(address, *prefix_len).is_some_and(|network| networks.contains(&network));
            is_in(address) || v4.is_some_and(is_in)
        })
    }
}

impl From<Vec<Network>> for Networks {
    fn from(all: Vec<Network>) -> Self {
        let mut by_prefix: Vec<(u8, FxHashSet<Network>)> = Vec::new();
        for &network in &all {
            let at = by_prefix.iter().position(|(prefix_len, _)| *prefix_len == network.prefix_len);
            let at = at.unwrap_or_else(|| {
                by_prefix.push((network.prefix_len, FxHashSet::default()));
                by_prefix.len() - 1
            });
            by_prefix[at].1.insert(network);
        }
        Self { all, by_prefix }
    }
}

fn v4_mask(prefix_len: u8) -> Ipv4Addr {
    u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0).into()
}

fn v6_mask(prefix_len: u8) -> Ipv6Addr {
    u128::MAX.checked_shl(128 - u32::from(prefix_len)).unwrap_or(0).into()
}

impl FromStr for Network {
    type Err = String;

    /// An address, or an address and the length of a prefix: `192.0.2.7`, `2001:db8::/32`.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no address, nor a network such as 192.0.2.0/24 or 2001:db8::/32");
        let (address, prefix_len) = text.trim().split_once('/').map_or((text.trim(), None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let all_bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = prefix_len.map_or(Ok(all_bits), |text| text.parse().map_err(|_| bad()))?;
        Self::new(address, prefix_len).ok_or_else(bad)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn networks_contain_their_addresses_in_every_form() {
        for (net, address, expected) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.99/24", "192.0.2.1", true),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("::ffff:192.0.2.0/120", "192.0.2.9", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::ffff:8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "::ffff:8.8.8.8", true),
            ("::/0", "8.8.8.8", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ] {
            assert_eq!(network(net).contains(address.parse().expect("an address")), expected, "{net} {address}");
        }
        assert_eq!(network("192.0.2.99/24").to_string(), "192.0.2.0/24");
        assert_eq!(network("::ffff:192.0.2.0/120").to_string(), "192.0.2.0/24");
    }

    #[test]
    fn many_contain_what_one_of_them_does() {
        let all = ["192.0.2.0/24", "198.51.100.7", "0.0.0.0/7", "2001:db8::/32", "2001:db8::/126", "::fffe:0:0/95"];
        let all: Vec<Network> = all.map(network).into();
        let networks = Networks::from(all.clone());
        for address in [
            "192.0.2.9",
            "192.0.3.9",
            "::ffff:192.0.2.9",
            "::ffff:192.0.3.9",
            "198.51.100.7",
            "198.51.100.6",
            "1.255.0.0",
            "2.0.0.0",
            "2001:db8::3",
            "2001:db9::3",
            "::fffe:1.2.3.4",
        ] {
            let address: IpAddr = address.parse().expect("an address");
            let expected = all.iter().any(|network| network.contains(address));
            assert_eq!(networks.contain(address), expected, "{address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "host", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            let refused = bad.parse::<Network>().expect_err(bad);
            assert!(refused.contains("no address"), "{refused}");
        }
    }
}
