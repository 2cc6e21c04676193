//! The attributes beside `tcp_info`.

use std::fmt::{Display, Write};

use crate::{BbrInfo, DctcpInfo, MemInfo, SkMemInfo, VegasInfo};

use super::{Column, columns};

pub(super) const PLAIN: &[Column] = columns! {
    "CongestionAlgorithm" Text "" "2.6" "name of the congestion control" = |r| r.snapshot(|s| s.cong.as_deref());
    "TOS" Uint "" "3.2" "type of service octet: DSCP and ECN" = |r| r.snapshot(|s| s.tos);
    "TClass" Uint "" "3.2" "traffic class octet of IPv6" = |r| r.snapshot(|s| s.tclass);
    "ClassID" Uint "" "4.14" "net_cls class, or priority of the socket" = |r| r.snapshot(|s| s.class_id);
    "Shutdown" Uint "" "3.8" "bits: 1 receiving ended, 2 sending ended" = |r| r.snapshot(|s| s.shutdown);
    "Protocol" Uint "" "4.2" "IP protocol, sent when the socket is destroyed" = |r| r.snapshot(|s| s.protocol);
    "Mark" Uint "" "4.9" "firewall mark; only recorders with CAP_NET_ADMIN see it" = |r| r.snapshot(|s| s.mark);
};

pub(super) const MEMORY_AND_CONGESTION: &[Column] = columns! {
    "MemInfo.Rmem" Uint "bytes" "2.6" "memory of the receive queue in use" = |r| r.mem(MemInfo::idiag_rmem);
    "MemInfo.Wmem" Uint "bytes" "2.6" "data queued for sending, sent or not" = |r| r.mem(MemInfo::idiag_wmem);
    "MemInfo.Fmem" Uint "bytes" "2.6" "memory reserved for the socket and not yet used"
        = |r| r.mem(MemInfo::idiag_fmem);
    "MemInfo.Tmem" Uint "bytes" "2.6" "memory of packets at the network device" = |r| r.mem(MemInfo::idiag_tmem);

    "SKMemInfo.RmemAlloc" Uint "bytes" "3.3" "memory of the receive queue in use" = |r| r.skmem(SkMemInfo::rmem_alloc);
    "SKMemInfo.Rcvbuf" Uint "bytes" "3.3" "limit of the receive buffer" = |r| r.skmem(SkMemInfo::rcvbuf);
    "SKMemInfo.WmemAlloc" Uint "bytes" "3.3" "memory of packets at the network device"
        = |r| r.skmem(SkMemInfo::wmem_alloc);
    "SKMemInfo.Sndbuf" Uint "bytes" "3.3" "limit of the send buffer" = |r| r.skmem(SkMemInfo::sndbuf);
    "SKMemInfo.FwdAlloc" Uint "bytes" "3.3" "memory reserved for the socket and not yet used"
        = |r| r.skmem(SkMemInfo::fwd_alloc);
    "SKMemInfo.WmemQueued" Uint "bytes" "3.3" "data queued for sending, sent or not"
        = |r| r.skmem(SkMemInfo::wmem_queued);
    "SKMemInfo.Optmem" Uint "bytes" "3.3" "memory of socket options" = |r| r.skmem(SkMemInfo::optmem);
    "SKMemInfo.Backlog" Uint "bytes" "3.3" "packets waiting while the socket was locked by its owner"
        = |r| r.skmem(SkMemInfo::backlog);
    "SKMemInfo.Drops" Uint "packets" "4.10" "dropped by the socket" = |r| r.skmem(SkMemInfo::drops);

    "Vegas.Enabled" Uint "" "2.6" "whether vegas is at work" = |r| r.vegas(VegasInfo::tcpv_enabled);
    "Vegas.RTTCount" Uint "samples" "2.6" "round-trip times of the last round" = |r| r.vegas(VegasInfo::tcpv_rttcnt);
    "Vegas.RTT" Uint "us" "2.6" "last round-trip time" = |r| r.vegas(VegasInfo::tcpv_rtt);
    "Vegas.MinRTT" Uint "us" "2.6" "smallest round-trip time; 2147483647 before the first sample"
        = |r| r.vegas(VegasInfo::tcpv_minrtt);

    "DCTCP.Enabled" Uint "" "3.18" "0 while DCTCP fell back to Reno for lack of ECN"
        = |r| r.dctcp(DctcpInfo::dctcp_enabled);
    "DCTCP.CEState" Uint "" "3.18" "whether the last packet received was marked CE"
        = |r| r.dctcp(DctcpInfo::dctcp_ce_state);
    "DCTCP.Alpha" Uint "1/1024" "3.18" "share of marked bytes" = |r| r.dctcp(DctcpInfo::dctcp_alpha);
    "DCTCP.ABEcn" Uint "bytes" "3.18" "acknowledged with a mark, in the window now observed"
        = |r| r.dctcp(DctcpInfo::dctcp_ab_ecn);
    "DCTCP.ABTot" Uint "bytes" "3.18" "acknowledged, in the window now observed" = |r| r.dctcp(DctcpInfo::dctcp_ab_tot);

    "BBR.BW" Int "bytes/s" "4.9" "estimate of the bottleneck bandwidth" = |r| r.bbr(|b| b.bw().map(u64::cast_signed));
    "BBR.MinRTT" Uint "us" "4.9" "smallest round-trip time of BBR's window" = |r| r.bbr(BbrInfo::bbr_min_rtt);
    "BBR.PacingGain" Uint "1/256" "4.9" "pacing gain" = |r| r.bbr(BbrInfo::bbr_pacing_gain);
    "BBR.CwndGain" Uint "1/256" "4.9" "congestion window gain" = |r| r.bbr(BbrInfo::bbr_cwnd_gain);
};

