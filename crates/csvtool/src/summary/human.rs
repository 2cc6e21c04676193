//! A summary for people.

use super::Summary;
use super::columns::state;
use super::verdict::Verdict;
use crate::listing::People;
use crate::listing::human::{bytes, end, known, micros, percent, rate, seconds};

/// What people see of a connection.
pub(super) const PEOPLE: People<Summary> = People { header: &HEADER, row };

const HEADER: [&str; 16] = [
    "LOCAL",
    "REMOTE",
    "STATE",
    "TIME",
    "SENT",
    "RECEIVED",
    "GOODPUT",
    "PEAK",
    "RTT MIN/MED/P99",
    "RETRANS",
    "RTO",
    "LOSS",
    "CWND",
    "CC",
    "LIMITED BY",
    "BUSY/RWND/SNDBUF/APP",
];

/// The cells of a connection, with tabs between.
fn row(summary: &Summary) -> String {
    let socket = &summary.socket;
    let info = summary.info.as_ref();
    let total = |field: fn(&inetdiag::TcpInfo) -> Option<u64>| known(info.and_then(field).map(bytes));
    // That of the direction in which more was moved.
    let (sent, received) = (summary.goodput_sent(), summary.goodput_received());
    let (mean, peak) = if sent.0 >= received.0 { sent } else { received };
    let bits = |bytes: f64| rate(bytes * 8.0);
    let rtt = [summary.rtt_min(), summary.rtt(0.5), summary.rtt(0.99)].map(|rtt| known(rtt.map(micros)));
    let losses = summary.losses();
    let shares = summary.shares().map(|it| [it.busy, it.rwnd_limited, it.sndbuf_limited, it.app_limited]);
    [
        end(socket.src(), socket.id.idiag_sport.get()),
        end(socket.dst(), socket.id.idiag_dport.get()),
        state(summary) + if summary.is_final { "" } else { "*" },
        seconds(summary.life() as f64 / 1e6),
        total(inetdiag::TcpInfo::bytes_acked),
        total(inetdiag::TcpInfo::bytes_received),
        known(mean.map(bits)),
        known(peak.map(bits)),
        rtt.join("/"),
        known(summary.retransmitted().map(percent)),
        known(losses.map(|(rtos, _)| rtos.to_string())),
        known(losses.map(|(_, episodes)| episodes.to_string())),
        known(summary.cwnd().map(|(least, most)| format!("{least}-{most}"))),
        known(summary.cong.clone()),
        known(summary.verdict().map(|verdict| verdict.name().to_owned())),
        known(shares.map(|shares| shares.map(|share| format!("{:.0}%", share * 100.0)).join("/"))),
    ]
    .join("\t")
}

/// How many, and how much, in lines.
pub(super) fn verdicts(counts: &[(Verdict, u64)], all: u64) -> String {
    let known = counts.iter().filter(|(_, count)| *count > 0);
    let parts =
        known.map(|(verdict, count)| format!("{verdict} {count} ({})", percent(*count as f64 / all.max(1) as f64)));
    parts.collect::<Vec<_>>().join(", ")
}
