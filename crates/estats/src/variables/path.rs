//! `tcpEStatsPathTable`.

use std::net::IpAddr;

use inetdiag::AddressFamily;

use super::*;
use crate::layout::SEGMENT_SEEN;
use crate::{RawValue, flags};

/// `tcp_info.min_rtt` before the first sample.
const NO_RTT: u32 = u32::MAX;

table! { Path {
    /// Duplicate acknowledgements that it takes to retransmit.
    1 RetranThresh: Gauge32 None, Poll Exact "2.6" "tcp_info.reordering" => |s| number(s.info()?.reordering()?);
    /// Runs of duplicate acknowledgements that ended before they caused a retransmission.
    2 NonRecovDAEpisodes: ZeroBasedCounter32 None, Value Derived "5.19" "congestion state from Open to Disorder and back" => |s| number(s.raw()?.non_recov_da_episodes);
    /// Octets that snd_una advanced by at the ends of those runs.
    3 SumOctetsReordered: ZeroBasedCounter32 Octets, Value Derived "5.19" "snd_una at the end of the run less that before the last acknowledgement if segments are looked at, else that at its beginning" => |s| counter32(s.raw()?.sum_octets_reordered);
    /// Duplicate acknowledgements in those runs.
    4 NonRecovDA: ZeroBasedCounter32 None, Segments Derived "5.19" "duplicate acknowledgements (DupAcksIn) in those runs" => |s| number(s.segments()?.non_recov_da);
    /// The last round-trip time sampled.
    11 SampleRTT: Gauge32 Milliseconds, Value Exact "5.15" "RTT_CB (its argument since 6.10, before tcp_sock.rack.rtt_us)" => |s| milliseconds(seen(s.called()?.sample_rtt)?);
    /// Variation of the round-trip time.
    12 RTTVar: Gauge32 Milliseconds, Poll Exact "2.6" "tcp_info.rttvar" => |s| milliseconds(s.info().filter(|info| info.rtt() != Some(0))?.rttvar()?);
    /// The longest round-trip time sampled.
    13 MaxRTT: Gauge32 Milliseconds, Value Exact "5.15" "RTT_CB" => |s| milliseconds(seen(s.called()?.max_rtt)?);
    /// The shortest round-trip time sampled.
    14 MinRTT: Gauge32 Milliseconds, Poll Exact "4.6" "RTT_CB; without it tcp_info.min_rtt, which forgets after five minutes" => |s| milliseconds(min_rtt(s)?);
    /// Sum of the round-trip times sampled.
    15 SumRTT: ZeroBasedCounter32 Milliseconds, Value Exact "5.15" "RTT_CB" => |s| milliseconds(s.called()?.sum_rtt % (1000 << 32));
    /// The same, 64 bits wide.
    16 HCSumRTT: ZeroBasedCounter64 Milliseconds, Value Exact "5.15" "RTT_CB" => |s| milliseconds(s.called()?.sum_rtt);
    /// Round-trip times in SumRTT.
    17 CountRTT: ZeroBasedCounter32 None, Value Exact "5.15" "RTT_CB; the SYN-ACK of an accepted connection by tcp_sock.srtt_us" => |s| number(s.called()?.count_rtt);
    /// The longest retransmission timeout.
    18 MaxRTO: Gauge32 Milliseconds, Value Sampled "5.15" "tcp_sock.icsk_rto at each RTT sample and timeout, before they change it, to the jiffy; and CurRTO" => |s| milliseconds(rto(s).max()?);
    /// The shortest retransmission timeout.
    19 MinRTO: Gauge32 Milliseconds, Value Sampled "5.15" "as MaxRTO" => |s| milliseconds(rto(s).min()?);
    /// TTL or hop limit of the last segment received.
    20 IpTtl: Unsigned32 None, Segments Exact "5.15" "IP header" => |s| number(received(s)?.ip_ttl);
    /// TOS or traffic class of the last segment received.
    21 IpTosIn: OctetString None, Segments Exact "5.15" "IP header" => |s| Some(Datum::Octet(received(s)?.ip_tos_in as u8));
    /// TOS or traffic class of the last segment sent.
    22 IpTosOut: OctetString None, Poll Exact "3.2" "IP header if segments are looked at; else the socket's TOS or TCLASS, which lack the ECN bits" => |s| Some(Datum::Octet(tos_out(s)?));
    /// Sum of the congestion windows just before congestion signals.
    23 PreCongSumCwnd: ZeroBasedCounter32 Octets, Value Exact "5.19" "snd_cwnd * mss_cache at each of CongSignals" => |s| counter32(s.raw()?.pre_cong_sum_cwnd);
    /// Sum of the last round-trip times sampled before congestion signals.
    24 PreCongSumRTT: ZeroBasedCounter32 Milliseconds, Value Exact "5.19" "SampleRTT at each of CongSignals" => |s| milliseconds(s.raw()?.pre_cong_sum_rtt % (1000 << 32));
    /// Sum of the first round-trip times sampled after congestion signals.
    25 PostCongSumRTT: ZeroBasedCounter32 Milliseconds, Value Exact "5.19" "the first RTT_CB after each of CongSignals (the MIB says octets, and means milliseconds)" => |s| milliseconds(s.called()?.post_cong_sum_rtt % (1000 << 32));
    /// Round-trip times in PostCongSumRTT.
    26 PostCongCountRTT: ZeroBasedCounter32 None, Value Exact "5.19" "as PostCongSumRTT (the MIB says milliseconds, and means a count)" => |s| number(s.called()?.post_cong_count_rtt);
    /// Segments received with an ECN echo.
    27 ECNsignals: ZeroBasedCounter32 None, Poll Exact "4.18" "ECE in headers if segments are looked at; else tcp_info.delivered_ce: segments that the echo was about" => ecn_signals;
    /// Runs of duplicate acknowledgements sent.
    28 DupAckEpisodes: ZeroBasedCounter32 None, Segments Exact "5.15" "headers (RFC 5681, also answers to probes)" => |s| number(s.segments()?.dup_ack_episodes);
    /// The round-trip time that the receiver estimates.
    29 RcvRTT: Gauge32 Milliseconds, Poll Exact "2.6" "tcp_info.rcv_rtt" => |s| milliseconds(s.info()?.rcv_rtt().filter(|&rtt| rtt != 0)?);
    /// Duplicate acknowledgements sent.
    30 DupAcksOut: ZeroBasedCounter32 None, Segments Exact "5.15" "headers (RFC 5681, also answers to probes, but no probes)" => |s| number(s.segments()?.dup_acks_out);
    /// Segments received with a CE mark.
    31 CERcvd: ZeroBasedCounter32 None, Poll Exact "6.18" "IP headers if segments are looked at; else tcp_info.received_ce" => ce_rcvd;
    /// Times the ECN echo was begun.
    32 ECESent: ZeroBasedCounter32 None, Segments Exact "5.15" "ECE in headers" => |s| number(s.segments()?.ece_sent);
} }

