//! How it ends, and what it says of drops.

use std::time::Duration;

use netlab::Pair;
use rustix::process::{Signal, kill_process};

use crate::support::exporter::Exporter;
use crate::support::pages::wait_for;
use crate::support::require_root;
use crate::support::traffic::{Connection, SERVERS};

#[test]
fn signals_end_it_within_a_second_with_a_summary() {
    require_root!();
    for signal in [Signal::TERM, Signal::INT] {
        let pair = Pair::new();
        let exporter = Exporter::start(&pair.left, &[]);
        let mut connection = Connection::open(&pair, SERVERS[0]);
        connection.carry(1_000, 1_000);
        wait_for(&pair.left, "bytes", |scrape| scrape.value("tcp_streams_bytes_total") == Some(2_000.0));
        let ended = exporter.end_by(signal);
        assert!(ended.status.success() && ended.time < Duration::from_secs(1), "{:?}: {}", ended.time, ended.log);
        let last = ended.log.lines().last().expect("a line");
        assert!(last.contains("at the end") && last.contains("streams=2 active=2 seen=2"), "{last}");
    }
}

/// It is stopped while packets come, so that they cannot but fill the ring.
#[test]
fn drops_are_counted_and_told() {
    require_root!();
    let pair = Pair::new();
    let mut exporter = Exporter::start(&pair.left, &["-numblocks=2", "-blocksize=4096"]);
    let mut connection = Connection::open(&pair, SERVERS[0]);
    kill_process(exporter.pid(), Signal::STOP).expect("it runs");
    (0..200).for_each(|_| connection.carry(1, 1));
    kill_process(exporter.pid(), Signal::CONT).expect("it is there");
    let scrape = wait_for(&pair.left, "drops", |scrape| scrape.value("capture_dropped_packets_total") > Some(0.0));
    assert!(scrape.value("capture_queue_freezes_total") >= Some(1.0));
    let line = exporter.wait_for_log("the kernel drops packets");
    assert!(line.contains("WARN") && line.contains("more blocks"), "{line}");
    exporter.stop();
}
