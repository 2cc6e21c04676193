//! What is asked of the kernel in each poll.

use inetdiag::{AddressFamily, InetDiagMsg};
use netlink_packet_core::{DefaultNla, Emitable, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader};
use netlink_packet_sock_diag::constants::{IPPROTO_TCP, SOCK_DIAG_BY_FAMILY};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use zerocopy::IntoBytes;

use crate::filter::States;

/// Message type of `struct inet_diag_req`, and of the answers to it.
pub(super) const TCPDIAG_GETSOCK: u16 = 18;
const INET_DIAG_REQ_BYTECODE: u16 = 1;
const LENGTH_LEN: usize = 4;
const FLAGS_OFFSET: usize = 6;
const SEQUENCE_OFFSET: usize = 8;
const SOCKET_ID_OFFSET: usize = 24;

/// Whose sockets a dump is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of one address family.
    Family(AddressFamily),
    /// Those of both: the request of Linux 2.6, whose answer goes through the kernel's table once and not twice. Kernels
    /// without it answer with an error.
    Everybody,
}

/// A request, encoded once and sent again at each poll with another sequence number.
#[derive(Debug, Clone)]
pub struct DumpRequest {
    bytes: Vec<u8>,
}

impl DumpRequest {
    /// Asks for the TCP sockets in these states, with these attributes. `bytecode` filters in the kernel, unless it is
    /// empty.
    pub fn connections(whose: Whose, extensions: ExtensionFlags, states: States, bytecode: &[u8]) -> Self {
        let states = StateFlags::from_bits_retain(states.bits());
        let (kind, body) = match whose {
            Whose::Family(family) => (SOCK_DIAG_BY_FAMILY, of_family(family, extensions, states)),
            Whose::Everybody => (TCPDIAG_GETSOCK, of_everybody(extensions, states)),
        };
        let filter = (!bytecode.is_empty()).then(|| DefaultNla::new(INET_DIAG_REQ_BYTECODE, bytecode.to_vec()));
        let mut header = NetlinkHeader::default();
        let filter_at = header.buffer_len() + body.len();
        let total = filter_at + filter.as_ref().map_or(0, Emitable::buffer_len);
        header.length = total as u32;
        header.message_type = kind;
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;

        let mut bytes = vec![0; total];
        header.emit(&mut bytes[..header.buffer_len()]);
        bytes[header.buffer_len()..filter_at].copy_from_slice(&body);
        if let Some(filter) = filter {
            filter.emit(&mut bytes[filter_at..]);
        }
        Self { bytes }
    }

    /// Asks for the one socket that has this header, with every attribute there is.
    pub fn of_socket(header: &InetDiagMsg) -> Self {
        let family = header.family().unwrap_or(AddressFamily::Inet);
        let Self { mut bytes } = Self::connections(Whose::Family(family), ExtensionFlags::all(), States::ALL, &[]);
        bytes[FLAGS_OFFSET..SEQUENCE_OFFSET].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
        bytes[SOCKET_ID_OFFSET..].copy_from_slice(header.id.as_bytes());
        Self { bytes }
    }

    /// With another attribute behind it.
    pub fn with(mut self, attribute: &[u8]) -> Self {
        self.bytes.extend_from_slice(attribute);
        let len = self.bytes.len() as u32;
        self.bytes[..LENGTH_LEN].copy_from_slice(&len.to_ne_bytes());
        self
    }

    /// The bytes to send, numbered `sequence`.
    pub fn numbered(&mut self, sequence: u32) -> &[u8] {
        self.bytes[SEQUENCE_OFFSET..SEQUENCE_OFFSET + 4].copy_from_slice(&sequence.to_ne_bytes());
        &self.bytes
    }
}

/// `struct inet_diag_req_v2`.
fn of_family(family: AddressFamily, extensions: ExtensionFlags, states: StateFlags) -> Vec<u8> {
    let (family, protocol, socket_id) = (family.number(), IPPROTO_TCP, SocketId::new_v4());
    let request = InetRequest { family, protocol, extensions, states, socket_id };
    let mut bytes = vec![0; request.buffer_len()];
    request.emit(&mut bytes);
    bytes
}

/// `struct inet_diag_req`: family, lengths of prefixes and extensions, one byte each; socket id; states; a field of the kernel's.
fn of_everybody(extensions: ExtensionFlags, states: StateFlags) -> Vec<u8> {
    const SOCKET_ID_LEN: usize = size_of::<inetdiag::SockId>();
    let mut bytes = vec![0, 0, 0, extensions.bits()];
    bytes.resize(bytes.len() + SOCKET_ID_LEN, 0);
    bytes.extend_from_slice(&states.bits().to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

#[cfg(test)]
impl DumpRequest {
    /// A request that has this length and no meaning.
    pub(super) fn of_len(len: usize) -> Self {
        Self { bytes: vec![0; len] }
    }

    /// A message that the kernel takes and does not answer: of the type `NLMSG_NOOP`.
    pub(super) fn without_answer() -> Self {
        let mut header = NetlinkHeader::default();
        header.length = 16;
        header.message_type = netlink_packet_core::NLMSG_NOOP;
        header.flags = NLM_F_REQUEST;
        let mut bytes = vec![0; 16];
        header.emit(&mut bytes);
        Self { bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_layout_of_inet_diag_req_v2() {
        let mut request = DumpRequest::connections(
            Whose::Family(AddressFamily::Inet6),
            ExtensionFlags::all(),
            States::ALL,
            &[0, 4, 4, 0],
        );
        let bytes = request.numbered(0x0102_0304);
        assert_eq!(bytes.len(), 16 + 56 + 8);
        assert_eq!(bytes[..4], 80u32.to_ne_bytes());
        assert_eq!(bytes[4..8], [20, 0, 1, 3]);
        assert_eq!(bytes[8..12], 0x0102_0304u32.to_ne_bytes());
        assert_eq!(bytes[16..20], [10, 6, 0xff, 0]);
        // All of 1 to 11 but SYN_RECV 3, TIME_WAIT 6, CLOSE 7 and LISTEN 10.
        assert_eq!(bytes[20..24], 0b1011_0011_0110u32.to_ne_bytes());
        assert_eq!(bytes[72..], [8, 0, 1, 0, 0, 4, 4, 0]);
        let inet = Whose::Family(AddressFamily::Inet);
        let short = DumpRequest::connections(inet, ExtensionFlags::INFO, States::ALL, &[]);
        assert_eq!(short.bytes.len(), 72);
        let longer = short.with(&[8, 0, 2, 0, 1, 2, 3, 4]);
        assert_eq!(
            (&longer.bytes[..4], &longer.bytes[72..]),
            (&80u32.to_ne_bytes()[..], &[8, 0, 2, 0, 1, 2, 3, 4][..])
        );
    }

    #[test]
    fn a_request_for_everybody_has_the_layout_of_inet_diag_req() {
        let mut request = DumpRequest::connections(Whose::Everybody, ExtensionFlags::all(), States::ALL, &[0, 4, 4, 0]);
        let bytes = request.numbered(1);
        assert_eq!(bytes.len(), 16 + 60 + 8);
        assert_eq!(bytes[4..8], [18, 0, 1, 3]);
        assert_eq!(bytes[16..20], [0, 0, 0, 0xff]);
        assert_eq!(bytes[68..72], 0b1011_0011_0110u32.to_ne_bytes());
        assert_eq!(bytes[76..], [8, 0, 1, 0, 0, 4, 4, 0]);
    }
}
