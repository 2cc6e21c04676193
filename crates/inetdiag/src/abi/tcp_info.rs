//! `struct tcp_info` (`INET_DIAG_INFO`): the kernel's statistics of one connection.
//!
//! The struct grew from 104 bytes (Linux 2.6) to 280 (6.18). Names are the kernel's, without the `tcpi_` prefix; each
//! field says its unit and the first kernel that sends it.

use super::growing::growing_struct;

growing_struct! {
    /// `struct tcp_info` of `linux/tcp.h`, as long as the kernel sent it.
    ///
    /// ```
    /// use inetdiag::TcpInfo;
    ///
    /// let mut payload = [0u8; 104]; // what Linux 3.14 and older send
    /// payload[68..72].copy_from_slice(&1500u32.to_ne_bytes());
    /// let info = TcpInfo::decode(&payload);
    /// assert_eq!(info.rtt(), Some(1500)); // microseconds
    /// assert_eq!(info.bytes_acked(), None); // came with 4.1: absent, not zero
    /// ```
    TcpInfo, raw RawTcpInfo, size 280 {
        /// TCP state, numbered as [`TcpState`](crate::TcpState).
        state: u8 = 0;
        /// State of congestion avoidance: 0 Open, 1 Disorder, 2 CWR, 3 Recovery, 4 Loss.
        ca_state: u8 = 1;
        /// Retransmission timeouts in a row without an answer.
        retransmits: u8 = 2;
        /// Zero window or keepalive probes without an answer.
        probes: u8 = 3;
        /// Exponent of the retransmission timeout's backoff.
        backoff: u8 = 4;
        /// Bits: 1 timestamps, 2 SACK, 4 window scaling, 8 ECN, 16 ECN seen, 32 data in SYN, 64 microsecond timestamps (6.7), 128 Fast Open child (6.16).
        options: u8 = 5;
        /// Both window scales in one byte; see [`TcpInfo::snd_wscale`] and [`TcpInfo::rcv_wscale`].
        wscale: u8 = 6;
        /// Bit field; see [`TcpInfo::delivery_rate_app_limited`] and [`TcpInfo::fastopen_client_fail`].
        delivery_flags: u8 = 7;
        /// Retransmission timeout, in microseconds.
        rto: u32 = 8;
        /// Delayed ACK timeout, in microseconds.
        ato: u32 = 12;
        /// Maximum segment size for sending, in bytes.
        snd_mss: u32 = 16;
        /// Estimate of the peer's segment size, in bytes.
        rcv_mss: u32 = 20;
        /// Segments sent and not acknowledged; on a listener the length of its accept queue.
        unacked: u32 = 24;
        /// Segments acknowledged selectively (SACK); on a listener the limit of its accept queue.
        sacked: u32 = 28;
        /// Segments considered lost.
        lost: u32 = 32;
        /// Segments retransmitted and still not acknowledged.
        retrans: u32 = 36;
        /// Forward acknowledgements; 0 since Linux 4.15, which dropped FACK.
        fackets: u32 = 40;
        /// Milliseconds since data was last sent.
        last_data_sent: u32 = 44;
        /// Never filled by any kernel.
        last_ack_sent: u32 = 48;
        /// Milliseconds since data was last received.
        last_data_recv: u32 = 52;
        /// Milliseconds since an acknowledgement was last received.
        last_ack_recv: u32 = 56;
        /// Path MTU, in bytes.
        pmtu: u32 = 60;
        /// Slow start threshold of the receive window, in bytes.
        rcv_ssthresh: u32 = 64;
        /// Smoothed round-trip time (RFC 6298), in microseconds.
        rtt: u32 = 68;
        /// Variation of the round-trip time, in microseconds.
        rttvar: u32 = 72;
        /// Slow start threshold, in segments; `0x7fffffff` while there is none.
        snd_ssthresh: u32 = 76;
        /// Congestion window, in segments.
        snd_cwnd: u32 = 80;
        /// Maximum segment size advertised to the peer, in bytes.
        advmss: u32 = 84;
        /// Segments that may arrive out of order before that means loss.
        reordering: u32 = 88;
        /// Round-trip time estimated by the receiver, in microseconds.
        rcv_rtt: u32 = 92;
        /// Receive buffer space that autotuning aims at, in bytes.
        rcv_space: u32 = 96;
        /// Segments retransmitted over the whole connection.
        total_retrans: u32 = 100;
        /// Pacing rate, in bytes per second; all ones is unlimited (since Linux 3.15).
        pacing_rate: u64 = 104;
        /// Limit of the pacing rate, in bytes per second; all ones is unlimited (since Linux 3.15).
        max_pacing_rate: u64 = 112;
        /// Bytes acknowledged by the peer (RFC 4898 `tcpEStatsAppHCThruOctetsAcked`); FIN counts 1, and SYN where this
        /// side sent it first (since Linux 4.1).
        bytes_acked: u64 = 120;
        /// Bytes received in order (RFC 4898 `tcpEStatsAppHCThruOctetsReceived`); FIN counts 1 (since Linux 4.1).
        bytes_received: u64 = 128;
        /// Segments sent, with and without data (RFC 4898 `tcpEStatsPerfSegsOut`, since Linux 4.2).
        segs_out: u32 = 136;
        /// Segments received, with and without data (RFC 4898 `tcpEStatsPerfSegsIn`, since Linux 4.2).
        segs_in: u32 = 140;
        /// Bytes in the send queue that were never sent (since Linux 4.6).
        notsent_bytes: u32 = 144;
        /// Smallest round-trip time of the kernel's window (5 minutes), in microseconds; all ones before the first sample (since Linux 4.6).
        min_rtt: u32 = 148;
        /// Segments received that carried data (since Linux 4.6).
        data_segs_in: u32 = 152;
        /// Segments sent that carried data, retransmissions included (since Linux 4.6).
        data_segs_out: u32 = 156;
        /// Last sample of the delivery rate, in bytes per second (since Linux 4.9).
        delivery_rate: u64 = 160;
        /// Microseconds with data outstanding (since Linux 4.10).
        busy_time: u64 = 168;
        /// Microseconds stopped by the peer's receive window (since Linux 4.10).
        rwnd_limited: u64 = 176;
        /// Microseconds stopped by our own send buffer (since Linux 4.10).
        sndbuf_limited: u64 = 184;
        /// Segments delivered to the peer, retransmissions included (since Linux 4.18).
        delivered: u32 = 192;
        /// Segments of `delivered` that the peer reported as CE-marked (since Linux 4.18).
        delivered_ce: u32 = 196;
        /// Bytes of payload sent, retransmissions included (RFC 4898 `tcpEStatsPerfHCDataOctetsOut`, since Linux 4.19).
        bytes_sent: u64 = 200;
        /// Bytes of payload retransmitted (RFC 4898 `tcpEStatsPerfOctetsRetrans`, since Linux 4.19).
        bytes_retrans: u64 = 208;
        /// Duplicate segments the peer reported (RFC 4898 `tcpEStatsStackDSACKDups`, since Linux 4.19).
        dsack_dups: u32 = 216;
        /// Reordering events seen (since Linux 4.19).
        reord_seen: u32 = 220;
        /// Segments received out of order (since Linux 5.4).
        rcv_ooopack: u32 = 224;
        /// Receive window of the peer after scaling, in bytes (since Linux 5.4).
        snd_wnd: u32 = 228;
        /// Our own receive window after scaling, in bytes (since Linux 6.2).
        rcv_wnd: u32 = 232;
        /// Times the path was changed by rehashing, for PLB or after timeouts (since Linux 6.2).
        rehash: u32 = 236;
        /// Retransmission timeouts over the whole connection (since Linux 6.7).
        total_rto: u16 = 240;
        /// Series of timeouts that were recovered from (since Linux 6.7).
        total_rto_recoveries: u16 = 242;
        /// Milliseconds spent in timeout recovery (since Linux 6.7).
        total_rto_time: u32 = 244;
        /// Segments received with a CE mark (AccECN, since Linux 6.18).
        received_ce: u32 = 248;
        /// Payload bytes delivered with ECT(1) (AccECN, since Linux 6.18).
        delivered_e1_bytes: u32 = 252;
        /// Payload bytes delivered with ECT(0) (AccECN, since Linux 6.18).
        delivered_e0_bytes: u32 = 256;
        /// Payload bytes delivered with CE (AccECN, since Linux 6.18).
        delivered_ce_bytes: u32 = 260;
        /// Payload bytes received with ECT(1) (AccECN, since Linux 6.18).
        received_e1_bytes: u32 = 264;
        /// Payload bytes received with ECT(0) (AccECN, since Linux 6.18).
        received_e0_bytes: u32 = 268;
        /// Payload bytes received with CE (AccECN, since Linux 6.18).
        received_ce_bytes: u32 = 272;
        /// The last word, whose layout changed between 6.18 and 7.0 at the same length; see [`TcpInfo::accecn_fail_mode`].
        tail_word: u32 = 276;
    }
}

