//! Where a table goes: a file that is replaced when the new one is whole, and anything else that can be written.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::*;

fn archive() -> String {
    testdata("kernels.jsonl").display().to_string()
}

fn written(path: &Path) -> Output {
    run_binary(["-o", path.to_str().expect("UTF-8"), &archive()], b"")
}

#[test]
fn a_link_stays_one_and_what_it_leads_to_is_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let (target, link) = (directory.path().join("target"), directory.path().join("link"));
    fs::write(&target, "before").expect("writes");
    symlink(&target, &link).expect("is made");
    assert_eq!(written(&link).code, Some(0));
    assert!(link.symlink_metadata().expect("is there").is_symlink());
    assert_eq!(read(&target), read(testdata("kernels.csv")));
    assert_eq!(fs::read_dir(directory.path()).expect("is there").count(), 2, "nothing else is left");
}

#[test]
fn a_pipe_is_written_to() {
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("is there").success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || {
            let mut text = String::new();
            File::open(pipe).expect("opens").read_to_string(&mut text).expect("reads");
            text
        }
    });
    assert_eq!(written(&pipe).code, Some(0));
    assert_eq!(reader.join().expect("ends"), read(testdata("kernels.csv")));
    assert!(pipe.symlink_metadata().expect("is there").file_type().is_fifo());
    let output = run_binary(["-o", "/dev/stdout", &archive()], b"");
    assert_eq!((output.csv, output.code), (read(testdata("kernels.csv")), Some(0)));
}

#[test]
fn no_archive_is_replaced_by_its_table() {
    let (directory, path) = file("a.jsonl", read(archive()).as_bytes());
    let same = directory.path().join("./a.jsonl");
    let output = run_binary(["-o", same.to_str().expect("UTF-8"), path.to_str().expect("UTF-8")], b"");
    assert!(output.code == Some(1) && output.errors.contains("is one of the archives to read"), "{}", output.errors);
    assert_eq!(read(&path), read(archive()));
    // A table of before, in the tree that is read, is none of the archives.
    let old = directory.path().join("old.jsonl");
    let args = ["--format", "jsonl", "-o", old.to_str().expect("UTF-8"), directory.path().to_str().expect("UTF-8")];
    let (first, second) = (run_binary(args, b""), run_binary(args, b""));
    assert_eq!((first.code, second.code), (Some(0), Some(1)));
    assert!(second.errors.contains("old.jsonl: is the table that is written: left out"), "{}", second.errors);
    let rows = read(testdata("kernels.csv")).lines().count() - 1;
    assert_eq!(read(&old).lines().count(), rows);
}

#[test]
fn what_cannot_be_written_is_told_before_anything_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, "").expect("writes");
    // A link to nothing, and a file where a directory would have to be.
    symlink(directory.path().join("none"), &link).expect("is made");
    let in_file = file.join("x");
    for (args, path) in [
        (&["--format", "parquet", "--partition"][..], &file),
        (&[], &directory.path().to_path_buf()),
        (&["--final"], &in_file),
        (&[], &link),
    ] {
        let output = run_binary([args, &["-o", path.to_str().expect("UTF-8"), "/no/such/archive"]].concat(), b"");
        assert_eq!(output.code, Some(1));
        assert!(
            output.errors.contains("cannot write the table") && !output.errors.contains("/no/such"),
            "{}",
            output.errors
        );
    }
}

#[test]
fn a_signal_to_end_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    for format in ["csv", "parquet"] {
        // Standard input that does not end.
        let mut child = csvtool()
            .args(["--format", format, "-o", directory.path().join("table").to_str().expect("UTF-8"), "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("starts");
        let count = || fs::read_dir(directory.path()).expect("is there").count();
        while count() == 0 {
            std::thread::sleep(Duration::from_millis(5)); // until its file is there
        }
        let status = Command::new("kill").arg(child.id().to_string()).status();
        assert!(status.expect("is there").success());
        assert!(!child.wait().expect("ends").success());
        assert_eq!(count(), 0, "{format}");
    }
}
