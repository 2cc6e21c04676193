//! `tcpEStatsAppTable`.

use super::*;

table! { App {
    /// The oldest sequence number not acknowledged.
    1 SndUna: Counter32 None, Value Exact "5.15" "SndInitial and tcp_info.bytes_acked" => |s| number(s.snd_una()?);
    /// The next sequence number to be sent.
    2 SndNxt: Unsigned32 None, Value Exact "5.15" "SndUna + CurRetxQueue" => |s| number(s.snd_nxt()?);
    /// The highest SndNxt.
    3 SndMax: Counter32 None, Value Exact "5.15" "SndNxt, which Linux does not pull back" => |s| number(s.snd_nxt()?);
    /// Octets acknowledged by the peer.
    4 ThruOctetsAcked: ZeroBasedCounter32 Octets, Poll Exact "4.1" "tcp_info.bytes_acked: FIN counts 1, and SYN where this side sent it first" => |s| counter32(s.info()?.bytes_acked()?);
    /// The same, 64 bits wide.
    5 HCThruOctetsAcked: ZeroBasedCounter64 Octets, Poll Exact "4.1" "tcp_info.bytes_acked" => |s| number(s.info()?.bytes_acked()?);
    /// The next sequence number expected.
    6 RcvNxt: Counter32 None, Value Exact "5.15" "RecInitial and tcp_info.bytes_received" => |s| number(s.rcv_nxt()?);
    /// Octets acknowledged to the peer.
    7 ThruOctetsReceived: ZeroBasedCounter32 Octets, Poll Exact "4.1" "tcp_info.bytes_received: FIN counts 1" => |s| counter32(s.info()?.bytes_received()?);
    /// The same, 64 bits wide.
    8 HCThruOctetsReceived: ZeroBasedCounter64 Octets, Poll Exact "4.1" "tcp_info.bytes_received" => |s| number(s.info()?.bytes_received()?);
    /// Octets written and not yet sent.
    11 CurAppWQueue: Gauge32 Octets, Poll Exact "4.6" "tcp_info.notsent_bytes" => |s| number(s.info()?.notsent_bytes()?);
    /// The most of it.
    12 MaxAppWQueue: Gauge32 Octets, Value Sampled "5.15" "write_seq - snd_nxt at callbacks, and at each segment sent if those are looked at; and CurAppWQueue" => |s| highest(s.established()?.max_app_wqueue, s.info().and_then(|info| info.notsent_bytes()));
    /// Octets received in order and not yet read.
    13 CurAppRQueue: Gauge32 Octets, Poll Exact "2.6" "idiag_rqueue" => |s| number(s.read_queue()?);
    /// The most of it.
    14 MaxAppRQueue: Gauge32 Octets, Value Sampled "5.15" "rcv_nxt - copied_seq at callbacks, of which a receiver has few, and at each segment sent if those are looked at; and CurAppRQueue" => |s| highest(s.established()?.max_app_rqueue, s.read_queue());
} }
