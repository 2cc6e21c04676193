//! Other formats than CSV, chosen columns, and a file instead of standard output: the same values as the CSV has.

use std::fs;

use chrono::DateTime;
use inetdiag::{InetDiagMsg, Message, Origin, TimestampText, encode_record};

use crate::support::*;

fn archive() -> String {
    testdata("kernels.jsonl").display().to_string()
}

/// The CSV of the archive as names and cells.
fn table() -> (Vec<String>, Vec<Vec<String>>) {
    let text = read(testdata("kernels.csv"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect());
    (names, rows.collect())
}

#[test]
fn tabs_separate_what_commas_do() {
    let output = run_binary(["--format", "tsv", &archive()], b"");
    let (names, rows) = table();
    let lines: Vec<Vec<String>> =
        output.csv.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    assert_eq!(lines[0], names);
    assert_eq!(lines[1..], rows);
    assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
}

#[test]
fn objects_have_the_values_of_cells_and_no_key_for_empty_ones() {
    let output = run_binary(["--format", "jsonl", &archive()], b"");
    let (names, rows) = table();
    assert_eq!(output.csv.lines().count(), rows.len());
    for (line, row) in output.csv.lines().zip(rows) {
        let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
        for (name, cell) in names.iter().zip(row) {
            let value = match &object[name] {
                serde_json::Value::Null => String::new(),
                serde_json::Value::Bool(flag) => u8::from(*flag).to_string(),
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(value, cell, "{name}");
        }
    }
}

#[test]
fn columns_are_those_that_are_asked_for_in_that_order() {
    let output = run_binary(["--columns", "UUID,TCP.RTT*", "--columns=IDM.State", &archive()], b"");
    let (names, rows) = table();
    let wanted = ["UUID", "TCP.RTT", "TCP.RTTVar", "IDM.State"];
    let at = wanted.map(|name| names.iter().position(|known| known == name).expect("is there"));
    let expected: Vec<String> = rows.iter().map(|row| at.map(|at| row[at].clone()).join(",")).collect();
    assert_eq!(output.csv.lines().next(), Some(wanted.join(",").as_str()));
    assert_eq!(output.csv.lines().skip(1).collect::<Vec<_>>(), expected);
    for wrong in [&["--columns", "TCP.Nothing"][..], &["--columns", "UUID", "--compat"]] {
        let output = run_binary(wrong, b"");
        assert_eq!((output.code, output.csv.as_str()), (Some(2), ""), "{wrong:?}");
    }
}

/// What packets said, in all formats that have columns.
#[test]
fn columns_of_packets_are_chosen_by_how_their_names_begin() {
    let archive = testdata("streams.jsonl");
    let text = read(testdata("streams.csv"));
    let expected: String =
        text.lines().map(|row| row.splitn(171, ',').last().unwrap_or("").to_owned() + "\n").collect();
    let chosen = |more: &[&str]| {
        let args = [&["--columns", "Streams.*"], more, &[archive.to_str().expect("UTF-8")]].concat();
        let output = run_binary(args, b"");
        assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
        output.csv
    };
    assert_eq!(chosen(&[]), expected);
    assert_eq!(chosen(&["--format", "tsv"]), expected.replace(',', "\t"));
    let objects = chosen(&["--format", "jsonl"]);
    assert!(
        objects.contains("\"Streams.Sent.LastPacket\":1000")
            && objects.contains("\"Streams.Received.HealthScore\":2034")
    );
}

#[test]
fn every_column_is_listed() {
    let output = run_binary(["--list-columns"], b"");
    let (names, _) = table();
    let listed: Vec<_> = output.csv.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let extended = estats::columns().map(|column| column.name);
    assert!(listed.into_iter().eq(names.iter().map(String::as_str).chain(extended)));
}

#[test]
fn extended_statistics_are_columns_for_those_who_name_them() {
    let mut value = estats::Value::default();
    (value.raw.count_rtt, value.raw.sum_rtt) = (3, 4500);
    let bytes = nested(20, &nested(1, &[nested(2, &[0; 4]), nested(3, value.as_bytes())].concat()));
    let bytes = [&[0; InetDiagMsg::SIZE][..], &bytes].concat();
    let message = Message::new(&bytes).expect("a socket");
    let mut line = Vec::new();
    encode_record(&mut line, &TimestampText::new(DateTime::UNIX_EPOCH), message, Origin::Poll(1), None);
    let chosen = ["--columns", "Timestamp,estats.PathCountRTT,estats.PathHCSumRTT,estats.PathIpTtl"];
    let output = run_binary(chosen, &line);
    assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
    let expected = "Timestamp,estats.PathCountRTT,estats.PathHCSumRTT,estats.PathIpTtl\n1970-01-01T00:00:00Z,3,4500,\n";
    assert_eq!(output.csv, expected);
    assert!(!run_binary(["-"], &line).csv.contains("estats."));
}

/// A netlink attribute.
fn nested(kind: u16, payload: &[u8]) -> Vec<u8> {
    let len = 4 + payload.len() as u16;
    [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), payload].concat()
}

#[test]
fn a_file_is_there_when_it_is_whole_and_not_before() {
    let (directory, path) = file("out.csv", b"before");
    let output = run_binary(["-o", path.to_str().expect("UTF-8"), &archive()], b"");
    assert_eq!((output.errors.as_str(), output.csv.as_str(), output.code), ("", "", Some(0)));
    assert!(read(&path) == read(testdata("kernels.csv")));
    let missing = directory.path().join("no/such/out.csv");
    let output = run_binary(["-o", missing.to_str().expect("UTF-8"), &archive()], b"");
    assert!(output.code == Some(1) && output.errors.contains("no/such/out.csv"), "{}", output.errors);
    // What is damaged costs itself; the rest is written.
    let output = run_binary(["-o", path.to_str().expect("UTF-8"), "/no/such/archive", &archive()], b"");
    assert_eq!(output.code, Some(1));
    assert!(read(&path) == read(testdata("kernels.csv")));
    let names: Vec<_> =
        fs::read_dir(directory.path()).expect("is there").map(|entry| entry.expect("a name").file_name()).collect();
    assert_eq!(names, ["out.csv"], "nothing else is left");
}
