//! `tcpEStatsStackTable`.

use inetdiag::TcpState;

use super::*;
use crate::flags;

/// Bits of `tcp_info.options`.
const TIMESTAMPS: u8 = 1;
const SACK: u8 = 2;
const WSCALE: u8 = 4;
const ECN: u8 = 8;

table! { Stack {
    /// Whether the connection was opened here.
    1 ActiveOpen: TruthValue None, Value Exact "5.15" "connect(2) or PASSIVE_ESTABLISHED_CB; of partial ones it is not known" => |s| Some(Datum::Truth(is_active(s)?));
    /// Segment size told to the peer.
    2 MSSSent: Unsigned32 Octets, Poll Exact "2.6" "tcp_info.advmss, from which the kernel takes the timestamps' room" => |s| number(mss_sent(s)?);
    /// Segment size told by the peer.
    3 MSSRcvd: Unsigned32 Octets, Value Exact "5.15" "tcp_sock.rx_opt.mss_clamp: 536 if it told none, and never more than TCP_MAXSEG" => |s| number(s.established()?.mss_rcvd);
    /// Window scale told to the peer; -1 if there is no scaling.
    4 WinScaleSent: Integer32 None, Poll Exact "2.6" "tcp_info.rcv_wscale; -1 where only one side told" => |s| window_scale(s, s.info()?.rcv_wscale()?);
    /// Window scale told by the peer; -1 if there is no scaling.
    5 WinScaleRcvd: Integer32 None, Poll Exact "2.6" "tcp_info.snd_wscale; -1 where only one side told" => |s| window_scale(s, s.info()?.snd_wscale()?);
    /// Whether timestamps are negotiated, or who did not want them.
    6 TimeStamps: TcpEStatsNegotiated None, Poll Exact "2.6" "tcp_info.options; who did not is told by the sysctl of this side at the start" => |s| negotiated(s, TIMESTAMPS, 0);
    /// Whether ECN is negotiated, or who did not want it.
    7 ECN: TcpEStatsNegotiated None, Poll Exact "2.6" "tcp_info.options, and as TimeStamps" => |s| negotiated(s, ECN, 3);
    /// Whether this side sends SACK options.
    8 WillSendSACK: TcpEStatsNegotiated None, Poll Exact "2.6" "tcp_info.options, and as TimeStamps" => |s| negotiated(s, SACK, 1);
    /// Whether this side uses SACK options.
    9 WillUseSACK: TcpEStatsNegotiated None, Poll Exact "2.6" "tcp_info.options, and as TimeStamps" => |s| negotiated(s, SACK, 1);
    /// State of the connection.
    10 State: Enumeration None, Poll Exact "2.6" "idiag_state" => |s| Some(state(s.state()?));
    /// Whether Nagle's algorithm is on.
    11 Nagle: TruthValue None, Value Sampled "5.15" "tcp_sock.nonagle at the last callback" => |s| Some(Datum::Truth(s.established()?.flags & flags::NODELAY == 0));
    /// The largest congestion window in slow start.
    12 MaxSsCwnd: Gauge32 Octets, Value Sampled "5.15" "tcp_sock.snd_cwnd * mss_cache below snd_ssthresh, at each RTT sample; and CurCwnd" => |s| number(seen(s.raw()?.max_ss_cwnd)?.max(window(s, |cwnd, ssthresh| cwnd < ssthresh)));
    /// The largest congestion window in congestion avoidance.
    13 MaxCaCwnd: Gauge32 Octets, Value Sampled "5.15" "tcp_sock.snd_cwnd * mss_cache at or above snd_ssthresh, at each RTT sample; and CurCwnd" => |s| number(seen(s.raw()?.max_ca_cwnd)?.max(window(s, |cwnd, ssthresh| cwnd >= ssthresh)));
    /// The largest slow start threshold; absent while there was none.
    14 MaxSsthresh: Gauge32 Octets, Value Sampled "5.15" "tcp_sock.snd_ssthresh * mss_cache, at each RTT sample" => |s| number(seen(s.raw()?.max_ssthresh)?);
    /// The smallest slow start threshold; absent while there was none.
    15 MinSsthresh: Gauge32 Octets, Value Sampled "5.15" "as MaxSsthresh" => |s| number(seen(s.raw()?.min_ssthresh)?);
    /// State of loss recovery.
    16 InRecovery: Enumeration None, Poll Exact "2.6" "tcp_info.ca_state and retrans" => in_recovery;
    /// Duplicate acknowledgements received.
    17 DupAcksIn: ZeroBasedCounter32 None, Segments Exact "5.15" "headers (RFC 5681)" => |s| number(s.segments()?.dup_acks_in);
    /// Fast retransmissions that proved needless.
    18 SpuriousFrDetected: ZeroBasedCounter32 None, Value Derived "5.19" "undo_marker cleared after Recovery: Eifel, D-SACK" => |s| number(s.raw()?.spurious_fr_detected);
    /// Timeouts that proved needless.
    19 SpuriousRtoDetected: ZeroBasedCounter32 None, Value Derived "5.19" "undo_marker cleared after Loss: F-RTO, Eifel, D-SACK" => |s| number(s.raw()?.spurious_rto_detected);
    /// Segments received that fail tests of consistency.
    21 SoftErrors: ZeroBasedCounter32 None, Segments Derived "5.15" "sequence, acknowledgement and timestamp beside the socket's, before TCP sees the segment; checksums are not looked at" => |s| number(s.segments()?.soft_errors);
    /// Why the last one of them failed; absent if there was none.
    22 SoftErrorReason: Enumeration None, Segments Derived "5.15" "as SoftErrors; codes 1 to 5" => soft_error_reason;
    /// Times slow start made the congestion window larger.
    23 SlowStart: ZeroBasedCounter32 None, Value Sampled "5.15" "snd_cwnd larger than at the RTT sample before, and that below snd_ssthresh" => |s| number(s.called()?.slow_start);
    /// Times congestion avoidance made the congestion window larger.
    24 CongAvoid: ZeroBasedCounter32 None, Value Sampled "5.15" "snd_cwnd larger than at the RTT sample before, and that not below snd_ssthresh" => |s| number(s.called()?.cong_avoid);
    /// Reductions of the congestion window for other reasons than congestion signals.
    25 OtherReductions: ZeroBasedCounter32 None, Value Sampled "5.15" "snd_cwnd smaller than at the RTT sample before, and no signal between" => |s| number(s.called()?.other_reductions);
    /// Reductions of the congestion window that were taken back.
    26 CongOverCount: ZeroBasedCounter32 None, Value Derived "5.19" "undo_marker cleared: SpuriousFrDetected + SpuriousRtoDetected" => |s| number(s.raw()?.cong_over_count);
    /// Fast retransmissions begun.
    27 FastRetran: ZeroBasedCounter32 None, Value Exact "5.19" "entries into Recovery at tp_btf/tcp_cong_state_set; sampled at callbacks where that is missing" => |s| number(s.raw()?.fast_retran);
    /// Times the retransmission timeout expired after it had been doubled.
    28 SubsequentTimeouts: ZeroBasedCounter32 None, Value Exact "5.15" "RTO_CB with icsk_backoff above 0" => |s| number(s.called()?.subsequent_timeouts);
    /// Timeouts in a row without an acknowledgement of new data.
    29 CurTimeoutCount: Gauge32 None, Poll Exact "2.6" "tcp_info.retransmits" => |s| number(s.info()?.retransmits()?);
    /// Timeouts without duplicate acknowledgements or other signs before them.
    30 AbruptTimeouts: ZeroBasedCounter32 None, Value Exact "5.15" "RTO_CB in state Open with nothing sacked" => |s| number(s.called()?.abrupt_timeouts);
    /// SACK options received.
    31 SACKsRcvd: ZeroBasedCounter32 None, Segments Exact "5.15" "options" => |s| number(s.segments()?.sacks_rcvd);
    /// Blocks in SACK options received.
    32 SACKBlocksRcvd: ZeroBasedCounter32 None, Segments Exact "5.15" "options" => |s| number(s.segments()?.sack_blocks_rcvd);
    /// Times the sender's own queues were taken for congestion.
    33 SendStall: ZeroBasedCounter32 None, Value Derived "5.19" "entries into CWR that neither ECN nor a tail loss probe explains; absent where ECN is negotiated" => send_stall;
    /// Duplicate segments that the peer reported by D-SACK.
    34 DSACKDups: ZeroBasedCounter32 None, Poll Exact "4.19" "tcp_info.dsack_dups" => |s| number(s.info()?.dsack_dups()?);
    /// The largest segment size.
    35 MaxMSS: Gauge32 Octets, Value Sampled "5.15" "tcp_sock.mss_cache at callbacks" => |s| highest(seen(s.raw()?.max_mss)?, s.info().and_then(|info| info.snd_mss()));
    /// The smallest segment size.
    36 MinMSS: Gauge32 Octets, Value Sampled "5.15" "tcp_sock.mss_cache at callbacks" => |s| number(seen(s.raw()?.min_mss)?.min(s.info().and_then(|info| info.snd_mss()).unwrap_or(u32::MAX)));
    /// Initial sequence number sent.
    37 SndInitial: Unsigned32 None, Value Exact "5.15" "snd_una - bytes_acked, which counts the SYN of an active open; of partial ones it is not known" => |s| number(s.established()?.snd_base.wrapping_sub(u32::from(!is_active(s)?)));
    /// Initial sequence number received.
    38 RecInitial: Unsigned32 None, Value Exact "5.15" "rcv_nxt - bytes_received - 1" => |s| number(s.established()?.rcv_base.wrapping_sub(1));
    /// Octets in the retransmission queue.
    39 CurRetxQueue: Gauge32 Octets, Poll Exact "4.6" "idiag_wqueue - tcp_info.notsent_bytes" => |s| number(s.retransmission_queue()?);
    /// The most of it.
    40 MaxRetxQueue: Gauge32 Octets, Value Sampled "5.15" "snd_nxt less the snd_una of the callback before; at each segment sent, if those are looked at" => |s| highest(s.established()?.max_retx_queue, s.retransmission_queue());
    /// Octets spanned by the out-of-order queue.
    41 CurReasmQueue: Gauge32 Octets, Segments Sampled "5.15" "end of tcp_sock.ooo_last_skb less rcv_nxt, at the last segment in or out" => |s| number(s.segments()?.cur_reasm_queue);
    /// The most of it.
    42 MaxReasmQueue: Gauge32 Octets, Segments Sampled "5.15" "as CurReasmQueue" => |s| number(s.segments()?.max_reasm_queue);
} }

