//! The same packets, by tshark and by the kernels of both ends.

use std::path::Path;
use std::process::Command;

use streams::analysis::Report;

use crate::support::{Capture, Lab, PORT, Quiet, can_run, transfer};

const BYTES: usize = 1_500_000;

/// What tshark says of the packets of one direction.
#[derive(Debug, Default)]
pub(crate) struct Direction {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) retransmission: u64,
    pub(crate) spurious: u64,
    pub(crate) out_of_order: u64,
    pub(crate) lost_segment: u64,
    pub(crate) duplicate_ack: u64,
    pub(crate) ack_lost_segment: u64,
    pub(crate) keep_alive: u64,
    /// Times that the window went to zero.
    pub(crate) zero_window_events: u64,
    pub(crate) zero_window_probe: u64,
    /// Of the other direction's data, in microseconds.
    pub(crate) ack_rtt: Vec<f64>,
}

/// What tshark says of a capture: of packets to the port, and of those from it.
pub(crate) fn tshark(file: &Path) -> [Direction; 2] {
    const FIELDS: [&str; 13] = [
        "tcp.dstport",
        "tcp.len",
        "tcp.analysis.retransmission",
        "tcp.analysis.spurious_retransmission",
        "tcp.analysis.out_of_order",
        "tcp.analysis.lost_segment",
        "tcp.analysis.duplicate_ack",
        "tcp.analysis.ack_lost_segment",
        "tcp.analysis.keep_alive",
        "tcp.analysis.zero_window_probe",
        "tcp.analysis.ack_rtt",
        "tcp.window_size_value",
        "tcp.flags.reset",
    ];
    let fields = FIELDS.iter().flat_map(|field| ["-e", field]);
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-T", "fields", "-E", "separator=;"]).args(fields);
    let output = command.output().expect("tshark starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut directions: [Direction; 2] = Default::default();
    let mut was_zero = [false; 2];
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        let cells: Vec<_> = line.split(';').collect();
        let number = usize::from(cells[0] != PORT.to_string());
        let direction = &mut directions[number];
        let is_set = |at: usize| u64::from(!cells[at].is_empty());
        direction.packets += 1;
        direction.bytes += cells[1].parse::<u64>().expect("a length");
        direction.retransmission += is_set(2);
        direction.spurious += is_set(3);
        direction.out_of_order += is_set(4);
        direction.lost_segment += is_set(5);
        direction.duplicate_ack += is_set(6);
        direction.ack_lost_segment += is_set(7);
        direction.keep_alive += is_set(8);
        direction.zero_window_probe += is_set(9);
        direction.ack_rtt.extend(cells[10].parse::<f64>().ok().map(|seconds| seconds * 1e6));
        let is_zero = cells[11] == "0" && cells[12] != "1";
        direction.zero_window_events += u64::from(is_zero && !was_zero[number]);
        was_zero[number] = is_zero;
    }
    directions
}

/// A transfer over a path with these rules, captured on both sides.
struct Run {
    quiet: Quiet,
    /// By the capture on the left, then on the right: the streams from the left and from the right, here and in tshark.
    sides: [([Report; 2], [Direction; 2]); 2],
}

fn run(rules: &[&str], sysctls: &[(&str, &str)], is_ipv6: bool) -> Option<Run> {
    if !can_run(&["tshark", "tcpdump", "python3"]) {
        return None;
    }
    let lab = sysctls.iter().fold(Lab::new(5, rules), |lab, (name, value)| lab.sysctl(name, value));
    let captures = [&lab.left, &lab.right].map(|side| Capture::start(side, "path"));
    let quiet = transfer(&lab, Lab::server(is_ipv6), BYTES);
    // Each side has all its kernel knows of; the other way some may be lost. The SYN-ACK was sent before there was a socket
    // that counts it.
    let sent = [quiet.left.number("segs_out"), quiet.right.number("segs_out") + 1];
    let mut number = 0;
    let sides = captures.map(|mut capture| {
        let here = std::mem::replace(&mut number, 1);
        let is_whole = move |reports: &[Report; 2]| {
            reports[here].counters.packets == sent[here] && reports[1].counters.packets == sent[1]
        };
        let reports = capture.finish("all packets in the capture", is_whole);
        (reports, tshark(&capture.file))
    });
    let run = Run { quiet, sides };
    run.agrees();
    Some(run)
}

