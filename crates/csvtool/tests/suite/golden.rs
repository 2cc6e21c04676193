//! Archives with the CSV that must come of them: what the Go original made, and what follows from the rules.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::*;

#[test]
fn archives_of_the_original_give_the_csv_of_the_original() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/archives");
    let Ok(entries) = fs::read_dir(&directory) else {
        skipped(format_args!("no {}", directory.display()));
        return;
    };
    let mut compared = 0;
    for archive in entries.map(|entry| entry.expect("can be listed").path()) {
        let Some(expected) = sibling(&archive, ".jsonl.zst", ".csv").filter(|path| path.exists()) else { continue };
        let output = run_library(true, &[&archive]);
        assert!(output.csv == read(&expected), "{} differs", expected.display());
        assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
        compared += 1;
    }
    assert!(compared > 0, "{} has no archive with its CSV", directory.display());
}

#[test]
fn archives_of_our_own_give_the_csv_that_was_worked_out_for_them() {
    let mut compared = 0;
    let mut differing = Vec::new();
    for entry in fs::read_dir(testdata("")).expect("test data") {
        let archive = entry.expect("can be listed").path();
        let Some(expected) = sibling(&archive, ".jsonl", ".csv") else { continue };
        let original = sibling(&archive, ".jsonl", ".compat.csv").expect("the same end");
        for (compat, expected) in [(false, expected), (true, original)] {
            let output = run_library(compat, &[&archive]);
            assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
            if let Some(difference) = first_difference(&output.csv, &read(&expected)) {
                differing.push(format!("{}: {difference}", expected.display()));
            }
            compared += 1;
        }
    }
    assert!(differing.is_empty(), "\n{}", differing.join("\n"));
    assert!(compared >= 10, "{compared}");
}

/// The first 105 columns of both CSVs differ only where the original is wrong: everything else keeps scripts working.
#[test]
fn real_values_are_the_same_with_and_without_compat() {
    let archive = testdata("lengths.jsonl");
    let (ours, original) = (run_library(false, &[&archive]).csv, run_library(true, &[&archive]).csv);
    // The original has a row for the header line.
    let original = original.lines().take(1).chain(original.lines().skip(2));
    let full = ours.lines().zip(original).find(|(ours, _)| ours.contains("05.28")).expect("the longest tcp_info");
    for (ours, original) in full.0.split(',').zip(full.1.split(',')).skip(25).take(54) {
        let app_limited = (ours, original) == ("1", "107");
        assert!(ours == original || app_limited, "{ours} {original}");
    }
}

/// An independent reader sees as many cells in each row as in the header.
#[test]
fn every_row_has_a_cell_for_each_column() {
    let archive = testdata("attributes.jsonl");
    for (compat, columns) in [(false, None), (true, Some(105))] {
        let output = run_library(compat, &[&archive]);
        let mut reader = csv::ReaderBuilder::new().from_reader(output.csv.as_bytes());
        let len = reader.headers().expect("a header").len();
        assert_eq!(columns.unwrap_or(len), len);
        let rows: Vec<_> = reader.records().map(|row| row.expect("as many cells as the header")).collect();
        assert_eq!(rows.len(), if compat { 13 } else { 12 });
        assert!(rows.iter().any(|row| &row[18] == "a,\"b"));
    }
}

fn sibling(path: &Path, end: &str, other_end: &str) -> Option<PathBuf> {
    Some(PathBuf::from(path.to_str()?.strip_suffix(end)?.to_owned() + other_end))
}

fn first_difference(actual: &str, expected: &str) -> Option<String> {
    if actual == expected {
        return None;
    }
    let header: Vec<_> = expected.lines().next()?.split(',').collect();
    for (i, (actual, expected)) in actual.lines().zip(expected.lines()).enumerate() {
        let mut cells = actual.split(',').zip(expected.split(',')).enumerate();
        if let Some((j, (a, e))) = cells.find(|(_, (a, e))| a != e) {
            let name = header.get(j).unwrap_or(&"?");
            return Some(format!("line {}, {name}: {a:?} instead of {e:?}", i + 1));
        }
    }
    Some(format!("{} lines instead of {}", actual.lines().count(), expected.lines().count()))
}
