//! No input makes it panic, and whatever comes out is a table.

use std::io::Cursor;

use csvtool::capture::{Capture, columns, faults};
use csvtool::convert::{Converter, Name, Product, Tally};
use csvtool::formats::bq::BqRows;
use csvtool::formats::parquet::BatchRows;
use csvtool::formats::text::{Dialect, TextRows};
use csvtool::last::LastRecords;
use csvtool::summary::{self, Summaries};
use inetdiag::ArchiveReader;
use proptest::prelude::*;

use crate::packets::{ETHERNET, Order, pcap, pcapng};
use crate::support::*;

fn convert(input: Vec<u8>, dialect: Dialect) -> (Vec<u8>, Tally) {
    let rows = TextRows::csv(dialect);
    let mut csv = rows.header();
    let mut converter = Converter::new(rows);
    let mut archive = ArchiveReader::sniff(Cursor::new(input)).expect("memory can be read");
    let give = &mut |rows: Vec<u8>| {
        csv.extend_from_slice(&rows);
        Ok(())
    };
    let tally = converter.convert(&Name::file("input"), &mut archive, |_, _| {}, give).expect("is taken");
    converter.finish(give).expect("is taken");
    (csv, tally)
}

/// All that is made of an input.
fn made<P: Product>(input: &[u8], product: P) -> Vec<P::Made> {
    let mut converter = Converter::new(product);
    let mut archive = ArchiveReader::sniff(Cursor::new(input.to_vec())).expect("memory can be read");
    let mut made = Vec::new();
    let give = &mut |piece| {
        made.push(piece);
        Ok(())
    };
    converter.convert(&Name::file("input"), &mut archive, |_, _| {}, give).expect("is taken");
    converter.finish(give).expect("is taken");
    made
}

/// What all other products make of it is what they promise.
fn check_products(input: &[u8]) {
    let rows = convert(input.to_vec(), Dialect::Ours).1.rows;
    let batches = made(input, BatchRows::new(Dialect::Ours.columns(), true));
    assert_eq!(batches.iter().map(|batch| batch.rows.num_rows() as u64).sum::<u64>(), rows);
    for line in made(input, BqRows::new()).concat().split_inclusive(|byte| *byte == b'\n') {
        let row: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        assert!(row["a"]["FinalSnapshot"].is_object(), "{row}");
    }
    let summaries = made(input, Summaries::default());
    assert_eq!(summaries.iter().map(|summary| summary.records).sum::<u64>(), rows);
    for summary in summaries {
        let cells = summary::columns::ALL.iter().filter_map(|column| (column.value)(&summary));
        assert!(cells.map(|cell| (cell.text(), cell.json())).all(|(text, json)| !text.is_empty() || json.is_string()));
    }
    assert_eq!(made(input, LastRecords::default()).is_empty(), rows == 0);
}

fn check(input: &[u8]) {
    check_products(input);
    for dialect in [Dialect::Ours, Dialect::Original] {
        let (csv, tally) = convert(input.to_vec(), dialect);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&csv[..]);
        let mut rows = 0;
        for row in reader.byte_records() {
            assert_eq!(row.expect("every row is as long as the first").len(), dialect.columns().len());
            rows += 1;
        }
        assert_eq!(rows, 1 + tally.rows);
    }
}

/// What a capture comes to, or what is wrong with it.
fn check_capture(input: &[u8]) {
    let mut capture = Capture::default();
    let faults = faults::of(capture.read(input));
    let streams = capture.streams();
    assert!(!streams.is_empty() || !faults.is_empty());
    for cell in streams.iter().flat_map(|stream| columns::ALL.iter().filter_map(|column| (column.value)(stream))) {
        assert!(!cell.text().is_empty() && !cell.json().is_null(), "{cell:?}");
    }
}

/// A record line with any header and any attributes.
fn any_record() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 90..300)];
    let attributes = prop::collection::vec(prop::option::of(payload), 0..45);
    let idm = prop::collection::vec(any::<u8>(), 72..80);
    (idm, attributes, any::<bool>()).prop_map(|(idm, attributes, is_final)| {
        let attributes: Vec<_> = attributes
            .iter()
            .map(|payload| payload.as_ref().map_or("null".to_owned(), |bytes| format!("\"{}\"", base64(bytes))))
            .collect();
        let (idm, attributes) = (base64(&idm), attributes.join(","));
        let time = "2026-01-02T03:04:05Z";
        format!(r#"{{"Timestamp":"{time}","RawIDM":"{idm}","Attributes":[{attributes}],"Final":{is_final}}}"#)
            .into_bytes()
    })
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word = group.iter().chain(&[0; 2]).take(3).fold(0usize, |word, &byte| word << 8 | usize::from(byte));
        for i in 0..4 {
            text.push(if i <= group.len() { char::from(DIGITS[word >> (18 - 6 * i) & 63]) } else { '=' });
        }
    }
    text
}

/// Each column yields values of the type it claims.
#[test]
fn values_are_of_the_type_of_their_column() {
    use inetdiag::columns::{self, Connection, Row};
    for name in ["lengths", "attributes", "addresses", "kernels", "streams"] {
        let mut connection = Connection::default();
        let mut seen = 0;
        for record in inetdiag::open(testdata(&format!("{name}.jsonl"))).expect("test data") {
            let mut record = record.expect("a good line");
            if let Some(metadata) = record.metadata.take() {
                connection = metadata.into();
            }
            let snapshot = inetdiag::Snapshot::decode(&record);
            let row = Row::decoded(&record, snapshot, &connection);
            for column in columns::all() {
                if let Some(value) = (column.value)(&row) {
                    assert_eq!(value.kind(), column.kind, "{}", column.name);
                    seen += 1;
                }
            }
        }
        assert!(seen > 50, "{name}: {seen}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_make_a_table(input in prop::collection::vec(any::<u8>(), 0..4096)) {
        check(&input);
    }

    #[test]
    fn any_bytes_behind_the_magic_make_a_table(input in prop::collection::vec(any::<u8>(), 0..512)) {
        check(&[&[0x28, 0xb5, 0x2f, 0xfd][..], &input].concat());
    }

    #[test]
    fn any_record_makes_a_row(record in any_record()) {
        check(&record);
        prop_assert_eq!(convert(record, Dialect::Ours).1, Tally { lines: 1, rows: 1, ..Tally::default() });
    }

    #[test]
    fn a_mutated_archive_makes_a_table(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = read(testdata("attributes.jsonl")).into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        check(&text);
    }

    #[test]
    fn any_bytes_behind_the_header_of_a_capture_are_streams_or_a_fault(
        input in prop::collection::vec(any::<u8>(), 0..512),
        order in prop::sample::select(&Order::BOTH[..]),
    ) {
        check_capture(&[pcap(order, false, ETHERNET, &[]), input.clone()].concat());
        check_capture(&[pcapng(order, None, ETHERNET, &[]), input].concat());
    }

    #[test]
    fn a_mutated_capture_is_streams_or_a_fault(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let packets = crate::streams::connection();
        for mut input in [pcap(Order::Big, true, ETHERNET, &packets), pcapng(Order::Little, Some(9), ETHERNET, &packets)] {
            let at = at.index(input.len());
            input[at] = byte;
            check_capture(&input);
        }
    }
}
