//! Everything one record says, decoded.

use std::net::SocketAddr;

use chrono::{DateTime, FixedOffset};

use crate::abi::attribute::*;
use crate::abi::{
    BbrInfo, BpfStorage, DctcpInfo, InetDiagMsg, Md5Sig, MemInfo, SkMemInfo, SockOpt, TcpInfo, UlpInfo, VegasInfo,
    lists,
};
use crate::archive::ArchivalRecord;
use crate::dump::{AttributeError, AttributeFault, Message};

/// One socket at one moment, everything decoded. `None` is "the kernel did not send it", which is not zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// When the kernel was asked; `None` for a message that is not from an archive.
    pub timestamp: Option<DateTime<FixedOffset>>,
    /// Which attributes there were: bit n-1 is attribute n.
    pub observed: u64,
    /// Which of them this crate could not decode in full: unknown, longer than known, or malformed.
    pub not_fully_parsed: u64,
    /// The fixed header; `None` for the header line of an archive.
    pub idm: Option<InetDiagMsg>,
    /// `INET_DIAG_INFO`.
    pub tcp_info: Option<TcpInfo>,
    /// `INET_DIAG_MEMINFO`.
    pub meminfo: Option<MemInfo>,
    /// `INET_DIAG_SKMEMINFO`.
    pub skmeminfo: Option<SkMemInfo>,
    /// `INET_DIAG_VEGASINFO`: only of sockets that use vegas.
    pub vegasinfo: Option<VegasInfo>,
    /// `INET_DIAG_DCTCPINFO`: only of sockets that use DCTCP.
    pub dctcpinfo: Option<DctcpInfo>,
    /// `INET_DIAG_BBRINFO`: only of sockets that use BBR.
    pub bbrinfo: Option<BbrInfo>,
    /// `INET_DIAG_CONG`: name of the congestion control.
    pub cong: Option<String>,
    /// `INET_DIAG_TOS`: type of service octet (DSCP and ECN).
    pub tos: Option<u8>,
    /// `INET_DIAG_TCLASS`: traffic class octet of IPv6.
    pub tclass: Option<u8>,
    /// `INET_DIAG_CLASS_ID`: net_cls or priority class.
    pub class_id: Option<u32>,
    /// `INET_DIAG_SHUTDOWN`: bit 0 receiving ended, bit 1 sending ended.
    pub shutdown: Option<u8>,
    /// `INET_DIAG_PROTOCOL`: sent by destroy events.
    pub protocol: Option<u8>,
    /// `INET_DIAG_SKV6ONLY`: whether an IPv6 listener refuses IPv4.
    pub skv6only: Option<u8>,
    /// `INET_DIAG_MARK`: firewall mark; only for readers with `CAP_NET_ADMIN`.
    pub mark: Option<u32>,
    /// `INET_DIAG_CGROUP_ID`: id of the socket's cgroup v2.
    pub cgroup_id: Option<u64>,
    /// `INET_DIAG_SOCKOPT`.
    pub sockopt: Option<SockOpt>,
    /// `INET_DIAG_ULP_INFO`.
    pub ulp_info: Option<UlpInfo>,
    /// `INET_DIAG_LOCALS`: local addresses (SCTP).
    pub locals: Vec<SocketAddr>,
    /// `INET_DIAG_PEERS`: remote addresses (SCTP).
    pub peers: Vec<SocketAddr>,
    /// `INET_DIAG_MD5SIG`: peers with TCP MD5 signatures.
    pub md5sig: Vec<Md5Sig>,
    /// `INET_DIAG_SK_BPF_STORAGES`.
    pub sk_bpf_storages: Vec<BpfStorage>,
    /// Attributes that were there and malformed; each is absent above, as far as it could not be read.
    pub malformed: Vec<AttributeError>,
}

impl Snapshot {
    /// Decodes a line of an archive.
    pub fn decode(record: &ArchivalRecord) -> Self {
        let mut snapshot = Self { timestamp: Some(record.timestamp), idm: record.raw_idm, ..Self::default() };
        for (kind, payload) in record.attributes.iter() {
            snapshot.add(kind, payload, 0);
        }
        snapshot
    }

    /// Decodes a message of the kernel. Attributes before a malformed one are there, the error is in `malformed`.
    pub fn of_message(message: Message<'_>) -> Self {
        let mut snapshot = Self { idm: Some(*message.header()), ..Self::default() };
        for attribute in message.attributes() {
            match attribute {
                Ok(attribute) => snapshot.add(attribute.kind, attribute.payload, attribute.offset),
                Err(error) => snapshot.malformed.push(error),
            }
        }
        snapshot
    }

    fn add(&mut self, kind: u16, payload: &[u8], offset: usize) {
        let bit = match kind {
            0 => return,
            1..=64 => 1u64 << (kind - 1),
            _ => 0,
        };
        self.observed |= bit;
        let known_errors = self.malformed.len();
        let fully = self.decode_attribute(kind, payload, offset);
        if !fully || self.malformed.len() > known_errors {
            self.not_fully_parsed |= bit;
        }
    }

