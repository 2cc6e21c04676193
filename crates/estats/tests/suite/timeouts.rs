//! Retransmission timeouts: a path that loses all for a while, lost SYNs, and lost acknowledgements.

use std::io::Write;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use estats::flags;
use rustix::net::sockopt::set_tcp_quickack;

use crate::support::capture::require;
use crate::support::kernel::{Counters, running_kernel};
use crate::support::nft::{clear, counted, incoming};
use crate::support::polls::{Polled, poll, poll_one};
use crate::support::traffic::{Connection, RIGHT, RIGHT6, congestion_control, cookie, pair, shortest_timeout, sysctl};
use crate::support::{Finals, expect, load, mib, real, require_root, wait_until};

fn black_hole(address: IpAddr) {
    let pair = pair();
    congestion_control(&pair, "reno");
    let mut estats = load(false);
    let connection = Connection::across(&pair, address);
    connection.exchange(1000, 5);
    let [client, _] = connection.cookies();
    let sample = || poll_one(&pair.left, estats.map_fd(), client).sample();
    let shortest = mib(&sample(), "PerfCurRTO");
    println!("\n{address}");
    incoming(&pair.right, &[("lost", "meta l4proto tcp {} drop")]);
    let began = Instant::now();
    (&connection.client).write_all(&[7; 500]).expect("is taken");
    let mut longest = 0.0_f64;
    wait_until("the timer has expired three times", || {
        let sample = sample();
        longest = longest.max(real(&sample, "PerfCurRTO"));
        let count = mib(&sample, "StackCurTimeoutCount");
        assert!(count <= 4);
        count >= 3
    });
    // The timer may expire while they are read.
    wait_until("the kernel counts as many timeouts", || {
        Counters::of(&pair.left).sum(&["TcpExtTCPTimeouts"]) == mib(&sample(), "StackCurTimeoutCount")
    });
    let during = sample();
    expect(&during, "StackInRecovery", "retransmissions are out", 3);
    let lost = began.elapsed().as_secs_f64();
    clear(&pair.right);
    wait_until("all is acknowledged", || {
        let sample = sample();
        longest = longest.max(real(&sample, "PerfCurRTO"));
        mib(&sample, "StackCurRetxQueue") == 0
    });
    connection.exchange(1000, 5);
    let after = sample();
    let kernel = Counters::of(&pair.left).sum(&["TcpExtTCPTimeouts"]);
    expect(&after, "PerfTimeouts", "the first", 1);
    expect(&after, "StackSubsequentTimeouts", "TCPTimeouts - 1", kernel - 1);
    expect(&after, "StackAbruptTimeouts", "the first", 1);
    expect(&after, "StackCurTimeoutCount", "it is over", 0);
    expect(&after, "PerfCongSignals", "one series", 1);
    expect(&after, "StackInRecovery", "it is over", 1);
    let limited = real(&after, "PerfSndLimTimeCwnd") / 1000.0;
    println!(
        "SndLimTimeCwnd = {limited:.3} s, lost for {lost:.3} s; MaxRTO = {}, polled {longest}; MinRTO = {}, polled {shortest}",
        real(&after, "PathMaxRTO"),
        real(&after, "PathMinRTO")
    );
    assert!((lost - 0.1..lost + 2.0).contains(&limited));
    // Polls come every few milliseconds, timeouts last hundreds of them.
    assert!((real(&after, "PathMaxRTO") - longest).abs() < 1.0);
    assert!(mib(&after, "PathMinRTO") <= shortest && mib(&after, "PathMinRTO") >= 200);

    drop(connection);
    let last = Finals::default().of(&mut estats, client);
    assert_eq!((last.raw.timeouts, i128::from(last.raw.subsequent_timeouts)), (1, kernel - 1));
}

#[test]
fn a_path_that_loses_all_for_a_while() {
    require_root!();
    require!("nft");
    black_hole(RIGHT);
    black_hole(RIGHT6);
}

