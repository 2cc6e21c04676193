//! Many inputs at a time: the same table, whatever some of them are like.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::*;

const FILES: usize = 100;

/// A tree of so many archives. Some are long, most are short.
fn tree() -> (tempfile::TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().expect("a directory");
    let texts = ["kernels", "addresses", "attributes", "lengths"].map(|name| read(testdata(&format!("{name}.jsonl"))));
    let write = |number: usize| {
        let text = &texts[number % texts.len()];
        let path = directory.path().join(format!("{number:03}.jsonl.zst"));
        fs::write(&path, compress(&if number.is_multiple_of(10) { text.repeat(40) } else { text.clone() }))
            .expect("writes");
        path
    };
    let paths = (0..FILES).map(write).collect();
    (directory, paths)
}

fn rows_of(paths: &[PathBuf]) -> String {
    let rows = paths.iter().map(|path| {
        let output = run_binary(["-j", "1", path.to_str().expect("UTF-8")], b"");
        output.csv.split_inclusive('\n').skip(1).collect::<String>()
    });
    rows.collect()
}

#[test]
fn rows_are_in_the_order_of_their_files_whatever_the_number_of_jobs() {
    let (directory, paths) = tree();
    let expected = rows_of(&paths);
    for jobs in ["1", "2", "16"] {
        let output = run_binary(["-j", jobs, directory.path().to_str().expect("UTF-8")], b"");
        assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
        assert!(output.csv.split_once('\n').is_some_and(|(_, rows)| rows == expected), "{jobs} jobs");
    }
}

/// Damages seven files, each in a way of its own. The rows that each is to yield all the same.
fn damage(paths: &[PathBuf]) -> Vec<(PathBuf, String)> {
    let text = read(testdata("attributes.jsonl"));
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let rows: Vec<String> = read(testdata("attributes.csv")).split_inclusive('\n').skip(1).map(str::to_owned).collect();
    let whole = compress(&text);
    // Of a frame that is cut before its end a decoder has all it can tell.
    let cut = &whole[..whole.len() - 20];
    let good = decompress_as_far_as_possible(cut).iter().filter(|&&byte| byte == b'\n').count().saturating_sub(1);
    let bad_base64 = text.replacen("\"RawIDM\":\"", "\"RawIDM\":\"!", 1);
    let bad_json =
        lines.iter().enumerate().map(|(at, line)| if at == 2 { "{oops}\n" } else { line }).collect::<String>();
    let cut_line = text.trim_end().strip_suffix('}').expect("an object").to_owned();
    let but = |left_out: usize| {
        rows.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, row)| row.as_str()).collect::<String>()
    };
    let cases: [(Vec<u8>, String); 6] = [
        (cut.to_vec(), rows[..good].concat()),
        (compress(&cut_line), but(rows.len() - 1)),
        (compress(&bad_base64), but(0)),
        (compress(&bad_json), but(1)),
        (Vec::new(), String::new()),
        (b"PK\x03\x04 is no zstd".to_vec(), String::new()),
    ];
    let mut damaged = Vec::new();
    for (number, (content, rows)) in cases.into_iter().enumerate() {
        let path = paths[7 + 13 * number].clone();
        fs::write(&path, content).expect("writes");
        damaged.push((path, rows));
    }
    // Root may read everything that is there.
    fs::remove_file(&paths[95]).expect("is there");
    symlink(Path::new("/no/such/file"), &paths[95]).expect("is made");
    damaged.push((paths[95].clone(), String::new()));
    damaged
}

#[test]
fn of_a_hundred_files_seven_are_damaged_in_seven_ways_and_every_good_row_comes_out() {
    let (directory, paths) = tree();
    let damaged = damage(&paths);
    let expected = paths.iter().map(|path| {
        let bad = damaged.iter().find(|(bad, _)| bad == path);
        bad.map_or_else(|| rows_of(std::slice::from_ref(path)), |(_, rows)| rows.clone())
    });
    let expected: String = expected.collect();
    let output = run_binary([directory.path()], b"");
    assert_eq!(output.code, Some(1));
    assert!(output.csv.split_once('\n').is_some_and(|(_, rows)| rows == expected));
    let errors: Vec<_> = output.errors.lines().collect();
    assert_eq!(errors.len(), 8, "{}", output.errors);
    for ((path, _), error) in damaged.iter().zip(&errors) {
        assert!(error.contains(path.to_str().expect("UTF-8")), "{error}");
    }
    assert!(errors[7].contains("7 of 100 archives are damaged or missing"), "{}", errors[7]);
}

#[test]
fn strict_stops_at_the_first_damage() {
    let (directory, paths) = tree();
    let damaged = damage(&paths);
    let output = run_binary(["--strict", directory.path().to_str().expect("UTF-8")], b"");
    assert_eq!(output.code, Some(1));
    let errors: Vec<_> = output.errors.lines().collect();
    assert_eq!(errors.len(), 2, "{}", output.errors);
    assert!(
        errors[0].contains(damaged[0].0.to_str().expect("UTF-8"))
            && errors[1].starts_with("csvtool: stopped at the first damage"),
        "{}",
        output.errors
    );
    let before = rows_of(&paths[..7]);
    assert!(output.csv.split_once('\n').is_some_and(|(_, rows)| rows.starts_with(&before)));
}
