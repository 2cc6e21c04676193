//! Addresses made unknowable before anything leaves the polling thread: archive, events and logs have them no other way.
//!
//! The copy that is compared with the next poll keeps the real ones.

mod cryptopan;
mod own;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use inetdiag::{Message, attribute};

use cryptopan::CryptoPan;
pub use own::OwnAddresses;

const V4: u8 = 2;
/// Where the addresses are in `struct inet_diag_msg`.
const ADDRESSES_AT: [usize; 2] = [8, 24];
/// Bytes of an IPv6 address that `netblock` keeps, as the Go original does.
const V6_KEPT: usize = 6;

/// How addresses are changed.
#[derive(Debug, Default)]
pub enum Method {
    /// Not at all.
    #[default]
    None,
    /// To that of their network: the first three bytes of an IPv4 address, the first six of an IPv6 one.
    Netblock,
    /// Each to another, the same each time, so that those of one network stay those of one network.
    CryptoPan(Box<CryptoPan>),
}

/// Changes the addresses of sockets, but for those of this host's own interfaces.
#[derive(Debug, Default)]
pub struct Anonymizer {
    method: Method,
    own: OwnAddresses,
}

impl Method {
    /// Crypto-PAn with the key in a file: 32 bytes, or 64 hexadecimal digits.
    pub fn crypto_pan(key_file: &Path) -> Result<Self, String> {
        // It is read to be checked, and again to be used: a pipe would be empty by then.
        if std::fs::metadata(key_file).is_ok_and(|meta| !meta.is_file()) {
            return Err(format!("cannot read {}: it is no regular file", key_file.display()));
        }
        let key = std::fs::read(key_file).map_err(|error| format!("cannot read {}: {error}", key_file.display()))?;
        let key = parse_key(&key).ok_or_else(|| {
            format!("{} must hold a key of 32 bytes, or of 64 hexadecimal digits", key_file.display())
        })?;
        Ok(Self::CryptoPan(Box::new(CryptoPan::new(&key))))
    }
}

fn parse_key(bytes: &[u8]) -> Option<[u8; 32]> {
    if let Ok(key) = bytes.try_into() {
        return Some(key);
    }
    let digits = bytes.trim_ascii();
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    let mut key = [0; 32];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = (digit(2 * at)? * 16 + digit(2 * at + 1)?) as u8;
    }
    (digits.len() == 64).then_some(key)
}

impl Anonymizer {
    /// Addresses that are in `own` when they are seen stay as they are.
    pub fn new(method: Method, own: OwnAddresses) -> Self {
        Self { method, own }
    }

    /// Changes the addresses in a socket message.
    pub fn apply(&self, message: &mut [u8]) {
        if matches!(self.method, Method::None) || message.len() < ADDRESSES_AT[1] + 16 {
            return;
        }
        let is_v4 = message[0] == V4;
        for at in ADDRESSES_AT {
            if is_v4 {
                let mut octets = [0; 4];
                octets.copy_from_slice(&message[at..at + 4]);
                message[at..at + 4].copy_from_slice(&self.v4(octets.into()).octets());
            } else {
                let mut octets = [0; 16];
                octets.copy_from_slice(&message[at..at + 16]);
                message[at..at + 16].copy_from_slice(&self.v6(octets.into()).octets());
            }
        }
        self.clear_keys(message);
    }

    /// `INET_DIAG_MD5SIG` has the addresses of peers, and their keys: nothing of it stays.
    fn clear_keys(&self, message: &mut [u8]) {
        let Ok(view) = Message::new(message) else { return };
        let Some(md5sig) = view.attribute(attribute::INET_DIAG_MD5SIG) else { return };
        let span = md5sig.offset..md5sig.offset + md5sig.payload.len();
        message[span].fill(0);
    }

    fn v4(&self, address: Ipv4Addr) -> Ipv4Addr {
        if self.own.contains(address.into()) || address.is_unspecified() {
            return address;
        }
        let [a, b, c, _] = address.octets();
        match &self.method {
            Method::None => address,
            Method::Netblock => [a, b, c, 0].into(),
            Method::CryptoPan(cryptopan) => cryptopan.v4(address),
        }
    }

