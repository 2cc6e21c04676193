//! Packets and kernel state on one line: what a capture says of connections is in their archives.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use inetdiag::Streams;
use netlab::{Namespace, Pair};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};

use crate::support::archive::{self, ArchiveFile};
use crate::support::daemon::{Daemon, PATIENCE, program};
use crate::support::{http, require_root};

/// Sends so many bytes from the left to the right; the server closes when it has them all.
pub(crate) fn transfer(pair: &Pair, server: SocketAddr, bytes: usize) {
    let listener = pair.right.run(|| TcpListener::bind(server)).expect("the port is free");
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            stream.read_exact(&mut vec![0; bytes]).expect("all of it");
        });
        let mut client = pair.left.run(|| TcpStream::connect(server)).expect("somebody listens");
        client.write_all(&vec![7; bytes]).expect("it is read");
        client.read_to_end(&mut Vec::new()).expect("the server closes");
    });
}

/// From now on some packets to the right are lost, so that there is something to be told of.
pub(crate) fn lose_some(pair: &Pair) {
    let rules = "table inet lossy { chain in { type filter hook input priority 0; \
        meta l4proto tcp numgen random mod 100 < 2 drop; }; }";
    pair.right.output("nft", &[rules]);
}

/// Waits until so many files are finished: their connections have ended.
pub(crate) fn wait_for_files(output: &Path, count: usize) {
    let begin = Instant::now();
    while archive::paths(output).len() < count {
        assert!(begin.elapsed() < PATIENCE, "there never were {count} files");
        thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn server(port: u16) -> SocketAddr {
    let address = if port.is_multiple_of(2) { "10.77.0.2" } else { "fd77::2" };
    SocketAddr::new(address.parse().expect("an address"), port)
}

/// What the last record of a file has of packets.
fn last_streams(file: &ArchiveFile) -> &Streams {
    file.records.last().and_then(|record| record.streams.as_deref()).expect("the last record has what packets say")
}

/// The packets and the kernel agree on what a connection came to.
fn agrees(file: &ArchiveFile) {
    let (streams, info) = (last_streams(file), file.last_tcp_info());
    let Streams { sent, received } = streams;
    assert_eq!(Some(sent.retransmits as u32), info.total_retrans());
    assert_eq!(sent.bytes - sent.retransmitted_bytes, info.bytes_acked().expect("is sent") - 2, "SYN and FIN count");
    assert_eq!(Some(received.bytes), info.bytes_received().map(|bytes| bytes - 1));
    // What the kernel sends for a socket that is gone, an ACK of the last FIN, is not the socket's.
    let segments = u64::from(info.segs_out().expect("is sent"));
    assert!((segments..segments + 2).contains(&sent.packets), "{} packets, {segments} segments", sent.packets);
    // More than one if they are lost.
    assert!([sent.fins, received.fins, sent.syns, received.syns].iter().all(|&count| count >= 1) && sent.resets == 0);
    assert!(sent.delay_samples > 0 && sent.window.is_some() && sent.health_score.is_some());
}

#[test]
fn each_connection_ends_with_what_its_packets_came_to() {
    require_root!();
    let pair = Pair::new();
    lose_some(&pair);
    let output = tempfile::tempdir().expect("a temporary directory");
    let args = ["--streams", "veth0", "--flush-age", "100ms"];
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &args);
    (5000..5010).for_each(|port| transfer(&pair, server(port), 2_000_000));
    wait_for_files(output.path(), 10);
    daemon.stop();

    let files = archive::read(output.path());
    assert_eq!(files.len(), 10);
    files.iter().for_each(agrees);
    let retransmits = files.iter().map(|file| last_streams(file).sent.retransmits).sum::<u64>();
    assert!(retransmits > 0, "packets were lost");
}

#[test]
fn while_it_lasts_a_connection_is_told_of_once_a_second() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &["--streams", "any"]);
    let listener = pair.right.run(|| TcpListener::bind(server(5000))).expect("the port is free");
    let mut client = pair.left.run(|| TcpStream::connect(server(5000))).expect("somebody listens");
    let (mut served, _) = listener.accept().expect("a client");
    // Its life: a byte each 5 ms, for three seconds.
    for _ in 0..600 {
        client.write_all(b"x").expect("a connection");
        served.read_exact(&mut [0]).expect("a byte");
        thread::sleep(Duration::from_millis(5));
    }
    let (_, told) = http::get(&pair.left, "/metrics");
    let value = |name: &str| http::value(&told, &format!("tcpinfo_capture_{name}"));
    assert!(value("packets_total").is_some_and(|packets| packets > 1000.0));
    for name in [
        "dropped_packets_total",
        "malformed_total",
        "truncated_total",
        "untracked_packets_total",
        "accounts_lost_total",
    ] {
        assert_eq!(value(name), Some(0.0), "{name}");
    }
    assert_eq!(value("interface_up{interface=\"any\"}"), Some(1.0));
    drop((client, served));
    daemon.stop();

    let files = archive::read(output.path());
    let file = &files[0];
    let told: Vec<_> = file.records.iter().filter_map(|record| record.streams.as_deref()).collect();
    assert!((3..=6).contains(&told.len()), "{} of {} records", told.len(), file.records.len());
    assert!(file.records.len() > 100);
    assert!(told.windows(2).all(|pair| pair[0].sent.packets < pair[1].sent.packets));
    assert!(file.records.last().is_some_and(|record| record.is_final && record.streams.is_some()));
    agrees(file);
}

