//! What `ss -n` prints of a socket: names, formats, and which values it leaves out.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;

use inetdiag::{AddressFamily, InetDiagMsg, Snapshot, TcpInfo, TcpState};

use super::format::{alternate_hex, general, timer};

/// Local and remote `address:port` as `ss -n` prints them.
pub(crate) fn key(snapshot: &Snapshot) -> (String, String) {
    let idm = snapshot.idm.expect("a socket");
    let v6only = snapshot.skv6only == Some(1);
    let print = |address: IpAddr, port: u16| {
        let port = if port == 0 { "*".to_owned() } else { port.to_string() };
        match address {
            IpAddr::V6(address) if address.is_unspecified() && !v6only => format!("*:{port}"),
            IpAddr::V6(address) => format!("[{address}]:{port}"),
            IpAddr::V4(address) => format!("{address}:{port}"),
        }
    };
    (print(idm.src(), idm.id.idiag_sport.get()), print(idm.dst(), idm.id.idiag_dport.get()))
}

/// Every field that `ss` prints of this socket, named as in [`SsSocket::fields`](super::SsSocket::fields).
pub(crate) fn expected_fields(snapshot: &Snapshot) -> BTreeMap<&'static str, String> {
    let mut out = Fields(BTreeMap::new());
    let idm = snapshot.idm.expect("a socket");
    header(&mut out, &idm);
    out.unless_zero("fwmark", snapshot.mark, |mark| format!("{mark:#x}"));
    out.unless_zero("cgroup", snapshot.cgroup_id, |id| format!("{id:x}"));
    // IPv4 sockets have no such option, whatever the kernel sends.
    out.put("v6only", snapshot.skv6only.filter(|_| idm.family() == Some(AddressFamily::Inet6)));
    let sides = |mask| [if mask & 1 == 0 { '<' } else { '-' }, '-', if mask & 2 == 0 { '>' } else { '-' }];
    out.put("shutdown", snapshot.shutdown.map(|mask| String::from_iter(sides(mask))));
    out.put("tos", snapshot.tos.map(|tos| alternate_hex(tos.into())));
    out.put("tclass", snapshot.tclass.map(|tclass| alternate_hex(tclass.into())));
    out.put("class_id", snapshot.class_id.map(alternate_hex));
    out.put("inet-sockopt", snapshot.sockopt.and_then(|options| Some(sockopt(options.flags0()?, options.flags1()?))));
    memory(&mut out, snapshot);
    if let Some(info) = &snapshot.tcp_info {
        negotiated(&mut out, snapshot, info);
        path(&mut out, info, idm.state() == Some(TcpState::Listen));
        counters(&mut out, info);
        rates(&mut out, snapshot, info);
    }
    upper_layer(&mut out, snapshot);
    out.0
}

struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    fn put(&mut self, name: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.0.insert(name, value.to_string());
        }
    }

    /// `ss` cannot tell absent from zero, and leaves out both.
    fn unless_zero<T: Copy + Default + PartialEq, S: Display>(
        &mut self,
        name: &'static str,
        value: Option<T>,
        print: impl Fn(T) -> S,
    ) {
        self.put(name, value.filter(|value| *value != T::default()).map(print));
    }

    fn number<T: Copy + Default + PartialEq + Display>(&mut self, name: &'static str, value: Option<T>) {
        self.unless_zero(name, value, |value| value);
    }

    fn milliseconds(&mut self, name: &'static str, microseconds: Option<u32>) {
        self.unless_zero(name, microseconds, |value| general(f64::from(value) / 1000.0));
    }

    fn flag(&mut self, name: &'static str, is_set: bool) {
        self.put(name, is_set.then_some(""));
    }
}