/// How the last word of a 280-byte `tcp_info` is laid out.
///
/// The length cannot tell: only the kernel release can, which archives of this recorder carry in their header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpInfoTail {
    /// Linux 6.18 and 6.19: two 16-bit fields.
    Halves,
    /// Linux 7.0 and later: bit fields.
    Bits,
}

impl TcpInfoTail {
    /// The layout that the kernel with this release (`uname -r`) uses, or `None` if the release cannot be read.
    ///
    /// ```
    /// use inetdiag::TcpInfoTail;
    /// assert_eq!(TcpInfoTail::of_release("6.18.44-generic"), Some(TcpInfoTail::Halves));
    /// assert_eq!(TcpInfoTail::of_release("7.1.0"), Some(TcpInfoTail::Bits));
    /// assert_eq!(TcpInfoTail::of_release("unknown"), None);
    /// ```
    pub fn of_release(release: &str) -> Option<Self> {
        let major: u32 = release.split('.').next()?.parse().ok()?;
        Some(if major >= 7 { TcpInfoTail::Bits } else { TcpInfoTail::Halves })
    }
}

impl TcpInfo {
    /// Where the four fields `last_data_sent` to `last_ack_recv` stand: they only measure elapsed time.
    pub const LAST_TIMES: std::ops::Range<usize> = 44..60;
    /// Where `busy_time`, `rwnd_limited` and `sndbuf_limited` stand: they advance with the clock while data is outstanding.
    pub const LIMITED_TIMES: std::ops::Range<usize> = 168..192;
    /// Where `total_rto_time` stands: it advances with the clock during a timeout recovery.
    pub const TOTAL_RTO_TIME: std::ops::Range<usize> = 244..248;

