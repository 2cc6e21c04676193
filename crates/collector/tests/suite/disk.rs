//! Disks that are small, full or gone: records wait or are counted as lost, and recording goes on.

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use netlab::Pair;
use rustix::process::Signal;

use crate::support::daemon::{Daemon, PATIENCE, program};
use crate::support::traffic::{connections, echo_server};
use crate::support::{archive, require_root, skipped};

/// A file system in memory; unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "none"], dir.path());
        Self(dir)
    }

    fn output(&self) -> PathBuf {
        self.0.path().join("archive")
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("creates");
        while filler.write_all(&[1; 4096]).is_ok() {}
    }
}

fn mount(arguments: &[&str], at: &Path) {
    let done = Command::new("mount").args(arguments).arg(at).status();
    assert!(done.expect("mount is installed").success(), "mount {arguments:?}");
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn server(pair: &Pair) -> SocketAddr {
    pair.right.run(|| echo_server(TcpListener::bind("10.77.0.2:0").expect("binds")))
}

/// Waits until the output directory holds so many finished files.
fn wait_for_files(output: &Path, wanted: impl Fn(usize) -> bool) {
    let begin = Instant::now();
    while !wanted(archive::paths(output).len()) {
        assert!(begin.elapsed() < PATIENCE, "{} files", archive::paths(output).len());
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_costs_nothing_while_memory_lasts() {
    require_root!();
    let pair = Pair::new();
    let disk = SmallDisk::new("2m");
    let output = disk.output();
    let server = server(&pair);
    let daemon = Daemon::start(pair.left.command(program()), &output, &[]);
    pair.left.run(|| connections(server, 20, 200.0, Duration::ZERO));
    wait_for_files(&output, |files| files == 20);
    disk.fill();
    pair.left.run(|| connections(server, 100, 200.0, Duration::ZERO));
    daemon.wait_for_log("No space left on device");
    fs::remove_file(disk.filler()).expect("is there");
    wait_for_files(&output, |files| files == 120);
    daemon.stop();
    archive::zstd_test(&output);
}

#[test]
fn what_memory_cannot_hold_is_dropped_oldest_first_counted_and_told() {
    require_root!();
    let pair = Pair::new();
    let disk = SmallDisk::new("64m");
    let output = disk.output();
    let server = server(&pair);
    let daemon = Daemon::start(pair.left.command(program()), &output, &["--memory-limit", "1MiB", "--interval", "off"]);
    disk.fill();
    let truths = pair.left.run(|| connections(server, 4000, 2000.0, Duration::ZERO));
    daemon.wait_for_log("records are lost");
    fs::remove_file(disk.filler()).expect("is there");
    daemon.signal(Signal::TERM);
    let ended = daemon.wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
    let kept = archive::read(&output);
    let lost = format!("{} records lost", truths.len() - kept.len());
    assert!(kept.len() > 500 && ended.stdout.contains(&lost), "{} files, {}", kept.len(), ended.stdout);
    let newest: Vec<_> = truths[truths.len() - 300..].iter().map(|truth| truth.client).collect();
    let kept: Vec<_> = kept.iter().map(|file| file.ends().0).collect();
    assert!(newest.iter().all(|client| kept.contains(client)), "the newest are there");
}

#[test]
fn an_output_directory_that_vanishes_is_made_again() {
    require_root!();
    let pair = Pair::new();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = directory.path().join("archive");
    let server = server(&pair);
    let daemon = Daemon::start(pair.left.command(program()), &output, &[]);
    pair.left.run(|| connections(server, 20, 200.0, Duration::ZERO));
    wait_for_files(&output, |files| files == 20);
    fs::remove_dir_all(&output).expect("removes");
    pair.left.run(|| connections(server, 30, 200.0, Duration::ZERO));
    daemon.stop();
    assert_eq!(archive::paths(&output).len(), 30);
}

#[test]
fn a_disk_that_turns_read_only_is_waited_for() {
    require_root!();
    let pair = Pair::new();
    let disk = SmallDisk::new("8m");
    let output = disk.output();
    let server = server(&pair);
    let remount = |mode: &str| mount(&["-o", &format!("remount,{mode}")], disk.0.path());
    let daemon = Daemon::start(pair.left.command(program()), &output, &[]);
    remount("ro");
    pair.left.run(|| connections(server, 30, 200.0, Duration::ZERO));
    daemon.wait_for_log("Read-only file system");
    remount("rw");
    wait_for_files(&output, |files| files == 30);
    daemon.stop();
}

/// As a network file system that is away for a moment: strace has renames and what cleans up after them fail.
#[test]
fn a_moment_of_io_errors_costs_nothing() {
    require_root!();
    if Command::new("strace").arg("-V").output().is_err() {
        return skipped("strace is not installed");
    }
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let server = server(&pair);
    let mut command = pair.left.command("strace");
    command.args(["-D", "-f", "-q", "-o", "/dev/null", "-e", "trace=renameat2,unlink"]);
    for syscall in ["renameat2", "unlink"] {
        command.args(["-e", &format!("inject={syscall}:error=EIO:when=2..5")]);
    }
    command.arg(program());
    let daemon = Daemon::start(command, output.path(), &["--flush-age", "1s"]);
    pair.left.run(|| connections(server, 100, 200.0, Duration::ZERO));
    wait_for_files(output.path(), |files| files == 100);
    daemon.wait_for_log("Input/output error");
    daemon.stop();
    archive::zstd_test(output.path());
}

#[test]
fn room_is_kept_by_deleting_the_oldest_files() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let server = server(&pair);
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &["--max-disk", "200KiB"]);
    let truths = pair.left.run(|| connections(server, 300, 300.0, Duration::ZERO));
    // A file takes at least a block of the file system.
    wait_for_files(output.path(), |files| (1..=50).contains(&files));
    daemon.wait_for_log("the oldest finished files are deleted");
    daemon.stop();
    let newest = truths.last().expect("some").client;
    assert!(archive::read(output.path()).iter().any(|file| file.ends().0 == newest));
}
