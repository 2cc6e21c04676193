//! The outer framing: `struct nlmsghdr` after `struct nlmsghdr`.

use thiserror::Error;
use zerocopy::{
    FromBytes, Immutable, KnownLayout, Unaligned,
    native_endian::{U16, U32},
};

const HEADER_LEN: usize = size_of::<NlMsgHdr>();

/// `struct nlmsghdr`.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct NlMsgHdr {
    nlmsg_len: U32,
    nlmsg_type: U16,
    nlmsg_flags: U16,
    nlmsg_seq: U32,
    nlmsg_pid: U32,
}

/// One netlink message, borrowed from the receive buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetlinkMessage<'a> {
    /// Message type: `SOCK_DIAG_BY_FAMILY`, `NLMSG_DONE`, `NLMSG_ERROR`, ...
    pub kind: u16,
    /// `NLM_F_*` flags.
    pub flags: u16,
    /// Sequence number of the request that this answers.
    pub sequence: u32,
    /// Port id of the socket that asked.
    pub port: u32,
    /// What follows the header.
    pub payload: &'a [u8],
    /// Where the message starts in the buffer.
    pub offset: usize,
}

/// The buffer does not hold a whole message where one should start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("netlink message at offset {offset}: length {len} does not fit {remaining} bytes")]
pub struct NetlinkError {
    /// Where the message starts in the buffer.
    pub offset: usize,
    /// Length it claims, 0 where not even a header fits.
    pub len: usize,
    /// Bytes left in the buffer from there.
    pub remaining: usize,
}

/// Walks the messages that one `recv` delivered.
///
/// After an error the walk ends: without a length there is no next message.
#[derive(Debug, Clone)]
pub struct NetlinkMessages<'a> {
    buffer: &'a [u8],
    offset: usize,
}

impl<'a> NetlinkMessages<'a> {
    /// Starts at the beginning of `buffer`.
    pub fn new(buffer: &'a [u8]) -> Self {
        Self { buffer, offset: 0 }
    }
}

impl<'a> Iterator for NetlinkMessages<'a> {
    type Item = Result<NetlinkMessage<'a>, NetlinkError>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.offset;
        let rest = self.buffer.get(offset..).filter(|rest| !rest.is_empty())?;
        let mut fail = |len| {
            self.offset = self.buffer.len();
            Some(Err(NetlinkError { offset, len, remaining: rest.len() }))
        };
        let Ok((header, _)) = NlMsgHdr::ref_from_prefix(rest) else {
            return fail(0);
        };
        let len = header.nlmsg_len.get() as usize;
        let Some(payload) = rest.get(HEADER_LEN..len) else {
            return fail(len);
        };
        self.offset = offset + len.next_multiple_of(4);
        Some(Ok(NetlinkMessage {
            kind: header.nlmsg_type.get(),
            flags: header.nlmsg_flags.get(),
            sequence: header.nlmsg_seq.get(),
            port: header.nlmsg_pid.get(),
            payload,
            offset,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(16 + payload.len() as u32).to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&2u16.to_ne_bytes());
        bytes.extend_from_slice(&7u32.to_ne_bytes());
        bytes.extend_from_slice(&9u32.to_ne_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn messages_follow_each_other_at_multiples_of_four() {
        let mut buffer = message(20, b"12345");
        buffer.resize(24, 0);
        buffer.extend(message(3, &[]));
        let messages: Vec<_> = NetlinkMessages::new(&buffer).map(|m| m.expect("well formed")).collect();
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].kind, messages[0].payload), (20, &b"12345"[..]));
        assert_eq!((messages[0].sequence, messages[0].port, messages[0].flags), (7, 9, 2));
        assert_eq!((messages[1].kind, messages[1].offset), (3, 24));
    }

    #[test]
    fn a_length_that_does_not_fit_is_one_error_and_the_end() {
        let mut buffer = message(20, b"1234");
        buffer.extend(message(20, b"5678"));
        buffer[20..24].copy_from_slice(&400u32.to_ne_bytes());
        let mut walk = NetlinkMessages::new(&buffer);
        assert!(walk.next().expect("first").is_ok());
        assert_eq!(walk.next(), Some(Err(NetlinkError { offset: 20, len: 400, remaining: 20 })));
        assert_eq!(walk.next(), None);
    }

    #[test]
    fn a_length_below_the_header_does_not_loop() {
        let mut buffer = message(20, b"");
        buffer[0..4].copy_from_slice(&0u32.to_ne_bytes());
        assert_eq!(NetlinkMessages::new(&buffer).count(), 1);
    }
}
