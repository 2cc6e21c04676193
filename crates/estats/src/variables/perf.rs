//! `tcpEStatsPerfTable`.

use super::*;
use crate::{RawValue, flags};

const NO_SSTHRESH: u32 = 0x7fff_ffff;

table! { Perf {
    /// Segments sent.
    1 SegsOut: ZeroBasedCounter32 None, Poll Exact "4.2" "tcp_info.segs_out" => |s| number(s.info()?.segs_out()?);
    /// Segments sent that carried data.
    2 DataSegsOut: ZeroBasedCounter32 None, Poll Exact "4.6" "tcp_info.data_segs_out" => |s| number(s.info()?.data_segs_out()?);
    /// Octets of data in segments sent, retransmissions included.
    3 DataOctetsOut: ZeroBasedCounter32 Octets, Poll Exact "4.19" "tcp_info.bytes_sent" => |s| counter32(s.info()?.bytes_sent()?);
    /// The same, 64 bits wide.
    4 HCDataOctetsOut: ZeroBasedCounter64 Octets, Poll Exact "4.19" "tcp_info.bytes_sent" => |s| number(s.info()?.bytes_sent()?);
    /// Segments sent that contained retransmitted data.
    5 SegsRetrans: ZeroBasedCounter32 None, Poll Exact "2.6" "tcp_info.total_retrans, which counts SYN too" => |s| number(s.info()?.total_retrans()?);
    /// Octets retransmitted.
    6 OctetsRetrans: ZeroBasedCounter32 Octets, Poll Exact "4.19" "tcp_info.bytes_retrans" => |s| counter32(s.info()?.bytes_retrans()?);
    /// Segments received.
    7 SegsIn: ZeroBasedCounter32 None, Poll Exact "4.2" "tcp_info.segs_in" => |s| number(s.info()?.segs_in()?);
    /// Segments received that carried data.
    8 DataSegsIn: ZeroBasedCounter32 None, Poll Exact "4.6" "tcp_info.data_segs_in" => |s| number(s.info()?.data_segs_in()?);
    /// Octets of data in segments received, duplicates included.
    9 DataOctetsIn: ZeroBasedCounter32 Octets, Segments Exact "5.15" "payload of segments; what came with the acknowledgement that ends a passive handshake is not seen" => |s| counter32(s.segments()?.data_octets_in);
    /// The same, 64 bits wide.
    10 HCDataOctetsIn: ZeroBasedCounter64 Octets, Segments Exact "5.15" "as DataOctetsIn" => |s| number(s.segments()?.data_octets_in);
    /// Time between StartTimeStamp and the last segment sent or received: its whole seconds.
    11 ElapsedSecs: ZeroBasedCounter32 Seconds, Value Derived "5.15" "tcp_sock.tcp_mstamp at the last callback, and at each segment sent if those are looked at; in a poll also the age of the last event, to the millisecond" => |s| counter32(s.elapsed()? / 1_000_000);
    /// The rest of it.
    12 ElapsedMicroSecs: ZeroBasedCounter32 Microseconds, Value Derived "5.15" "as ElapsedSecs" => |s| counter32(s.elapsed()? % 1_000_000);
    /// When counting began.
    13 StartTimeStamp: DateAndTime None, Value Exact "5.15" "clock in connect(2), or when the connection was established by the peer; of partial ones, when they were taken in" => |s| Some(Datum::Date(s.raw()?.start));
    /// The current maximum segment size.
    14 CurMSS: Gauge32 Octets, Poll Exact "2.6" "tcp_info.snd_mss" => |s| number(s.info()?.snd_mss()?);
    /// Octets in the network, as the sender estimates them.
    15 PipeSize: Gauge32 Octets, Poll Derived "2.6" "(unacked - sacked - lost + retrans) * snd_mss of tcp_info" => |s| gauge32(pipe_size(s)?);
    /// The most of it.
    16 MaxPipeSize: Gauge32 Octets, Value Sampled "5.15" "at callbacks, with the most packets out of the flight; and at each segment sent, if those are looked at; and PipeSize" => |s| highest(s.established()?.max_pipe_size, pipe_size(s));
    /// The smoothed round-trip time.
    17 SmoothedRTT: Gauge32 Milliseconds, Poll Exact "2.6" "tcp_info.rtt" => |s| milliseconds(s.info()?.rtt().filter(|&rtt| rtt != 0)?);
    /// The current retransmission timeout.
    18 CurRTO: Gauge32 Milliseconds, Poll Exact "2.6" "tcp_info.rto" => |s| milliseconds(s.info()?.rto()?);
    /// Multiplicative reductions of the congestion window for all reasons: fast retransmissions, ECN, timeouts.
    19 CongSignals: ZeroBasedCounter32 None, Value Exact "5.19" "entries into CWR, Recovery and Loss at tp_btf/tcp_cong_state_set; sampled at callbacks where that is missing" => |s| number(s.raw()?.cong_signals);
    /// The current congestion window.
    20 CurCwnd: Gauge32 Octets, Poll Exact "2.6" "tcp_info.snd_cwnd * snd_mss" => |s| gauge32(s.octets(s.info()?.snd_cwnd()?)?);
    /// The current slow start threshold; absent while there is none.
    21 CurSsthresh: Gauge32 Octets, Poll Exact "2.6" "tcp_info.snd_ssthresh * snd_mss" => |s| gauge32(s.octets(s.info()?.snd_ssthresh().filter(|&segments| segments < NO_SSTHRESH)?)?);
    /// Times the retransmission timeout expired without backoff.
    22 Timeouts: ZeroBasedCounter32 None, Value Exact "5.15" "RTO_CB with icsk_backoff 0; the first of a SYN too, and further ones as long as they are linear" => |s| number(s.called()?.timeouts);
    /// The last window advertised.
    23 CurRwinSent: Gauge32 Octets, Poll Exact "6.2" "tcp_info.rcv_wnd" => |s| number(s.info()?.rcv_wnd()?);
    /// The largest window advertised.
    24 MaxRwinSent: Gauge32 Octets, Value Sampled "5.15" "tcp_sock.rcv_wnd at callbacks; each header, if segments are looked at" => |s| highest(s.established()?.max_rwin_sent, s.info().and_then(|info| info.rcv_wnd()));
    /// Acknowledgements sent with a window of zero, when the one before was not zero.
    25 ZeroRwinSent: ZeroBasedCounter32 None, Segments Exact "5.15" "headers" => |s| number(s.segments()?.zero_rwin_sent);
    /// The last window received.
    26 CurRwinRcvd: Gauge32 Octets, Poll Exact "5.4" "tcp_info.snd_wnd" => |s| number(s.info()?.snd_wnd()?);
    /// The largest window received.
    27 MaxRwinRcvd: Gauge32 Octets, Value Exact "5.15" "tcp_sock.max_window at callbacks" => |s| highest(s.established()?.max_rwin_rcvd, s.info().and_then(|info| info.snd_wnd()));
    /// Acknowledgements received with a window of zero, when the one before was not zero.
    28 ZeroRwinRcvd: ZeroBasedCounter32 None, Segments Exact "5.15" "headers" => |s| number(s.segments()?.zero_rwin_rcvd);
    /// Times the sender was stopped by the peer's window, after anything else.
    31 SndLimTransRwin: ZeroBasedCounter32 None, Value Sampled "5.15" "tcp_sock.chrono_type and chrono_stat at callbacks, and at each segment sent if those are looked at" => |s| number(limits(s)?.snd_lim_trans_rwin);
    /// Times the sender was stopped by the congestion window, after anything else.
    32 SndLimTransCwnd: ZeroBasedCounter32 None, Value Sampled "5.15" "as SndLimTransRwin: the kernel's state busy" => |s| number(limits(s)?.snd_lim_trans_cwnd);
    /// Times the sender had nothing to send, after anything else.
    33 SndLimTransSnd: ZeroBasedCounter32 None, Value Sampled "5.15" "as SndLimTransRwin: idle, or no room in the send buffer" => |s| number(limits(s)?.snd_lim_trans_snd);
    /// Time stopped by the peer's window.
    34 SndLimTimeRwin: ZeroBasedCounter32 Milliseconds, Poll Exact "4.10" "tcp_info.rwnd_limited" => |s| milliseconds(s.info()?.rwnd_limited()?);
    /// Time stopped by the congestion window.
    35 SndLimTimeCwnd: ZeroBasedCounter32 Milliseconds, Poll Derived "4.10" "busy_time - rwnd_limited - sndbuf_limited of tcp_info" => |s| milliseconds(cwnd_limited(s)?);
    /// Time with nothing to send.
    36 SndLimTimeSnd: ZeroBasedCounter32 Milliseconds, Value Derived "5.15" "time since it was established - busy_time + sndbuf_limited; the kernel counts these in ticks, so it may fall back by one; of partial connections it is not known" => |s| milliseconds(sender_limited(s)?);
} }

fn pipe_size(s: &Sample) -> Option<u64> {
    let info = s.info()?;
    let out = info.unacked()?.saturating_add(info.retrans()?);
    s.octets(out.saturating_sub(info.sacked()?.saturating_add(info.lost()?)))
}

fn cwnd_limited(s: &Sample) -> Option<u64> {
    let info = s.info()?;
    Some(info.busy_time()?.saturating_sub(info.rwnd_limited()?.saturating_add(info.sndbuf_limited()?)))
}

/// Counted where callbacks look at it.
fn limits(s: &Sample) -> Option<&RawValue> {
    s.called().and(s.established())
}

/// Idle time goes on between segments, as the kernel's other counts do: up to now, and not to the last segment until that is
/// the last of all.
fn sender_limited(s: &Sample) -> Option<u64> {
    let info = s.info()?;
    let raw = s.established().filter(|raw| raw.flags & flags::PARTIAL == 0)?;
    let open = s.age().filter(|_| raw.flags & flags::CLOSED == 0);
    let since = open.or_else(|| s.elapsed())?.saturating_sub(raw.handshake.into());
    Some(since.saturating_sub(info.busy_time()?.saturating_sub(info.sndbuf_limited()?)))
}