/// Retransmission timeouts that were seen, in microseconds.
fn rto(s: &Sample) -> impl Iterator<Item = u32> {
    let polled = s.info().filter(|_| s.called().is_some()).and_then(|info| info.rto());
    s.called().into_iter().flat_map(|raw| [raw.max_rto, raw.min_rto]).chain(polled).filter(|&rto| rto != 0)
}

fn min_rtt(s: &Sample) -> Option<u32> {
    let sampled = s.raw().filter(|raw| raw.flags & flags::PARTIAL == 0).and_then(|raw| seen(raw.min_rtt));
    sampled.or_else(|| s.info()?.min_rtt().filter(|&rtt| rtt != NO_RTT))
}

/// Segments were looked at, and at least one came.
fn received(s: &Sample) -> Option<&RawValue> {
    s.segments().filter(|raw| raw.in_bits & SEGMENT_SEEN != 0)
}

fn tos_out(s: &Sample) -> Option<u8> {
    let sent = s.segments().filter(|raw| raw.out_bits & SEGMENT_SEEN != 0);
    sent.map(|raw| raw.ip_tos_out as u8).or_else(|| match s.header?.family()? {
        AddressFamily::Inet => s.tos,
        // A socket of IPv6 may talk IPv4.
        AddressFamily::Inet6 => match s.header?.dst() {
            IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => s.tclass,
            _ => s.tos,
        },
    })
}

fn ecn_signals(s: &Sample) -> Option<Datum> {
    number(s.segments().map(|raw| raw.ecn_signals).or_else(|| s.info()?.delivered_ce())?)
}

fn ce_rcvd(s: &Sample) -> Option<Datum> {
    number(s.segments().map(|raw| raw.ce_rcvd).or_else(|| s.info()?.received_ce())?)
}
