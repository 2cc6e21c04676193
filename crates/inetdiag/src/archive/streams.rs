//! What packets said of a connection, beside what the kernel says of its socket.

use serde::{Deserialize, Serialize};

/// Statistics of both TCP streams of a connection, from its packets as this host saw them, since the first that it saw.
///
/// In an archive this is the optional key `Streams` of a record. A value that is no such object is an error of the line,
/// as it is for the other keys; so is an object without one of the numbers that are always there. Keys that are not known
/// are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Streams {
    /// Packets from the local address of the socket to its peer.
    pub sent: StreamStatistics,
    /// Packets the other way.
    pub received: StreamStatistics,
}

/// What the packets of one stream came to. A stream is one direction of a connection.
///
/// Counters are totals and never fall. A value that cannot be known, such as the window without the handshake that says its
/// scale, is `None` and has no key in the archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamStatistics {
    /// When the last packet came that is counted here, in microseconds since 1970.
    pub last_packet: u64,
    /// Segments, as on the wire: a packet that the network card is to cut (GSO), or has joined (GRO), counts as its segments.
    pub packets: u64,
    /// Bytes of payload, retransmissions included.
    pub bytes: u64,
    /// Segments with bytes that were sent before.
    pub retransmits: u64,
    /// Bytes of payload that were sent before.
    pub retransmitted_bytes: u64,
    /// Retransmitted segments whose bytes the peer had acknowledged already.
    pub spurious_retransmits: u64,
    /// Segments that came later than one with a higher sequence number, and were not retransmitted.
    pub out_of_order: u64,
    /// Segments with payload that came while earlier ones were missing: at a receiver the kernel's `rcv_ooopack`.
    pub ahead_of_gap: u64,
    /// Times that sequence numbers left some out: segments that were lost before, or come later.
    pub gaps: u64,
    /// Bytes that were left out.
    pub gap_bytes: u64,
    /// Duplicate acknowledgements (RFC 5681) that the sender of this stream sent.
    pub duplicate_acks: u64,
    /// Times that the advertised window went to zero.
    pub zero_window_events: u64,
    /// Microseconds during which it was zero.
    pub zero_window_time: u64,
    /// Segments that probe a window of zero (RFC 9293, 3.8.6.1).
    pub zero_window_probes: u64,
    /// Segments that ask whether the peer is still there (RFC 9293, 3.8.4).
    pub keep_alives: u64,
    /// Acknowledgements of bytes that were not seen: the capture lost packets, or they took another way.
    pub unseen_acked: u64,
    /// Segments with SYN.
    pub syns: u64,
    /// Segments with FIN.
    pub fins: u64,
    /// Segments with RST.
    pub resets: u64,
    /// SACK blocks sent (RFC 2018), those of `dsacks` included.
    pub sacks: u64,
    /// SACK blocks sent that report bytes received twice (RFC 2883).
    pub dsacks: u64,
    /// Packets marked as ECN-capable, ECT(0) or ECT(1) (RFC 3168).
    pub ect: u64,
    /// Packets with the mark Congestion Experienced (RFC 3168).
    pub ce: u64,
    /// Segments with the flag ECE (RFC 3168).
    pub ece: u64,
    /// Segments with the flag CWR (RFC 3168).
    pub cwr: u64,
    /// Delays that were measured: each from data of this stream to the acknowledgement that covers it.
    pub delay_samples: u64,
    /// Receive window that was advertised last, in bytes, scaled (RFC 7323); if the handshake was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// Shift of the window that the SYN announced (RFC 7323).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_scale: Option<u64>,
    /// Least delay, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_min: Option<u64>,
    /// Mean delay, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_avg: Option<u64>,
    /// Greatest delay, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_max: Option<u64>,
    /// Jitter of the delay, smoothed as in RFC 3550, 6.4.1, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<u64>,
    /// Bits of payload in the last whole second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitrate: Option<u64>,
    /// Most bits of payload in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bitrate: Option<u64>,
    /// How well the stream fares, from 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_score: Option<u64>,
}
