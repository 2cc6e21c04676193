//! The key `Estats`: where a record has its value from, and what is read of it.

use inetdiag::attribute::{INET_DIAG_SK_BPF_STORAGES, INET_DIAG_TOS};
use inetdiag::{ArchivalRecord, ArchiveReader, InetDiagMsg, MAX_LINE_LEN, Message, Origin, ReadFault, encode_record};
use zerocopy::FromZeros;

use crate::support::{message_bytes, some_time};

/// An attribute with such fields: number, and what it holds.
fn nested(fields: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, payload) in fields {
        bytes.extend(((payload.len() + 4) as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(*payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// A storage, as the kernel sends it: the number of its map, and the value.
fn storage(value: &[u8]) -> Vec<u8> {
    nested(&[(2, &9u32.to_ne_bytes()), (3, value)])
}

fn line(storages: &[u8]) -> (String, usize) {
    let attributes: [(u16, &[u8]); 2] = [(INET_DIAG_TOS, &[1]), (INET_DIAG_SK_BPF_STORAGES, storages)];
    let bytes = message_bytes(&InetDiagMsg::new_zeroed(), attributes);
    let mut line = Vec::new();
    let dropped =
        encode_record(&mut line, &some_time(), Message::new(&bytes).expect("a socket"), Origin::Poll(1), None);
    (String::from_utf8(line).expect("ASCII"), dropped)
}

fn read(line: &str) -> Result<ArchivalRecord, ReadFault> {
    ArchiveReader::new(line.as_bytes()).next().expect("a line").map_err(|error| error.fault)
}

#[test]
fn the_one_storage_of_a_socket_is_its_value() {
    let (line, dropped) = line(&nested(&[(1, &storage(b"value"))]));
    assert!(line.ends_with(",\"Poll\":1,\"Estats\":\"dmFsdWU=\"}\n"), "{line}");
    let record = read(&line).expect("well formed");
    assert_eq!((dropped, record.estats.as_deref()), (0, Some(&b"value"[..])));
    assert_eq!(record.attributes.iter().count(), 1, "it is there once");
}

#[test]
fn what_is_not_one_storage_stays_as_it_is() {
    let (one, other) = (storage(b"value"), nested(&[(2, &9u32.to_ne_bytes())]));
    for storages in [nested(&[(1, &one), (1, &one)]), nested(&[(1, &other)]), nested(&[(7, &one)]), vec![9; 50], vec![]]
    {
        let record = read(&line(&storages).0).expect("well formed");
        assert_eq!(record.estats, None);
        assert_eq!(record.attributes.get(INET_DIAG_SK_BPF_STORAGES), Some(&storages[..]));
    }
}

#[test]
fn a_value_that_is_too_long_is_left_out_first() {
    let (line, dropped) = line(&nested(&[(1, &storage(&[7; 60_000]))]));
    let record = read(&line).expect("well formed");
    assert_eq!((dropped, record.estats, record.attributes.iter().count()), (1, None, 1));
    assert!(line.len() < MAX_LINE_LEN);
}

#[test]
fn what_is_no_value_costs_its_line() {
    let with = |value: &str| read(&line(&[]).0.replace("}\n", &format!(",\"Estats\":{value}}}\n")));
    assert_eq!(with("null").expect("well formed").estats, None);
    for bad in ["7", "\"?\"", "{}"] {
        assert!(matches!(with(bad), Err(ReadFault::Malformed(_))), "{bad}");
    }
}
