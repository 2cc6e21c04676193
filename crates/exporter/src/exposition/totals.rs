//! What is told of all streams together, and of the capture.

use std::fmt::Write;

use streams::live::{Gathered, InterfaceState};
use streams::table::FrameCounts;

use super::labels::Labels;
use super::text::{Kind, Text, Value};
use Kind::{Counter, Gauge};

/// What the counters of streams mean, by their names in [`Totals`](streams::analysis::Totals).
pub(super) const COUNTERS: [(&str, &str); 24] = [
    ("packets", "Packets, as they are on the wire."),
    ("bytes", "Payload bytes, retransmissions included."),
    ("retransmitted_bytes", "Payload bytes of retransmissions."),
    ("gap_bytes", "Sequence numbers that were jumped over."),
    ("ect", "Packets with an ECN codepoint of a capable transport, marked ones included (RFC 3168)."),
    ("retransmits", "Retransmissions."),
    ("spurious_retransmits", "Retransmissions of bytes that had all been acknowledged before."),
    ("out_of_order", "Packets that came later than one that was sent after them."),
    ("ahead_of_gap", "Packets with payload that came while sequence numbers before them were missing."),
    ("gaps", "Times that sequence numbers were jumped over."),
    ("duplicate_acks", "Duplicate ACKs (RFC 5681)."),
    ("zero_window_events", "Times that a receive window went to zero."),
    ("zero_window_probes", "Packets that probe a zero window."),
    ("keep_alives", "Keep-alives (RFC 9293)."),
    ("unseen_acked", "ACKs of data that never was seen here: the capture has missed it."),
    ("strays", "Packets whose sequence numbers are far from all others, beyond any window."),
    ("syns", "Packets with SYN."),
    ("fins", "Packets with FIN."),
    ("resets", "Packets with RST."),
    ("sacks", "SACK blocks (RFC 2018)."),
    ("dsacks", "SACK blocks that tell of data that came twice (RFC 2883)."),
    ("ce", "Packets marked Congestion Experienced (RFC 3168)."),
    ("ece", "Packets with ECE (RFC 3168)."),
    ("cwr", "Packets with CWR (RFC 3168)."),
];

/// Everything that is of no single stream. It counts all streams: those of which nothing else is told, and those that are
/// forgotten.
pub fn totals(gathered: &Gathered, text: &mut Text<'_>) {
    let mut one = |name: &str, kind, help: &str, value| {
        text.family(name, kind, help);
        text.sample("", value);
    };
    let whole = Value::Whole;
    one("tcp_stream_count", Gauge, "Streams that are active.", whole(gathered.active));
    one(
        "tcp_streams_tracked",
        Gauge,
        "Streams that are followed, ended ones that are not yet forgotten included.",
        whole(gathered.tracked),
    );
    let exported = gathered.reports.len() as u64;
    one("tcp_streams_exported", Gauge, "Streams of which each is told by itself.", whole(exported));
    one("tcp_streams_seen_total", Counter, "Streams that there have been.", whole(gathered.seen));
    let mut name = String::new();
    for (counter, value) in gathered.totals.iter() {
        name.clear();
        // Writing to memory does not fail.
        let _ = write!(name, "tcp_streams_{counter}_total");
        let help = COUNTERS.iter().find(|(known, _)| *known == counter).map_or(counter, |(_, help)| help);
        one(&name, Counter, help, whole(value));
    }
    let capture = gathered.capture;
    one(
        "capture_packets_processed_total",
        Counter,
        "Packets that passed the filter and found room in the ring.",
        whole(capture.received),
    );
    one(
        "capture_dropped_packets_total",
        Counter,
        "Packets that passed the filter and found no room in the ring.",
        whole(capture.dropped),
    );
    one(
        "capture_queue_freezes_total",
        Counter,
        "Times that the ring was full and the kernel had to wait.",
        whole(capture.freezes),
    );
    one(
        "capture_malformed_blocks_total",
        Counter,
        "Blocks of the ring of which a part could not be read, and was lost.",
        whole(capture.malformed),
    );
    one(
        "capture_longest_pause_seconds",
        Gauge,
        "Longest time for which packets in the ring waited for something else than packets.",
        Value::Real(gathered.longest_pause as f64 / 1e9),
    );
    one(
        "capture_longest_pause_cpu_seconds",
        Gauge,
        "The same by the CPU time that it took, without the time for which others had the CPU.",
        Value::Real(gathered.longest_pause_cpu as f64 / 1e9),
    );
    interfaces(&gathered.interfaces, text);
    frames(&gathered.frames, text);
}

fn interfaces(interfaces: &[InterfaceState], text: &mut Text<'_>) {
    text.family("capture_interface_up", Gauge, "Whether the interface is there, up and captured on.");
    let mut labels = Labels::default();
    interfaces.iter().for_each(|interface| labels.push(&[("interface", &interface.name)]));
    let samples = interfaces.iter().zip(labels.iter());
    samples.for_each(|(interface, labels)| text.sample(labels, Value::Whole(interface.is_up.into())));
}

fn frames(frames: &FrameCounts, text: &mut Text<'_>) {
    text.family("capture_datagrams_given_up_total", Counter, "Datagrams of which not all fragments came.");
    text.sample("", Value::Whole(frames.datagrams_given_up));
    text.family(
        "capture_evicted_connections_total",
        Counter,
        "Connections that had ended, or were never open, and were forgotten early to make room for others.",
    );
    text.sample("", Value::Whole(frames.evicted));
    text.family("capture_frames_total", Counter, "Frames out of the ring, by what has become of them.");
    let FrameCounts { other_protocol, truncated, malformed, fragments, untracked, copies, .. } = *frames;
    let others = other_protocol + truncated + malformed + fragments + untracked + copies;
    let outcomes = [
        ("segment", frames.frames.saturating_sub(others)),
        ("other_protocol", other_protocol),
        ("truncated", truncated),
        ("malformed", malformed),
        ("fragment", fragments),
        ("untracked", untracked),
        ("copy", copies),
    ];
    let mut labels = Labels::default();
    outcomes.iter().for_each(|(outcome, _)| labels.push(&[("outcome", outcome)]));
    outcomes.iter().zip(labels.iter()).for_each(|(&(_, count), labels)| text.sample(labels, Value::Whole(count)));
}