fn header(out: &mut Fields, idm: &InetDiagMsg) {
    const STATES: [&str; 12] = [
        "UNKNOWN",
        "ESTAB",
        "SYN-SENT",
        "SYN-RECV",
        "FIN-WAIT-1",
        "FIN-WAIT-2",
        "TIME-WAIT",
        "UNCONN",
        "CLOSE-WAIT",
        "LAST-ACK",
        "LISTEN",
        "CLOSING",
    ];
    const TIMERS: [&str; 5] = ["off", "on", "keepalive", "timewait", "persist"];
    out.put("state", STATES.get(usize::from(idm.idiag_state)));
    out.put("recv-q", Some(idm.idiag_rqueue.get()));
    out.put("send-q", Some(idm.idiag_wqueue.get()));
    if idm.idiag_timer != 0 {
        out.put("timer", Some(TIMERS.get(usize::from(idm.idiag_timer)).unwrap_or(&"unknown")));
        out.put("timer_expires", Some(timer(idm.idiag_expires.get())));
        out.put("timer_retrans", Some(idm.idiag_retrans));
    }
    out.number("uid", Some(idm.idiag_uid.get()));
    out.put("ino", Some(idm.idiag_inode.get()));
    out.put("sk", Some(format!("{:x}", idm.id.cookie())));
}

fn memory(out: &mut Fields, snapshot: &Snapshot) {
    let word = |value: Option<u32>| value.unwrap_or_default();
    if let Some(sk) = snapshot.skmeminfo {
        let always =
            [sk.rmem_alloc(), sk.rcvbuf(), sk.wmem_alloc(), sk.sndbuf(), sk.fwd_alloc(), sk.wmem_queued(), sk.optmem()];
        let [r, rb, t, tb, f, w, o] = always.map(word);
        let backlog = sk.backlog().map_or(String::new(), |value| format!(",bl{value}"));
        let drops = sk.drops().map_or(String::new(), |value| format!(",d{value}"));
        out.put("skmem", Some(format!("(r{r},rb{rb},t{t},tb{tb},f{f},w{w},o{o}{backlog}{drops})")));
    } else if let Some(mem) = snapshot.meminfo {
        let words = [mem.idiag_rmem(), mem.idiag_wmem(), mem.idiag_fmem(), mem.idiag_tmem()];
        let [r, w, f, t] = words.map(word);
        out.put("mem", Some(format!("(r{r},w{w},f{f},t{t})")));
    }
}

/// What both ends agreed on.
fn negotiated(out: &mut Fields, snapshot: &Snapshot, info: &TcpInfo) {
    let options = info.options().unwrap_or_default();
    for (bit, name) in [(1, "ts"), (2, "sack"), (8, "ecn"), (16, "ecnseen"), (32, "fastopen"), (64, "usec_ts")] {
        out.flag(name, options & bit != 0);
    }
    out.put("cong", snapshot.cong.as_deref().filter(|name| !name.is_empty()));
    if let (Some(snd), Some(rcv)) = (info.snd_wscale(), info.rcv_wscale())
        && options & 4 != 0
    {
        out.put("wscale", Some(format!("{snd},{rcv}")));
    }
    out.number("mss", info.snd_mss());
    out.number("pmtu", info.pmtu());
    out.number("rcvmss", info.rcv_mss());
    out.number("advmss", info.advmss());
}

