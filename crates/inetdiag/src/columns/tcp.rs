//! `tcp_info`, in the order of the kernel's struct.

use crate::TcpInfo;

use super::{Column, columns};

pub(super) const ORIGINAL: &[Column] = columns! {
    "TCP.State" Uint "" "2.6" "TCP state, numbered as IDM.State" = |r| r.tcp(TcpInfo::state);
    "TCP.CAState" Uint "" "2.6" "congestion avoidance: 0 Open, 1 Disorder, 2 CWR, 3 Recovery, 4 Loss"
        = |r| r.tcp(TcpInfo::ca_state);
    "TCP.Retransmits" Uint "timeouts" "2.6" "retransmission timeouts in a row without an answer"
        = |r| r.tcp(TcpInfo::retransmits);
    "TCP.Probes" Uint "probes" "2.6" "zero window or keepalive probes without an answer" = |r| r.tcp(TcpInfo::probes);
    "TCP.Backoff" Uint "" "2.6" "exponent of the backoff of the retransmission timeout" = |r| r.tcp(TcpInfo::backoff);
    "TCP.Options" Uint "" "2.6" "bits: 1 timestamps, 2 SACK, 4 window scaling, 8 ECN, 16 ECN seen, 32 data in SYN, 64 \
        microsecond timestamps, 128 Fast Open child"
        = |r| r.tcp(TcpInfo::options);
    "TCP.WScale" Uint "" "2.6" "both window scales in one byte, see TCP.SndWScale and TCP.RcvWScale"
        = |r| r.tcp(TcpInfo::wscale);
    "TCP.AppLimited" Flag "" "4.9" "whether TCP.DeliveryRate was measured while the application had too little to send"
        = |r| r.tcp(TcpInfo::delivery_rate_app_limited);
    "TCP.RTO" Uint "us" "2.6" "retransmission timeout" = |r| r.tcp(TcpInfo::rto);
    "TCP.ATO" Uint "us" "2.6" "timeout of delayed acknowledgements" = |r| r.tcp(TcpInfo::ato);
    "TCP.SndMSS" Uint "bytes" "2.6" "maximum segment size for sending" = |r| r.tcp(TcpInfo::snd_mss);
    "TCP.RcvMSS" Uint "bytes" "2.6" "estimate of the peer's segment size" = |r| r.tcp(TcpInfo::rcv_mss);
    "TCP.Unacked" Uint "segments" "2.6" "sent and not acknowledged; of a listener, length of the accept queue"
        = |r| r.tcp(TcpInfo::unacked);
    "TCP.Sacked" Uint "segments" "2.6" "acknowledged selectively; of a listener, limit of the accept queue"
        = |r| r.tcp(TcpInfo::sacked);
    "TCP.Lost" Uint "segments" "2.6" "considered lost" = |r| r.tcp(TcpInfo::lost);
    "TCP.Retrans" Uint "segments" "2.6" "retransmitted and still not acknowledged" = |r| r.tcp(TcpInfo::retrans);
    "TCP.Fackets" Uint "segments" "2.6" "forward acknowledgements; 0 since Linux 4.15, which dropped FACK"
        = |r| r.tcp(TcpInfo::fackets);
    "TCP.LastDataSent" Uint "ms" "2.6" "since data was last sent" = |r| r.tcp(TcpInfo::last_data_sent);
    "TCP.LastAckSent" Uint "ms" "2.6" "never filled by any kernel" = |r| r.tcp(TcpInfo::last_ack_sent);
    "TCP.LastDataRecv" Uint "ms" "2.6" "since data was last received" = |r| r.tcp(TcpInfo::last_data_recv);
    "TCP.LastAckRecv" Uint "ms" "2.6" "since an acknowledgement was last received" = |r| r.tcp(TcpInfo::last_ack_recv);
    "TCP.PMTU" Uint "bytes" "2.6" "path MTU" = |r| r.tcp(TcpInfo::pmtu);
    "TCP.RcvSsThresh" Uint "bytes" "2.6" "slow start threshold of the receive window"
        = |r| r.tcp(TcpInfo::rcv_ssthresh);
    "TCP.RTT" Uint "us" "2.6" "smoothed round-trip time" = |r| r.tcp(TcpInfo::rtt);
    "TCP.RTTVar" Uint "us" "2.6" "variation of the round-trip time" = |r| r.tcp(TcpInfo::rttvar);
    "TCP.SndSsThresh" Uint "segments" "2.6" "slow start threshold; 2147483647 while there is none"
        = |r| r.tcp(TcpInfo::snd_ssthresh);
    "TCP.SndCwnd" Uint "segments" "2.6" "congestion window" = |r| r.tcp(TcpInfo::snd_cwnd);
    "TCP.AdvMSS" Uint "bytes" "2.6" "maximum segment size advertised to the peer" = |r| r.tcp(TcpInfo::advmss);
    "TCP.Reordering" Uint "segments" "2.6" "may arrive out of order before that means loss"
        = |r| r.tcp(TcpInfo::reordering);
    "TCP.RcvRTT" Uint "us" "2.6" "round-trip time as the receiver estimates it" = |r| r.tcp(TcpInfo::rcv_rtt);
    "TCP.RcvSpace" Uint "bytes" "2.6" "receive buffer space that autotuning aims at" = |r| r.tcp(TcpInfo::rcv_space);
    "TCP.TotalRetrans" Uint "segments" "2.6" "retransmitted, over the whole connection"
        = |r| r.tcp(TcpInfo::total_retrans);
    "TCP.PacingRate" Int "bytes/s" "3.15" "pacing rate; -1 is unlimited"
        = |r| r.tcp(|t| t.pacing_rate().map(u64::cast_signed));
    "TCP.MaxPacingRate" Int "bytes/s" "3.15" "limit of the pacing rate; -1 is unlimited"
        = |r| r.tcp(|t| t.max_pacing_rate().map(u64::cast_signed));
    "TCP.BytesAcked" Int "bytes" "4.1" "acknowledged by the peer; SYN and FIN count 1 each"
        = |r| r.tcp(|t| t.bytes_acked().map(u64::cast_signed));
    "TCP.BytesReceived" Int "bytes" "4.1" "received in order; FIN counts 1"
        = |r| r.tcp(|t| t.bytes_received().map(u64::cast_signed));
    "TCP.SegsOut" Uint "segments" "4.2" "sent, with and without data" = |r| r.tcp(TcpInfo::segs_out);
    "TCP.SegsIn" Uint "segments" "4.2" "received, with and without data" = |r| r.tcp(TcpInfo::segs_in);
    "TCP.NotsentBytes" Uint "bytes" "4.6" "in the send queue and never sent" = |r| r.tcp(TcpInfo::notsent_bytes);
    "TCP.MinRTT" Uint "us" "4.6" "smallest round-trip time of the last minutes; 4294967295 before the first sample"
        = |r| r.tcp(TcpInfo::min_rtt);
    "TCP.DataSegsIn" Uint "segments" "4.6" "received with data" = |r| r.tcp(TcpInfo::data_segs_in);
    "TCP.DataSegsOut" Uint "segments" "4.6" "sent with data, retransmissions included"
        = |r| r.tcp(TcpInfo::data_segs_out);
    "TCP.DeliveryRate" Int "bytes/s" "4.9" "last sample of the delivery rate"
        = |r| r.tcp(|t| t.delivery_rate().map(u64::cast_signed));
    "TCP.BusyTime" Int "us" "4.10" "with data outstanding" = |r| r.tcp(|t| t.busy_time().map(u64::cast_signed));
    "TCP.RWndLimited" Int "us" "4.10" "stopped by the peer's receive window"
        = |r| r.tcp(|t| t.rwnd_limited().map(u64::cast_signed));
    "TCP.SndBufLimited" Int "us" "4.10" "stopped by the own send buffer"
        = |r| r.tcp(|t| t.sndbuf_limited().map(u64::cast_signed));
    "TCP.Delivered" Uint "segments" "4.18" "delivered to the peer, retransmissions included"
        = |r| r.tcp(TcpInfo::delivered);
    "TCP.DeliveredCE" Uint "segments" "4.18" "of those delivered, the ones the peer saw with a CE mark"
        = |r| r.tcp(TcpInfo::delivered_ce);
    "TCP.BytesSent" Int "bytes" "4.19" "payload sent, retransmissions included"
        = |r| r.tcp(|t| t.bytes_sent().map(u64::cast_signed));
    "TCP.BytesRetrans" Int "bytes" "4.19" "payload retransmitted"
        = |r| r.tcp(|t| t.bytes_retrans().map(u64::cast_signed));
    "TCP.DSackDups" Uint "segments" "4.19" "duplicates that the peer reported" = |r| r.tcp(TcpInfo::dsack_dups);
    "TCP.ReordSeen" Uint "events" "4.19" "reordering seen" = |r| r.tcp(TcpInfo::reord_seen);
    "TCP.RcvOooPack" Uint "segments" "5.4" "received out of order" = |r| r.tcp(TcpInfo::rcv_ooopack);
    "TCP.SndWnd" Uint "bytes" "5.4" "receive window of the peer, scaled" = |r| r.tcp(TcpInfo::snd_wnd);
};

