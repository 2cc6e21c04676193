//! Telling somebody else of connections, while they last and when they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::Sender;
use inetdiag::StreamStatistics;

use crate::account::Account;
use crate::analysis::{Connection, Report};
use crate::table::Table;

const NANOSECONDS: u64 = 1_000_000_000;
/// Connections that are told of in a turn.
const TOLD_IN_A_TURN: usize = 64;

/// Sends accounts: of each connection with new packets once a second, and of those that end at once.
pub(super) struct Feed {
    accounts: Sender<Account>,
    /// Accounts that nobody took in time.
    lost: Arc<AtomicU64>,
    /// Connections of which something has passed since they were told of.
    untold: Vec<u32>,
    /// Those of them that are being told of.
    due: Vec<u32>,
    /// Those that have ended, or may have.
    ended: Vec<u32>,
    second: u64,
}

impl Feed {
    pub(super) fn new(accounts: Sender<Account>, lost: Arc<AtomicU64>) -> Self {
        Self { accounts, lost, untold: Vec::new(), due: Vec::new(), ended: Vec::new(), second: 0 }
    }

    /// A packet of this connection has passed.
    #[inline]
    pub(super) fn touch(&mut self, table: &mut Table, number: u32) {
        let Some(connection) = table.get_mut(number) else { return };
        let was_untold = std::mem::replace(&mut connection.is_untold, true);
        if connection.is_ending() {
            self.ended.push(number);
        } else if !was_untold {
            self.untold.push(number);
        }
    }

    /// Tells of those that have ended among the packets just handled.
    pub(super) fn tell_ended(&mut self, table: &mut Table, now: u64) {
        while let Some(number) = self.ended.pop() {
            self.tell(table, number, now);
        }
    }

    /// Tells of some of those that are due. Says whether there are more.
    pub(super) fn step(&mut self, table: &mut Table, now: u64) -> bool {
        let second = now / NANOSECONDS;
        if self.due.is_empty() && self.second != second {
            self.second = second;
            std::mem::swap(&mut self.due, &mut self.untold);
        }
        for _ in 0..TOLD_IN_A_TURN {
            let Some(number) = self.due.pop() else { return false };
            self.tell(table, number, now);
        }
        true
    }

    /// Tells of all that is left.
    pub(super) fn finish(&mut self, table: &mut Table, now: u64) {
        let left: Vec<_> =
            [&mut self.ended, &mut self.due, &mut self.untold].into_iter().flat_map(std::mem::take).collect();
        left.into_iter().for_each(|number| self.tell(table, number, now));
    }

    fn tell(&mut self, table: &mut Table, number: u32, now: u64) {
        let Some(connection) = table.get_mut(number).filter(|connection| connection.is_untold) else { return };
        connection.is_untold = false;
        // Whoever takes them may be behind; packets do not wait for that.
        if self.accounts.try_send(account(connection, now)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn account(connection: &Connection, now: u64) -> Account {
    let [there, back] = [0, 1].map(|stream| connection.report(stream, now));
    Account {
        began: connection.began(),
        a: there.flow.source.socket_addr(),
        b: there.flow.destination.socket_addr(),
        a_to_b: statistics(&there),
        b_to_a: statistics(&back),
        ended: connection.has_ended(),
    }
}

/// A report as archives have it: whole numbers, times in microseconds.
fn statistics(report: &Report) -> StreamStatistics {
    let counters = &report.counters;
    let whole = |number: f64| number.round() as u64;
    StreamStatistics {
        last_packet: report.last / 1000,
        packets: counters.packets,
        bytes: counters.bytes,
        retransmits: counters.retransmits.into(),
        retransmitted_bytes: counters.retransmitted_bytes,
        spurious_retransmits: counters.spurious_retransmits.into(),
        out_of_order: counters.out_of_order.into(),
        ahead_of_gap: counters.ahead_of_gap.into(),
        gaps: counters.gaps.into(),
        gap_bytes: counters.gap_bytes,
        duplicate_acks: counters.duplicate_acks.into(),
        zero_window_events: counters.zero_window_events.into(),
        zero_window_time: report.zero_window_time.as_micros() as u64,
        zero_window_probes: counters.zero_window_probes.into(),
        keep_alives: counters.keep_alives.into(),
        unseen_acked: counters.unseen_acked.into(),
        syns: counters.syns.into(),
        fins: counters.fins.into(),
        resets: counters.resets.into(),
        sacks: counters.sacks.into(),
        dsacks: counters.dsacks.into(),
        ect: counters.ect,
        ce: counters.ce.into(),
        ece: counters.ece.into(),
        cwr: counters.cwr.into(),
        delay_samples: report.delay_samples,
        window: report.window,
        window_scale: report.window_scale.map(u64::from),
        delay_min: report.delay.map(|delay| delay.min.into()),
        delay_avg: report.delay.map(|delay| whole(delay.avg)),
        delay_max: report.delay.map(|delay| delay.max.into()),
        jitter: report.delay.map(|delay| whole(delay.jitter)),
        bitrate: report.bitrate,
        max_bitrate: report.max_bitrate,
        health_score: (counters.packets > 0).then(|| whole(report.health_score)),
    }
}
