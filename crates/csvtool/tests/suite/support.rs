//! Ways to run the tool, and archives to run it on.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use csvtool::cli::{parse, run};

/// What a run of the program left behind.
pub(crate) struct Output {
    pub(crate) csv: String,
    pub(crate) errors: String,
    pub(crate) code: Option<i32>,
}

/// The program, to be run.
pub(crate) fn csvtool() -> Command {
    Command::new(env!("CARGO_BIN_EXE_csvtool"))
}

/// Runs the program with `input` on standard input.
pub(crate) fn run_binary(args: impl IntoIterator<Item = impl AsRef<OsStr>>, input: &[u8]) -> Output {
    let mut child = csvtool()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("can be started");
    let mut stdin = child.stdin.take().expect("piped");
    thread::scope(|scope| {
        scope.spawn(move || {
            // A program that does not want its input closes the pipe.
            let _ = stdin.write_all(input);
        });
        let output = child.wait_with_output().expect("ends");
        Output { csv: text(output.stdout), errors: text(output.stderr), code: output.status.code() }
    })
}

/// Runs the program inside this process, which is enough where only files are read.
pub(crate) fn run_library(compat: bool, files: &[&Path]) -> Output {
    let flag = compat.then_some("--compat".as_ref());
    let args = parse(std::iter::once("csvtool".as_ref()).chain(flag).chain(files.iter().map(|path| path.as_os_str())));
    let (mut csv, mut errors) = (Vec::new(), Vec::new());
    let good = run(&args, &mut csv, &mut errors);
    Output { csv: text(csv), errors: text(errors), code: Some(if good { 0 } else { 1 }) }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

/// A file of the CSV test data.
pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/csv").join(name)
}

/// The text of a file.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A file with this content, in a directory of its own that goes with the returned value.
pub(crate) fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    fs::write(&path, content).expect("can be written");
    (directory, path)
}

/// `text` as one zstd frame with a checksum, without which a decoder cannot tell a flipped bit from another text.
pub(crate) fn compress(text: &str) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("level 3");
    encoder.include_checksum(true).expect("before the first byte");
    encoder.write_all(text.as_bytes()).expect("compresses");
    encoder.finish().expect("compresses")
}

/// What a decoder can deliver of a damaged file: everything up to the error.
pub(crate) fn decompress_as_far_as_possible(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut byte = [0];
    if let Ok(mut decoder) = zstd::Decoder::new(bytes) {
        while let Ok(1) = decoder.read(&mut byte) {
            text.push(byte[0]);
        }
    }
    text
}

/// Says why a test is skipped, past the capture of what passing tests print.
pub(crate) fn skipped(reason: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// Whether Python has these modules.
pub(crate) fn has_python_modules(names: &str) -> bool {
    let tried = Command::new("python3").args(["-c", &format!("import {names}")]).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

/// Runs one of the checks in Python, and returns what it printed.
pub(crate) fn python(script: &str, args: &[&Path]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles").join(script);
    let output = Command::new("python3").arg(script).args(args).output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text(output.stdout)
}
