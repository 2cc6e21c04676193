//! The columns of a stream, as data.

use chrono::{DateTime, SecondsFormat, Utc};
use streams::analysis::{Counters, DelaySummary, Report};

use crate::listing::{Cell, Column, columns};

/// All columns.
pub const ALL: &[Column<Report>] = columns! {
    "src" "address of the sender" = |s| Some(Cell::Text(s.flow.source.ip().to_string()));
    "sport" "its port" = |s| Some(Cell::Count(s.flow.source.port.into()));
    "dst" "address of the receiver" = |s| Some(Cell::Text(s.flow.destination.ip().to_string()));
    "dport" "its port" = |s| Some(Cell::Count(s.flow.destination.port.into()));
    "state" "active; finalized: its sender has sent FIN; reset: either side has reset the connection"
        = |s| Some(Cell::Text(s.state.name().to_owned()));
    "start_time" "when its first packet passed" = |s| Some(time(s.first));
    "duration_s" "seconds from then to its FIN or RST, or to the end of the capture" = |s| seconds(s.uptime.as_secs_f64());
    "packets" "segments as they are on the wire: a packet of offloading counts as those it stands for"
        = |s| Some(Cell::Count(s.counters.packets));
    "bytes" "payload, retransmissions included" = |s| Some(Cell::Count(s.counters.bytes));
    "packets_s" "packets a second, over the whole duration" = |s| number(s.packet_rate(), 3);
    "bit_s" "bits of payload a second, over the whole duration" = |s| number(s.avg_bitrate(), 0);
    "last_bit_s" "bits of payload in the last whole second before the end of the capture; seconds begin with the first packet"
        = |s| s.bitrate.map(Cell::Count);
    "max_bit_s" "bits of payload in the best whole second" = |s| s.max_bitrate.map(Cell::Count);
    "bitrate_variation" "standard deviation of the bits in a second, in parts of their mean; of the last 60 seconds"
        = |s| number(s.bitrate_variation, 4);
    "retransmits" "packets that were sent again" = |s| count(s, |c| c.retransmits);
    "retransmitted_bytes" "payload of these" = |s| Some(Cell::Count(s.counters.retransmitted_bytes));
    "spurious_retransmits" "those of them that had all been acknowledged before" = |s| count(s, |c| c.spurious_retransmits);
    "out_of_order" "packets that came later than one that was sent after them" = |s| count(s, |c| c.out_of_order);
    "ahead_of_gap" "packets with payload that came while earlier ones were missing; at a receiver, the kernel's rcv_ooopack"
        = |s| count(s, |c| c.ahead_of_gap);
    "gaps" "times that sequence numbers were jumped over" = |s| count(s, |c| c.gaps);
    "gap_bytes" "sequence numbers that were jumped over" = |s| Some(Cell::Count(s.counters.gap_bytes));
    "duplicate_acks" "ACKs from this sender that repeat the one before (RFC 5681)" = |s| count(s, |c| c.duplicate_acks);
    "zero_window_events" "times that the receive window of this sender went to zero" = |s| count(s, |c| c.zero_window_events);
    "zero_window_s" "seconds that it was zero" = |s| seconds(s.zero_window_time.as_secs_f64());
    "zero_window_probes" "packets that probe a zero window of the receiver" = |s| count(s, |c| c.zero_window_probes);
    "keep_alives" "packets that ask whether the receiver is still there" = |s| count(s, |c| c.keep_alives);
    "unseen_acked" "ACKs from this sender of data that is not in the capture" = |s| count(s, |c| c.unseen_acked);
    "strays" "packets whose sequence number is far from all others: they count as packets, and nowhere else" = |s| count(s, |c| c.strays);
    "window_bytes" "receive window that this sender advertised last; known if the handshake is in the capture"
        = |s| s.window.map(Cell::Count);
    "window_scale" "shift of that window; known if the handshake is in the capture"
        = |s| s.window_scale.map(|shift| Cell::Count(shift.into()));
    "syns" "packets with SYN" = |s| count(s, |c| c.syns);
    "fins" "packets with FIN" = |s| count(s, |c| c.fins);
    "resets" "packets with RST" = |s| count(s, |c| c.resets);
    "sacks" "SACK blocks from this sender" = |s| count(s, |c| c.sacks);
    "dsacks" "those of them that tell of data that came twice (RFC 2883)" = |s| count(s, |c| c.dsacks);
    "ect" "packets of an ECN-capable transport, marked ones included" = |s| Some(Cell::Count(s.counters.ect));
    "ce" "packets marked Congestion Experienced" = |s| count(s, |c| c.ce);
    "ece" "packets with ECE: this sender has received such marks" = |s| count(s, |c| c.ece);
    "cwr" "packets with CWR: this sender has reduced its congestion window" = |s| count(s, |c| c.cwr);
    "delay_samples" "times from data of this stream to the ACK that covers it, as they pass where the capture was made"
        = |s| Some(Cell::Count(s.delay_samples));
    "delay_min_us" "least of them, in microseconds" = |s| delay(s, |d| Cell::Count(d.min.into()));
    "delay_avg_us" "their mean" = |s| delay(s, |d| Cell::Number(d.avg, 1));
    "delay_max_us" "largest of them" = |s| delay(s, |d| Cell::Count(d.max.into()));
    "jitter_us" "how much one differs from the next, smoothed (RFC 3550)" = |s| delay(s, |d| Cell::Number(d.jitter, 1));
    "interarrival_deviation_s" "standard deviation of the time between the last 100 packets"
        = |s| number(s.interarrival_deviation, 9);
    "packet_size_variation" "standard deviation of the payload of the last 100 packets with any, in parts of its mean"
        = |s| number(s.packet_size_variation, 4);
    "health_score" "100 is perfect; retransmissions, zero windows, reordering, gaps, duplicate ACKs, jitter and a reset \
        take from it" = |s| number(Some(s.health_score), 1);
};

/// Nanoseconds since 1970 as a time.
pub(super) fn utc(nanoseconds: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + std::time::Duration::from_nanos(nanoseconds)
}

pub(super) fn time(nanoseconds: u64) -> Cell {
    Cell::Time(utc(nanoseconds), SecondsFormat::Micros)
}

fn count(stream: &Report, counter: fn(&Counters) -> u32) -> Option<Cell> {
    Some(Cell::Count(counter(&stream.counters).into()))
}

fn number(number: Option<f64>, digits: usize) -> Option<Cell> {
    number.map(|number| Cell::Number(number, digits))
}

fn seconds(seconds: f64) -> Option<Cell> {
    number(Some(seconds), 6)
}

fn delay(stream: &Report, of: fn(&DelaySummary) -> Cell) -> Option<Cell> {
    stream.delay.as_ref().map(of)
}