pub(super) const NEWER: &[Column] = columns! {
    "TCP.SndWScale" Uint "" "2.6" "window scale of the peer; means something when bit 4 of TCP.Options is set"
        = |r| r.tcp(TcpInfo::snd_wscale);
    "TCP.RcvWScale" Uint "" "2.6" "own window scale; means something when bit 4 of TCP.Options is set"
        = |r| r.tcp(TcpInfo::rcv_wscale);
    "TCP.FastOpenClientFail" Uint "" "5.5" "why Fast Open failed: 0 not told, 1 no cookie, 2 data not acknowledged, 3 \
        SYN retransmitted"
        = |r| r.tcp(TcpInfo::fastopen_client_fail);
    "TCP.RcvWnd" Uint "bytes" "6.2" "own receive window, scaled" = |r| r.tcp(TcpInfo::rcv_wnd);
    "TCP.Rehash" Uint "events" "6.2" "changes of path by rehashing, for PLB or after timeouts"
        = |r| r.tcp(TcpInfo::rehash);
    "TCP.TotalRTO" Uint "timeouts" "6.7" "retransmission timeouts over the whole connection"
        = |r| r.tcp(TcpInfo::total_rto);
    "TCP.TotalRTORecoveries" Uint "events" "6.7" "series of timeouts that ended in recovery"
        = |r| r.tcp(TcpInfo::total_rto_recoveries);
    "TCP.TotalRTOTime" Uint "ms" "6.7" "spent in recovery from timeouts" = |r| r.tcp(TcpInfo::total_rto_time);
    "TCP.ReceivedCE" Uint "segments" "6.18" "received with a CE mark" = |r| r.tcp(TcpInfo::received_ce);
    "TCP.DeliveredE1Bytes" Uint "bytes" "6.18" "payload delivered with ECT(1), by AccECN"
        = |r| r.tcp(TcpInfo::delivered_e1_bytes);
    "TCP.DeliveredE0Bytes" Uint "bytes" "6.18" "payload delivered with ECT(0), by AccECN"
        = |r| r.tcp(TcpInfo::delivered_e0_bytes);
    "TCP.DeliveredCEBytes" Uint "bytes" "6.18" "payload delivered with CE, by AccECN"
        = |r| r.tcp(TcpInfo::delivered_ce_bytes);
    "TCP.ReceivedE1Bytes" Uint "bytes" "6.18" "payload received with ECT(1)" = |r| r.tcp(TcpInfo::received_e1_bytes);
    "TCP.ReceivedE0Bytes" Uint "bytes" "6.18" "payload received with ECT(0)" = |r| r.tcp(TcpInfo::received_e0_bytes);
    "TCP.ReceivedCEBytes" Uint "bytes" "6.18" "payload received with CE" = |r| r.tcp(TcpInfo::received_ce_bytes);
    "TCP.ECNMode" Uint "" "7.0" "negotiated ECN: 0 none, 1 RFC 3168, 2 AccECN, 3 pending; empty when the archive does \
        not name the kernel"
        = |r| r.tail(TcpInfo::ecn_mode);
    "TCP.AccECNOptSeen" Uint "" "6.18" "AccECN option of the peer: 0 none, 1 empty, 2 with counters, 3 failed; empty \
        when the archive does not name the kernel"
        = |r| r.tail(TcpInfo::accecn_opt_seen);
    "TCP.AccECNFailMode" Uint "" "6.18" "how AccECN failed, bits: 1 ACE sending, 2 ACE receiving, 4 option sending, 8 \
        option receiving; empty when the archive does not name the kernel"
        = |r| r.tail(TcpInfo::accecn_fail_mode);
    "TCP.Options2" Uint "" "7.0" "further option bits; empty when the archive does not name the kernel"
        = |r| r.tail(TcpInfo::options2);
};
