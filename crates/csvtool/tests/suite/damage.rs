//! Files that are cut, corrupt, empty or missing: what is good comes out, what is bad is told.

use std::path::Path;

use crate::support::*;

fn archive() -> String {
    read(testdata("lengths.jsonl"))
}

/// The CSV of the first `lines` lines of the archive with this name, the first of which is its header line.
fn csv_of(name: &str, lines: usize, compat: bool) -> String {
    let (end, rows) = if compat { ("compat.csv", lines) } else { ("csv", lines.saturating_sub(1)) };
    read(testdata(&format!("{name}.{end}"))).split_inclusive('\n').take(rows.saturating_add(1)).collect()
}

/// Checks that of `bytes`, which hold `lines` good lines of the named archive before the damage, just those come out,
/// and that the one message says where the damage is.
fn check_cut(bytes: &[u8], name: &str, lines: usize, compat: bool, case: &str) {
    let (_directory, path) = file("cut.jsonl.zst", bytes);
    let output = run_library(compat, &[&path]);
    assert!(output.csv == csv_of(name, lines, compat), "{case}: {} rows", output.csv.lines().count());
    assert_eq!(output.code, Some(1), "{case}");
    assert_eq!(output.errors.lines().count(), 1, "{case}: {}", output.errors);
    assert!(output.errors.contains(path.to_str().expect("UTF-8")), "{case}: {}", output.errors);
    let text = read(testdata(&format!("{name}.jsonl")));
    let offset: usize = text.split_inclusive('\n').take(lines).map(str::len).sum();
    let place = format!("line {} at byte {offset}: ", lines + 1);
    assert!(output.errors.contains(&place) || bytes.is_empty(), "{case}: {} has no {place:?}", output.errors);
}

#[test]
fn a_compressed_file_cut_anywhere_yields_every_whole_line_before_the_cut() {
    let text = archive();
    let bytes = compress(&text);
    for len in 0..bytes.len() {
        let lines = decompress_as_far_as_possible(&bytes[..len]).iter().filter(|&&byte| byte == b'\n').count();
        check_cut(&bytes[..len], "lengths", lines, len % 2 == 0, &format!("cut to {len} of {} bytes", bytes.len()));
    }
}

#[test]
fn frames_before_a_cut_one_are_whole() {
    let text = archive();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let (first, second) = (compress(&lines[..10].concat()), compress(&lines[10..].concat()));
    for len in (1..second.len()).step_by(7) {
        let bytes = [&first[..], &second[..len]].concat();
        let good = decompress_as_far_as_possible(&bytes).iter().filter(|&&byte| byte == b'\n').count();
        assert!(good >= 10, "{good} lines of a whole frame of 10");
        check_cut(&bytes, "lengths", good, false, &format!("second frame cut to {len} bytes"));
    }
}

#[test]
fn behind_a_damaged_frame_it_is_read_on() {
    let text = archive();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let frames = [&lines[..8], &lines[8..12], &lines[12..]].map(|lines| compress(&lines.concat()));
    let mut bytes = frames.concat();
    // Of its header, so that not even other text is made of it.
    let middle = frames[0].len() + 4;
    bytes[middle..middle + 8].fill(0xff);
    let (_directory, path) = file("gap.jsonl.zst", &bytes);
    let output = run_library(false, &[&path]);
    let rows: Vec<_> = output.csv.lines().collect();
    let all = csv_of("lengths", usize::MAX, false);
    let all: Vec<_> = all.lines().collect();
    assert!(rows.starts_with(&all[..8]) && rows.ends_with(&all[12..]), "{} rows", rows.len());
    let said = format!("line 9 at byte {}: the compression is damaged near byte ", lines[..8].concat().len());
    assert!(output.errors.contains(&said), "{}", output.errors);
    assert!(
        output.errors.contains(&format!("7 before it, {} from whole frames behind it", all.len() - 12)),
        "{}",
        output.errors
    );
    assert_eq!(output.code, Some(1));
}

#[test]
fn a_file_whose_first_bytes_are_damaged_is_read_from_its_next_frame_on() {
    let text = archive();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let frames = [&lines[..8], &lines[8..]].map(|lines| compress(&lines.concat()));
    for damaged in [vec![0xa8], vec![0; 40]] {
        let mut bytes = frames.concat();
        bytes[..damaged.len()].copy_from_slice(&damaged);
        let (_directory, path) = file("gap.jsonl.zst", &bytes);
        let output = run_library(false, &[&path]);
        assert_eq!(output.csv.lines().count(), 1 + lines.len() - 8, "{}", output.errors);
        assert_eq!(output.code, Some(1));
    }
}

