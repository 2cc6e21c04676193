//! The smaller attribute structs. Byte order is the recording host's.

use super::growing::growing_struct;

growing_struct! {
    /// `struct inet_diag_meminfo` (`INET_DIAG_MEMINFO`): memory of the socket, in bytes.
    MemInfo, raw RawMemInfo, size 16 {
        /// Receive queue memory in use.
        idiag_rmem: u32 = 0;
        /// Data queued for sending, sent or not (`sk_wmem_queued`).
        idiag_wmem: u32 = 4;
        /// Memory reserved for the socket and not yet used (`sk_forward_alloc`).
        idiag_fmem: u32 = 8;
        /// Memory of packets handed to the network device and not yet freed.
        idiag_tmem: u32 = 12;
    }
}

growing_struct! {
    /// The `SK_MEMINFO_*` array (`INET_DIAG_SKMEMINFO`, since Linux 3.3), in bytes unless said; older kernels send fewer words.
    SkMemInfo, raw RawSkMemInfo, size 36 {
        /// Receive queue memory in use.
        rmem_alloc: u32 = 0;
        /// Limit of the receive buffer (`SO_RCVBUF`).
        rcvbuf: u32 = 4;
        /// Memory of packets handed to the network device and not yet freed.
        wmem_alloc: u32 = 8;
        /// Limit of the send buffer (`SO_SNDBUF`).
        sndbuf: u32 = 12;
        /// Memory reserved and not yet used.
        fwd_alloc: u32 = 16;
        /// Data queued for sending, sent or not.
        wmem_queued: u32 = 20;
        /// Memory of socket options.
        optmem: u32 = 24;
        /// Packets waiting while the socket was locked by its owner (since Linux 3.3).
        backlog: u32 = 28;
        /// Packets dropped by the socket, a count (since Linux 4.10).
        drops: u32 = 32;
    }
}

growing_struct! {
    /// `struct tcpvegas_info` (`INET_DIAG_VEGASINFO`): state of the vegas congestion control.
    VegasInfo, raw RawVegasInfo, size 16 {
        /// Whether vegas is at work on this connection.
        tcpv_enabled: u32 = 0;
        /// RTT samples of the last round.
        tcpv_rttcnt: u32 = 4;
        /// Last RTT, in microseconds.
        tcpv_rtt: u32 = 8;
        /// Smallest RTT, in microseconds; `0x7fffffff` before the first sample.
        tcpv_minrtt: u32 = 12;
    }
}

growing_struct! {
    /// `struct tcp_dctcp_info` (`INET_DIAG_DCTCPINFO`, since Linux 3.18): state of DCTCP (RFC 8257).
    DctcpInfo, raw RawDctcpInfo, size 16 {
        /// 0 while DCTCP fell back to plain Reno for lack of ECN.
        dctcp_enabled: u16 = 0;
        /// Whether the last packet received was marked CE.
        dctcp_ce_state: u16 = 2;
        /// Share of marked bytes, scaled by 1024.
        dctcp_alpha: u32 = 4;
        /// Bytes acknowledged with a mark, in the window now observed.
        dctcp_ab_ecn: u32 = 8;
        /// Bytes acknowledged in the window now observed.
        dctcp_ab_tot: u32 = 12;
    }
}

growing_struct! {
    /// `struct tcp_bbr_info` (`INET_DIAG_BBRINFO`, since Linux 4.9): state of BBR.
    BbrInfo, raw RawBbrInfo, size 20 {
        /// Low word of the bandwidth estimate; see [`BbrInfo::bw`].
        bbr_bw_lo: u32 = 0;
        /// High word of the bandwidth estimate; see [`BbrInfo::bw`].
        bbr_bw_hi: u32 = 4;
        /// Smallest RTT of BBR's own window, in microseconds.
        bbr_min_rtt: u32 = 8;
        /// Pacing gain, shifted left by 8 bits (256 is 1.0).
        bbr_pacing_gain: u32 = 12;
        /// Congestion window gain, shifted left by 8 bits.
        bbr_cwnd_gain: u32 = 16;
    }
}

impl BbrInfo {
    /// Windowed maximum of the delivery rate, in bytes per second.
    pub fn bw(&self) -> Option<u64> {
        Some(u64::from(self.bbr_bw_hi()?) << 32 | u64::from(self.bbr_bw_lo()?))
    }
}

growing_struct! {
    /// `struct inet_diag_sockopt` (`INET_DIAG_SOCKOPT`, since Linux 5.10): socket options, one bit each.
    SockOpt, raw RawSockOpt, size 2 {
        /// recverr, is_icsk, freebind, hdrincl, mc_loop, transparent, mc_all, nodefrag; the first in the lowest bit on little endian.
        flags0: u8 = 0;
        /// bind_address_no_port, recverr_rfc4884, defer_connect.
        flags1: u8 = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_present_only_when_it_lies_wholly_inside_the_payload() {
        let bytes: Vec<u8> = (1..=36).collect();
        for len in 0..=40 {
            let payload: Vec<u8> = bytes.iter().copied().chain(std::iter::repeat(0)).take(len).collect();
            let info = SkMemInfo::decode(&payload);
            assert_eq!(info.rmem_alloc().is_some(), len >= 4, "{len}");
            assert_eq!(info.drops().is_some(), len >= 36, "{len}");
            assert_eq!(info.is_torn(), len == 0 || (len < 36 && len % 4 != 0), "{len}");
            assert_eq!(info.payload_len(), len);
        }
    }

    #[test]
    fn bandwidth_joins_both_words_or_is_absent() {
        let mut payload = Vec::new();
        for word in [7u32, 1, 20, 739, 512] {
            payload.extend_from_slice(&word.to_ne_bytes());
        }
        assert_eq!(BbrInfo::decode(&payload).bw(), Some((1 << 32) + 7));
        assert_eq!(BbrInfo::decode(&payload[..4]).bw(), None);
    }
}