impl Run {
    /// What holds of every path.
    fn agrees(&self) {
        for (reports, theirs) in &self.sides {
            for (number, theirs) in theirs.iter().enumerate() {
                let (ours, peer) = (reports[number].counters, reports[1 - number].counters);
                assert_eq!((ours.packets, ours.bytes), (theirs.packets, theirs.bytes));
                // Which of the two it is, is guessed by tshark from the time since the highest sequence number alone.
                let repeated = u64::from(ours.retransmits + ours.out_of_order);
                assert_eq!(repeated, theirs.retransmission + theirs.out_of_order);
                // It does not ask for outstanding data, as RFC 5681 does: an ACK that only tells of data that came twice
                // repeats the one before.
                let unasked = theirs.duplicate_ack - u64::from(ours.duplicate_acks);
                assert!(unasked <= u64::from(ours.dsacks + peer.spurious_retransmits), "{unasked}");
                assert_eq!(u64::from(ours.gaps), theirs.lost_segment);
                assert_eq!(u64::from(ours.unseen_acked), theirs.ack_lost_segment);
                assert_eq!(u64::from(ours.keep_alives), theirs.keep_alive);
                assert_eq!(u64::from(ours.spurious_retransmits), theirs.spurious);
            }
        }
        let [(at_left, _), (at_right, _)] = &self.sides;
        let Quiet { left, right, .. } = &self.quiet;
        assert_eq!(u64::from(at_left[0].counters.retransmits), left.number("retrans"));
        assert_eq!(u64::from(at_left[0].counters.out_of_order + at_left[0].counters.gaps), 0, "as sent");
        assert_eq!(at_right[1].counters.retransmits, 0);
        assert_eq!(u64::from(at_left[1].counters.dsacks), left.number("dsack_dups"));
        assert_eq!(at_right[0].counters.packets, right.number("segs_in"));
        assert_eq!(u64::from(at_right[0].counters.ahead_of_gap), right.number("rcv_ooopack"));
    }

    fn counters(&self, side: usize, stream: usize) -> &streams::analysis::Counters {
        &self.sides[side].0[stream].counters
    }
}

#[test]
fn a_path_that_loses_nothing() {
    let Some(run) = run(&[], &[], false) else { return };
    let sent = run.counters(0, 0);
    assert_eq!((sent.retransmits, sent.bytes, run.counters(1, 0)), (0, BYTES as u64, sent));
    // Delays of data that nothing happens to are those of tshark, but that not every segment is waited for.
    let delay = run.sides[0].0[0].delay.expect("many samples");
    let theirs = &run.sides[0].1[1].ack_rtt;
    let avg = theirs.iter().sum::<f64>() / theirs.len() as f64;
    let (min, max) = theirs.iter().fold((f64::MAX, 0.0_f64), |(min, max), &rtt| (min.min(rtt), max.max(rtt)));
    println!("delay {delay:?}; tshark {} samples, {min} {avg} {max}", theirs.len());
    assert!((delay.avg / avg - 1.0).abs() < 0.15);
    // Each capture takes the time by itself: of a packet they may be told at moments apart.
    assert!(f64::from(delay.min) > min - 200.0 && f64::from(delay.max) < max + 200.0);
    // Of the answer there are two samples, SYN-ACK and data, and each is the one that tshark has.
    let theirs = &run.sides[1].1[0].ack_rtt;
    let delay = run.sides[1].0[1].delay.expect("two samples");
    assert_eq!((run.sides[1].0[1].delay_samples, theirs.len()), (2, 2));
    assert!((delay.avg - (theirs[0] + theirs[1]) / 2.0).abs() < 2.0);
}

#[test]
fn a_path_that_loses() {
    let Some(run) = run(&["drop:40"], &[], false) else { return };
    assert!(run.counters(0, 0).retransmits > 20);
    // Behind the loss each retransmission fills a hole, and none is taken for a packet that was late.
    let received = run.counters(1, 0);
    assert_eq!((received.out_of_order, received.retransmits > 20, received.gaps > 20), (0, true, true));
    assert!(run.counters(0, 1).sacks > 20);
}

#[test]
fn a_path_that_loses_in_ipv6() {
    let Some(run) = run(&["drop:40"], &[], true) else { return };
    assert!(run.counters(1, 0).retransmits > 20);
}

#[test]
fn a_path_that_loses_a_whole_window() {
    let Some(run) = run(&["burst:100-140"], &[], false) else { return };
    assert!(run.counters(1, 0).retransmits >= 41 && run.counters(1, 0).gap_bytes > 0);
}

#[test]
fn a_path_that_reorders() {
    let Some(run) = run(&["late:25"], &[], false) else { return };
    let (received, sent) = (run.counters(1, 0), run.counters(0, 0));
    assert!(received.out_of_order > 30, "late packets are told from retransmissions");
    assert_eq!(received.retransmits, sent.retransmits);
}

#[test]
fn a_path_that_reorders_without_timestamps() {
    let Some(run) = run(&["late:25"], &[("tcp_timestamps", "0")], false) else { return };
    assert!(run.counters(1, 0).out_of_order > 30);
}

#[test]
fn a_path_that_doubles() {
    let Some(run) = run(&["double:30"], &[], false) else { return };
    // A packet that is there twice cannot be told from one that was sent twice.
    assert!(run.counters(1, 0).retransmits > 20 && run.counters(0, 1).dsacks > 15);
}

#[test]
fn a_path_that_loses_without_sack() {
    let Some(run) = run(&["drop:60"], &[("tcp_sack", "0")], false) else { return };
    assert!(run.counters(0, 1).duplicate_acks > 100);
    assert_eq!(run.counters(1, 0).out_of_order, 0);
}

#[test]
fn a_path_that_loses_without_timestamps() {
    let Some(run) = run(&["drop:60"], &[("tcp_timestamps", "0")], false) else { return };
    // A retransmission is told from a late packet by the time that the handshake took. On a machine that was busy then, and is
    // not any more, it cannot be.
    if run.sides[1].0[1].delay.is_some_and(|delay| delay.max > 12_500) {
        eprintln!("skipped: the handshake took longer than the path does");
        return;
    }
    assert_eq!(run.counters(1, 0).out_of_order, 0);
}
