//! One socket of a reply, and the walk over its attributes.

use netlink_packet_core::NLA_TYPE_MASK;
use thiserror::Error;
use zerocopy::FromBytes;

use crate::abi::{InetDiagMsg, attribute::INET_DIAG_INFO};

const ATTRIBUTE_HEADER_LEN: usize = 4;

/// One socket of a dump or destroy event, borrowed: the `inet_diag_msg` header and the attribute bytes behind it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    header: &'a InetDiagMsg,
    bytes: &'a [u8],
}

/// The payload is too short to be a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("socket message of {len} bytes is shorter than its header of {} bytes", InetDiagMsg::SIZE)]
pub struct MessageError {
    /// Bytes there were.
    pub len: usize,
}

impl<'a> Message<'a> {
    /// Views the payload of a `SOCK_DIAG_BY_FAMILY` message.
    pub fn new(payload: &'a [u8]) -> Result<Self, MessageError> {
        match InetDiagMsg::ref_from_prefix(payload) {
            Ok((header, _)) => Ok(Self { header, bytes: payload }),
            Err(_) => Err(MessageError { len: payload.len() }),
        }
    }

    /// The fixed header.
    #[inline]
    pub fn header(&self) -> &'a InetDiagMsg {
        self.header
    }

    /// The socket cookie, see [`SockId::cookie`](crate::SockId::cookie).
    #[inline]
    pub fn cookie(&self) -> u64 {
        self.header.id.cookie()
    }

    /// Header and attributes as the kernel sent them.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Walks the attributes in the order the kernel sent them.
    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.bytes, InetDiagMsg::SIZE)
    }

    /// The first attribute of this number that lies before any malformed one.
    pub fn attribute(&self, kind: u16) -> Option<Attribute<'a>> {
        self.attributes().map_while(Result::ok).find(|attribute| attribute.kind == kind)
    }

    /// Whether the message carries `tcp_info`. Request and TIME_WAIT minisocks do not.
    pub fn has_tcp_info(&self) -> bool {
        self.attribute(INET_DIAG_INFO).is_some()
    }
}

/// One attribute: its number without flag bits, and its payload without header and padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Attribute number, one of [`attribute`](crate::attribute).
    pub kind: u16,
    /// The value.
    pub payload: &'a [u8],
    /// Where the value starts, counted from the start of the socket message.
    pub offset: usize,
}

/// An attribute that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("attribute {kind} at offset {offset}: {fault}")]
pub struct AttributeError {
    /// Attribute number; 0 where not even that could be read.
    pub kind: u16,
    /// Where the attribute (or, for a bad value, the value) starts, counted from the start of the message.
    pub offset: usize,
    /// What is wrong with it.
    pub fault: AttributeFault,
}

/// What can be wrong with an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AttributeFault {
    /// Fewer bytes are left than an attribute header takes.
    #[error("{remaining} bytes are no attribute header")]
    NoHeader {
        /// Bytes left.
        remaining: usize,
    },
    /// The length is shorter than the attribute's own header or longer than the message.
    #[error("length {len} does not fit {remaining} bytes")]
    BadLength {
        /// Length it claims.
        len: usize,
        /// Bytes left, header included.
        remaining: usize,
    },
    /// The value ends inside of a field, or is not of the size its type has.
    #[error("value of {len} bytes is cut")]
    Torn {
        /// Bytes of the value.
        len: usize,
    },
}

impl AttributeError {
    /// The same error, told of the attribute that contains the bad one, which starts at `offset`.
    pub(crate) fn within(self, kind: u16, offset: usize) -> Self {
        Self { kind, offset: offset + self.offset, ..self }
    }
}

/// Walks attributes; ends after the first one whose length cannot be right.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Attributes<'a> {
    /// Starts at `offset` of `bytes`; offsets in results count from the start of `bytes`.
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, AttributeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.offset;
        let rest = self.bytes.get(offset..).filter(|rest| !rest.is_empty())?;
        let &[len0, len1, kind0, kind1, ..] = rest else {
            self.offset = self.bytes.len();
            let fault = AttributeFault::NoHeader { remaining: rest.len() };
            return Some(Err(AttributeError { kind: 0, offset, fault }));
        };
        let len = usize::from(u16::from_ne_bytes([len0, len1]));
        let kind = u16::from_ne_bytes([kind0, kind1]) & NLA_TYPE_MASK;
        let Some(payload) = rest.get(ATTRIBUTE_HEADER_LEN..len) else {
            self.offset = self.bytes.len();
            let fault = AttributeFault::BadLength { len, remaining: rest.len() };
            return Some(Err(AttributeError { kind, offset, fault }));
        };
        self.offset = offset + len.next_multiple_of(4);
        Some(Ok(Attribute { kind, payload, offset: offset + ATTRIBUTE_HEADER_LEN }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(attributes: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0u8; InetDiagMsg::SIZE];
        bytes.extend_from_slice(attributes);
        bytes
    }

    #[test]
    fn attributes_are_walked_and_flags_masked() {
        let bytes = socket(&[5, 0, 8, 0, 3, 0, 0, 0, 6, 0, 19, 0x80, 1, 2]);
        let message = Message::new(&bytes).expect("long enough");
        let kinds: Vec<_> = message.attributes().map(|a| a.expect("well formed").kind).collect();
        assert_eq!(kinds, [8, 19]);
        assert_eq!(message.attribute(19).expect("there").payload, [1, 2]);
        assert_eq!(message.attribute(19).expect("there").offset, 72 + 12);
        assert!(!message.has_tcp_info());
    }

    #[test]
    fn a_bad_length_costs_the_rest_but_not_what_came_before() {
        for bad in [[0u8, 0], [3, 0], [200, 0]] {
            let bytes = socket(&[&[5, 0, 8, 0, 3, 0, 0, 0], &bad[..], &[2, 0, 1, 1, 1, 1]].concat());
            let results: Vec<_> = Message::new(&bytes).expect("long enough").attributes().collect();
            assert_eq!(results.len(), 2);
            let error = results[1].expect_err("malformed");
            assert_eq!((error.kind, error.offset), (2, 80));
        }
    }

    #[test]
    fn trailing_bytes_are_an_error_with_their_place() {
        let bytes = socket(&[1, 2]);
        let error = Message::new(&bytes).expect("long enough").attributes().next().expect("one item").expect_err("cut");
        assert_eq!(error.to_string(), "attribute 0 at offset 72: 2 bytes are no attribute header");
    }

    #[test]
    fn a_short_payload_is_no_socket() {
        assert_eq!(Message::new(&[0; 71]).expect_err("short"), MessageError { len: 71 });
    }
}