/// What is known of the path, and what is on its way.
fn path(out: &mut Fields, info: &TcpInfo, is_listener: bool) {
    const NO_RTO_YET: u32 = 3_000_000;
    const NO_SSTHRESH_FROM: u32 = 0xffff;
    const DEFAULT_REORDERING: u32 = 3;
    out.milliseconds("rto", info.rto().filter(|rto| *rto != NO_RTO_YET));
    out.number("backoff", info.backoff());
    out.unless_zero("rtt", info.rtt(), |rtt| {
        let rttvar = info.rttvar().unwrap_or_default();
        format!("{}/{}", general(f64::from(rtt) / 1000.0), general(f64::from(rttvar) / 1000.0))
    });
    out.milliseconds("ato", info.ato());
    out.number("cwnd", info.snd_cwnd());
    out.number("ssthresh", info.snd_ssthresh().filter(|ssthresh| *ssthresh < NO_SSTHRESH_FROM));
    out.number("lastsnd", info.last_data_sent());
    out.number("lastrcv", info.last_data_recv());
    out.number("lastack", info.last_ack_recv());
    out.number("unacked", info.unacked());
    let retrans = (info.retrans().unwrap_or_default(), info.total_retrans().unwrap_or_default());
    out.unless_zero("retrans", Some(retrans), |(now, total)| format!("{now}/{total}"));
    out.number("lost", info.lost());
    out.number("sacked", info.sacked().filter(|_| !is_listener));
    out.number("fackets", info.fackets());
    let reordering = info.reordering().unwrap_or_default();
    out.put("reordering", Some(reordering).filter(|reordering| *reordering != DEFAULT_REORDERING));
    out.number("reord_seen", info.reord_seen());
    out.milliseconds("rcv_rtt", info.rcv_rtt());
    out.number("rcv_space", info.rcv_space());
    out.number("rcv_ssthresh", info.rcv_ssthresh());
    out.number("notsent", info.notsent_bytes());
    out.milliseconds("minrtt", info.min_rtt().filter(|rtt| *rtt != u32::MAX));
    out.number("snd_wnd", info.snd_wnd());
    out.number("rcv_wnd", info.rcv_wnd());
    out.number("rehash", info.rehash());
}

fn counters(out: &mut Fields, info: &TcpInfo) {
    out.number("bytes_sent", info.bytes_sent());
    out.number("bytes_retrans", info.bytes_retrans());
    out.number("bytes_acked", info.bytes_acked());
    out.number("bytes_received", info.bytes_received());
    out.number("segs_out", info.segs_out());
    out.number("segs_in", info.segs_in());
    out.number("data_segs_out", info.data_segs_out());
    out.number("data_segs_in", info.data_segs_in());
    out.number("delivered", info.delivered());
    out.number("delivered_ce", info.delivered_ce());
    out.number("dsack_dups", info.dsack_dups());
    out.number("rcv_ooopack", info.rcv_ooopack());
    let busy = info.busy_time().unwrap_or_default();
    if busy != 0 {
        let share = |time: u64| format!("{}ms({:.1}%)", time / 1000, 100.0 * time as f64 / busy as f64);
        out.put("busy", Some(format!("{}ms", busy / 1000)));
        out.unless_zero("rwnd_limited", info.rwnd_limited(), share);
        out.unless_zero("sndbuf_limited", info.sndbuf_limited(), share);
    }
}

/// Rates, in bits per second, and the congestion control's own state.
fn rates(out: &mut Fields, snapshot: &Snapshot, info: &TcpInfo) {
    let bits = |bytes: u64| format!("{:.0}bps", bytes as f64 * 8.0);
    let unlimited = |rate: &u64| *rate == u64::MAX;
    let pacing = info.pacing_rate().filter(|rate| !unlimited(rate));
    let limit = info.max_pacing_rate().filter(|rate| !unlimited(rate) && *rate != 0);
    let limit = limit.map_or(String::new(), |rate| format!("/{}", bits(rate)));
    out.unless_zero("pacing_rate", pacing, |rate| bits(rate) + &limit);
    out.unless_zero("delivery_rate", info.delivery_rate(), bits);
    out.flag("app_limited", info.delivery_rate_app_limited() == Some(true));

    let vegas = snapshot.vegasinfo.filter(|vegas| vegas.tcpv_enabled().is_some_and(|enabled| enabled != 0));
    let vegas_rtt = vegas.and_then(|vegas| vegas.tcpv_rtt()).filter(|rtt| ![0, 0x7fff_ffff].contains(rtt));
    let [cwnd, mss, rtt] =
        [info.snd_cwnd(), info.snd_mss(), vegas_rtt.or(info.rtt())].map(|v| f64::from(v.unwrap_or(0)));
    if cwnd * mss * rtt != 0.0 {
        out.put("send", Some(format!("{:.0}bps", cwnd * mss * 8_000_000.0 / rtt)));
    }

    out.put(
        "dctcp",
        snapshot.dctcpinfo.map(|dctcp| match dctcp.dctcp_enabled() {
            None | Some(0) => "fallback_mode".to_owned(),
            Some(_) => format!(
                "(ce_state:{},alpha:{},ab_ecn:{},ab_tot:{})",
                dctcp.dctcp_ce_state().unwrap_or_default(),
                dctcp.dctcp_alpha().unwrap_or_default(),
                dctcp.dctcp_ab_ecn().unwrap_or_default(),
                dctcp.dctcp_ab_tot().unwrap_or_default(),
            ),
        }),
    );
    out.put(
        "bbr",
        snapshot.bbrinfo.map(|bbr| {
            let gain = |name, gain: Option<u32>| match gain {
                None | Some(0) => String::new(),
                Some(gain) => format!(",{name}:{}", general(f64::from(gain) / 256.0)),
            };
            let mrtt = general(f64::from(bbr.bbr_min_rtt().unwrap_or_default()) / 1000.0);
            let gains = gain("pacing_gain", bbr.bbr_pacing_gain()) + &gain("cwnd_gain", bbr.bbr_cwnd_gain());
            format!("(bw:{},mrtt:{mrtt}{gains})", bits(bbr.bw().unwrap_or_default()))
        }),
    );
}

