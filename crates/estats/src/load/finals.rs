//! Records of the ring: `struct final` of `bpf/state.h`.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::Value;

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    cookie: u64,
    time: u64,
}

/// The last value of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Final<'a> {
    /// Cookie of the socket, the same as in polls.
    pub cookie: u64,
    /// Nanoseconds since 1970 at which it was closed.
    pub time: u64,
    /// The value as the archive keeps it; see [`Value::decode`].
    pub bytes: &'a [u8],
}

impl<'a> Final<'a> {
    pub(super) fn decode(record: &'a [u8]) -> Option<Self> {
        let (header, bytes) = Header::read_from_prefix(record).ok()?;
        Some(Self { cookie: header.cookie, time: header.time, bytes })
    }

    /// The value, decoded.
    pub fn value(&self) -> Option<Value> {
        Value::decode(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_cookie_time_and_value() {
        let value = Value::default();
        let record = [&7u64.to_ne_bytes()[..], &9u64.to_ne_bytes(), value.as_bytes()].concat();
        let last = Final::decode(&record).expect("long enough");
        assert_eq!((last.cookie, last.time, last.value()), (7, 9, Some(value)));
        assert_eq!(Final::decode(&record[..15]), None);
    }
}