#[test]
fn a_text_whose_first_bytes_are_damaged_loses_a_line() {
    let rows = archive().lines().count() - 1;
    for (at, len) in [(0, 1), (2, 1), (0, 40)] {
        let mut bytes = archive().into_bytes();
        bytes[at..at + len].fill(0xfb);
        let (_directory, path) = file("x.jsonl", &bytes);
        let output = run_library(false, &[&path]);
        assert_eq!((output.csv.lines().count(), output.code), (1 + rows, Some(1)), "{}", output.errors);
    }
    let (_directory, path) = file("x.jsonl", &[&b"\xef\xbb\xbf"[..], archive().as_bytes()].concat());
    let output = run_library(false, &[&path]);
    assert_eq!((output.csv, output.code), (csv_of("lengths", usize::MAX, false), Some(0)));
}

/// How much memory the program took at most, in KiB.
fn peak_memory(args: &[&str]) -> u64 {
    let script = "import os,resource,subprocess,sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, \
        stderr=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let program = [env!("CARGO_BIN_EXE_csvtool")];
    let output = std::process::Command::new("python3").args(["-c", script]).args(program).args(args).output();
    String::from_utf8(output.expect("python3 is there").stdout).expect("UTF-8").trim().parse().expect("a number")
}

#[test]
fn a_million_bad_lines_take_no_memory() {
    let (_directory, path) = file("bad.jsonl.zst", &compress(&"{}\n".repeat(1_000_000)));
    let peak = peak_memory(&[path.to_str().expect("UTF-8")]);
    assert!((1000..64_000).contains(&peak), "{peak} KiB");
}

#[test]
fn strict_writes_what_is_before_the_damage() {
    let text = archive();
    let (_directory, path) = file("cut.jsonl", &text.as_bytes()[..text.len() - 9]);
    let rows = archive().lines().count() - 2;
    let path = path.to_str().expect("UTF-8");
    let output = run_binary(["--strict", "--columns", "TCP.RTT,UUID", path], b"");
    assert_eq!((output.csv.lines().count(), output.code), (1 + rows, Some(1)), "{}", output.errors);
    assert!(output.errors.contains(&format!("rows written before it: {rows}")), "{}", output.errors);
}

#[test]
fn a_plain_file_cut_anywhere_yields_every_whole_line_before_the_cut() {
    let text = read(testdata("addresses.jsonl"));
    for len in 1..text.len() {
        let cut = &text[..len];
        let whole = cut.matches('\n').count();
        // Nothing is missing but the line end, or not even that.
        if text.as_bytes()[len] == b'\n' || text.as_bytes()[len - 1] == b'\n' {
            let (_directory, path) = file("cut.jsonl", cut.as_bytes());
            let output = run_library(false, &[&path]);
            assert_eq!((output.errors.as_str(), output.code), ("", Some(0)), "cut to {len} bytes");
        } else {
            check_cut(cut.as_bytes(), "addresses", whole, false, &format!("cut to {len} bytes"));
        }
    }
}

#[test]
fn a_flipped_bit_never_costs_the_lines_before_it() {
    let text = archive();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let first = compress(&lines[..12].concat());
    let second = compress(&lines[12..].concat());
    let before = csv_of("lengths", 12, false);
    for at in 0..second.len() {
        let mut bytes = [&first[..], &second].concat();
        bytes[first.len() + at] ^= 0x10;
        let (_directory, path) = file("flipped.jsonl.zst", &bytes);
        let output = run_library(false, &[&path]);
        assert!(output.csv.starts_with(&before), "byte {at}");
        if output.csv != csv_of("lengths", usize::MAX, false) {
            assert_eq!(output.code, Some(1), "byte {at}");
        }
    }
}

#[test]
fn a_bad_line_costs_only_itself() {
    let text = archive();
    let mut lines: Vec<_> = text.split_inclusive('\n').collect();
    let bad = "{\"Timestamp\":\"2026-01-02T03:04:05Z\",\"RawIDM\":\"!!!!\"}\n";
    lines.insert(4, bad);
    let offset: usize = lines[..4].iter().map(|line| line.len()).sum();
    let (_directory, path) = file("bad.jsonl", lines.concat().as_bytes());
    for compat in [false, true] {
        let output = run_library(compat, &[&path]);
        assert!(output.csv == csv_of("lengths", usize::MAX, compat));
        assert_eq!(output.code, Some(1));
        assert_eq!(output.errors.lines().count(), 1);
        assert!(output.errors.contains(&format!("bad.jsonl: line 5 at byte {offset}: ")), "{}", output.errors);
    }
}

