//! What passes while no data does: closed windows, keep-alives, and ends.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt;
use streams::analysis::{Report, State};

use crate::support::{Capture, Lab, can_run, connect, settle, wait_for};
use crate::tshark::tshark;

fn lab() -> Option<(Lab, Capture)> {
    if !can_run(&["tshark", "tcpdump", "python3"]) {
        return None;
    }
    let lab = Lab::new(1, &[]);
    let capture = Capture::start(&lab.left, "path");
    Some((lab, capture))
}

/// Writes until there is no more room anywhere. Says how much that was.
fn fill(mut stream: &TcpStream) -> usize {
    stream.set_nonblocking(true).expect("a socket");
    let mut all = 0;
    loop {
        match stream.write(&[7; 4096]) {
            Ok(len) => all += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_window_that_closes_and_opens_again() {
    let Some((lab, mut capture)) = lab() else { return };
    let (client, mut server) = connect(&lab, Lab::server(false));
    let mut written = 0;
    wait_for("probes of the closed window", || {
        written += fill(&client);
        capture.reports().filter(|[sent, _]| sent.counters.zero_window_probes >= 2)
    });
    server.read_exact(&mut vec![0; written]).expect("all that was written");
    let quiet = settle(&lab, [client, server]);
    let retransmitted = quiet.left.number("retrans");
    drop(quiet);
    let is_over = |reports: &[Report; 2]| reports.iter().all(|it| it.counters.fins == 1);
    let [sent, received] = capture.finish("the end of the connection", is_over);
    let [theirs_sent, theirs_received] = tshark(&capture.file);
    assert_eq!(u64::from(received.counters.zero_window_events), theirs_received.zero_window_events);
    assert!(received.counters.zero_window_events >= 1);
    // To tshark a probe without data, as Linux sends them, is a keep-alive.
    let probes = theirs_sent.zero_window_probe + theirs_sent.keep_alive;
    assert_eq!((u64::from(sent.counters.zero_window_probes), sent.counters.keep_alives), (probes, 0));
    assert!(received.zero_window_time > Duration::from_millis(200), "{:?}", received.zero_window_time);
    assert!(received.zero_window_time < received.uptime);
    assert_eq!((u64::from(sent.counters.retransmits), sent.counters.gaps), (retransmitted, 0));
    assert!(received.health_score < 100.0);
}

#[test]
fn keep_alives_are_no_retransmissions() {
    let Some((lab, mut capture)) = lab() else { return };
    let (client, server) = connect(&lab, Lab::server(true));
    (&client).write_all(b"hello").expect("a connection");
    (&server).read_exact(&mut [0; 5]).expect("what was written");
    let second = Duration::from_secs(1);
    sockopt::set_tcp_keepidle(&client, second).expect("an option");
    sockopt::set_tcp_keepintvl(&client, second).expect("an option");
    sockopt::set_socket_keepalive(&client, true).expect("an option");
    let [sent, answered] = capture.finish("keep-alives", |reports| reports[0].counters.keep_alives >= 2);
    let [theirs, _] = tshark(&capture.file);
    assert_eq!(u64::from(sent.counters.keep_alives), theirs.keep_alive);
    assert_eq!((sent.counters.retransmits, answered.counters.duplicate_acks, sent.counters.bytes), (0, 0, 5));
    assert_eq!((sent.state, answered.state), (State::Active, State::Active));
}

#[test]
fn a_connection_that_is_reset() {
    let Some((lab, mut capture)) = lab() else { return };
    let (client, server) = connect(&lab, Lab::server(false));
    (&client).write_all(b"hello").expect("a connection");
    (&server).read_exact(&mut [0; 5]).expect("what was written");
    sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("an option");
    drop(client);
    let reports = capture.finish("a reset", |reports| reports[0].counters.resets >= 1);
    assert!(reports.iter().all(|report| report.state == State::Reset));
    assert!(reports.iter().all(|report| report.window.is_some() && report.counters.zero_window_events == 0));
}