fn is_active(s: &Sample) -> Option<bool> {
    let flags = s.raw()?.flags;
    (flags & (flags::ACTIVE | flags::PASSIVE) != 0).then_some(flags & flags::ACTIVE != 0)
}

/// The congestion window that a poll sees, in octets, if that and the threshold are what is meant.
fn window(s: &Sample, is_meant: fn(u32, u32) -> bool) -> u32 {
    let polled = || {
        let info = s.info()?;
        let (cwnd, ssthresh) = (info.snd_cwnd()?, info.snd_ssthresh()?);
        s.octets(if is_meant(cwnd, ssthresh) { cwnd } else { 0 })
    };
    polled().and_then(|octets| u32::try_from(octets).ok()).unwrap_or(0)
}

fn mss_sent(s: &Sample) -> Option<u32> {
    const TCPOLEN_TSTAMP_ALIGNED: u32 = 12;
    let has_timestamps = s.info()?.options()? & TIMESTAMPS != 0;
    Some(s.info()?.advmss()?.saturating_add(if has_timestamps { TCPOLEN_TSTAMP_ALIGNED } else { 0 }))
}

fn window_scale(s: &Sample, scale: u8) -> Option<Datum> {
    let is_scaled = s.info()?.options()? & WSCALE != 0;
    s.is_negotiated().then_some(Datum::Integer(if is_scaled { scale.into() } else { -1 }))
}

