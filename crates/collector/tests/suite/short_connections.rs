//! No connection is too short: each has its file, with the true totals of its life.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use crate::support::daemon::{Daemon, program};
use crate::support::traffic::{Truth, connections, echo_server};
use crate::support::{archive, require_root};
use inetdiag::TcpInfo;
use netlab::{Namespace, Pair};

/// Each connection has just one file on the client's side, and its last record has the totals.
fn check(output: &Path, truths: &[Truth]) {
    let files = archive::read(output);
    let mut clients = HashMap::new();
    for file in &files {
        let (local, remote) = file.ends();
        let other = clients.insert((local, remote), file);
        assert!(other.is_none(), "{local} to {remote} has two files");
    }
    for truth in truths {
        let file = clients.get(&(truth.client, truth.server)).unwrap_or_else(|| panic!("{truth:?} has no file"));
        let info = file.last_tcp_info();
        assert!(file.records.last().expect("a record").is_final, "{truth:?}");
        assert_eq!(sent_once(&info), Some(truth.sent), "{truth:?}");
        assert_eq!(info.bytes_acked(), Some(truth.sent + 2), "SYN and FIN count: {truth:?}");
        assert_eq!(info.bytes_received(), Some(truth.received + 1), "FIN counts: {truth:?}");
        if let Some(server) = clients.get(&(truth.server, truth.client)) {
            let info = server.last_tcp_info();
            assert_eq!(sent_once(&info), Some(truth.received), "{truth:?}");
            assert_eq!(info.bytes_received(), Some(truth.sent + 1), "{truth:?}");
        }
    }
}

/// Bytes sent, without those sent again: a busy machine retransmits.
fn sent_once(info: &TcpInfo) -> Option<u64> {
    Some(info.bytes_sent()? - info.bytes_retrans()?)
}

#[test]
fn a_thousand_connections_of_two_milliseconds_over_loopback() {
    require_root!();
    let host = Namespace::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(host.command(program()), output.path(), &["--include-local"]);
    let truths = host.run(|| {
        let server = echo_server(TcpListener::bind("127.0.0.1:0").expect("binds"));
        connections(server, 1000, 1000.0, Duration::from_millis(2))
    });
    daemon.stop();
    check(output.path(), &truths);
    // Both ends are sockets of this host, and nothing else was there.
    assert_eq!(archive::paths(output.path()).len(), 2000);
    assert_eq!(archive::partials(output.path()), 0);
    archive::zstd_test(output.path());
}

#[test]
fn a_thousand_connections_of_two_milliseconds_between_two_hosts() {
    require_root!();
    for address in ["10.77.0.2:0", "[fd77::2]:0"] {
        let pair = Pair::new();
        let output = tempfile::tempdir().expect("a temporary directory");
        let daemon = Daemon::start(pair.left.command(program()), output.path(), &[]);
        let server = pair.right.run(|| echo_server(TcpListener::bind(address).expect("binds")));
        let truths = pair.left.run(|| connections(server, 1000, 1000.0, Duration::from_millis(2)));
        daemon.stop();
        check(output.path(), &truths);
        assert_eq!(archive::paths(output.path()).len(), 1000);
    }
}

#[test]
fn ten_thousand_connections_at_five_hundred_a_second() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &[]);
    let server = pair.right.run(|| echo_server(TcpListener::bind("10.77.0.2:0").expect("binds")));
    let truths = pair.left.run(|| connections(server, 10_000, 500.0, Duration::from_millis(5)));
    daemon.stop();
    check(output.path(), &truths);
    assert_eq!(archive::paths(output.path()).len(), 10_000);
}

#[test]
fn without_polls_each_connection_has_its_final_record() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &["--interval", "off"]);
    let server = pair.right.run(|| echo_server(TcpListener::bind("10.77.0.2:0").expect("binds")));
    let truths = pair.left.run(|| connections(server, 200, 1000.0, Duration::from_millis(50)));
    daemon.stop();
    check(output.path(), &truths);
    let files = archive::read(output.path());
    assert_eq!(files.len(), 200);
    assert!(files.iter().all(|file| file.records.len() == 1 && file.metadata.interval.as_deref() == Some("off")));
}
