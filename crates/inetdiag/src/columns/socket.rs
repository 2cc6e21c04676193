//! When, what was sent, and which socket: the line itself and its `inet_diag_msg`.

use super::Value;
use super::{Column, columns, is_zero_time};

pub(super) const COLUMNS: &[Column] = columns! {
    "Timestamp" Time "" "" "when the kernel was asked, with the offset from UTC that the archive gives"
        = |r| r.snapshot(|s| s.timestamp.filter(|time| !is_zero_time(time)));
    "Observed" Uint "" "" "which attributes the kernel sent: bit n-1 is attribute n"
        = |r| r.snapshot(|s| Some(s.observed));
    "NotFullyParsed" Uint "" "" "which of them say more than these columns show, or are malformed"
        = |r| r.snapshot(|s| Some(s.not_fully_parsed));

    "IDM.Family" Uint "" "2.6" "address family: 2 IPv4, 10 IPv6" = |r| r.idm(|m| Some(m.idiag_family));
    "IDM.State" Uint "" "2.6" "TCP state: 1 ESTABLISHED, 2 SYN_SENT, 3 SYN_RECV, 4 FIN_WAIT1, 5 FIN_WAIT2, \
        6 TIME_WAIT, 7 CLOSE, 8 CLOSE_WAIT, 9 LAST_ACK, 10 LISTEN, 11 CLOSING"
        = |r| r.idm(|m| Some(m.idiag_state));
    "IDM.Timer" Uint "" "2.6" "timer that runs: 0 none, 1 retransmit, 2 keepalive, 3 TIME_WAIT, 4 zero window probe, \
        5 delayed ACK"
        = |r| r.idm(|m| Some(m.idiag_timer));
    "IDM.Retrans" Uint "" "2.6" "times that timer fired without success" = |r| r.idm(|m| Some(m.idiag_retrans));
    "IDM.SockID.SPort" Uint "" "2.6" "local port" = |r| r.idm(|m| Some(m.id.idiag_sport.get()));
    "IDM.SockID.DPort" Uint "" "2.6" "remote port" = |r| r.idm(|m| Some(m.id.idiag_dport.get()));
    "IDM.SockID.Src" Address "" "2.6" "local address" = |r| r.idm(|m| Some(m.src()));
    "IDM.SockID.Dst" Address "" "2.6" "remote address" = |r| r.idm(|m| Some(m.dst()));
    "IDM.SockID.Interface" Uint "" "2.6" "index of the interface the socket is bound to, 0 for none"
        = |r| r.idm(|m| Some(m.id.idiag_if.get()));
    "IDM.SockID.Cookie" Hex "" "2.6" "socket cookie, unique until the kernel is booted again"
        = |r| r.idm(|m| Some(Value::Hex(m.id.cookie())));
    "IDM.Expires" Uint "ms" "2.6" "time until the timer fires" = |r| r.idm(|m| Some(m.idiag_expires.get()));
    "IDM.Rqueue" Uint "bytes" "2.6" "received and not yet read by the application; of a listener, length of the \
        accept queue"
        = |r| r.idm(|m| Some(m.idiag_rqueue.get()));
    "IDM.Wqueue" Uint "bytes" "2.6" "written and not yet acknowledged; of a listener, limit of the accept queue"
        = |r| r.idm(|m| Some(m.idiag_wqueue.get()));
    "IDM.UID" Uint "" "2.6" "user id of the owner" = |r| r.idm(|m| Some(m.idiag_uid.get()));
    "IDM.Inode" Uint "" "2.6" "inode number of the socket, 0 once no process holds it"
        = |r| r.idm(|m| Some(m.idiag_inode.get()));
};
