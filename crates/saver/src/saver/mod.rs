//! Records in, files out.

mod due;
mod files;
mod refused;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::config::Config;
use crate::connection::{Connection, Life, OpenFile, Waiting};
use crate::counters::{Counters, Losses};
use crate::pending::{Pending, Record};
use crate::queue::Queue;
use crate::sequence::next_sequences;
use crate::spool::{DiskError, Spool};
use crate::writer::Writer;
use refused::{Due, Refused};

/// Messages of this size together make lines for about one frame.
const FULL: usize = crate::frame::FRAME_SIZE / 2;
/// What a connection takes beside its records while it has any, in all maps and queues: some more than it was measured to.
const WAITING_OVERHEAD: usize = 400;
/// After a disk error the same is not tried again for this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

type Connections = FxHashMap<u64, Connection>;

/// Writes the files of some of the connections. Several savers, each with connections of its own, share one [`Spool`].
///
/// Records are taken without touching the disk, unless memory is full; all else is work for [`tick`](Saver::tick),
/// which is done piece by piece as there is time.
pub struct Saver {
    config: Config,
    spool: Arc<Spool>,
    counters: Counters,
    writer: Writer,
    connections: Connections,
    /// Connections with records for a frame or more.
    full: VecDeque<u64>,
    /// Files that are to be finished: of connections that have ended or vanished, and old ones.
    due: Queue<Due>,
    /// Those that the disk refused to finish.
    refused: Refused,
    /// Connections that vanished, and whose files are finished.
    vanished: VecDeque<u64>,
    /// Connections that were still open when all was finished, and the SEQ of their next files.
    outlive: Vec<(u64, u32)>,
    /// Connections with pending records, by their age; entries of flushed ones are stale.
    waiting: Queue<(Instant, u64)>,
    /// Connections with a file on disk, by its age; entries of finished files are stale. Short connections never get here.
    open: Queue<(Instant, u64)>,
    /// Bytes of memory that pending records take.
    memory: usize,
    /// Of these, bytes that the gauge has.
    memory_told: i64,
    earlier: FxHashMap<u64, u32>,
    /// When writing is tried again after the spool refused.
    write_again_at: Option<Instant>,
    /// When it is looked after the spool's lock.
    hold_again_at: Option<Instant>,
    /// Whether nothing more urgent waits than making files small.
    has_time: bool,
    last_error: Option<DiskError>,
    losses: Losses,
}

impl Saver {
    /// A saver without connections. Fails only if zstd refuses the level.
    pub fn new(mut config: Config, spool: Arc<Spool>, counters: Counters) -> io::Result<Self> {
        // A file is there once something is written: who is to be rotated by age must have been.
        config.flush_age = config.flush_age.min(config.rotation);
        Ok(Self {
            writer: Writer::new(&config, Arc::clone(&spool))?,
            config,
            spool,
            counters,
            connections: FxHashMap::default(),
            full: VecDeque::new(),
            due: Queue::default(),
            refused: Refused::default(),
            vanished: VecDeque::new(),
            outlive: Vec::new(),
            waiting: Queue::default(),
            open: Queue::default(),
            memory: 0,
            memory_told: 0,
            earlier: FxHashMap::default(),
            write_again_at: None,
            hold_again_at: None,
            has_time: true,
            last_error: None,
            losses: Losses::default(),
        })
    }

    /// Takes what the last run [noted](crate::noted_sequences) of connections that outlived it, so that their SEQ goes on.
    pub fn continue_noted(&mut self, noted: &[(u64, u32)]) {
        self.earlier.extend(noted.iter().copied());
    }

    /// Looks for files that earlier runs of this boot wrote of these connections, so that their SEQ goes on from there.
    /// To be called with the sockets that were open before this run, before their first record.
    pub fn continue_sequences(&mut self, cookies: &HashSet<u64>) {
        let boot_day = self.config.boot_time.date_naive();
        for (cookie, next) in next_sequences(&self.spool, &self.config.prefix, boot_day, cookies) {
            let sequence = self.earlier.entry(cookie).or_insert(next);
            *sequence = next.max(*sequence);
        }
    }

    /// Says how far apart the polls of the last second were, for the header line of files begun from now on.
    pub fn set_achieved_interval(&mut self, interval: Duration) {
        self.writer.set_achieved_interval(interval);
    }

    /// Connections that have not ended, and those that have but wait for the disk.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// The newest disk error since the last call: for the log, once in a while.
    pub fn take_error(&mut self) -> Option<DiskError> {
        self.last_error.take()
    }

    /// What was left out since the last call: for the log, once in a while.
    pub fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    /// Takes one record. The first one of a cookie begins the connection.
    pub fn record(&mut self, record: Record<'_>, now: Instant) {
        let Record { message, time, .. } = record;
        let cookie = message.cookie();
        let connection = self.connections.entry(cookie).or_insert_with(|| {
            self.counters.connections.inc();
            Connection::new(time, self.earlier.remove(&cookie).unwrap_or(0))
        });
        if connection.life != Life::Open {
            self.revive(cookie, now);
            return self.record(record, now);
        }
        let has_tcp_info = message.has_tcp_info();
        if connection.has_tcp_info && !has_tcp_info {
            self.counters.without_tcp_info.inc();
            return;
        }
        connection.has_tcp_info = has_tcp_info;
        if connection.file.is_none() {
            connection.file = Some(OpenFile::new(now, time.date_naive()));
            self.counters.new_files.inc();
        }
        let is_first = connection.waiting.is_none();
        let overhead = if is_first { WAITING_OVERHEAD } else { 0 };
        let begin = || Box::new(Waiting { since: now, records: Pending::default(), written: 0 });
        let waiting = connection.waiting.get_or_insert_with(begin);
        let (memory, len) = (waiting.records.memory(), waiting.records.message_bytes());
        waiting.records.push(record);
        self.memory += waiting.records.memory() - memory + overhead;
        self.counters.records.inc();
        if len < FULL && waiting.records.message_bytes() >= FULL {
            self.full.push_back(cookie);
        }
        if is_first {
            self.waiting.push((now, cookie), |&(since, cookie)| is_waiting_since(&self.connections, cookie, since));
        }
        self.keep_within_memory(now);
    }

