//! Telling somebody else of connections, while they last and when they end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Sender, TrySendError};
use inetdiag::StreamStatistics;

use crate::account::Account;
use crate::analysis::{Connection, News, Report};
use crate::table::Table;

const NANOSECONDS: u64 = 1_000_000_000;
/// Connections that are told of in a turn.
const TOLD_IN_A_TURN: usize = 64;
/// Accounts of replaced connections that can wait. Whoever makes more by opening connections from one port has none of interest.
const MOST_REPLACED: usize = 1024;

/// Sends accounts: of each connection with new packets once a second, and of those that end at once.
///
/// If nobody takes them in time, they wait, and are of a later moment then. Packets do not wait for that.
pub(super) struct Feed {
    accounts: Sender<Account>,
    /// Connections of which something has passed since they were told of.
    untold: Vec<u32>,
    /// Those of them that are being told of.
    due: Vec<u32>,
    /// Those with a FIN or RST since.
    ended: Vec<u32>,
    /// The last of connections whose ends belong to another one by now.
    replaced: VecDeque<Account>,
    /// Those there was no room for.
    lost: Arc<AtomicU64>,
    second: u64,
}

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is nothing left to tell.
    Done,
    /// There is more.
    More,
    /// There is more, but first something has to be taken.
    Full,
}

impl Feed {
    pub(super) fn new(accounts: Sender<Account>, lost: Arc<AtomicU64>) -> Self {
        Self {
            accounts,
            untold: Vec::new(),
            due: Vec::new(),
            ended: Vec::new(),
            replaced: VecDeque::new(),
            lost,
            second: 0,
        }
    }

    /// A packet of this connection has passed.
    #[inline]
    pub(super) fn touch(&mut self, table: &mut Table, number: u32) {
        let Some(connection) = table.get_mut(number) else { return };
        if connection.was_never_open() {
            // Of floods nobody wants to be told, and of others soon enough.
        } else if connection.is_urgent {
            if connection.news != News::Now {
                connection.news = News::Now;
                self.ended.push(number);
            }
        } else if connection.news == News::None {
            connection.news = News::Soon;
            self.untold.push(number);
        }
    }

    /// A new connection takes the place of this one, now.
    pub(super) fn replace(&mut self, connection: &Connection) {
        if connection.news == News::None {
            return;
        }
        if self.replaced.len() == MOST_REPLACED {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.replaced.push_back(account(connection, connection.last()));
    }

    /// Tells of some of those that have ended, and then of some of those that are due.
    pub(super) fn step(&mut self, table: &mut Table, now: u64) -> Step {
        let second = now / NANOSECONDS;
        if self.due.is_empty() && self.second != second {
            self.second = second;
            std::mem::swap(&mut self.due, &mut self.untold);
        }
        while let Some(account) = self.replaced.pop_front() {
            if let Err(TrySendError::Full(account)) = self.accounts.try_send(account) {
                self.replaced.push_front(account);
                return Step::Full;
            }
        }
        for _ in 0..TOLD_IN_A_TURN {
            let Some(&number) = self.ended.last().or(self.due.last()) else { return Step::Done };
            if !self.tell(table, number, now) {
                return Step::Full;
            }
            let _ = self.ended.pop().or_else(|| self.due.pop());
        }
        Step::More
    }

    /// Tells of all that is left, as far as it is taken.
    pub(super) fn finish(&mut self, table: &mut Table, now: u64) {
        for account in self.replaced.drain(..) {
            // What is not taken now will not be.
            let _ = self.accounts.try_send(account);
        }
        let left: Vec<_> = [&self.ended, &self.due, &self.untold].into_iter().flatten().copied().collect();
        for number in left {
            self.tell(table, number, now);
        }
    }

    /// Tells of a connection, if there is news of it; `false` if there is no room for it.
    fn tell(&mut self, table: &mut Table, number: u32, now: u64) -> bool {
        let Some(connection) = table.get_mut(number).filter(|connection| connection.news != News::None) else {
            return true;
        };
        if self.accounts.try_send(account(connection, now)).is_err_and(|error| error.is_full()) {
            return false;
        }
        (connection.news, connection.is_urgent) = (News::None, false);
        true
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
