//! What is recorded of a quiet connection is what `ss` prints of it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use inetdiag::Snapshot;
use rustix::net::sockopt::{
    set_ip_tos, set_socket_keepalive, set_socket_recv_buffer_size, set_tcp_congestion, set_tcp_keepidle,
};

use crate::ss::{self, ELAPSED};
use crate::support::daemon::{Daemon, PATIENCE, program};
use crate::support::traffic::echo_server;
use crate::support::{archive, require_root};
use netlab::Pair;

/// Between the kernel's answer to the daemon and the record's time, on a busy machine.
const TOLERANCE: TimeDelta = TimeDelta::milliseconds(250);

/// Connections that differ in what `ss` prints of them, each with some data moved.
fn quiet_connections(pair: &Pair) -> Vec<TcpStream> {
    let servers = pair
        .right
        .run(|| ["10.77.0.2:0", "[fd77::2]:0"].map(|address| echo_server(TcpListener::bind(address).expect("binds"))));
    pair.left.run(|| {
        let mut streams = Vec::new();
        for (number, server) in servers.into_iter().cycle().take(8).enumerate() {
            let mut stream = TcpStream::connect(server).expect("connects");
            match number {
                0 => set_tcp_congestion(&stream, "cubic").expect("cubic is there"),
                2 => set_ip_tos(&stream, 0x10).expect("is IPv4"),
                3 => set_socket_recv_buffer_size(&stream, 20_000).expect("is a socket"),
                4 => {
                    set_tcp_keepidle(&stream, Duration::from_secs(1000)).expect("is TCP");
                    set_socket_keepalive(&stream, true).expect("is a socket");
                }
                _ => {}
            }
            let len = 10 << (2 * number);
            stream.write_all(&vec![7; len]).expect("sends");
            stream.read_exact(&mut vec![0; 2 * len]).expect("is answered");
            if number == 7 {
                // The answer stays unread, and counts in Recv-Q.
                stream.write_all(&[7; 5]).expect("sends");
            }
            streams.push(stream);
        }
        streams
    })
}

#[test]
fn every_field_that_ss_prints_of_a_quiet_connection() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &[]);
    let streams = quiet_connections(&pair);

    // Quiet is when ss says the same twice, but for the passing of time.
    let look = || ss::parse(&pair.left.output("ss", &["-tinemO"]));
    let without_time = |sockets: &[ss::SsSocket]| -> Vec<BTreeMap<String, String>> {
        let settled = |(name, _): &(String, String)| !ELAPSED.contains(&name.as_str());
        sockets.iter().map(|socket| socket.fields.clone().into_iter().filter(settled).collect()).collect()
    };
    let begin = Instant::now();
    let mut before = look();
    let (sockets, asked) = loop {
        std::thread::sleep(Duration::from_millis(300)); // between two looks: rest is what does not change meanwhile
        let (before_asking, now, after_asking) = (Utc::now(), look(), Utc::now());
        if without_time(&now) == without_time(&before) {
            break (now, before_asking..after_asking);
        }
        before = now;
        assert!(begin.elapsed() < PATIENCE, "the connections never come to rest");
    };
    daemon.stop();
    drop(streams);

    let printed = ss::printed_fields(&sockets);
    let files = archive::read(output.path());
    assert_eq!((sockets.len(), files.len()), (8, 8));
    let mut compared = 0;
    for file in &files {
        let record = file.records.last().expect("a record");
        let snapshot = Snapshot::decode(record);
        let (local, peer) = ss::key(&snapshot);
        let socket = sockets
            .iter()
            .find(|socket| (&socket.local, &socket.peer) == (&local, &peer))
            .unwrap_or_else(|| panic!("ss does not know {local} {peer}"));
        let ours = ss::expected_fields(&snapshot);
        let mut differences = ss::differences(socket, &ours, &printed);
        let recorded = record.timestamp.to_utc();
        // Elapsed times go on, and just as fast.
        differences.retain(|difference| match (difference.field.as_str(), &difference.ss, &difference.ours) {
            ("lastsnd" | "lastrcv" | "lastack", Some(ss), ours) => {
                let milliseconds = |text: &str| TimeDelta::milliseconds(text.parse().expect("a number"));
                let passed = milliseconds(ss) - ours.as_deref().map_or(TimeDelta::zero(), milliseconds);
                passed < asked.start - recorded - TOLERANCE || passed > asked.end - recorded + TOLERANCE
            }
            ("timer_expires", Some(_), Some(_)) => false,
            _ => true,
        });
        assert_eq!(differences, [], "{local} {peer}");
        compared += socket.fields.len();
    }
    eprintln!("{compared} fields of {} connections equal", files.len());
}