    /// Ends a connection: its file is finished by the next [`tick`](Saver::tick), or as soon as the disk allows.
    pub fn close(&mut self, cookie: u64) {
        self.end(cookie, Life::Ended);
    }

    /// Nothing is seen of a connection any more: its file is finished like that of one that has ended. But should there be
    /// another record of it, it goes on where it was, with its start and its next SEQ.
    pub fn vanish(&mut self, cookie: u64) {
        self.end(cookie, Life::Vanished);
    }

    fn end(&mut self, cookie: u64, life: Life) {
        if let Some(connection) = self.connections.get_mut(&cookie)
            && connection.life != Life::Ended
        {
            connection.life = life;
            let due = Due { cookie, opened: connection.file.map(|file| file.opened) };
            self.due.push(due, |due| is_due(&self.connections, due));
        }
    }

    /// A record came of a connection that had ended or vanished. Its file is finished now, if it is not yet and that is
    /// possible; else the connection lives on in it.
    fn revive(&mut self, cookie: u64, now: Instant) {
        let _ = self.finish_file(cookie, now); // Refused or not, it goes on.
        let Some(connection) = self.connections.get_mut(&cookie) else { return };
        connection.life = Life::Open;
        if let Some(file) = connection.file.filter(|file| file.partial.is_some()) {
            self.push_open(cookie, file.opened);
        }
    }

    fn push_open(&mut self, cookie: u64, opened: Instant) {
        self.open.push((opened, cookie), |&(opened, cookie)| is_open_since(&self.connections, cookie, opened));
    }

    /// Several savers share the gauge: each adds what it has.
    fn tell_memory(&mut self) {
        let memory = i64::try_from(self.memory).unwrap_or(i64::MAX);
        self.counters.pending_bytes.add(memory - self.memory_told);
        self.memory_told = memory;
    }

    fn note(&mut self, error: DiskError) {
        self.counters.errors.with_label_values(&[error.operation]).inc();
        self.last_error = Some(error);
    }

    /// Frees what a connection has pending, and says how many records of it were not written.
    fn forget_waiting(&mut self, cookie: u64) -> u32 {
        let Some(connection) = self.connections.get_mut(&cookie) else { return 0 };
        let unwritten = connection.unwritten();
        if let Some(waiting) = connection.waiting.take() {
            self.memory -= waiting.records.memory() + WAITING_OVERHEAD;
        }
        unwritten
    }

    /// Over the limit, the oldest records are written ahead of time; if the disk refuses, they are dropped.
    fn keep_within_memory(&mut self, now: Instant) {
        while self.memory > self.config.memory_limit {
            let Some((since, cookie)) = self.waiting.pop() else { return };
            if is_waiting_since(&self.connections, cookie, since) && !self.flush(cookie, now) {
                let records = self.forget_waiting(cookie);
                self.losses.records += u64::from(records);
                self.count_lost("memory_limit", records);
                self.forget_empty_file(cookie);
            }
        }
    }

    /// Forgets a file of which nothing is written nor waits: the next record may be of another day. A connection that has
    /// ended goes with it.
    fn forget_empty_file(&mut self, cookie: u64) {
        let Some(connection) = self.connections.get_mut(&cookie) else { return };
        if connection.file.is_none_or(|file| file.partial.is_none()) {
            connection.file = None;
            if connection.life == Life::Ended {
                self.connections.remove(&cookie);
            }
        }
    }

    fn lost_at_end(&mut self, records: u32) {
        self.losses.records_at_end += u64::from(records);
        self.count_lost("shutdown", records);
    }

    fn count_lost(&self, reason: &str, records: u32) {
        if records > 0 {
            self.counters.records_lost.with_label_values(&[reason]).inc_by(records.into());
        }
    }
}

fn is_waiting_since(connections: &Connections, cookie: u64, since: Instant) -> bool {
    let waiting = connections.get(&cookie).and_then(|connection| connection.waiting.as_ref());
    waiting.is_some_and(|waiting| waiting.since == since)
}

fn is_open_since(connections: &Connections, cookie: u64, opened: Instant) -> bool {
    let file = connections.get(&cookie).and_then(|connection| connection.file);
    file.is_some_and(|file| file.opened == opened)
}

/// Whether the file is still to be finished: as that of an ended connection, or as the old one that it was.
fn is_due(connections: &Connections, due: &Due) -> bool {
    let Some(connection) = connections.get(&due.cookie) else { return false };
    connection.life != Life::Open || due.opened.is_some_and(|opened| is_open_since(connections, due.cookie, opened))
}

#[cfg(test)]
mod tests;
