//! Being told to stop, with many connections open.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
use rustix::process::Signal;

use crate::support::daemon::{Daemon, program};
use crate::support::{archive, require_root};
use netlab::Pair;

/// A listener whose queue holds `count` connections, none of which is accepted: they need no descriptors.
fn full_queue(pair: &Pair, count: i32) -> (rustix::fd::OwnedFd, SocketAddr) {
    let address: SocketAddr = "10.77.0.2:7000".parse().expect("an address");
    pair.right.output("sysctl", &["-w", &format!("net.core.somaxconn={count}")]);
    pair.right.output("sysctl", &["-w", &format!("net.ipv4.tcp_max_syn_backlog={count}")]);
    let listener = pair.right.run(|| {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&listener, &address).expect("binds");
        listen(&listener, count).expect("listens");
        listener
    });
    (listener, address)
}

#[test]
fn sigterm_finishes_the_files_of_ten_thousand_connections() {
    require_root!();
    const COUNT: usize = 10_000;
    let pair = Pair::new();
    // In memory: a disk on which other tests just deleted thousands of files would be what is measured.
    let output = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
    let (_listener, server) = full_queue(&pair, 20_000);
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &["--interval", "50ms"]);
    let connect = || TcpStream::connect(server).expect("connects");
    let _open: Vec<_> = pair.left.run(|| (0..COUNT).map(|_| connect()).collect());
    let begin = Instant::now();
    let ended = daemon.stop();
    let took = begin.elapsed();
    eprintln!("{COUNT} connections: {took:?} from SIGTERM to exit");
    assert!(took < Duration::from_secs(5), "{took:?}\n{}", ended.log);
    assert_eq!(archive::paths(output.path()).len(), COUNT);
    assert_eq!(archive::partials(output.path()), 0);
    archive::zstd_test(output.path());
}

#[test]
fn a_second_signal_exits_at_once() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    // On two processors two threads may take one each, and neither know of the other.
    let mut command = pair.left.command("taskset");
    command.args(["-c", "0"]).arg(program());
    let daemon = Daemon::start(command, output.path(), &[]);
    // Both are there before it can act on the first.
    daemon.pause();
    daemon.signal(Signal::INT);
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::CONT);
    let ended = daemon.wait();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.log);
}

/// A log on a full disk, or one whose reader has gone, is no reason to stop recording, nor to lose anything at the end.
#[test]
fn a_log_that_cannot_be_written_costs_no_record() {
    require_root!();
    for sink in ["2>/dev/full >/dev/full", "2>&1 | true"] {
        let pair = Pair::new();
        let output = tempfile::tempdir().expect("a temporary directory");
        let (_listener, server) = full_queue(&pair, 100);
        let recorder = format!("\"$0\" --output \"$1\" --reps 100 {sink}");
        let mut command = pair.left.command("bash");
        let command = command.args(["-o", "pipefail", "-c", &recorder, program()]).arg(output.path());
        let mut child = command.spawn().expect("starts");
        let _open: Vec<_> = pair.left.run(|| (0..20).map(|_| TcpStream::connect(server).expect("connects")).collect());
        let status = child.wait().expect("a child");
        assert!(status.success(), "{sink}: {status}");
        assert_eq!(archive::read(output.path()).len(), 20, "{sink}");
    }
}

#[test]
fn repetitions_end_by_themselves() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let ended = Daemon::start(pair.left.command(program()), output.path(), &["--reps", "3"]).wait();
    assert!(ended.status.success());
    assert!(ended.stdout.starts_with("recorded 0 connections"), "{}", ended.stdout);
}