    /// A v4-mapped address is one of IPv4.
    fn v6(&self, address: Ipv6Addr) -> Ipv6Addr {
        if let Some(v4) = address.to_ipv4_mapped() {
            return self.v4(v4).to_ipv6_mapped();
        }
        if self.own.contains(IpAddr::from(address)) || address.is_unspecified() {
            return address;
        }
        let mut octets = address.octets();
        match &self.method {
            Method::None => address,
            Method::Netblock => {
                octets[V6_KEPT..].fill(0);
                octets.into()
            }
            Method::CryptoPan(cryptopan) => cryptopan.v6(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 2] = ["10.0.0.1", "2001:db8:1:2::1"];

    fn anonymizer(method: Method) -> Anonymizer {
        Anonymizer::new(method, OWN.iter().map(|text| text.parse::<IpAddr>().expect("an address")).collect())
    }

    fn message(source: &str, destination: &str) -> Vec<u8> {
        let mut message = vec![0xEE; 80];
        for (at, text) in ADDRESSES_AT.into_iter().zip([source, destination]) {
            match text.parse().expect("an address") {
                IpAddr::V4(v4) => {
                    message[0] = V4;
                    message[at..at + 16].fill(0);
                    message[at..at + 4].copy_from_slice(&v4.octets());
                }
                IpAddr::V6(v6) => {
                    message[0] = 10;
                    message[at..at + 16].copy_from_slice(&v6.octets());
                }
            }
        }
        message
    }

    fn changed(method: Method, source: &str, destination: &str) -> (String, String) {
        let mut bytes = message(source, destination);
        let before = bytes.clone();
        anonymizer(method).apply(&mut bytes);
        assert!(bytes[..8] == before[..8] && bytes[40..] == before[40..], "nothing else is changed");
        let header = *Message::new(&bytes).expect("long enough").header();
        (header.src().to_string(), header.dst().to_string())
    }

    #[test]
    fn netblock_keeps_networks_and_own_addresses() {
        for (source, destination, expected) in [
            ("10.0.0.1", "192.0.2.77", ("10.0.0.1", "192.0.2.0")),
            ("10.0.0.2", "10.0.0.1", ("10.0.0.0", "10.0.0.1")),
            ("::ffff:10.0.0.1", "::ffff:192.0.2.77", ("::ffff:10.0.0.1", "::ffff:192.0.2.0")),
            ("2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", ("2001:db8:1:2::1", "2001:db8:1::")),
            ("fe80::1", "::", ("fe80::", "::")),
        ] {
            let (source, destination) = changed(Method::Netblock, source, destination);
            assert_eq!((&*source, &*destination), expected);
        }
    }

    #[test]
    fn cryptopan_maps_v4_mapped_addresses_as_those_of_ipv4() {
        let method = || Method::CryptoPan(Box::new(CryptoPan::new(&[7; 32])));
        let (own, mapped) = changed(method(), "::ffff:10.0.0.1", "::ffff:192.0.2.77");
        let (_, plain) = changed(method(), "10.0.0.1", "192.0.2.77");
        assert_eq!((own, mapped), ("::ffff:10.0.0.1".to_owned(), format!("::ffff:{plain}")));
        assert_ne!(plain, "192.0.2.77");
    }

    #[test]
    fn none_changes_nothing_and_short_messages_are_left_alone() {
        assert_eq!(changed(Method::None, "10.9.8.7", "192.0.2.77"), ("10.9.8.7".into(), "192.0.2.77".into()));
        for len in 0..40 {
            let mut short = vec![2; len];
            anonymizer(Method::Netblock).apply(&mut short);
            assert_eq!(short, vec![2; len]);
        }
    }

    #[test]
    fn md5_signatures_are_cleared_for_they_name_peers() {
        let mut bytes = message("10.0.0.1", "192.0.2.77");
        bytes.truncate(72);
        bytes.extend(8u16.to_ne_bytes());
        bytes.extend(attribute::INET_DIAG_MD5SIG.to_ne_bytes());
        bytes.extend([1, 2, 3, 4]);
        anonymizer(Method::Netblock).apply(&mut bytes);
        assert_eq!(bytes[76..], [0; 4]);
    }

    #[test]
    fn keys_are_32_bytes_or_64_digits() {
        assert_eq!(parse_key(&[9; 32]), Some([9; 32]));
        assert_eq!(
            parse_key(format!("{}\n", "0aFF".repeat(16)).as_bytes()).map(|key| (key[0], key[1])),
            Some((10, 255))
        );
        for bad in ["", "0a", &"zz".repeat(32), &"00".repeat(33), &"00".repeat(31)] {
            assert_eq!(parse_key(bad.as_bytes()), None, "{bad}");
        }
    }
}