#[test]
fn thousands_of_bad_lines_are_counted_and_not_told_one_by_one() {
    let text = archive() + &"garbage\n".repeat(5000) + &archive();
    let (_directory, path) = file("bad.jsonl", text.as_bytes());
    let output = run_library(false, &[&path]);
    let rows = 2 * (archive().lines().count() - 1);
    assert_eq!(output.csv.lines().count(), 1 + rows);
    assert_eq!(output.errors.lines().count(), 1, "{}", output.errors);
    let all = format!("; 5000 of {} lines are bad in all, the last: line ", 5000 + rows + 2);
    assert!(output.errors.contains(&all), "{}", output.errors);
    assert!(output.errors.ends_with(&format!("; rows written: {rows}\n")), "{}", output.errors);
}

#[test]
fn what_is_no_archive_at_all_is_told_so() {
    let (_directory, path) = file("day.bin", b"PK\x03\x04 and so on");
    let output = run_library(false, &[&path]);
    assert!(
        output.errors.contains("at byte 0") && output.errors.contains("must be unpacked first"),
        "{}",
        output.errors
    );
    let (_directory, path) = file("day.bin", "garbage\n".repeat(6).as_bytes());
    let output = run_library(false, &[&path]);
    let last = output.errors.lines().last().expect("a line");
    assert!(last.contains("; 6 of 6 lines are bad") && last.contains("must be unpacked first"), "{last}");
    assert_eq!((output.csv.lines().count(), output.code), (1, Some(1)));
}

#[test]
fn an_empty_file_is_an_error_and_a_lone_header_line_is_none() {
    for (content, message) in [("", "empty.jsonl: no records"), ("\n\n", "empty.jsonl: no records")] {
        let (_directory, path) = file("empty.jsonl", content.as_bytes());
        let output = run_library(false, &[&path]);
        assert_eq!(output.code, Some(1));
        assert!(output.errors.contains(message), "{}", output.errors);
    }
    let (_directory, path) = file("header.jsonl", archive().lines().next().expect("a line").as_bytes());
    let output = run_library(false, &[&path]);
    assert_eq!((output.csv.lines().count(), output.errors.as_str(), output.code), (1, "", Some(0)));
}

#[test]
fn a_file_that_cannot_be_opened_does_not_stop_the_others() {
    let good = testdata("kernels.jsonl");
    let empty = tempfile::tempdir().expect("a directory");
    for bad in [Path::new("/nonexistent/x.jsonl.zst"), empty.path()] {
        let output = run_library(false, &[bad, &good]);
        assert_eq!(output.csv, read(testdata("kernels.csv")));
        assert_eq!(output.code, Some(1));
        assert_eq!(output.errors.lines().count(), 2);
        assert!(output.errors.starts_with(&format!("csvtool: {}: ", bad.display())), "{}", output.errors);
        assert!(output.errors.contains("1 of 2 archives are damaged or missing; "), "{}", output.errors);
    }
    let output = run_library(false, &[Path::new("/nonexistent/x.jsonl.zst")]);
    assert_eq!((output.csv.as_str(), output.code), ("", Some(1)));
}

#[test]
fn rows_whose_header_line_is_damaged_or_missing_are_given_to_no_other_connection() {
    let record = |cookie: u8| {
        let mut idm = [0u8; 72];
        idm[44] = cookie;
        format!(
            "{{\"Timestamp\":\"2026-01-02T03:04:05Z\",\"RawIDM\":\"{}\",\"Attributes\":[null]}}\n",
            crate::properties::base64(&idm)
        )
    };
    let header = |uuid: &str| {
        format!("{{\"Metadata\":{{\"UUID\":\"{uuid}\",\"Sequence\":0,\"StartTime\":\"2026-01-02T03:04:05Z\"}}}}\n")
    };
    let damaged = header("second").replace("Sequence", "\u{1}");
    let text =
        [header("first"), record(1), damaged, record(2), record(2), header("third"), record(3), record(4)].concat();
    let (_directory, path) = file("joined.jsonl", text.as_bytes());
    let output = run_library(false, &[&path]);
    let mut lines = output.csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let column = lines.next().expect("a header").iter().position(|name| *name == "UUID").expect("is there");
    let uuids: Vec<_> = lines.map(|row| row[column]).collect();
    assert_eq!(uuids, ["first", "", "", "third", ""]);
    assert_eq!(output.code, Some(1));
}
