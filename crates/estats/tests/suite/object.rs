//! The compiled programs that are committed.

use std::path::Path;
use std::process::Command;

const BPF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bpf");

/// What the build script makes in a directory.
fn built(directory: &str) -> Vec<u8> {
    let target = tempfile::NamedTempFile::new().expect("a file");
    let output = Command::new(Path::new(directory).join("build")).arg(target.path()).output().expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(target.path()).expect("it is made")
}

#[test]
fn the_object_is_what_its_sources_make_wherever_they_are() {
    for program in ["clang-14", "llvm-strip-14"] {
        if Command::new(program).arg("--version").output().is_err() {
            eprintln!("skipped: {program} is not installed");
            return;
        }
    }
    let committed = std::fs::read(Path::new(BPF).join("estats.o")).expect("is there");
    assert!(built(BPF) == committed, "run {BPF}/build and commit what it makes");
    let elsewhere = tempfile::tempdir().expect("a directory");
    for entry in std::fs::read_dir(BPF).expect("is there") {
        let entry = entry.expect("is readable");
        std::fs::copy(entry.path(), elsewhere.path().join(entry.file_name())).expect("is copied");
    }
    assert!(built(elsewhere.path().to_str().expect("text")) == committed, "the bytes depend on the directory");
}