fn upper_layer(out: &mut Fields, snapshot: &Snapshot) {
    let Some(ulp) = &snapshot.ulp_info else { return };
    out.put("ulp", ulp.name.as_ref());
    if let Some(tls) = ulp.tls {
        const CONF: [&str; 5] = ["unknown", "none", "sw", "hw", "hw-record"];
        let side = |conf: u16| CONF.get(usize::from(conf)).copied().unwrap_or("unknown");
        out.put("version", tls.version.map(|version| if version == 0x304 { "1.3" } else { "1.2" }));
        out.put(
            "cipher",
            tls.cipher.and_then(|cipher| ["aes-gcm-128", "aes-gcm-256"].get(usize::from(cipher).wrapping_sub(51))),
        );
        out.put("rxconf", tls.rxconf.map(side));
        out.put("txconf", tls.txconf.map(side));
        out.put("zc_ro_tx", tls.zc_ro_tx.then_some(""));
        out.put("no_pad_rx", tls.rx_no_pad.then_some(""));
    }
    if let Some(mptcp) = ulp.mptcp {
        let letters = |flags: u32| -> String {
            "MmJjBbecv".chars().enumerate().filter(|(bit, _)| flags >> bit & 1 != 0).map(|(_, letter)| letter).collect()
        };
        out.unless_zero("flags", mptcp.flags, letters);
        if let (Some(rem), Some(loc), Some(id_rem), Some(id_loc)) =
            (mptcp.token_rem, mptcp.token_loc, mptcp.id_rem, mptcp.id_loc)
        {
            out.put("token", Some(format!("{rem:04x}(id:{id_rem})/{loc:04x}(id:{id_loc})")));
        }
        out.put("seq", mptcp.map_seq.map(|seq| format!("{seq:x}")));
        out.put("sfseq", mptcp.map_sfseq.map(|seq| format!("{seq:x}")));
        out.put("ssnoff", mptcp.ssn_offset.map(|offset| format!("{offset:x}")));
        out.put("maplen", mptcp.map_datalen.map(|len| format!("{len:x}")));
    }
}

fn sockopt(flags0: u8, flags1: u8) -> String {
    const NAMES: [&str; 11] = [
        "recverr",
        "is_icsk",
        "freebind",
        "hdrincl",
        "mc_loop",
        "transparent",
        "mc_all",
        "nodefrag",
        "bind_addr_no_port",
        "recverr_rfc4884",
        "defer_connect",
    ];
    let flags = u16::from(flags1) << 8 | u16::from(flags0);
    let set: Vec<_> =
        NAMES.into_iter().enumerate().filter(|(bit, _)| flags >> bit & 1 != 0).map(|(_, name)| name).collect();
    set.join(" ")
}