    /// Decodes one attribute and returns whether nothing of it is left over.
    fn decode_attribute(&mut self, kind: u16, payload: &[u8], offset: usize) -> bool {
        /// Decodes a growing struct into its field; a torn one is malformed, yet its whole fields stay.
        macro_rules! growing {
            ($field:ident, $ty:ident) => {{
                let value = $ty::decode(payload);
                if value.is_torn() {
                    self.malformed.push(torn(kind, payload, offset));
                }
                self.$field = Some(value);
                payload.len() <= $ty::SIZE
            }};
        }
        /// Decodes a number; a payload of another size is malformed, and the number absent.
        macro_rules! number {
            ($field:ident, $ty:ident) => {{
                self.$field = payload.try_into().ok().map($ty::from_ne_bytes);
                if self.$field.is_none() {
                    self.malformed.push(torn(kind, payload, offset));
                }
                true
            }};
        }
        /// Decodes a list of entries of one size; an entry cut short is malformed, and absent.
        macro_rules! list {
            ($field:ident, $decode:ident, $entry_len:ident) => {{
                if !payload.len().is_multiple_of(lists::$entry_len) {
                    self.malformed.push(torn(kind, payload, offset));
                }
                self.$field = lists::$decode(payload);
                true
            }};
        }
        // Nests count from their own start.
        let within = |error: AttributeError| error.within(kind, offset);
        match kind {
            INET_DIAG_MEMINFO => growing!(meminfo, MemInfo),
            INET_DIAG_INFO => growing!(tcp_info, TcpInfo),
            INET_DIAG_VEGASINFO => growing!(vegasinfo, VegasInfo),
            INET_DIAG_CONG => {
                self.cong = Some(crate::abi::text(payload));
                true
            }
            INET_DIAG_TOS => number!(tos, u8),
            INET_DIAG_TCLASS => number!(tclass, u8),
            INET_DIAG_SKMEMINFO => growing!(skmeminfo, SkMemInfo),
            INET_DIAG_SHUTDOWN => number!(shutdown, u8),
            INET_DIAG_DCTCPINFO => growing!(dctcpinfo, DctcpInfo),
            INET_DIAG_PROTOCOL => number!(protocol, u8),
            INET_DIAG_SKV6ONLY => number!(skv6only, u8),
            INET_DIAG_LOCALS => list!(locals, socket_addresses, SOCKADDR_STORAGE_LEN),
            INET_DIAG_PEERS => list!(peers, socket_addresses, SOCKADDR_STORAGE_LEN),
            INET_DIAG_PAD => true,
            INET_DIAG_MARK => number!(mark, u32),
            INET_DIAG_BBRINFO => growing!(bbrinfo, BbrInfo),
            INET_DIAG_CLASS_ID => number!(class_id, u32),
            INET_DIAG_MD5SIG => list!(md5sig, md5_signatures, MD5SIG_LEN),
            INET_DIAG_ULP_INFO => {
                let (ulp, error) = UlpInfo::decode(payload);
                let fully = !ulp.has_unknown;
                self.ulp_info = Some(ulp);
                self.malformed.extend(error.map(within));
                fully
            }
            INET_DIAG_SK_BPF_STORAGES => {
                let (storages, error) = lists::bpf_storages(payload);
                self.sk_bpf_storages = storages;
                self.malformed.extend(error.map(within));
                true
            }
            INET_DIAG_CGROUP_ID => number!(cgroup_id, u64),
            INET_DIAG_SOCKOPT => growing!(sockopt, SockOpt),
            _ => false,
        }
    }
}

fn torn(kind: u16, payload: &[u8], offset: usize) -> AttributeError {
    AttributeError { kind, offset, fault: AttributeFault::Torn { len: payload.len() } }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket message whose only attribute is this one.
    fn of_attribute(kind: u16, value: &[u8]) -> Snapshot {
        let mut bytes = vec![0u8; InetDiagMsg::SIZE];
        bytes.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(value);
        Snapshot::of_message(Message::new(&bytes).expect("long enough"))
    }

    #[test]
    fn values_of_the_wrong_size_are_malformed_and_absent() {
        for (kind, len) in [(INET_DIAG_TOS, 2), (INET_DIAG_MARK, 3), (INET_DIAG_CGROUP_ID, 4), (INET_DIAG_MD5SIG, 150)]
        {
            let snapshot = of_attribute(kind, &vec![1; len]);
            let error = AttributeError { kind, offset: 76, fault: AttributeFault::Torn { len } };
            assert_eq!(snapshot.malformed, [error]);
            assert_eq!((snapshot.observed, snapshot.not_fully_parsed), (1 << (kind - 1), 1 << (kind - 1)));
            assert!(snapshot.tos.is_none() && snapshot.mark.is_none() && snapshot.cgroup_id.is_none());
            assert_eq!(snapshot.md5sig.len(), len / 100, "whole entries stay");
        }
    }

    #[test]
    fn a_fault_inside_a_nest_is_told_with_its_place_in_the_message() {
        // Name; then TLS, whose first value claims more bytes than the nest has.
        let tls = [&[8, 0, 1, 0][..], b"tls\0", &[8, 0, 2, 0x80], &[9, 0, 1, 0]].concat();
        let storage = [&[8, 0, 1, 0x80][..], &[9, 0, 2, 0]].concat();
        for (kind, value, offset) in [(INET_DIAG_ULP_INFO, tls, 76 + 12), (INET_DIAG_SK_BPF_STORAGES, storage, 76 + 4)]
        {
            let snapshot = of_attribute(kind, &value);
            let error = AttributeError { kind, offset, fault: AttributeFault::BadLength { len: 9, remaining: 4 } };
            assert_eq!(snapshot.malformed, [error]);
            assert_eq!(snapshot.not_fully_parsed, 1 << (kind - 1));
        }
    }
}
