//! What limited a connection, as `csvtool summary` tells it from the archive: scripted cases on the real kernel.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{set_socket_linger, set_socket_send_buffer_size};

use crate::streams::{lose_some, wait_for_files};
use crate::support::daemon::{Daemon, program};
use crate::support::require_root;
use netlab::Pair;

const TIME: Duration = Duration::from_secs(2);

/// A server that reads so much at a time, and rests in between.
fn reader(listener: TcpListener, len: usize, rest: Duration) -> SocketAddr {
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("is connected to");
        let mut buffer = vec![0; len];
        while let Ok(1..) = stream.read(&mut buffer) {
            // It is slow: that is what is tested.
            thread::sleep(rest);
        }
    });
    address
}

/// What is told of a connection that `send` feeds for a while.
fn summary(reads: (usize, Duration), drops: bool, send: impl Fn(&mut TcpStream) + Sync) -> serde_json::Value {
    summary_with(&[], reads, drops, send)
}

/// The same, as a recorder with these options has it.
fn summary_with(
    options: &[&str],
    reads: (usize, Duration),
    drops: bool,
    send: impl Fn(&mut TcpStream) + Sync,
) -> serde_json::Value {
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    if drops {
        lose_some(&pair);
    }
    let server = pair.right.run(|| reader(TcpListener::bind("10.77.0.2:0").expect("binds"), reads.0, reads.1));
    let daemon = Daemon::start(pair.left.command(program()), output.path(), options);
    pair.left.run(|| {
        let mut stream = TcpStream::connect(server).expect("connects");
        let begin = Instant::now();
        while begin.elapsed() < TIME {
            send(&mut stream);
        }
    });
    if !options.is_empty() {
        // Without polls there is nothing of it before it has ended, which is when all has been read.
        wait_for_files(output.path(), 1);
    }
    daemon.stop();
    summaries(output.path()).remove(0)
}

/// Of all connections of an archive.
fn summaries(archive: &Path) -> Vec<serde_json::Value> {
    let path = archive.to_str().expect("UTF-8");
    let args = csvtool::cli::parse(["csvtool", "summary", "--format", "jsonl", path]);
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    let is_good = csvtool::cli::run(&args, &mut lines, &mut errors);
    assert!(is_good, "{}", String::from_utf8_lossy(&errors));
    serde_json::Deserializer::from_slice(&lines).into_iter().map(|line| line.expect("JSON")).collect()
}

fn send_all(stream: &mut TcpStream) {
    stream.write_all(&[7; 1 << 18]).expect("sends");
}

const AT_ONCE: (usize, Duration) = (1 << 18, Duration::ZERO);

#[test]
fn a_slow_reader_limits_by_its_window() {
    require_root!();
    let summary = summary((4096, Duration::from_millis(5)), false, |stream| {
        stream.write_all(&[7; 1 << 12]).expect("sends");
    });
    assert_eq!(summary["verdict"], "receiver window", "{summary}");
    assert!(summary["rwnd_limited_share"].as_f64().expect("a share") > 0.5, "{summary}");
}

#[test]
fn a_small_send_buffer_limits() {
    require_root!();
    let summary = summary(AT_ONCE, false, |stream| {
        set_socket_send_buffer_size(&*stream, 8192).expect("may be small");
        send_all(stream);
    });
    assert_eq!(summary["verdict"], "send buffer", "{summary}");
}

#[test]
fn an_application_that_sends_in_bursts_limits_itself() {
    require_root!();
    let summary = summary(AT_ONCE, false, |stream| {
        send_all(stream);
        // It rests: that is what is tested.
        thread::sleep(Duration::from_millis(100));
    });
    assert_eq!(summary["verdict"], "application", "{summary}");
}

#[test]
fn a_lossy_path_is_the_network() {
    require_root!();
    let summary = summary(AT_ONCE, true, send_all);
    assert_eq!(summary["verdict"], "network", "{summary}");
    let retransmitted = summary["retrans_share"].as_f64().expect("a share");
    assert!((0.005..0.1).contains(&retransmitted) && summary["loss_episodes"].as_u64() > Some(0), "{summary}");
}

