//! Attributes that are lists: addresses of multihomed sockets, TCP MD5 keys, BPF storage.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6};

use super::attribute::INET_DIAG_SK_BPF_STORAGES;
use crate::dump::{AttributeError, AttributeFault, Attributes};

/// Size of an entry of `INET_DIAG_LOCALS` and `INET_DIAG_PEERS`.
pub(crate) const SOCKADDR_STORAGE_LEN: usize = 128;
/// Size of an entry of `INET_DIAG_MD5SIG`.
pub(crate) const MD5SIG_LEN: usize = 100;
const MD5SIG_KEY_OFFSET: usize = 20;

/// One `struct tcp_diag_md5sig` (`INET_DIAG_MD5SIG`, since Linux 4.14): a peer for which TCP MD5 (RFC 2385) is set.
/// The key that the kernel adds for privileged readers is never decoded, and never archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Md5Sig {
    /// Peer address.
    pub addr: IpAddr,
    /// Length of the address prefix the key is for, in bits.
    pub prefixlen: u8,
    /// Length of the key, in bytes.
    pub keylen: u16,
}

/// One entry of `INET_DIAG_SK_BPF_STORAGES` (since Linux 5.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpfStorage {
    /// Id of the map that the value belongs to.
    pub map_id: u32,
    /// The value, laid out as the BPF program defined it.
    pub value: Vec<u8>,
}

/// Decodes `INET_DIAG_LOCALS` and `INET_DIAG_PEERS`; entries of other families are left out.
pub(crate) fn socket_addresses(payload: &[u8]) -> Vec<SocketAddr> {
    payload.chunks_exact(SOCKADDR_STORAGE_LEN).filter_map(socket_address).collect()
}

fn socket_address(sockaddr: &[u8]) -> Option<SocketAddr> {
    let family = u8::try_from(u16::from_ne_bytes(bytes_at(sockaddr, 0)?)).ok()?;
    let port = u16::from_be_bytes(bytes_at(sockaddr, 2)?);
    match family {
        AF_INET => Some((Ipv4Addr::from(bytes_at::<4>(sockaddr, 4)?), port).into()),
        AF_INET6 => {
            let address = Ipv6Addr::from(bytes_at::<16>(sockaddr, 8)?);
            let scope = u32::from_ne_bytes(bytes_at(sockaddr, 24)?);
            Some(SocketAddrV6::new(address, port, 0, scope).into())
        }
        _ => None,
    }
}

/// Decodes `INET_DIAG_MD5SIG`.
pub(crate) fn md5_signatures(payload: &[u8]) -> Vec<Md5Sig> {
    payload.chunks_exact(MD5SIG_LEN).filter_map(md5_signature).collect()
}

fn md5_signature(entry: &[u8]) -> Option<Md5Sig> {
    let addr = match entry[0] {
        AF_INET => IpAddr::from(bytes_at::<4>(entry, 4)?),
        _ => IpAddr::from(bytes_at::<16>(entry, 4)?),
    };
    Some(Md5Sig { addr, prefixlen: entry[1], keylen: u16::from_ne_bytes(bytes_at(entry, 2)?) })
}

/// The value of an `INET_DIAG_MD5SIG` attribute with every key overwritten by zeros.
pub(crate) fn without_md5_keys(payload: &[u8]) -> Vec<u8> {
    let mut redacted = payload.to_vec();
    for entry in redacted.chunks_mut(MD5SIG_LEN) {
        let key = MD5SIG_KEY_OFFSET.min(entry.len());
        entry[key..].fill(0);
    }
    redacted
}

const STORAGE: u16 = 1;
const MAP_ID: u16 = 2;
const MAP_VALUE: u16 = 3;

/// The value in an `INET_DIAG_SK_BPF_STORAGES` attribute that has one, of whichever map.
pub(crate) fn only_storage(payload: &[u8]) -> Option<&[u8]> {
    let mut entries = Attributes::new(payload, 0);
    let entry = entries.next()?.ok().filter(|entry| entry.kind == STORAGE)?;
    if entries.next().is_some() {
        return None;
    }
    let mut fields = Attributes::new(entry.payload, 0);
    fields.find_map(|field| field.ok().filter(|field| field.kind == MAP_VALUE)).map(|field| field.payload)
}

