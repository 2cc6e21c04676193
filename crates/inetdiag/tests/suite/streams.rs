//! The key `Streams`: what is read of it, what it leaves as it is, and its columns.

use inetdiag::attribute::{INET_DIAG_SK_BPF_STORAGES, INET_DIAG_TOS};
use inetdiag::columns::{self, Connection, Row, Value};
use inetdiag::{
    ArchivalRecord, ArchiveReader, InetDiagMsg, MAX_LINE_LEN, Message, Origin, ReadFault, Streams, encode_record,
};
use zerocopy::FromZeros;

use crate::support::streams::{IF_KNOWN, NUMBERS, json, streams};
use crate::support::{message_bytes, some_time};

/// Every number is another one.
fn numbered() -> serde_json::Value {
    let mut numbers = 1..;
    json(|| numbers.next())
}

fn line(attributes: &[(u16, &[u8])], streams: Option<&Streams>) -> (String, usize) {
    let bytes = message_bytes(&InetDiagMsg::new_zeroed(), attributes.iter().copied());
    let mut line = Vec::new();
    let message = Message::new(&bytes).expect("a socket");
    let dropped = encode_record(&mut line, &some_time(), message, Origin::Poll(1), streams);
    (String::from_utf8(line).expect("ASCII"), dropped)
}

fn read(line: &str) -> Result<ArchivalRecord, ReadFault> {
    let record = ArchiveReader::new(line.as_bytes()).next().expect("a line");
    record.map_err(|error| error.fault)
}

/// A line that has this as its `Streams`.
fn with(value: &str) -> String {
    line(&[], None).0.replace("}\n", &format!(",\"Streams\":{value}}}\n"))
}

#[test]
fn what_is_written_has_these_keys_and_no_others() {
    let (line, _) = line(&[], Some(&streams(numbered())));
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["Streams"], numbered());
    let bare = serde_json::to_value(Streams::default()).expect("into memory");
    assert_eq!(bare, json(|| None), "what is not known has no key");
}

#[test]
fn a_line_is_otherwise_the_same() {
    let attributes: [(u16, &[u8]); 2] = [(INET_DIAG_TOS, &[1]), (INET_DIAG_SK_BPF_STORAGES, &[2; 100])];
    let statistics = streams(numbered());
    let (without, with) = (line(&attributes, None), line(&attributes, Some(&statistics)));
    let (before, streams) = with.0.split_once(",\"Streams\":").expect("has the key");
    assert_eq!(format!("{before}}}\n"), without.0);
    assert!(streams.ends_with("}}}\n") && streams.matches('}').count() == 4);
    let record = read(&with.0).expect("well formed");
    assert_eq!(record.streams.as_deref(), Some(&statistics));
    assert_eq!(ArchivalRecord { streams: None, ..record }, read(&without.0).expect("well formed"));
}

#[test]
fn a_reader_that_goes_on_forgets_them() {
    let text = line(&[], Some(&streams(numbered()))).0 + &line(&[], None).0;
    let mut reader = ArchiveReader::new(text.as_bytes());
    let mut record = ArchivalRecord::default();
    let mut next = || reader.read(&mut record).map(|outcome| outcome.map(|()| record.streams.is_some()));
    assert!(matches!([next(), next(), next()], [Some(Ok(true)), Some(Ok(false)), None]));
}

/// 47,000 bytes are 62,668 of base64: they have room beside all but the longest numbers.
#[test]
fn the_largest_attribute_makes_room_for_them() {
    let longest = streams(json(|| Some(u64::MAX)));
    let attributes: [(u16, &[u8]); 2] = [(INET_DIAG_TOS, &[0]), (INET_DIAG_SK_BPF_STORAGES, &[7; 47_000])];
    assert_eq!(line(&attributes, None).1, 0);
    let (with, dropped) = line(&attributes, Some(&longest));
    let record = read(&with).expect("well formed");
    assert_eq!((dropped, record.attributes.iter().count(), record.streams.as_deref()), (1, 1, Some(&longest)));
    let len = with.len() - line(&attributes[..1], None).0.len();
    assert!(len <= 3 << 10 && with.len() < MAX_LINE_LEN, "{len}");
}

#[test]
fn unknown_keys_are_ignored_and_null_is_none() {
    let mut more = numbered();
    more["Sent"]["New"] = "text".into();
    more["New"] = 1.into();
    let record = read(&with(&more.to_string())).expect("well formed");
    assert_eq!(record.streams.as_deref(), Some(&streams(numbered())));
    assert_eq!(read(&with("null")).expect("well formed").streams, None);
}

#[test]
fn what_is_none_costs_its_line() {
    let without = |side: &str, key: &str| {
        let mut value = numbered();
        value[side].as_object_mut().expect("an object").remove(key);
        value.to_string()
    };
    let mut negative = numbered();
    negative["Received"]["Window"] = (-1).into();
    let bad = ["7", "{}", "\"text\"", &negative.to_string(), &without("Sent", "Packets"), &without("Received", "Cwr")];
    for value in bad {
        assert!(matches!(read(&with(value)), Err(ReadFault::Malformed(_))), "{value}");
    }
    assert!(read(&with(&without("Sent", "Window"))).is_ok());
}

#[test]
fn each_key_has_a_column_behind_all_others() {
    let statistics = numbered();
    let record = ArchivalRecord { streams: Some(Box::new(streams(statistics.clone()))), ..ArchivalRecord::default() };
    let connection = Connection::default();
    let row = Row::new(&record, &connection);
    let last: Vec<_> = columns::all().skip(170).collect();
    let mut expected = Vec::new();
    for side in ["Sent", "Received"] {
        expected.extend(NUMBERS.split_whitespace().chain(IF_KNOWN.split(' ')).map(|key| (side, key)));
    }
    assert_eq!(last.len(), expected.len());
    for (column, (side, key)) in last.into_iter().zip(expected) {
        assert_eq!(column.name, format!("Streams.{side}.{key}"));
        assert_eq!((column.value)(&row), statistics[side][key].as_u64().map(Value::Uint), "{}", column.name);
    }
    let record = ArchivalRecord::default();
    let row = Row::new(&record, &connection);
    assert!(columns::all().skip(170).all(|column| (column.value)(&row).is_none()), "absent is not zero");
}
