//! What goes into an archive comes out of it: any header, any attributes, known to this crate or not.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use inetdiag::attribute::{INET_DIAG_MD5SIG, MAX_STORED};
use inetdiag::{
    ArchiveReader, InetDiagMsg, MAX_LINE_LEN, Message, Metadata, Origin, TimestampText, encode_header, encode_record,
};
use proptest::prelude::*;
use zerocopy::FromBytes;

use crate::support::{message_bytes, some_time, streams};

const FLAG_BITS: u16 = 0xc000;
const MD5SIG_LEN: usize = 100;
const MD5SIG_KEY: usize = 20;

fn header() -> impl Strategy<Value = InetDiagMsg> {
    prop::collection::vec(any::<u8>(), InetDiagMsg::SIZE)
        .prop_map(|bytes| InetDiagMsg::read_from_bytes(&bytes).expect("of that size"))
}

fn attributes(kinds: u16, longest: usize) -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    let attribute = (1..=kinds, prop::bool::ANY, prop::collection::vec(any::<u8>(), 0..longest));
    let flagged = attribute.prop_map(|(kind, flag, value)| (if flag { kind | FLAG_BITS } else { kind }, value));
    prop::collection::vec(flagged, 0..30)
}

/// What an archive keeps of an attribute: all of it, but for the keys of TCP MD5.
fn stored((kind, value): &(u16, Vec<u8>)) -> (u16, Vec<u8>) {
    let kind = kind & !FLAG_BITS;
    let mut value = value.clone();
    if kind == INET_DIAG_MD5SIG {
        for entry in value.chunks_mut(MD5SIG_LEN) {
            entry.iter_mut().skip(MD5SIG_KEY).for_each(|byte| *byte = 0);
        }
    }
    (kind, value)
}

fn bytes_of(header: &InetDiagMsg, attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
    message_bytes(header, attributes.iter().map(|(kind, value)| (*kind, value.as_slice())))
}

fn origin() -> impl Strategy<Value = Origin> {
    prop_oneof![any::<u64>().prop_map(Origin::Poll), any::<bool>().prop_map(|is_final| Origin::Destroy { is_final })]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_come_back_as_they_were(
        header in header(),
        attributes in attributes(MAX_STORED, 300),
        milliseconds in 0i64..4_102_444_800_000,
        origin in origin(),
        streams in prop::option::of(streams::any_streams()),
    ) {
        let bytes = bytes_of(&header, &attributes);
        let time = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds);
        let mut line = Vec::new();
        let message = Message::new(&bytes).expect("a socket");
        let dropped = encode_record(&mut line, &TimestampText::new(time), message, origin, streams.as_ref());

        // Of several with one number the last is kept.
        let expected: BTreeMap<_, _> = attributes.iter().map(stored).collect();
        prop_assert_eq!(dropped, attributes.len() - expected.len());
        let mut reader = ArchiveReader::new(&*line);
        let record = reader.next().expect("a line").expect("well formed");
        prop_assert!(reader.next().is_none());
        prop_assert_eq!(record.timestamp, time);
        prop_assert_eq!(record.is_final, origin == Origin::Destroy { is_final: true });
        prop_assert_eq!(record.poll, if let Origin::Poll(number) = origin { Some(number) } else { None });
        prop_assert_eq!(record.raw_idm, Some(header));
        prop_assert_eq!(record.streams.as_deref(), streams.as_ref());
        let read: BTreeMap<_, _> = record.attributes.iter().map(|(kind, value)| (kind, value.to_vec())).collect();
        for kind in 0..=MAX_STORED + 1 {
            prop_assert_eq!(record.attributes.get(kind), expected.get(&kind).map(Vec::as_slice));
        }
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn what_is_too_large_for_a_line_is_left_out_and_counted(
        header in header(),
        attributes in attributes(MAX_STORED + 10, 20_000),
        streams in prop::option::of(streams::any_streams()),
    ) {
        let bytes = bytes_of(&header, &attributes);
        let mut line = Vec::new();
        let message = Message::new(&bytes).expect("a socket");
        let dropped = encode_record(&mut line, &some_time(), message, Origin::Poll(u64::MAX), streams.as_ref());
        prop_assert!(line.len() <= MAX_LINE_LEN);
        let record = ArchiveReader::new(&*line).next().expect("a line").expect("well formed");
        prop_assert_eq!(record.attributes.iter().count() + dropped, attributes.len());
        prop_assert_eq!(record.streams.as_deref(), streams.as_ref());
        let all: BTreeMap<_, _> = attributes.iter().map(stored).collect();
        for (kind, value) in record.attributes.iter() {
            prop_assert_eq!(all.get(&kind).map(Vec::as_slice), Some(value));
        }
    }

    #[test]
    fn timestamps_are_cut_to_the_millisecond_and_never_rounded_up(nanoseconds in 0i64..4_102_444_800_000_000_000) {
        let time = DateTime::<Utc>::from_timestamp_nanos(nanoseconds);
        let text = TimestampText::new(time);
        prop_assert_eq!(text.as_str().parse::<DateTime<Utc>>(), Ok(time.trunc_subsecs(3)));
        let digits = text.as_str().split_once('.').map_or("", |(_, digits)| digits);
        prop_assert!(text.as_str().ends_with('Z') && digits.len() <= 4 && !digits.ends_with("0Z"));
    }

    #[test]
    fn metadata_comes_back_as_it_was(
        uuid in any::<String>(),
        sequence in any::<i64>(),
        nanoseconds in any::<i64>(),
        optional in prop::collection::vec(prop::option::of(any::<String>()), 6),
        estats in prop::option::of(prop::collection::btree_map(any::<String>(), any::<String>(), 0..5)),
    ) {
        let [kernel_release, boot_id, interval, achieved_interval, asked_attributes, version] =
            optional.try_into().expect("six");
        let start_time = DateTime::<Utc>::from_timestamp_nanos(nanoseconds).fixed_offset();
        let metadata =
            Metadata { uuid, sequence, start_time, kernel_release, boot_id, interval, achieved_interval, asked_attributes, estats, version };
        let mut line = Vec::new();
        encode_header(&mut line, &metadata).expect("into memory");
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let record = ArchiveReader::new(&*line).next().expect("a line").expect("well formed");
        prop_assert_eq!(record.metadata, Some(metadata));
    }
}