/// Decodes `INET_DIAG_SK_BPF_STORAGES`; what was read before a malformed entry stays, beside the error.
pub(crate) fn bpf_storages(payload: &[u8]) -> (Vec<BpfStorage>, Option<AttributeError>) {
    let mut storages = Vec::new();
    let mut fault = None;
    for entry in Attributes::new(payload, 0) {
        let entry = match entry {
            Ok(entry) if entry.kind == STORAGE => entry,
            Ok(_) => continue,
            Err(error) => return (storages, fault.or(Some(error.within(INET_DIAG_SK_BPF_STORAGES, 0)))),
        };
        let (mut map_id, mut value) = (None, None);
        for field in Attributes::new(entry.payload, 0) {
            let field = match field {
                Ok(field) => field,
                Err(error) => {
                    fault = fault.or(Some(error.within(INET_DIAG_SK_BPF_STORAGES, entry.offset)));
                    break;
                }
            };
            match field.kind {
                MAP_ID => match field.payload.try_into() {
                    Ok(id) => map_id = Some(u32::from_ne_bytes(id)),
                    Err(_) => {
                        let torn = AttributeFault::Torn { len: field.payload.len() };
                        let error = AttributeError { kind: field.kind, offset: field.offset, fault: torn };
                        fault = fault.or(Some(error.within(INET_DIAG_SK_BPF_STORAGES, entry.offset)));
                    }
                },
                MAP_VALUE => value = Some(field.payload.to_vec()),
                _ => {}
            }
        }
        if let (Some(map_id), Some(value)) = (map_id, value) {
            storages.push(BpfStorage { map_id, value });
        }
    }
    (storages, fault)
}

fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_read_and_others_left_out() {
        let mut payload = vec![0u8; 3 * SOCKADDR_STORAGE_LEN];
        payload[0] = AF_INET;
        payload[2..8].copy_from_slice(&[0x1f, 0x90, 10, 0, 0, 1]);
        payload[128] = AF_INET6;
        payload[130..132].copy_from_slice(&[0, 80]);
        payload[128 + 23] = 1;
        let addresses = socket_addresses(&payload);
        assert_eq!(addresses.len(), 2);
        assert_eq!(addresses[0].to_string(), "10.0.0.1:8080");
        assert_eq!(addresses[1].to_string(), "[::1]:80");
    }

    #[test]
    fn md5_keys_are_never_kept() {
        let mut payload = vec![0x55u8; 150];
        payload[0] = AF_INET;
        payload[1] = 32;
        payload[2..4].copy_from_slice(&6u16.to_ne_bytes());
        assert_eq!(md5_signatures(&payload).len(), 1);
        assert_eq!(md5_signatures(&payload)[0].keylen, 6);
        let redacted = without_md5_keys(&payload);
        assert_eq!(redacted.len(), 150);
        assert!(redacted[20..100].iter().chain(&redacted[120..]).all(|&b| b == 0));
        assert_eq!(redacted[4..20], payload[4..20]);
    }

    #[test]
    fn bpf_storage_is_read_from_its_nest() {
        let inner = [&[8u8, 0, 2, 0][..], &9u32.to_ne_bytes(), &[7, 0, 3, 0, 1, 2, 3, 0]].concat();
        let payload = [&[(4 + inner.len()) as u8, 0, 1, 0x80][..], &inner].concat();
        let (storages, error) = bpf_storages(&payload);
        assert_eq!(error, None);
        assert_eq!(storages, [BpfStorage { map_id: 9, value: vec![1, 2, 3] }]);
    }

    #[test]
    fn bpf_storage_whose_map_cannot_be_told_is_malformed() {
        let (storages, error) = bpf_storages(&[18, 0, 1, 0x80, 6, 0, 2, 0, 9, 0, 0, 0, 6, 0, 3, 0, 1, 2, 0, 0]);
        let fault = AttributeFault::Torn { len: 2 };
        assert_eq!(error, Some(AttributeError { kind: INET_DIAG_SK_BPF_STORAGES, offset: 8, fault }));
        assert!(storages.is_empty());
    }
}
