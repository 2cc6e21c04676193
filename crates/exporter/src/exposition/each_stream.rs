//! What is told of each stream.

use streams::analysis::{DelaySummary, Report};
use streams::live::Gathered;

use super::labels::Labels;
use super::text::{Kind, Text, Value};
use Kind::{Counter, Gauge};

/// Microseconds in a second: delays are measured in them.
const MICROSECONDS: f64 = 1e6;
/// Labels of a stream are about so long.
const LABELS_LEN: usize = 112;

/// A metric of each stream. What is not known of one has no sample.
struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: fn(&Report) -> Option<Value>,
}

/// One sample of each stream in each family.
pub fn each_stream(gathered: &Gathered, text: &mut Text<'_>) {
    let reports = &gathered.reports;
    let mut labels = Labels::with_capacity(reports.len(), LABELS_LEN);
    for report in reports {
        let (source, destination) = (report.flow.source, report.flow.destination);
        labels.push(&[
            ("src_ip", &source.ip()),
            ("src_port", &source.port),
            ("dst_ip", &destination.ip()),
            ("dst_port", &destination.port),
            ("state", &report.state.name()),
        ]);
    }
    for Family { name, kind, help, value } in &FAMILIES {
        text.family(name, *kind, help);
        for (report, labels) in reports.iter().zip(labels.iter()) {
            if let Some(value) = value(report) {
                text.sample(labels, value);
            }
        }
    }
}

fn whole(number: impl Into<u64>) -> Option<Value> {
    Some(Value::Whole(number.into()))
}

fn real(number: Option<f64>) -> Option<Value> {
    number.map(Value::Real)
}

fn delay(report: &Report, microseconds: fn(&DelaySummary) -> f64) -> Option<Value> {
    real(report.delay.as_ref().map(|delay| microseconds(delay) / MICROSECONDS))
}

const fn family(name: &'static str, kind: Kind, help: &'static str, value: fn(&Report) -> Option<Value>) -> Family {
    Family { name, kind, help, value }
}

/// First those of the original, under its names; then ours.
#[rustfmt::skip]
const FAMILIES: [Family; 32] = [
    family("tcp_stream_health_score", Gauge,
        "How well the stream does, from 0 to 100, which is perfect: less for retransmissions, zero windows, disorder, gaps, duplicate ACKs, jitter, a reset.",
        |it| real(Some(it.health_score))),
    family("tcp_stream_uptime_seconds", Gauge,
        "From the first packet of the stream until now, or to its FIN or RST.",
        |it| real(Some(it.uptime.as_secs_f64()))),
    family("tcp_avg_delay_seconds", Gauge,
        "Mean time from data of the stream to its acknowledgement, as seen where it is captured.",
        |it| delay(it, |delay| delay.avg)),
    family("tcp_min_delay_seconds", Gauge,
        "Shortest time from data of the stream to its acknowledgement.",
        |it| delay(it, |delay| delay.min.into())),
    family("tcp_max_delay_seconds", Gauge,
        "Longest time from data of the stream to its acknowledgement.",
        |it| delay(it, |delay| delay.max.into())),
    family("tcp_jitter_seconds", Gauge,
        "How much one such delay differs from the next, smoothed as in RFC 3550.",
        // One delay differs from none.
        |it| if it.delay_samples > 1 { delay(it, |delay| delay.jitter) } else { None }),
    family("tcp_bitrate_bps", Gauge,
        "Payload bits in the last whole second.",
        |it| it.bitrate.and_then(whole)),
    family("tcp_bitrate_variance", Gauge,
        "Coefficient of variation (standard deviation by mean) of the bitrate in the last 60 seconds.",
        |it| real(it.bitrate_variation)),
    family("tcp_bytes_transferred_total", Counter,
        "Payload bytes, retransmissions included.",
        |it| whole(it.counters.bytes)),
    family("tcp_duplicate_acks_total", Counter,
        "Duplicate ACKs from this sender (RFC 5681).",
        |it| whole(it.counters.duplicate_acks)),
    family("tcp_interarrival_variance_seconds", Gauge,
        "Standard deviation of the time between packets, of the last 100.",
        |it| real(it.interarrival_deviation)),
    family("tcp_out_of_order_packets_total", Counter,
        "Packets that came later than one that was sent after them.",
        |it| whole(it.counters.out_of_order)),
    family("tcp_packet_rate_pps", Gauge,
        "Packets per second of uptime.",
        |it| real(it.packet_rate())),
    family("tcp_packet_size_variance", Gauge,
        "Coefficient of variation (standard deviation by mean) of payload sizes, of the last 100 packets with payload.",
        |it| real(it.packet_size_variation)),
    family("tcp_resets_total", Counter,
        "Packets with RST.",
        |it| whole(it.counters.resets)),
    family("tcp_retransmits_total", Counter,
        "Retransmissions.",
        |it| whole(it.counters.retransmits)),
    family("tcp_sequence_gaps_total", Counter,
        "Times that sequence numbers were jumped over.",
        |it| whole(it.counters.gaps)),
    family("tcp_window_size_bytes", Gauge,
        "Receive window that the sender advertised last, scaled.",
        |it| it.window.and_then(whole)),
    family("tcp_zero_window_events_total", Counter,
        "Times that the receive window of the sender went to zero.",
        |it| whole(it.counters.zero_window_events)),
    family("tcp_stream_packets_total", Counter,
        "Packets, as they are on the wire.",
        |it| whole(it.counters.packets)),
    family("tcp_stream_retransmitted_bytes_total", Counter,
        "Payload bytes of retransmissions.",
        |it| whole(it.counters.retransmitted_bytes)),
    family("tcp_stream_spurious_retransmits_total", Counter,
        "Retransmissions of bytes that had all been acknowledged before.",
        |it| whole(it.counters.spurious_retransmits)),
    family("tcp_stream_gap_bytes_total", Counter,
        "Sequence numbers that were jumped over.",
        |it| whole(it.counters.gap_bytes)),
    family("tcp_stream_zero_window_seconds_total", Counter,
        "How long the receive window of the sender was zero.",
        |it| real(Some(it.zero_window_time.as_secs_f64()))),
    family("tcp_stream_zero_window_probes_total", Counter,
        "Packets that probe a zero window of the peer.",
        |it| whole(it.counters.zero_window_probes)),
    family("tcp_stream_keep_alives_total", Counter,
        "Keep-alives (RFC 9293).",
        |it| whole(it.counters.keep_alives)),
    family("tcp_stream_sacks_total", Counter,
        "SACK blocks from this sender (RFC 2018).",
        |it| whole(it.counters.sacks)),
    family("tcp_stream_dsacks_total", Counter,
        "SACK blocks that tell of data that came twice (RFC 2883).",
        |it| whole(it.counters.dsacks)),
    family("tcp_stream_ecn_ce_packets_total", Counter,
        "Packets that a router has marked Congestion Experienced (RFC 3168).",
        |it| whole(it.counters.ce)),
    family("tcp_stream_ece_total", Counter,
        "Packets with ECE: this sender has received such marks, or offers to tell of them.",
        |it| whole(it.counters.ece)),
    family("tcp_stream_cwr_total", Counter,
        "Packets with CWR: this sender has reduced its congestion window, or offers to.",
        |it| whole(it.counters.cwr)),
    family("tcp_stream_max_bitrate_bps", Gauge,
        "Payload bits in the best whole second.",
        |it| it.max_bitrate.and_then(whole)),
];
