//! What the Go original prints, with every flaw it has.
//!
//! Most of its flaws lie in how it decodes: [`decode`] makes the same mistakes, and the columns print what it found.
//! The others lie in single columns: [`FLAWED`] and [`RENAMED`] name them all. Of an archive with one bad line the
//! original prints nothing at all; we print the good lines in this mode too.

use std::net::{IpAddr, Ipv6Addr};

use chrono::{DateTime, FixedOffset};
use inetdiag::attribute::*;
use inetdiag::{ArchivalRecord, BbrInfo, DctcpInfo, MemInfo, SkMemInfo, Snapshot, TcpInfo, VegasInfo};

use inetdiag::columns::{self, Column, Value, ValueOf};

/// Columns with a wrong name in the original: ours, and its.
pub const RENAMED: [(&str, &str); 2] =
    [("TCP.LastAckRecv", "TCP.LastDataRecv"), ("SKMemInfo.Sndbuf", "SKMemInfo.Sndbug")];

/// Columns whose values the original prints in a way of its own.
pub const FLAWED: [(&str, ValueOf); 7] = [
    // An address of twelve zeros at its end is taken for IPv4, whatever the family.
    ("IDM.SockID.Src", |r| r.idm(|idm| Some(address(&idm.id.idiag_src)))),
    ("IDM.SockID.Dst", |r| r.idm(|idm| Some(address(&idm.id.idiag_dst)))),
    // The interface is in host order, and read as if in network order.
    ("IDM.SockID.Interface", |r| r.idm(|idm| Some(u32::from_be_bytes(idm.id.idiag_if.get().to_ne_bytes())))),
    // Not the text up to the NUL, but all bytes except the last one.
    ("CongestionAlgorithm", |r| r.record.attributes.get(INET_DIAG_CONG).map(all_but_last)),
    // The whole byte, Fast Open bits and all.
    ("TCP.AppLimited", |r| r.tcp(TcpInfo::delivery_flags)),
    // Negative from 2^31 segments on.
    ("TCP.SegsOut", |r| r.tcp(|info| info.segs_out().map(u32::cast_signed))),
    ("TCP.SegsIn", |r| r.tcp(|info| info.segs_in().map(u32::cast_signed))),
];

/// Bytes of the original's structs, alignment included. A shorter attribute is filled up with zeros.
const TCP_INFO: usize = 232;
const MEM_INFO: usize = 16;
const SK_MEM_INFO: usize = 36;
const VEGAS_INFO: usize = 16;
const DCTCP_INFO: usize = 16;
const BBR_INFO: usize = 24;

/// The columns of the original.
pub fn columns() -> Vec<Column> {
    let mut columns: Vec<Column> = columns::ORIGINAL.into_iter().flatten().copied().collect();
    for column in &mut columns {
        if let Some(&(_, value)) = FLAWED.iter().find(|(name, _)| *name == column.name) {
            column.value = value;
        }
        if let Some(&(_, name)) = RENAMED.iter().find(|(name, _)| *name == column.name) {
            column.name = name;
        }
    }
    columns
}

/// Decodes a line as the original does: small attributes are 0 where absent, structs end in zeros where cut, and each
/// attribute it does not know by name counts as not fully parsed.
pub fn decode(record: &ArchivalRecord) -> Snapshot {
    let mut snapshot = Snapshot {
        timestamp: Some(timestamp(record.timestamp)),
        idm: record.raw_idm,
        tos: Some(0),
        tclass: Some(0),
        class_id: Some(0),
        shutdown: Some(0),
        protocol: Some(0),
        mark: Some(0),
        ..Snapshot::default()
    };
    let (mut observed, mut not_fully_parsed) = (0, 0);
    for (kind, payload) in record.attributes.iter() {
        observed |= bit(kind);
        if !decode_attribute(&mut snapshot, kind, payload) {
            not_fully_parsed |= bit(kind);
        }
    }
    Snapshot { observed, not_fully_parsed, ..snapshot }
}

/// It counts in a byte and shifts a 32-bit word, so high attributes have no bit, or one that is not theirs.
fn bit(kind: u16) -> u64 {
    1u32.checked_shl(u32::from(kind.wrapping_sub(1) as u8)).unwrap_or(0).into()
}

/// Which attributes the original says it saw, and which it did not understand in full.
pub fn masks(record: &ArchivalRecord) -> (u64, u64) {
    let Snapshot { observed, not_fully_parsed, .. } = decode(record);
    (observed, not_fully_parsed)
}