    /// Milliseconds since anything came or went: the least of `last_data_sent`, `last_data_recv` and `last_ack_recv`, which the kernel
    /// counts in clock ticks.
    ///
    /// ```
    /// let mut bytes = [0; 60];
    /// (bytes[44], bytes[52], bytes[56]) = (30, 10, 20);
    /// assert_eq!(inetdiag::TcpInfo::decode(&bytes).last_activity(), Some(10));
    /// assert_eq!(inetdiag::TcpInfo::decode(&bytes[..56]).last_activity(), None);
    /// ```
    pub fn last_activity(&self) -> Option<u32> {
        Some(self.last_data_sent()?.min(self.last_data_recv()?).min(self.last_ack_recv()?))
    }

    /// Window scale of the peer, valid when bit 4 of `options` is set.
    pub fn snd_wscale(&self) -> Option<u8> {
        self.wscale().map(|byte| if cfg!(target_endian = "little") { byte & 0xf } else { byte >> 4 })
    }

    /// Our own window scale, valid when bit 4 of `options` is set.
    pub fn rcv_wscale(&self) -> Option<u8> {
        self.wscale().map(|byte| if cfg!(target_endian = "little") { byte >> 4 } else { byte & 0xf })
    }

    /// Whether `delivery_rate` was measured while the application had nothing to send (since Linux 4.9; older kernels send 0).
    pub fn delivery_rate_app_limited(&self) -> Option<bool> {
        self.delivery_flags().map(|byte| byte & if cfg!(target_endian = "little") { 0x01 } else { 0x80 } != 0)
    }

    /// Why Fast Open failed: 0 not told, 1 no cookie, 2 data not acknowledged, 3 SYN retransmitted (since Linux 5.5; older kernels send 0).
    pub fn fastopen_client_fail(&self) -> Option<u8> {
        self.delivery_flags().map(|byte| if cfg!(target_endian = "little") { byte >> 1 & 3 } else { byte >> 5 & 3 })
    }

    /// Negotiated ECN mode: 0 disabled, 1 RFC 3168, 2 AccECN, 3 pending (since Linux 7.0).
    pub fn ecn_mode(&self, tail: TcpInfoTail) -> Option<u8> {
        let word = self.tail_word()?;
        (tail == TcpInfoTail::Bits).then_some((word & 3) as u8)
    }

