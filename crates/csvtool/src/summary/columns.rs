//! The columns of a summary, as data.

use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use inetdiag::{TcpInfo, TcpState};

use super::Summary;
use super::verdict::Shares;
use crate::listing::{Cell, Column, columns};

/// All columns.
pub const ALL: &[Column<Summary>] = columns! {
    "uuid" "name of the connection" = |s| s.uuid.clone().map(Cell::Text);
    "start_time" "when its first record is from; with extended statistics, when it began" = |s| s.begun().or(s.first).map(time);
    "duration_s" "seconds from then to its last record; without extended statistics, and as much before as it had been busy already, if it began then"
        = |s| Some(Cell::Number(s.life() as f64 / 1e6, 3));
    "src" "local address" = |s| Some(Cell::Text(address(s.socket.src())));
    "sport" "local port" = |s| Some(Cell::Count(s.socket.id.idiag_sport.get().into()));
    "dst" "remote address" = |s| Some(Cell::Text(address(s.socket.dst())));
    "dport" "remote port" = |s| Some(Cell::Count(s.socket.id.idiag_dport.get().into()));
    "state" "state of its last record" = |s| Some(Cell::Text(state(s)));
    "final" "whether that is the kernel's own last word, with the totals" = |s| Some(Cell::Flag(s.is_final));
    "cong" "congestion control" = |s| s.cong.clone().map(Cell::Text);
    "bytes_acked" "bytes that the peer has acknowledged" = |s| total(s, TcpInfo::bytes_acked);
    "bytes_received" "bytes that came from it" = |s| total(s, TcpInfo::bytes_received);
    "send_goodput_bit_s" "acknowledged bits a second, over the whole duration" = |s| s.goodput_sent().0.map(rate);
    "send_goodput_peak_bit_s" "the same of the best tenth of a second, or more if records are further apart"
        = |s| s.goodput_sent().1.map(rate);
    "recv_goodput_bit_s" "received bits a second, over the whole duration" = |s| s.goodput_received().0.map(rate);
    "recv_goodput_peak_bit_s" "the same of the best tenth of a second"
        = |s| s.goodput_received().1.map(rate);
    "rtt_min_us" "least round-trip time of all, in microseconds" = |s| micros(s.rtt_min());
    "rtt_median_us" "median of the smoothed round-trip times of all records" = |s| micros(s.rtt(0.5));
    "rtt_p99_us" "their 99th percentile" = |s| micros(s.rtt(0.99));
    "retrans_share" "bytes sent again, of all bytes sent; of segments before Linux 4.19"
        = |s| s.retransmitted().map(ratio);
    "rtos" "retransmission timeouts; before Linux 6.7, and without extended statistics, as polls saw them" = |s| s.losses().map(|it| Cell::Count(it.0));
    "loss_episodes" "times that loss was found and repaired, as polls saw them; with extended statistics all of them"
        = |s| s.losses().map(|it| Cell::Count(it.1));
    "snd_cwnd_min" "least congestion window, in segments" = |s| s.cwnd().map(|it| Cell::Count(it.0.into()));
    "snd_cwnd_max" "largest congestion window" = |s| s.cwnd().map(|it| Cell::Count(it.1.into()));
    "verdict" "what kept it from sending more for the largest part of its life: receiver window, send buffer, network, \
        application or nothing" = |s| s.verdict().map(|verdict| Cell::Text(verdict.name().to_owned()));
    "busy_share" "part of its life with data outstanding" = |s| share(s, |it| it.busy);
    "rwnd_limited_share" "part of its life in which the receiver's window was full" = |s| share(s, |it| it.rwnd_limited);
    "sndbuf_limited_share" "part of its life in which the send buffer was full" = |s| share(s, |it| it.sndbuf_limited);
    "app_limited_share" "part of its life in which the application had nothing to send, or too little"
        = |s| share(s, |it| it.app_limited);
    "unlimited_share" "the rest: it sent as fast as congestion control let it" = |s| share(s, |it| it.unlimited);
    "records" "records that this is made of" = |s| Some(Cell::Count(s.records));
    "files" "archives that these are in" = |s| Some(Cell::Count(s.files));
};

/// A state as `ss` writes it.
pub(super) fn state(summary: &Summary) -> String {
    let name = match summary.socket.state() {
        Some(TcpState::Established) => "ESTAB",
        Some(TcpState::SynSent) => "SYN-SENT",
        Some(TcpState::SynRecv) => "SYN-RECV",
        Some(TcpState::FinWait1) => "FIN-WAIT-1",
        Some(TcpState::FinWait2) => "FIN-WAIT-2",
        Some(TcpState::TimeWait) => "TIME-WAIT",
        Some(TcpState::Close) => "CLOSE",
        Some(TcpState::CloseWait) => "CLOSE-WAIT",
        Some(TcpState::LastAck) => "LAST-ACK",
        Some(TcpState::Listen) => "LISTEN",
        Some(TcpState::Closing) => "CLOSING",
        _ => return summary.socket.idiag_state.to_string(),
    };
    name.to_owned()
}

fn address(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

fn total(summary: &Summary, field: fn(&TcpInfo) -> Option<u64>) -> Option<Cell> {
    summary.info.as_ref().and_then(field).map(Cell::Count)
}

fn micros(time: Option<u32>) -> Option<Cell> {
    time.map(|time| Cell::Count(time.into()))
}

fn share(summary: &Summary, part: fn(&Shares) -> f64) -> Option<Cell> {
    summary.shares().map(|shares| ratio(part(&shares)))
}

pub(super) fn ratio(share: f64) -> Cell {
    Cell::Number(share, 4)
}

/// Of bytes a second, bits.
fn rate(rate: f64) -> Cell {
    Cell::Number(rate * 8.0, 0)
}

pub(super) fn time(time: DateTime<Utc>) -> Cell {
    Cell::Time(time, SecondsFormat::Millis)
}
