//! Crypto-PAn (Xu, Fan, Ammar, Moon 2002): addresses that share a prefix of any length go on to share it, and no more.

use std::net::{Ipv4Addr, Ipv6Addr};

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};

/// The mapping of one key.
pub struct CryptoPan {
    cipher: Aes128,
    pad: u128,
}

impl CryptoPan {
    /// The first half of the key is that of AES, the second one makes the padding.
    pub fn new(key: &[u8; 32]) -> Self {
        let (key, pad) = key.split_at(16);
        let cipher = Aes128::new(key.into());
        let pad = encrypt(&cipher, u128::from_be_bytes(std::array::from_fn(|at| pad[at])));
        Self { cipher, pad }
    }

    /// The address that stands for one of IPv4.
    pub fn v4(&self, address: Ipv4Addr) -> Ipv4Addr {
        let address = u32::from(address);
        (address ^ (self.mask(u128::from(address) << 96, 32) >> 96) as u32).into()
    }

    /// The address that stands for one of IPv6.
    pub fn v6(&self, address: Ipv6Addr) -> Ipv6Addr {
        let address = u128::from(address);
        (address ^ self.mask(address, 128)).into()
    }

    /// Which of the leading bits are flipped: of each, the bits before it decide.
    fn mask(&self, address: u128, bits: u32) -> u128 {
        (0..bits).fold(0, |mask, known| {
            let of_padding = u128::MAX.checked_shr(known).unwrap_or(0);
            let input = (address & !of_padding) | (self.pad & of_padding);
            mask | (encrypt(&self.cipher, input) >> 127) << (127 - known)
        })
    }
}

fn encrypt(cipher: &Aes128, block: u128) -> u128 {
    let mut block = block.to_be_bytes().into();
    cipher.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

impl std::fmt::Debug for CryptoPan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CryptoPan(a key)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the addresses that come with the reference implementation.
    const KEY: [u8; 32] = [
        21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121, 101, 39,
        98, 87, 76, 45, 42, 132, 34, 2,
    ];

    #[test]
    fn addresses_map_as_in_the_reference_implementation() {
        let cryptopan = CryptoPan::new(&KEY);
        for (address, expected) in [
            ("128.11.68.132", "135.242.180.132"),
            ("129.118.74.4", "134.136.186.123"),
            ("130.132.252.244", "133.68.164.234"),
            ("141.223.7.43", "141.167.8.160"),
            ("24.0.250.221", "100.15.198.226"),
        ] {
            let address: Ipv4Addr = address.parse().expect("an address");
            assert_eq!(cryptopan.v4(address).to_string(), expected);
        }
    }

    #[test]
    fn what_is_shared_stays_shared_and_no_more() {
        let cryptopan = CryptoPan::new(&KEY);
        let base = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6));
        let mapped = u128::from(cryptopan.v6(base.into()));
        for bit in 0..128 {
            let other = u128::from(cryptopan.v6((base ^ 1 << bit).into()));
            assert_eq!((mapped ^ other).leading_zeros(), 127 - bit, "the first bit that differs is still that one");
        }
        let base = u32::from(Ipv4Addr::new(192, 0, 2, 1));
        let mapped = u32::from(cryptopan.v4(base.into()));
        for bit in 0..32 {
            assert_eq!((mapped ^ u32::from(cryptopan.v4((base ^ 1 << bit).into()))).leading_zeros(), 31 - bit);
        }
    }
}