    /// AccECN option seen from the peer: 0 none, 1 empty, 2 with counters, 3 failed (since Linux 6.18).
    pub fn accecn_opt_seen(&self, tail: TcpInfoTail) -> Option<u16> {
        let word = self.tail_word()?;
        Some(match tail {
            TcpInfoTail::Halves => u16::from_ne_bytes([word.to_ne_bytes()[2], word.to_ne_bytes()[3]]),
            TcpInfoTail::Bits => (word >> 2 & 3) as u16,
        })
    }

    /// How AccECN failed, bits: 1 ACE sending, 2 ACE receiving, 4 option sending, 8 option receiving (since Linux 6.18).
    pub fn accecn_fail_mode(&self, tail: TcpInfoTail) -> Option<u16> {
        let word = self.tail_word()?;
        Some(match tail {
            TcpInfoTail::Halves => u16::from_ne_bytes([word.to_ne_bytes()[0], word.to_ne_bytes()[1]]),
            TcpInfoTail::Bits => (word >> 4 & 0xf) as u16,
        })
    }

    /// Further option bits (since Linux 7.0).
    pub fn options2(&self, tail: TcpInfoTail) -> Option<u32> {
        let word = self.tail_word()?;
        (tail == TcpInfoTail::Bits).then_some(word >> 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kernel_length_ends_before_the_field_the_next_one_added() {
        let bytes = [0xffu8; 280];
        let info = |len: usize| TcpInfo::decode(&bytes[..len]);
        assert!(info(104).total_retrans().is_some() && info(104).pacing_rate().is_none());
        assert!(info(120).max_pacing_rate().is_some() && info(120).bytes_acked().is_none());
        assert!(info(136).bytes_received().is_some() && info(136).segs_out().is_none());
        assert!(info(160).data_segs_out().is_some() && info(160).delivery_rate().is_none());
        assert!(info(192).sndbuf_limited().is_some() && info(192).delivered().is_none());
        assert!(info(224).reord_seen().is_some() && info(224).rcv_ooopack().is_none());
        assert!(info(232).snd_wnd().is_some() && info(232).rcv_wnd().is_none());
        assert!(info(248).total_rto_time().is_some() && info(248).received_ce().is_none());
        for len in [104, 120, 136, 144, 160, 168, 192, 200, 224, 232, 240, 248, 280] {
            assert!(!info(len).is_torn(), "{len}");
        }
        assert!(info(70).is_torn());
    }

    #[test]
    fn the_tail_word_means_two_things_at_one_length() {
        let mut bytes = [0u8; 280];
        bytes[276..278].copy_from_slice(&5u16.to_ne_bytes());
        bytes[278..280].copy_from_slice(&2u16.to_ne_bytes());
        let info = TcpInfo::decode(&bytes);
        assert_eq!(info.accecn_fail_mode(TcpInfoTail::Halves), Some(5));
        assert_eq!(info.accecn_opt_seen(TcpInfoTail::Halves), Some(2));
        assert_eq!(info.ecn_mode(TcpInfoTail::Halves), None);

        bytes[276..].copy_from_slice(&(2u32 | 3 << 2 | 9 << 4 | 0x1234 << 8).to_ne_bytes());
        let info = TcpInfo::decode(&bytes);
        assert_eq!(info.ecn_mode(TcpInfoTail::Bits), Some(2));
        assert_eq!(info.accecn_opt_seen(TcpInfoTail::Bits), Some(3));
        assert_eq!(info.accecn_fail_mode(TcpInfoTail::Bits), Some(9));
        assert_eq!(info.options2(TcpInfoTail::Bits), Some(0x1234));
        assert_eq!(TcpInfo::decode(&bytes[..276]).accecn_opt_seen(TcpInfoTail::Bits), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn bit_fields_are_taken_apart() {
        let mut bytes = [0u8; 104];
        bytes[6] = 0x97;
        bytes[7] = 0b101;
        let info = TcpInfo::decode(&bytes);
        assert_eq!((info.snd_wscale(), info.rcv_wscale()), (Some(7), Some(9)));
        assert_eq!((info.delivery_rate_app_limited(), info.fastopen_client_fail()), (Some(true), Some(2)));
    }
}