pub(super) const NEWER: &[Column] = columns! {
    "SKV6Only" Uint "" "4.2" "whether an IPv6 listener refuses IPv4" = |r| r.snapshot(|s| s.skv6only);
    "MD5Sig" Text "" "4.14" "peers with TCP MD5 signatures, as address/prefix" = |r| {
        r.snapshot(|s| joined(s.md5sig.iter().map(|peer| format!("{}/{}", peer.addr, peer.prefixlen))))
    };
    "CgroupID" Uint "" "5.8" "id of the socket's cgroup v2" = |r| r.snapshot(|s| s.cgroup_id);

    "SockOpt.RecvErr" Flag "" "5.10" "IP_RECVERR" = |r| r.sockopt(|o| bit(o.flags0(), 0));
    "SockOpt.IsICSK" Flag "" "5.10" "a connection-oriented socket" = |r| r.sockopt(|o| bit(o.flags0(), 1));
    "SockOpt.Freebind" Flag "" "5.10" "IP_FREEBIND" = |r| r.sockopt(|o| bit(o.flags0(), 2));
    "SockOpt.HdrIncl" Flag "" "5.10" "IP_HDRINCL" = |r| r.sockopt(|o| bit(o.flags0(), 3));
    "SockOpt.MCLoop" Flag "" "5.10" "IP_MULTICAST_LOOP" = |r| r.sockopt(|o| bit(o.flags0(), 4));
    "SockOpt.Transparent" Flag "" "5.10" "IP_TRANSPARENT" = |r| r.sockopt(|o| bit(o.flags0(), 5));
    "SockOpt.MCAll" Flag "" "5.10" "IP_MULTICAST_ALL" = |r| r.sockopt(|o| bit(o.flags0(), 6));
    "SockOpt.Nodefrag" Flag "" "5.10" "IP_NODEFRAG" = |r| r.sockopt(|o| bit(o.flags0(), 7));
    "SockOpt.BindAddressNoPort" Flag "" "5.10" "IP_BIND_ADDRESS_NO_PORT" = |r| r.sockopt(|o| bit(o.flags1(), 0));
    "SockOpt.RecvErrRFC4884" Flag "" "5.10" "IP_RECVERR_RFC4884" = |r| r.sockopt(|o| bit(o.flags1(), 1));
    "SockOpt.DeferConnect" Flag "" "5.10" "Fast Open connect that waits for data"
        = |r| r.sockopt(|o| bit(o.flags1(), 2));

    "ULP.Name" Text "" "5.4" "protocol on top of TCP, such as tls or mptcp" = |r| r.ulp(|u| u.name.as_deref());
    "ULP.TLS.Version" Uint "" "5.4" "771 is TLS 1.2, 772 is TLS 1.3" = |r| r.tls(|t| t.version);
    "ULP.TLS.Cipher" Uint "" "5.4" "cipher number of linux/tls.h: 51 is AES-GCM-128" = |r| r.tls(|t| t.cipher);
    "ULP.TLS.TxConf" Uint "" "5.4" "sending: 1 base, 2 software, 3 hardware, 4 hardware record"
        = |r| r.tls(|t| t.txconf);
    "ULP.TLS.RxConf" Uint "" "5.4" "receiving, numbered as ULP.TLS.TxConf" = |r| r.tls(|t| t.rxconf);
    "ULP.TLS.ZcRoTx" Flag "" "5.19" "whether sendfile encrypts without a copy; sent only where it does"
        = |r| r.tls(|t| t.zc_ro_tx.then_some(true));
    "ULP.TLS.RxNoPad" Flag "" "6.0" "whether records are expected without padding; sent only where they are"
        = |r| r.tls(|t| t.rx_no_pad.then_some(true));
    "ULP.TLS.TxMaxPayloadLen" Uint "bytes" "6.19" "longest plaintext of a record sent"
        = |r| r.tls(|t| t.tx_max_payload_len);
    "ULP.MPTCP.TokenRem" Uint "" "5.7" "token of the peer" = |r| r.mptcp(|m| m.token_rem);
    "ULP.MPTCP.TokenLoc" Uint "" "5.7" "own token" = |r| r.mptcp(|m| m.token_loc);
    "ULP.MPTCP.RelWriteSeq" Uint "" "5.7" "relative sequence number of the next byte to be written"
        = |r| r.mptcp(|m| m.relwrite_seq);
    "ULP.MPTCP.MapSeq" Uint "" "5.7" "data sequence number of the current mapping" = |r| r.mptcp(|m| m.map_seq);
    "ULP.MPTCP.MapSFSeq" Uint "" "5.7" "subflow sequence number of the current mapping" = |r| r.mptcp(|m| m.map_sfseq);
    "ULP.MPTCP.SSNOffset" Uint "" "5.7" "offset between data and subflow sequence numbers"
        = |r| r.mptcp(|m| m.ssn_offset);
    "ULP.MPTCP.MapDataLen" Uint "bytes" "5.7" "length of the current mapping" = |r| r.mptcp(|m| m.map_datalen);
    "ULP.MPTCP.Flags" Uint "" "5.7" "flags of linux/mptcp.h" = |r| r.mptcp(|m| m.flags);
    "ULP.MPTCP.IDRem" Uint "" "5.7" "address id of the remote end" = |r| r.mptcp(|m| m.id_rem);
    "ULP.MPTCP.IDLoc" Uint "" "5.7" "address id of the local end" = |r| r.mptcp(|m| m.id_loc);

    "Locals" Text "" "4.7" "local addresses, of SCTP" = |r| r.snapshot(|s| joined(&s.locals));
    "Peers" Text "" "4.7" "remote addresses, of SCTP" = |r| r.snapshot(|s| joined(&s.peers));
    "SKBPFStorage" Text "" "5.7" "BPF storage of the socket, as map id:value in hexadecimal" = |r| {
        r.snapshot(|s| joined(s.sk_bpf_storages.iter().map(|entry| format!("{}:{}", entry.map_id, hex(&entry.value)))))
    };
};

/// One bit of a byte whose bits a C compiler gave out in the order of the host.
fn bit(byte: Option<u8>, n: u32) -> Option<bool> {
    let place = if cfg!(target_endian = "little") { n } else { 7 - n };
    byte.map(|byte| byte >> place & 1 == 1)
}

/// A list in one cell, with spaces between; nothing where the list is empty.
fn joined<T: Display>(items: impl IntoIterator<Item = T>) -> Option<String> {
    let mut text = String::new();
    for item in items {
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{space}{item}");
    }
    (!text.is_empty()).then_some(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[test]
    fn bits_count_from_the_lowest_and_stay_absent_where_the_byte_is() {
        assert_eq!(bit(Some(0b0000_0100), 2), Some(true));
        assert_eq!(bit(Some(0b0000_0100), 1), Some(false));
        assert_eq!(bit(None, 0), None);
    }

    #[test]
    fn lists_share_a_cell() {
        assert_eq!(joined(Vec::<u8>::new()), None);
        assert_eq!(joined([1, 20]).as_deref(), Some("1 20"));
        assert_eq!(hex(&[0, 0xab]), "00ab");
    }
}