#[test]
fn lost_syns_are_timeouts() {
    require_root!();
    require!("nft");
    let pair = pair();
    // Double the timeout from the first one on, as it always was before.
    if running_kernel() >= (6, 5) {
        sysctl(&pair.left, "ipv4/tcp_syn_linear_timeouts", "0");
    }
    incoming(&pair.right, &[("lost", "tcp flags syn numgen inc mod 3 < 2 {} drop")]);
    let mut estats = load(false);
    let connection = Connection::across(&pair, RIGHT);
    let [client, _] = connection.cookies();
    assert_eq!(counted(&pair.right, "lost"), 2);
    let sample = poll_one(&pair.left, estats.map_fd(), client).sample();
    expect(&sample, "PerfTimeouts", "the first lost SYN", 1);
    expect(&sample, "StackSubsequentTimeouts", "the second lost SYN", 1);
    expect(&sample, "StackAbruptTimeouts", "the first lost SYN", 1);
    expect(&sample, "PerfSegsRetrans", "lost SYNs", 2);
    let longest = real(&sample, "PathMaxRTO");
    assert!((2000.0..2200.0).contains(&longest), "the second timeout is of two seconds: {longest} ms");

    // One that never comes about: nobody hears it, and it is given up.
    incoming(&pair.left, &[("none", "tcp flags rst {} drop")]);
    clear(&pair.right);
    incoming(&pair.right, &[("lost", "tcp flags syn {} drop")]);
    sysctl(&pair.left, "ipv4/tcp_syn_retries", "1");
    let listener = pair.right.run(|| TcpListener::bind((RIGHT, 0)).expect("binds"));
    let listening = listener.local_addr().expect("is bound");
    let cookie = thread::scope(|scope| {
        scope.spawn(|| pair.left.run(|| TcpStream::connect(listening).expect_err("nobody hears it")));
        let mut cookie = None;
        wait_until("it is tried", || {
            let polled = poll(&pair.left, estats.map_fd()).expect("the kernel answers");
            let is_it = |polled: &&Polled| polled.message().header().id.idiag_dport.get() == listening.port();
            cookie = polled.iter().find(is_it).map(|polled| polled.message().cookie());
            cookie.is_some()
        });
        cookie.expect("is there")
    });
    let last = Finals::default().of(&mut estats, cookie);
    assert!(!last.has(flags::ESTABLISHED) && last.has(flags::ACTIVE | flags::CLOSED), "{:#x}", last.raw.flags);
    assert_eq!((last.raw.timeouts, last.raw.subsequent_timeouts), (1, 1), "{last:?}");
    assert_eq!((last.raw.loss_entries, last.raw.handshake), (1, 0), "{last:?}");
    // Sent again after a second, given up two later: that is no segment.
    let elapsed = last.raw.mstamp - last.raw.start_monotonic;
    assert!((900_000..2_000_000).contains(&elapsed), "{elapsed} us");
    drop(connection);
}

#[test]
fn a_probe_that_finds_a_loss_is_no_local_congestion() {
    require_root!();
    require!("nft");
    let pair = pair();
    congestion_control(&pair, "reno");
    // With them there would be a sample between the probe and what its acknowledgement does.
    sysctl(&pair.left, "ipv4/tcp_timestamps", "0");
    shortest_timeout(&pair, "2s");
    let estats = load(false);
    let connection = Connection::across(&pair, RIGHT);
    connection.client.set_nodelay(true).expect("is set");
    connection.exchange(1000, 5);
    let sample = || poll_one(&pair.left, estats.map_fd(), cookie(&connection.client)).sample();
    let probes = || Counters::of(&pair.left).sum(&["TcpExtTCPLossProbes"]);
    for (namespace, end) in [(&pair.left, &connection.client), (&pair.right, &connection.server)] {
        let queue = || mib(&poll_one(namespace, estats.map_fd(), cookie(end)).sample(), "StackCurRetxQueue");
        wait_until("all is acknowledged", || queue() == 0);
    }
    // A segment is lost, it is sent again as a probe, and what says that it arrived is lost.
    let before = probes();
    incoming(&pair.right, &[("sent", "ip length > 100 numgen inc mod 1000000 < 1 {} drop")]);
    incoming(&pair.left, &[("answer", "meta l4proto tcp numgen inc mod 1000000 < 1 {} drop")]);
    (&connection.client).write_all(&[7; 500]).expect("is taken");
    wait_until("the answer to the probe is lost", || counted(&pair.left, "answer") == 1);
    assert_eq!((counted(&pair.right, "sent"), probes() - before), (1, 1));
    // Acknowledged together with what was sent twice, this is no sample; and at once, before a timeout.
    set_tcp_quickack(&connection.server, true).expect("is set");
    (&connection.client).write_all(&[7; 500]).expect("is taken");
    wait_until("all is acknowledged", || mib(&sample(), "StackCurRetxQueue") == 0);
    let found = Counters::of(&pair.left).sum(&["TcpExtTCPLossProbeRecovery"]);
    expect(&sample(), "PerfCongSignals", "TCPLossProbeRecovery", found);
    expect(&sample(), "StackSendStall", "no queue was full", 0);
    assert_eq!(found, 1);
}

#[test]
fn a_timeout_that_proves_needless_is_taken_back() {
    require_root!();
    require!("nft");
    let pair = pair();
    congestion_control(&pair, "reno");
    let estats = load(false);
    let connection = Connection::across(&pair, RIGHT);
    connection.exchange(1000, 5);
    let client = cookie(&connection.client);
    let sample = || poll_one(&pair.left, estats.map_fd(), client).sample();
    // What is lost are the acknowledgements.
    incoming(&pair.left, &[("lost", "meta l4proto tcp {} drop")]);
    (&connection.client).write_all(&[7; 10_000]).expect("is taken");
    wait_until("the timer has expired", || mib(&sample(), "PerfTimeouts") == 1);
    clear(&pair.left);
    wait_until("all is acknowledged", || mib(&sample(), "StackCurRetxQueue") == 0);
    connection.exchange(1000, 5);
    let undos = ["TcpExtTCPFullUndo", "TcpExtTCPPartialUndo", "TcpExtTCPDSACKUndo", "TcpExtTCPLossUndo"];
    let kernel = Counters::of(&pair.left).sum(&undos);
    assert!(kernel > 0, "the kernel took it back");
    let after = sample();
    expect(&after, "StackCongOverCount", "undos", kernel);
    expect(&after, "StackSpuriousRtoDetected", "undos", kernel);
    expect(&after, "StackSpuriousFrDetected", "none was fast", 0);
    assert!(mib(&after, "StackDSACKDups") > 0);
}
