//! What packets said, for each direction.

use super::{Column, columns};

/// The same columns for what was sent and for what was received.
macro_rules! both_directions {
    ($( $key:literal $unit:literal $meaning:literal = $value:expr; )*) => {
        pub(super) const SENT: &[Column] = columns! {
            $( (concat!("Streams.Sent.", $key)) Uint $unit "" $meaning = |r| r.sent($value); )*
        };
        pub(super) const RECEIVED: &[Column] = columns! {
            $( (concat!("Streams.Received.", $key)) Uint $unit "" $meaning = |r| r.received($value); )*
        };
    };
}

both_directions! {
    "LastPacket" "us" "when the last packet came that is counted, since 1970" = |s| Some(s.last_packet);
    "Packets" "segments" "seen by this host, as on the wire" = |s| Some(s.packets);
    "Bytes" "bytes" "payload, retransmissions included" = |s| Some(s.bytes);
    "Retransmits" "segments" "with bytes that were sent before" = |s| Some(s.retransmits);
    "RetransmittedBytes" "bytes" "payload that was sent before" = |s| Some(s.retransmitted_bytes);
    "SpuriousRetransmits" "segments" "retransmitted although the peer had acknowledged their bytes"
        = |s| Some(s.spurious_retransmits);
    "OutOfOrder" "segments" "came later than one with a higher sequence number, and were not retransmitted"
        = |s| Some(s.out_of_order);
    "AheadOfGap" "segments" "with payload, that came while earlier ones were missing; at a receiver, the kernel's rcv_ooopack"
        = |s| Some(s.ahead_of_gap);
    "Gaps" "" "times that sequence numbers left some out" = |s| Some(s.gaps);
    "GapBytes" "bytes" "left out by sequence numbers" = |s| Some(s.gap_bytes);
    "DuplicateAcks" "segments" "duplicate acknowledgements (RFC 5681) by the sender of this direction"
        = |s| Some(s.duplicate_acks);
    "ZeroWindowEvents" "" "times that the advertised window went to zero" = |s| Some(s.zero_window_events);
    "ZeroWindowTime" "us" "during which the advertised window was zero" = |s| Some(s.zero_window_time);
    "ZeroWindowProbes" "segments" "that probe a window of zero" = |s| Some(s.zero_window_probes);
    "KeepAlives" "segments" "that ask whether the peer is still there" = |s| Some(s.keep_alives);
    "UnseenAcked" "segments" "that acknowledge bytes which were not seen" = |s| Some(s.unseen_acked);
    "Syns" "segments" "with SYN" = |s| Some(s.syns);
    "Fins" "segments" "with FIN" = |s| Some(s.fins);
    "Resets" "segments" "with RST" = |s| Some(s.resets);
    "Sacks" "blocks" "SACK blocks (RFC 2018)" = |s| Some(s.sacks);
    "Dsacks" "blocks" "SACK blocks that report bytes received twice (RFC 2883)" = |s| Some(s.dsacks);
    "Ect" "packets" "marked as ECN-capable" = |s| Some(s.ect);
    "Ce" "packets" "marked with Congestion Experienced" = |s| Some(s.ce);
    "Ece" "segments" "with the flag ECE" = |s| Some(s.ece);
    "Cwr" "segments" "with the flag CWR" = |s| Some(s.cwr);
    "DelaySamples" "samples" "delays measured, from data of this direction to the acknowledgement that covers it"
        = |s| Some(s.delay_samples);
    "Window" "bytes" "receive window advertised last, scaled; absent if the handshake was not seen" = |s| s.window;
    "WindowScale" "" "shift of the window that the SYN announced" = |s| s.window_scale;
    "DelayMin" "us" "least delay" = |s| s.delay_min;
    "DelayAvg" "us" "mean delay" = |s| s.delay_avg;
    "DelayMax" "us" "greatest delay" = |s| s.delay_max;
    "Jitter" "us" "jitter of the delay, smoothed as in RFC 3550" = |s| s.jitter;
    "Bitrate" "bits/s" "payload in the last whole second" = |s| s.bitrate;
    "MaxBitrate" "bits/s" "payload in the second that had the most" = |s| s.max_bitrate;
    "HealthScore" "" "how well the stream fares, from 0 to 100" = |s| s.health_score;
}
