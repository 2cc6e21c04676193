//! All connections of a host together.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use inetdiag::TcpInfo;

use super::Summary;
use super::columns::{ratio, time};
use super::human::verdicts;
use super::verdict::Verdict;
use crate::listing::{Cell, human};

/// Sums over connections.
#[derive(Debug, Default)]
pub struct Totals {
    connections: u64,
    records: u64,
    files: u64,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    bytes_acked: u64,
    bytes_received: u64,
    bytes_sent: u64,
    bytes_retrans: u64,
    rtos: u64,
    loss_episodes: u64,
    /// Connections by verdict, in the order of all.
    verdicts: [u64; Verdict::ALL.len()],
}

impl Totals {
    /// Adds a connection.
    pub fn add(&mut self, summary: &Summary) {
        let info = summary.info.as_ref();
        let total = |field: fn(&TcpInfo) -> Option<u64>| info.and_then(field).unwrap_or(0);
        self.connections += 1;
        self.records += summary.records;
        self.files += summary.files;
        self.since = self.since.into_iter().chain(summary.first).min();
        self.until = self.until.into_iter().chain(summary.last).max();
        self.bytes_acked = self.bytes_acked.saturating_add(total(TcpInfo::bytes_acked));
        self.bytes_received = self.bytes_received.saturating_add(total(TcpInfo::bytes_received));
        self.bytes_sent = self.bytes_sent.saturating_add(total(TcpInfo::bytes_sent));
        self.bytes_retrans = self.bytes_retrans.saturating_add(total(TcpInfo::bytes_retrans));
        let (rtos, loss_episodes) = summary.losses().unwrap_or_default();
        self.rtos += rtos;
        self.loss_episodes += loss_episodes;
        if let Some(verdict) = summary.verdict() {
            let counts = Verdict::ALL.iter().zip(&mut self.verdicts);
            counts.filter(|(it, _)| **it == verdict).for_each(|(_, count)| *count += 1);
        }
    }

    fn retransmitted(&self) -> Option<f64> {
        (self.bytes_sent > 0).then(|| self.bytes_retrans as f64 / self.bytes_sent as f64)
    }

    /// By name.
    pub fn values(&self) -> Vec<(&'static str, Option<Cell>)> {
        let count = |count| Some(Cell::Count(count));
        let [rwnd, sndbuf, network, application, nothing] = self.verdicts.map(count);
        vec![
            ("connections", count(self.connections)),
            ("since", self.since.map(time)),
            ("until", self.until.map(time)),
            ("bytes_acked", count(self.bytes_acked)),
            ("bytes_received", count(self.bytes_received)),
            ("retrans_share", self.retransmitted().map(ratio)),
            ("rtos", count(self.rtos)),
            ("loss_episodes", count(self.loss_episodes)),
            ("limited_by_receiver_window", rwnd),
            ("limited_by_send_buffer", sndbuf),
            ("limited_by_network", network),
            ("limited_by_application", application),
            ("limited_by_nothing", nothing),
            ("records", count(self.records)),
            ("files", count(self.files)),
        ]
    }

    /// In a few lines for people.
    pub fn human(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { connections, records, files, rtos, loss_episodes, .. } = *self;
        let Some((since, until)) = self.since.zip(self.until) else { return writeln!(out, "no connections") };
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        writeln!(
            out,
            "\nconnections: {connections} from {} to {} ({}), {records} records in {files} archives",
            time(since),
            time(until),
            human::seconds((until - since).as_seconds_f64()),
        )?;
        let again = self.retransmitted().map_or_else(|| "-".to_owned(), human::percent);
        writeln!(
            out,
            "sent {}, received {}; {again} retransmitted, {rtos} timeouts, {loss_episodes} loss episodes",
            human::bytes(self.bytes_acked),
            human::bytes(self.bytes_received),
        )?;
        let counts: Vec<_> = Verdict::ALL.into_iter().zip(self.verdicts).collect();
        writeln!(out, "limited by: {}", verdicts(&counts, connections))
    }
}