#[test]
fn on_loopback_both_ends_have_it() {
    require_root!();
    let namespace = Namespace::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let args = ["--streams", "lo", "--include-local", "--interval", "off"];
    let daemon = Daemon::start(namespace.command(program()), output.path(), &args);
    namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("somebody listens");
        let (mut served, _) = listener.accept().expect("a client");
        client.write_all(&[7; 1000]).expect("a connection");
        served.read_exact(&mut [0; 1000]).expect("what was written");
        drop(client);
        served.read_to_end(&mut Vec::new()).expect("the end");
    });
    daemon.stop();
    let files = archive::read(output.path());
    let bytes = |file: &ArchiveFile| (last_streams(file).sent.bytes, last_streams(file).received.bytes);
    let mut both: Vec<_> = files.iter().map(bytes).collect();
    both.sort_unstable();
    assert_eq!(both, [(0, 1000), (1000, 0)]);
}

/// A socket that is bound to this port, and whose end is a reset, so that the port is free at once.
fn connect_from(here: &str, server: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).expect("an option");
    bind(&socket, &here.parse::<SocketAddr>().expect("an address")).expect("the port is free");
    connect(&socket, &server).expect("somebody listens");
    socket.into()
}

/// However soon: events, polls and packets each come when they come.
#[test]
fn ports_that_are_used_again_at_once_have_each_their_own() {
    require_root!();
    const ROUNDS: u64 = 30;
    for interval in ["10ms", "100ms", "1s", "off"] {
        let pair = Pair::new();
        let output = tempfile::tempdir().expect("a temporary directory");
        // On the side that is reset: its final records have the counters.
        let args = ["--streams", "veth0", "--flush-age", "100ms", "--interval", interval];
        let daemon = Daemon::start(pair.right.command(program()), output.path(), &args);
        let listener = pair.right.run(|| TcpListener::bind(server(5000))).expect("the port is free");
        for round in 1..=ROUNDS {
            let mut client = pair.left.run(|| connect_from("10.77.0.1:40000", server(5000)));
            let (mut served, _) = listener.accept().expect("a client");
            let text = vec![7; 100 * round as usize];
            client.write_all(&text).expect("a connection");
            served.read_exact(&mut vec![0; text.len()]).expect("what was written");
            drop(client);
            served.read(&mut [0]).expect_err("it is reset");
            drop(served);
            // The next one comes at once, or while something of this one is still on its way.
            thread::sleep(Duration::from_millis(round % 4 * 15));
        }
        wait_for_files(output.path(), ROUNDS as usize);
        daemon.stop();
        let bytes = |file: &ArchiveFile| (file.last_tcp_info().bytes_received(), last_streams(file).received.bytes);
        let mut all: Vec<_> = archive::read(output.path()).iter().map(bytes).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq((1..=ROUNDS).map(|round| (Some(100 * round), 100 * round))), "{interval}");
    }
}

/// RFC 9293, 3.5.1: the peer has an old connection between the same ends, which this side has lost.
#[test]
fn a_connection_that_had_to_be_opened_twice_is_whole() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &["--streams", "veth0"]);
    let listener = pair.right.run(|| TcpListener::bind(server(5000))).expect("the port is free");
    // In repair mode a socket goes without a packet.
    let lose = "import socket\n\
                s = socket.socket()\n\
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
                s.bind((\"10.77.0.1\", 40000))\n\
                s.connect((\"10.77.0.2\", 5000))\n\
                s.setsockopt(socket.IPPROTO_TCP, 19, 1)\n";
    pair.left.output("python3", &["-c", lose]);
    let (_old, _) = listener.accept().expect("the first one");
    let mut client = pair.left.run(|| connect_from("10.77.0.1:40000", server(5000)));
    let (mut served, _) = listener.accept().expect("the second one");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(2500) {
        // What it is recorded by.
        client.write_all(&[7; 100]).expect("a connection");
        served.read_exact(&mut [0; 100]).expect("what was written");
        thread::sleep(Duration::from_millis(10));
    }
    daemon.stop();
    let files = archive::read(output.path());
    let file = files.iter().max_by_key(|file| file.records.len()).expect("the second connection");
    let told: Vec<_> = file.records.iter().filter_map(|record| record.streams.as_deref()).collect();
    assert!((2..=4).contains(&told.len()), "{} of {} records", told.len(), file.records.len());
    let last = told.last().expect("some");
    // The SYN that was answered is seen in what was before, together with a reset.
    assert_eq!((last.sent.syns, last.received.syns, last.sent.resets), (1, 1, 0));
    assert!(last.sent.bytes > 10_000 && last.sent.delay_samples > 100);
}

#[test]
fn an_interface_that_is_not_there_is_told_of() {
    require_root!();
    let output = tempfile::tempdir().expect("a temporary directory");
    let namespace = Namespace::new();
    let ended = namespace.command(program()).arg("--output").arg(output.path()).args(["--streams", "wlan7"]).output();
    let ended = ended.expect("it starts");
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1));
    assert!(told.contains("--streams: there is no interface \"wlan7\"; there are: any, lo"), "{told}");
    let refused = namespace.command(program()).args(["--metrics-only", "--streams", "lo"]).output().expect("it starts");
    assert_eq!(refused.status.code(), Some(2));
}
