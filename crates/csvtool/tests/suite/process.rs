//! What only a process has: standard streams, exit codes, memory.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;

use crate::support::*;

const NO_ARGS: [&str; 0] = [];

#[test]
fn standard_input_is_read_plain_or_compressed_named_or_not() {
    let text = read(testdata("attributes.jsonl"));
    let expected = read(testdata("attributes.csv"));
    for input in [text.clone().into_bytes(), compress(&text)] {
        for args in [&NO_ARGS[..], &["-"]] {
            let output = run_binary(args, &input);
            assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
            assert!(output.csv == expected);
        }
    }
    let output = run_binary(["--compat"], text.as_bytes());
    assert!(output.csv == read(testdata("attributes.compat.csv")));
    let output = run_binary(NO_ARGS, b"");
    assert_eq!(
        (output.errors.as_str(), output.code),
        ("csvtool: standard input: no records: the file is empty\n", Some(1))
    );
}

#[test]
fn several_files_share_one_header_and_keep_their_order() {
    let names = ["kernels", "addresses", "kernels"];
    let files: Vec<_> = names.iter().map(|name| testdata(&format!("{name}.jsonl"))).collect();
    let output = run_binary(files.iter(), b"");
    let tables: Vec<_> = names.iter().map(|name| read(testdata(&format!("{name}.csv")))).collect();
    let rows = |table: &str| table.split_inclusive('\n').skip(1).collect::<String>();
    let header = tables[0].lines().next().expect("a header").to_owned() + "\n";
    assert_eq!(output.csv, header + &tables.iter().map(|table| rows(table)).collect::<String>());
    assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
}

#[test]
fn facts_of_one_file_do_not_leak_into_the_next() {
    let text = read(testdata("kernels.jsonl"));
    let without_header = text.split_inclusive('\n').nth(1).expect("a record");
    let (_directory, path) = file("headless.jsonl", without_header.as_bytes());
    let output = run_binary([testdata("kernels.jsonl"), path], b"");
    let mut reader = csv::Reader::from_reader(output.csv.as_bytes());
    let uuid = reader.headers().expect("a header").iter().position(|name| name == "UUID").expect("the column");
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!((&rows[0][uuid], &rows[rows.len() - 1][uuid]), ("host_1_001", ""));
    assert_eq!(output.code, Some(0));
}

#[test]
fn closing_the_output_early_is_no_error() {
    let text = read(testdata("lengths.jsonl")).repeat(500);
    let (_directory, path) = file("big.jsonl", text.as_bytes());
    let mut child = csvtool().arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("can be started");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("Timestamp,Observed,"));
    let output = child.wait_with_output().expect("ends");
    assert_eq!((String::from_utf8_lossy(&output.stderr).as_ref(), output.status.code()), ("", Some(0)));
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("skipped: no /dev/full");
        return;
    };
    let output = csvtool().arg(testdata("kernels.jsonl")).stdout(full).output().expect("can be started");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("csvtool: cannot write the table: "));
}

#[test]
fn the_command_line_explains_itself() {
    let help = run_binary(["--help"], b"");
    assert_eq!(help.code, Some(0));
    for word in ["zstd", "--compat", "Examples:", "Exit codes:", "standard input", "empty cell"] {
        assert!(help.csv.contains(word), "{word}");
    }
    let wrong = run_binary(["--no-such-option"], b"");
    assert_eq!((wrong.csv.as_str(), wrong.code), ("", Some(2)));
}

/// Input without end: the peak of resident memory is read while the program still waits for more.
#[test]
fn memory_does_not_grow_with_the_input() {
    const INPUT: usize = 48 << 20;
    const LIMIT_KIB: u64 = 16 << 10;
    if !Path::new("/proc/self/status").exists() {
        eprintln!("skipped: no /proc/self/status");
        return;
    }
    let text = read(testdata("lengths.jsonl"));
    let block = text.repeat((1 << 20) / text.len());
    let mut child = csvtool().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("can be started");
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let reader = std::thread::spawn(move || std::io::copy(&mut stdout.by_ref(), &mut std::io::sink()));
    for _ in 0..INPUT / block.len() {
        stdin.write_all(block.as_bytes()).expect("is read");
    }
    let status = read(format!("/proc/{}/status", child.id()));
    drop(stdin);
    assert!(child.wait().expect("ends").success());
    let written = reader.join().expect("no panic").expect("can be read");
    assert!(written > INPUT as u64 / 4, "{written}");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("on Linux");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < LIMIT_KIB, "{peak} KiB");
}

#[test]
fn a_terminal_shows_how_far_it_is_unless_that_is_not_wanted() {
    let Ok(_) = std::process::Command::new("script").arg("--version").output() else {
        return skipped("script (bsdutils) is not installed");
    };
    let text = read(testdata("lengths.jsonl")).repeat(2000);
    let (_directory, path) = file("big.jsonl", text.as_bytes());
    let said = |options: &str| {
        let line = format!("{} {options} {} > /dev/null", env!("CARGO_BIN_EXE_csvtool"), path.display());
        let output = std::process::Command::new("script").args(["-qec", &line, "/dev/null"]).output().expect("runs");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(said("").contains("1 archives"), "{}", said(""));
    assert_eq!(said("--quiet"), "");
}