#[test]
fn a_clean_bulk_transfer_is_limited_by_nothing() {
    require_root!();
    let summary = summary(AT_ONCE, false, send_all);
    assert_eq!(summary["verdict"], "nothing", "{summary}");
    let (mean, peak) = (summary["send_goodput_bit_s"].as_f64(), summary["send_goodput_peak_bit_s"].as_f64());
    let bytes = summary["bytes_acked"].as_f64().expect("is known");
    let seconds = summary["duration_s"].as_f64().expect("is known");
    let error = (mean.expect("is known") - bytes * 8.0 / seconds).abs();
    assert!(peak >= mean && error < bytes * 8.0 / seconds / 100.0, "{summary}");
}

/// There are no polls: what limited it is in the one record that there is, and how long it lived in the value of the programs.
#[test]
fn with_extended_statistics_the_final_record_is_enough() {
    require_root!();
    let options = ["--interval", "off", "--estats"];
    let slowly = |stream: &mut TcpStream| stream.write_all(&[7; 1 << 12]).expect("sends");
    let slow = summary_with(&options, (4096, Duration::from_millis(5)), false, slowly);
    assert_eq!((&slow["records"], &slow["verdict"]), (&1.into(), &"receiver window".into()), "{slow}");
    assert!(slow["duration_s"].as_f64() >= Some(TIME.as_secs_f64()), "{slow}");
    let lossy = summary_with(&options, AT_ONCE, true, send_all);
    assert_eq!(lossy["verdict"], "network", "{lossy}");
    assert!(lossy["loss_episodes"].as_u64() > Some(1), "each is counted: {lossy}");
    let resting = summary_with(&options, AT_ONCE, false, |stream| {
        send_all(stream);
        thread::sleep(Duration::from_millis(100));
    });
    assert_eq!(resting["verdict"], "application", "{resting}");
}

#[test]
fn a_connection_that_never_came_about_was_held_back_by_the_path_or_refused() {
    require_root!();
    for options in [&["--estats"][..], &[]] {
        let pair = Pair::new();
        pair.right
            .output("nft", &["table inet t { chain c { type filter hook input priority 0; tcp dport 5000 drop; }; }"]);
        let output = tempfile::tempdir().expect("a temporary directory");
        pair.left.run(|| std::fs::write("/proc/sys/net/ipv4/tcp_syn_retries", "1")).expect("may be set");
        let daemon = Daemon::start(pair.left.command(program()), output.path(), options);
        for port in [5000, 5001] {
            pair.left.run(|| TcpStream::connect(("10.77.0.2", port))).expect_err("nobody is there");
        }
        wait_for_files(output.path(), 2);
        daemon.stop();
        let mut told = summaries(output.path());
        told.sort_by_key(|summary| summary["rtos"].as_u64());
        let [refused, unheard] = &told[..] else { panic!("{told:?}") };
        assert_eq!(refused.get("verdict"), None, "{refused}");
        assert_eq!(unheard["verdict"], "network", "{options:?}: {unheard}");
        if !options.is_empty() {
            assert_eq!(refused["rtos"], 0, "{refused}");
            assert_eq!((&unheard["rtos"], &unheard["loss_episodes"]), (&2.into(), &1.into()));
        }
    }
}

/// How late its end was heard of is no part of it, and what the kernel has cleared by then is not told.
#[test]
fn an_abort_is_as_long_as_it_was_and_nothing_else_is_known_of_it() {
    const SILENCE: Duration = Duration::from_millis(50);
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let options = ["--interval", "off", "--estats"];
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &options);
    let listener = pair.right.run(|| TcpListener::bind("10.77.0.2:0").expect("binds"));
    let address = listener.local_addr().expect("bound");
    let mut client = pair.left.run(|| TcpStream::connect(address).expect("connects"));
    let (mut served, _) = listener.accept().expect("a client");
    let begun = Instant::now();
    client.write_all(&[7; 1000]).expect("sends");
    served.read_exact(&mut [0; 1000]).expect("receives");
    // That it takes time is what is tested.
    thread::sleep(SILENCE);
    set_socket_linger(&client, Some(Duration::ZERO)).expect("is set");
    drop(client);
    let took = begun.elapsed();
    wait_for_files(output.path(), 1);
    daemon.stop();
    let told = summaries(output.path()).remove(0);
    let duration = told["duration_s"].as_f64().expect("is known");
    assert!((SILENCE.as_secs_f64()..took.as_secs_f64() + 0.01).contains(&duration), "{took:?}: {told}");
    for name in ["bytes_acked", "bytes_received", "verdict", "app_limited_share", "send_goodput_bit_s"] {
        assert_eq!(told.get(name), None, "{told}");
    }
}