/// Decodes one attribute and returns whether the original thinks that this is all of it.
fn decode_attribute(snapshot: &mut Snapshot, kind: u16, payload: &[u8]) -> bool {
    let first = payload.first().copied();
    match kind {
        INET_DIAG_MEMINFO => {
            snapshot.meminfo = Some(MemInfo::decode(&padded::<MEM_INFO>(payload)));
            payload.len() <= MEM_INFO
        }
        INET_DIAG_INFO => {
            snapshot.tcp_info = Some(TcpInfo::decode(&padded::<TCP_INFO>(payload)));
            payload.len() <= TCP_INFO
        }
        INET_DIAG_VEGASINFO => {
            snapshot.vegasinfo = Some(VegasInfo::decode(&padded::<VEGAS_INFO>(payload)));
            payload.len() <= VEGAS_INFO
        }
        INET_DIAG_SKMEMINFO => {
            snapshot.skmeminfo = Some(SkMemInfo::decode(&padded::<SK_MEM_INFO>(payload)));
            payload.len() <= SK_MEM_INFO
        }
        INET_DIAG_DCTCPINFO => {
            snapshot.dctcpinfo = Some(DctcpInfo::decode(&padded::<DCTCP_INFO>(payload)));
            payload.len() <= DCTCP_INFO
        }
        INET_DIAG_BBRINFO => {
            snapshot.bbrinfo = Some(BbrInfo::decode(&padded::<BBR_INFO>(payload)));
            payload.len() <= BBR_INFO
        }
        // Its column takes the text from the record.
        INET_DIAG_CONG => true,
        INET_DIAG_TOS => take_first(&mut snapshot.tos, first),
        INET_DIAG_TCLASS => take_first(&mut snapshot.tclass, first),
        INET_DIAG_SHUTDOWN => take_first(&mut snapshot.shutdown, first),
        INET_DIAG_PROTOCOL => take_first(&mut snapshot.protocol, first),
        // A 32-bit number of which the original looks at the first byte.
        INET_DIAG_CLASS_ID => take_first(&mut snapshot.class_id, first),
        INET_DIAG_MARK => {
            let mark = payload.try_into().ok().map(u32::from_ne_bytes);
            take_first(&mut snapshot.mark, mark)
        }
        _ => false,
    }
}

fn take_first<T: Default, U: Into<T>>(field: &mut Option<T>, found: Option<U>) -> bool {
    let is_there = found.is_some();
    *field = Some(found.map(Into::into).unwrap_or_default());
    is_there
}

fn padded<const N: usize>(payload: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let len = payload.len().min(N);
    bytes[..len].copy_from_slice(&payload[..len]);
    bytes
}

/// A record without a time, such as the header line, gets one that the original's authors made up.
fn timestamp(time: DateTime<FixedOffset>) -> DateTime<FixedOffset> {
    const MADE_UP: i64 = 1_243_641_599; // 2009-05-29T23:59:59Z
    if columns::is_zero_time(&time) && time.offset().local_minus_utc() == 0 {
        DateTime::from_timestamp(MADE_UP, 0).unwrap_or_default().fixed_offset()
    } else {
        time
    }
}

fn address(bytes: &[u8; 16]) -> IpAddr {
    match bytes {
        [a, b, c, d, rest @ ..] if rest.iter().all(|&byte| byte == 0) => [*a, *b, *c, *d].into(),
        _ => Ipv6Addr::from(*bytes).into(),
    }
}

fn all_but_last(payload: &[u8]) -> Value<'_> {
    Value::Text(payload[..payload.len().saturating_sub(1)].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_differs_in_two_names_and_nothing_else() {
        let ours: Vec<_> = columns::all().map(|column| column.name).collect();
        let original = super::columns();
        assert_eq!(original.len(), 105);
        let differing: Vec<_> =
            ours.iter().zip(&original).map(|(ours, theirs)| (*ours, theirs.name)).filter(|(a, b)| a != b).collect();
        assert_eq!(differing, RENAMED);
    }

    #[test]
    fn every_flaw_is_of_a_column_of_the_original() {
        for name in FLAWED.iter().map(|(name, _)| name).chain(RENAMED.iter().map(|(name, _)| name)) {
            assert!(columns::ORIGINAL.into_iter().flatten().any(|column| column.name == *name), "{name}");
        }
    }
}
