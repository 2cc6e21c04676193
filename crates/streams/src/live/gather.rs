//! What a thread tells of its streams when it is asked: a little at a time, so that packets do not wait.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::analysis::{Connection, Report, Totals};
use crate::capture::Statistics;
use crate::table::{FrameCounts, Table};

/// Connections that are looked at in a turn, and reports that are made in one.
const LOOKED_AT: usize = 512;
const REPORTS: usize = 128;

/// By what streams are chosen, if not all are wanted: the largest come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum By {
    /// Payload.
    #[default]
    Bytes,
    /// Retransmissions.
    Retransmits,
    /// Time of the last packet.
    Recency,
}

/// Which streams are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// No more than so many.
    pub most: usize,
    /// The first by this.
    pub by: By,
}

impl Choice {
    /// The reports of several threads, of which each has chosen: the first of all.
    pub fn among(&self, mut reports: Vec<Report>) -> Vec<Report> {
        if reports.len() > self.most {
            reports.sort_by_key(|report| Reverse(self.by.of(report)));
            reports.truncate(self.most);
        }
        reports
    }
}

impl By {
    fn of(self, report: &Report) -> u64 {
        match self {
            Self::Bytes => report.counters.bytes,
            Self::Retransmits => report.counters.retransmits.into(),
            Self::Recency => report.last,
        }
    }

    fn of_stream(self, connection: &Connection, stream: usize) -> u64 {
        let counters = connection.counters(stream);
        match self {
            Self::Bytes => counters.bytes,
            Self::Retransmits => counters.retransmits.into(),
            Self::Recency => connection.last(),
        }
    }
}

/// An interface that is to be captured on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceState {
    /// Its name; `any` is all of them.
    pub name: String,
    /// Whether it is there under this name, is up, and is captured on, as of the last second; with several threads, by all of
    /// them. All interfaces together always are.
    pub is_up: bool,
}

/// What one thread knows, or all of them together.
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    /// The streams that were chosen.
    pub reports: Vec<Report>,
    /// Streams that are active.
    pub active: u64,
    /// Streams that are kept.
    pub tracked: u64,
    /// Streams that there have been.
    pub seen: u64,
    /// What was counted of all of them.
    pub totals: Totals,
    /// What has become of frames.
    pub frames: FrameCounts,
    /// What has become of packets in the kernel.
    pub capture: Statistics,
    /// How the interfaces are.
    pub interfaces: Vec<InterfaceState>,
    /// The longest time for which packets waited for something else than packets, in nanoseconds.
    pub longest_pause: u64,
    /// The same by the CPU time that it took: without the time for which others had the CPU.
    pub longest_pause_cpu: u64,
    /// Threads that have answered. If not all have, its numbers are too low.
    pub threads: usize,
}

impl Gathered {
    /// Adds what another thread knows.
    pub fn add(&mut self, other: Self) {
        self.reports.extend(other.reports);
        self.active += other.active;
        self.tracked += other.tracked;
        self.seen += other.seen;
        self.totals.add(&other.totals);
        self.frames.add(&other.frames);
        self.capture.add(&other.capture);
        other.interfaces.into_iter().for_each(|interface| self.add_interface(interface));
        self.longest_pause = self.longest_pause.max(other.longest_pause);
        self.longest_pause_cpu = self.longest_pause_cpu.max(other.longest_pause_cpu);
        self.threads += other.threads;
    }

    /// Adds what one thread knows of an interface: it is up if all of them say so.
    pub(super) fn add_interface(&mut self, interface: InterfaceState) {
        match self.interfaces.iter_mut().find(|known| known.name == interface.name) {
            Some(known) => known.is_up &= interface.is_up,
            None => self.interfaces.push(interface),
        }
    }
}

/// A gathering under way.
///
/// First all connections are looked at: for the totals, and for which streams come first. Then these are told of. Meanwhile
/// none may be forgotten, or the totals would lack it.
pub(super) struct Gathering {
    choice: Choice,
    gathered: Gathered,
    next: u32,
    chosen: BinaryHeap<Reverse<(u64, u32, usize)>>,
    is_chosen: bool,
}

impl Gathering {
    pub(super) fn new(choice: Choice, table: &Table) -> Self {
        let (totals, seen) = table.retired();
        let gathered = Gathered { totals: *totals, seen, ..Gathered::default() };
        Self { choice, gathered, next: 0, chosen: BinaryHeap::new(), is_chosen: false }
    }

    /// Goes on a little. What was gathered comes with the last step.
    pub(super) fn step(&mut self, table: &Table, now: u64) -> Option<Gathered> {
        if !self.is_chosen {
            self.look(table);
            return None;
        }
        for _ in 0..REPORTS {
            let Some(Reverse((_, number, stream))) = self.chosen.pop() else {
                return Some(std::mem::take(&mut self.gathered));
            };
            let connection = table.get(number).filter(|connection| connection.counters(stream).packets > 0);
            self.gathered.reports.extend(connection.map(|connection| connection.report(stream, now)));
        }
        None
    }

    fn look(&mut self, table: &Table) {
        for number in (self.next..table.end() as u32).take(LOOKED_AT) {
            self.next = number + 1;
            let Some(connection) = table.get(number) else { continue };
            connection.add_to(&mut self.gathered.totals);
            self.gathered.active += connection.active_streams() as u64;
            self.gathered.tracked += connection.streams() as u64;
            self.gathered.seen += connection.streams() as u64;
            for stream in (0..2).filter(|&stream| connection.counters(stream).packets > 0) {
                self.chosen.push(Reverse((self.choice.by.of_stream(connection, stream), number, stream)));
                if self.chosen.len() > self.choice.most {
                    self.chosen.pop();
                }
            }
        }
        self.is_chosen = self.next >= table.end() as u32;
    }
}
