//! Which sockets are connections, and what is recorded of those that end badly.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use inetdiag::TcpState;
use rustix::net::sockopt::set_socket_linger;

use crate::support::daemon::{Daemon, PATIENCE, program};
use crate::support::traffic::{connection, echo_server};
use crate::support::{archive, require_root};
use netlab::{Namespace, Pair};

/// Longer than any interval: what a poll is to see must be there at one.
const SEEN_BY_POLLS: Duration = Duration::from_millis(100);

#[test]
fn loopback_is_left_out_unless_asked_for() {
    require_root!();
    let host = Namespace::new();
    host.ip(&["address", "add", "10.78.0.1/32", "dev", "lo"]);
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(host.command(program()), output.path(), &[]);
    let wanted = host.run(|| {
        // The last is an IPv6 socket that talks IPv4: its addresses are v4-mapped.
        for local in ["127.0.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
            let server = echo_server(TcpListener::bind(local).expect("binds"));
            connection(server, 100, SEEN_BY_POLLS);
            connection(server, 100, Duration::ZERO);
        }
        connection(echo_server(TcpListener::bind("10.78.0.1:0").expect("binds")), 100, SEEN_BY_POLLS)
    });
    daemon.stop();
    let files = archive::read(output.path());
    let ends: Vec<_> = files.iter().map(archive::ArchiveFile::ends).collect();
    assert!(ends.contains(&(wanted.client, wanted.server)) && ends.contains(&(wanted.server, wanted.client)));
    assert_eq!(files.len(), 2, "{ends:?}");
}

#[test]
fn v4_mapped_and_ipv6_connections_are_recorded_as_such() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.right.command(program()), output.path(), &[]);
    let port = pair.right.run(|| echo_server(TcpListener::bind("[::]:0").expect("binds"))).port();
    for server in [SocketAddr::new([10, 77, 0, 2].into(), port), "[fd77::2]:0".parse().expect("an address")] {
        let server = SocketAddr::new(server.ip(), port);
        pair.left.run(|| connection(server, 100, SEEN_BY_POLLS));
    }
    daemon.stop();
    let files = archive::read(output.path());
    assert_eq!(files.len(), 2, "the listener is no connection");
    assert!(files.iter().all(|file| file.idm().idiag_family == 10));
    let mapped = files.iter().filter(|file| file.ends().0.is_ipv4()).count();
    assert_eq!(mapped, 1);
}

#[test]
fn failed_attempts_are_recorded_and_listeners_are_not() {
    require_root!();
    let pair = Pair::new();
    // Answers nothing at all, where .2 answers with a reset.
    pair.left.ip(&["neigh", "add", "10.77.0.9", "lladdr", "02:00:00:00:00:09", "dev", "veth0"]);
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &[]);
    pair.left.run(|| {
        let _listener = TcpListener::bind("10.77.0.1:0").expect("binds");
        let refused: SocketAddr = "10.77.0.2:9".parse().expect("an address");
        assert!(TcpStream::connect(refused).is_err());
        let silent: SocketAddr = "10.77.0.9:9".parse().expect("an address");
        assert!(TcpStream::connect_timeout(&silent, SEEN_BY_POLLS).is_err());
    });
    daemon.stop();
    let files = archive::read(output.path());
    assert_eq!(files.len(), 2);
    let to = |last: u8| files.iter().find(|file| file.ends().1.ip() == std::net::IpAddr::from([10, 77, 0, last]));
    let silent = to(9).expect("the silent one has a file");
    assert_eq!(silent.idm().state(), Some(TcpState::SynSent));
    assert_eq!(silent.idm().id.idiag_dport.get(), 9);
    to(2).expect("the refused one has a file");
}

#[test]
fn an_abort_ends_the_file_with_the_last_counters_that_were_seen() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &[]);
    let server = pair.right.run(|| echo_server(TcpListener::bind("10.77.0.2:0").expect("binds")));
    pair.left.run(|| {
        let mut stream = TcpStream::connect(server).expect("connects");
        stream.write_all(&[7; 1000]).expect("sends");
        stream.read_exact(&mut [0; 2000]).expect("is answered");
        std::thread::sleep(SEEN_BY_POLLS);
        set_socket_linger(&stream, Some(Duration::ZERO)).expect("is a socket"); // close() resets
    });
    daemon.stop();
    let files = archive::read(output.path());
    assert_eq!(files.len(), 1);
    let last = files[0].last_tcp_info();
    assert_eq!((last.bytes_sent(), last.bytes_received()), (Some(1000), Some(2000)));
    assert!(files[0].records.iter().all(|record| !record.is_final));
    assert!(files[0].records.iter().all(|record| record.raw_idm.is_some_and(|idm| idm.id.idiag_dport.get() != 0)));
}

/// It is in no dump any more, and its destroy event comes when the descriptor is closed.
#[test]
fn a_connection_that_ended_long_before_its_descriptor_is_closed_has_one_file() {
    require_root!();
    let host = Namespace::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(host.command(program()), output.path(), &["--include-local"]);
    host.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        let (mut server, _) = listener.accept().expect("is there");
        client.write_all(&[7; 1000]).expect("sends");
        server.read_exact(&mut [0; 1000]).expect("arrives");
        server.shutdown(Shutdown::Write).expect("is open");
        assert_eq!(client.read(&mut [0; 1]).expect("is told the end"), 0);
        client.shutdown(Shutdown::Write).expect("is open");
        assert_eq!(server.read(&mut [0; 1]).expect("is told the end"), 0);
        std::thread::sleep(Duration::from_millis(1500)); // longer than an event is ever under way
    });
    daemon.stop();
    let files = archive::read(output.path());
    assert_eq!(files.len(), 2, "one for each end");
    assert!(files.iter().all(|file| file.records.last().expect("a record").is_final));
    assert!(files.iter().any(|file| file.last_tcp_info().bytes_acked() == Some(1002)));
}

#[test]
fn what_remains_in_fin_wait_2_is_neither_a_record_nor_a_connection() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &[]);
    let listener = pair.right.run(|| TcpListener::bind("10.77.0.2:0").expect("binds"));
    let server = listener.local_addr().expect("bound");
    let (client, _kept) = pair.left.run(|| {
        let mut stream = TcpStream::connect(server).expect("connects");
        let (kept, _) = listener.accept().expect("is there");
        stream.write_all(&[7; 10]).expect("sends");
        std::thread::sleep(SEEN_BY_POLLS);
        let client = stream.local_addr().expect("connected");
        stream.shutdown(Shutdown::Both).expect("is open");
        (client, kept) // the peer never closes: FIN_WAIT2, and after a while only a minisock of it
    });
    let minisock = || pair.left.output("ss", &["-tanH", "state", "fin-wait-2"]).contains(&client.port().to_string());
    let begin = Instant::now();
    while !minisock() {
        assert!(begin.elapsed() < PATIENCE, "there is no minisock");
    }
    std::thread::sleep(SEEN_BY_POLLS);
    daemon.stop();
    let files = archive::read(output.path());
    assert_eq!(files.len(), 1);
    let last = files[0].last_tcp_info();
    assert_eq!(last.bytes_acked(), Some(12));
    assert!(files[0].records.len() < 10, "{} records", files[0].records.len());
}
