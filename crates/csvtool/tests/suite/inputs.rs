//! Directories, patterns and tar files: the same rows as of their files one by one.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::*;

const NAMES: [&str; 3] = ["2026/01/01/a.00000.jsonl.zst", "2026/01/02/a.00001.jsonl.zst", "2026/01/02/b.00000.jsonl"];

fn contents() -> [Vec<u8>; 3] {
    ["kernels", "addresses", "attributes"].map(|name| {
        let text = read(testdata(&format!("{name}.jsonl")));
        if name == "attributes" { text.into_bytes() } else { compress(&text) }
    })
}

/// A tree of archives, with other things in it.
fn tree() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let others = [(".spool/x.jsonl.zst", "x"), ("2026/01/01/README", "no archive"), ("2026/01/.hidden.jsonl", "x")];
    let archives = NAMES.into_iter().zip(contents());
    for (name, content) in archives.chain(others.map(|(name, text)| (name, text.as_bytes().to_vec()))) {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("has one")).expect("is made");
        fs::write(path, content).expect("writes");
    }
    directory
}

/// What comes of the files, given one by one.
fn expected(directory: &Path) -> String {
    let output = run_binary(NAMES.map(|name| directory.join(name)), b"");
    assert_eq!(output.code, Some(0), "{}", output.errors);
    output.csv
}

fn tar(write: impl Write) {
    let mut tar = tar::Builder::new(write);
    for (name, content) in NAMES.into_iter().zip(contents()).chain([("README", b"no archive".to_vec())]) {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &content[..]).expect("writes");
    }
    tar.into_inner().expect("writes").flush().expect("writes");
}

#[test]
fn a_directory_is_its_archives_by_date() {
    let directory = tree();
    let output = run_binary([directory.path()], b"");
    assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
    assert!(output.csv == expected(directory.path()));
}

#[test]
fn a_pattern_is_what_it_matches_by_name() {
    let directory = tree();
    let pattern = |pattern: &str| directory.path().join(pattern);
    let output = run_binary([pattern("2026/01/*/*.jsonl*")], b"");
    assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
    assert!(output.csv == expected(directory.path()));
    let output = run_binary([pattern("2027/*")], b"");
    assert!(output.code == Some(1) && output.errors.contains("no file matches"), "{}", output.errors);
}

#[test]
fn tar_files_are_the_archives_in_them() {
    let directory = tree();
    let plain = directory.path().join("day.tar");
    tar(fs::File::create(&plain).expect("is made"));
    let zipped = directory.path().join("day.tgz");
    tar(GzEncoder::new(fs::File::create(&zipped).expect("is made"), Compression::fast()));
    for path in [plain, zipped] {
        let bytes = fs::read(&path).expect("is there");
        // Under a name that says nothing, and without one.
        let (_directory, renamed) = file("day", &bytes);
        for output in [run_binary([&path], b""), run_binary([&renamed], b""), run_binary(["-"], &bytes)] {
            assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
            assert!(output.csv == expected(directory.path()));
        }
    }
}

#[test]
fn an_archive_that_is_compressed_by_gzip_is_one_too() {
    let plain = read(testdata("kernels.jsonl")).into_bytes();
    let expected = run_binary(["-"], &plain);
    assert_eq!((expected.errors.as_str(), expected.code), ("", Some(0)));
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(&plain).expect("memory takes it");
    let zipped = zipped.finish().expect("memory takes it");
    let (_directory, path) = file("one.jsonl.gz", &zipped);
    for output in [run_binary(["-"], &zipped), run_binary([path], b"")] {
        assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
        assert!(output.csv == expected.csv);
    }
}

#[test]
fn ports_may_be_ranges() {
    let archive = contents();
    let of = |ports: &str| run_binary(["--port", ports, "-"], &archive[0]);
    assert!(of("0-65535").csv.lines().count() > 1);
    assert_eq!(of("1,2-3").csv.lines().count(), 1);
    let bad = of("80-x");
    assert!(bad.code == Some(2) && bad.errors.contains("or a range"), "{}", bad.errors);
}

#[test]
fn what_has_no_archives_or_is_cut_is_told_by_name() {
    let directory = tree();
    let empty = directory.path().join("2026/01/empty");
    fs::create_dir(&empty).expect("is made");
    let output = run_binary([&empty], b"");
    assert!(
        output.code == Some(1) && output.errors.contains("2026/01/empty: there is no archive in it"),
        "{}",
        output.errors
    );
    let mut bytes = Vec::new();
    tar(GzEncoder::new(&mut bytes, Compression::fast()));
    for len in [0, 1, 10, bytes.len() / 2, bytes.len() - 20] {
        let (_directory, path) = file("cut.tgz", &bytes[..len]);
        let output = run_binary([&path], b"");
        assert!(output.code == Some(1) && output.errors.contains("cut.tgz"), "{len}: {}", output.errors);
    }
}