/// `bit` of `tcp_info.options`; `sysctl` says whether this side would have, by its place in [`RawValue::sysctls`](crate::RawValue::sysctls).
fn negotiated(s: &Sample, bit: u8, sysctl: usize) -> Option<Datum> {
    /// Values of `tcp_ecn` that ask for ECN; all but 0 accept it.
    const ASKS_FOR_ECN: [u8; 3] = [1, 3, 4];
    if !s.is_negotiated() {
        return None;
    }
    if s.info()?.options()? & bit != 0 {
        return Some(Datum::Code(1, "enabled"));
    }
    let setting = s.raw()?.sysctls.to_le_bytes()[sysctl];
    let would = if bit == ECN && is_active(s)? { ASKS_FOR_ECN.contains(&setting) } else { setting != 0 };
    Some(if would { Datum::Code(3, "peerDisabled") } else { Datum::Code(2, "selfDisabled") })
}

fn state(state: TcpState) -> Datum {
    match state {
        TcpState::Close => Datum::Code(1, "closed"),
        TcpState::Listen => Datum::Code(2, "listen"),
        TcpState::SynSent => Datum::Code(3, "synSent"),
        TcpState::SynRecv | TcpState::NewSynRecv => Datum::Code(4, "synReceived"),
        TcpState::Established => Datum::Code(5, "established"),
        TcpState::FinWait1 => Datum::Code(6, "finWait1"),
        TcpState::FinWait2 => Datum::Code(7, "finWait2"),
        TcpState::CloseWait => Datum::Code(8, "closeWait"),
        TcpState::LastAck => Datum::Code(9, "lastAck"),
        TcpState::Closing => Datum::Code(10, "closing"),
        TcpState::TimeWait => Datum::Code(11, "timeWait"),
    }
}

fn in_recovery(s: &Sample) -> Option<Datum> {
    const OPEN: u8 = 0;
    const DISORDER: u8 = 1;
    const CWR: u8 = 2;
    let info = s.info()?;
    Some(match info.ca_state()? {
        _ if info.retrans()? != 0 => Datum::Code(3, "tcpESDataRecovery"),
        OPEN | CWR => Datum::Code(1, "tcpESDataContiguous"),
        DISORDER => Datum::Code(2, "tcpESDataUnordered"),
        _ => Datum::Code(3, "tcpESDataRecovery"),
    })
}

fn soft_error_reason(s: &Sample) -> Option<Datum> {
    Some(match s.segments()?.soft_error_reason {
        1 => Datum::Code(1, "belowDataWindow"),
        2 => Datum::Code(2, "aboveDataWindow"),
        3 => Datum::Code(3, "belowAckWindow"),
        4 => Datum::Code(4, "aboveAckWindow"),
        5 => Datum::Code(5, "belowTSWindow"),
        _ => return None,
    })
}

/// Where ECN is negotiated, CWR is not told apart.
fn send_stall(s: &Sample) -> Option<Datum> {
    let raw = s.established()?;
    let has_ecn = s.info()?.options()? & ECN != 0;
    (!has_ecn).then_some(Datum::Number(raw.send_stall.into()))
}
