//! The two directories of an archive: one owner, one file system.

use std::fs;

use rustix::fs::{Mode, chmod};
use saver::{OpenError, Spool};

use crate::support::*;

#[test]
fn a_second_owner_is_refused_and_told_what_to_do() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let first = open_spool(dir.path());
    let error = Spool::open(dir.path(), &dir.path().join(".spool")).expect_err("is refused");
    assert!(matches!(error, OpenError::InUse { .. }));
    let text = error.to_string();
    assert!(text.contains(".spool") && text.contains("another recorder") && text.contains("--spool"), "{text}");
    Spool::open(dir.path(), &dir.path().join("spool-2")).expect("another spool directory is free");
    drop(first);
    open_spool(dir.path());
}

#[test]
fn a_spool_on_another_file_system_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("creates");
    let Some(_mounted) = mount::tmpfs(&elsewhere, 1 << 20) else { return };
    let error = Spool::open(dir.path(), &elsewhere).expect_err("is refused");
    assert!(matches!(error, OpenError::OtherFileSystem { .. }));
    let text = error.to_string();
    assert!(text.contains("elsewhere") && text.contains("--spool"), "{text}");
    assert_eq!(fs::read_dir(&elsewhere).expect("reads").count(), 0, "nothing was made there");
}

/// One disk, mounted twice, as containers do: the device number is the same, and yet no file can be renamed across.
#[test]
fn a_spool_on_another_mount_of_the_same_file_system_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [disk, output, spool] = ["disk", "output", "spool"].map(|name| dir.path().join(name));
    for directory in [&disk, &output, &spool] {
        fs::create_dir(directory).expect("creates");
    }
    let Some(_disk) = mount::tmpfs(&disk, 1 << 20) else { return };
    let [on_disk, spool_on_disk] = ["output", "spool"].map(|name| disk.join(name));
    for directory in [&on_disk, &spool_on_disk] {
        fs::create_dir(directory).expect("creates");
    }
    let (Some(_output), Some(_spool)) = (mount::bind(&on_disk, &output), mount::bind(&spool_on_disk, &spool)) else {
        return;
    };
    let error = Spool::open(&output, &spool).expect_err("is refused");
    assert!(matches!(error, OpenError::OtherFileSystem { .. }));
    Spool::open(&on_disk, &spool_on_disk).expect("within one mount all is well");
}

#[test]
fn a_place_that_cannot_be_a_directory_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("writes");
    let error = Spool::open(&file.join("output"), &dir.path().join("spool")).expect_err("is refused");
    let text = error.to_string();
    assert!(matches!(error, OpenError::Disk(_)));
    assert!(text.contains("cannot create") && text.contains("file/output") && text.contains("check that"), "{text}");
}

#[test]
fn opening_leaves_no_trace_in_the_output_directory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path().join("new/output");
    let spool = dir.path().join("new/spool");
    Spool::open(&output, &spool).expect("opens");
    assert_eq!(fs::read_dir(&output).expect("reads").count(), 0);
}

/// Root may write anywhere, so this only says something for others.
#[test]
fn a_read_only_output_directory_is_named_at_start() {
    if rustix::process::geteuid().is_root() {
        return skipped("permissions do not stop root");
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    chmod(dir.path(), Mode::from_raw_mode(0o555)).expect("is ours");
    let error = Spool::open(dir.path(), &dir.path().join(".spool")).expect_err("is refused");
    chmod(dir.path(), Mode::from_raw_mode(0o755)).expect("is ours");
    assert!(error.to_string().contains("Permission denied"), "{error}");
}
