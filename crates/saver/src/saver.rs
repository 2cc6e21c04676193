//! Records in, files out.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use inetdiag::{Message, Origin};
use rustc_hash::FxHashMap;

use crate::config::Config;
use crate::connection::{Connection, OpenFile, Waiting};
use crate::counters::Counters;
use crate::naming::file_name;
use crate::pending::{Pending, Record};
use crate::sequence::next_sequences;
use crate::spool::{DiskError, Spool};
use crate::writer::Writer;

/// Messages of this size together make lines for about one frame.
const FULL: usize = crate::writer::FRAME_SIZE / 2;
/// After a disk error the same is not tried again for this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Writes the files of some of the connections. Several savers, each with connections of its own, share one [`Spool`].
///
/// Records are taken without touching the disk, unless memory is full; all else is work for [`tick`](Saver::tick),
/// which is done piece by piece as there is time.
pub struct Saver {
    config: Config,
    spool: Arc<Spool>,
    counters: Counters,
    writer: Writer,
    connections: FxHashMap<u64, Connection>,
    /// Connections with records for a frame or more.
    full: VecDeque<u64>,
    /// Connections that have ended.
    ended: VecDeque<u64>,
    /// Connections with pending records, by their age; entries of flushed ones are stale.
    waiting: VecDeque<(Instant, u64)>,
    /// Connections with a file on disk, by its age; entries of finished files are stale. Short connections never get here.
    open: VecDeque<(Instant, u64)>,
    /// Bytes of memory that pending records take.
    memory: usize,
    earlier: FxHashMap<u64, u32>,
    /// When writing is tried again after the spool refused, and renaming after the date tree did.
    write_again_at: Option<Instant>,
    publish_again_at: Option<Instant>,
    last_error: Option<DiskError>,
    losses: Losses,
}

/// What a saver had to leave out since it was last asked: for the log. The counters have the totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Records dropped.
    pub records: u64,
    /// Attributes that a line could not hold.
    pub attributes: u64,
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
            ended: VecDeque::new(),
            waiting: VecDeque::new(),
            open: VecDeque::new(),
            memory: 0,
            earlier: FxHashMap::default(),
            write_again_at: None,
            publish_again_at: None,
            last_error: None,
            losses: Losses::default(),
        })
    }

    /// Looks for files that earlier runs of this boot wrote of these connections, so that their SEQ goes on from there.
    /// To be called with the sockets that were open before this run, before their first record.
    pub fn continue_sequences(&mut self, cookies: &HashSet<u64>) {
        let boot_day = self.config.boot_time.date_naive();
        self.earlier = next_sequences(&self.spool, &self.config.prefix, boot_day, cookies);
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
    pub fn record(&mut self, message: Message<'_>, time: DateTime<Utc>, origin: Origin, now: Instant) {
        let cookie = message.cookie();
        let connection = self.connections.entry(cookie).or_insert_with(|| {
            self.counters.connections.inc();
            Connection::new(time, self.earlier.remove(&cookie).unwrap_or(0))
        });
        if connection.closing {
            self.revive(cookie, now);
            return self.record(message, time, origin, now);
        }
        let has_tcp_info = message.has_tcp_info();
        if connection.has_tcp_info && !has_tcp_info {
            self.counters.without_tcp_info.inc();
            return;
        }
        connection.has_tcp_info = has_tcp_info;
        if connection.file.is_none() {
            connection.file = Some(OpenFile { opened: now, day: time.date_naive(), len: 0 });
        }
        let waiting = connection.waiting.get_or_insert_with(|| {
            self.waiting.push_back((now, cookie));
            Box::new(Waiting { since: now, records: Pending::default(), written: 0 })
        });
        let (memory, len) = (waiting.records.memory(), waiting.records.message_bytes());
        waiting.records.push(Record { message, time, origin });
        self.memory += waiting.records.memory() - memory;
        self.counters.records.inc();
        if len < FULL && waiting.records.message_bytes() >= FULL {
            self.full.push_back(cookie);
        }
        self.keep_within_memory(now);
    }

    /// Ends a connection: its file is finished by the next [`tick`](Saver::tick), or as soon as the disk allows.
    pub fn close(&mut self, cookie: u64) {
        if let Some(connection) = self.connections.get_mut(&cookie)
            && !std::mem::replace(&mut connection.closing, true)
        {
            self.ended.push_back(cookie);
        }
    }

    /// Does what is due, a piece at a time as long as `go_on` says so: finishes files of ended connections, writes full
    /// frames and records that are old enough, rotates files, tries again after a disk error. Says whether that was all.
    pub fn tick(&mut self, now: Instant, mut go_on: impl FnMut() -> bool) -> bool {
        // Each kind gets its turn, so that none waits for all of another.
        let pieces = [Self::write_full, Self::finish_ended, Self::write_waiting, Self::rotate_oldest];
        loop {
            let mut done = false;
            for piece in pieces {
                done |= piece(self, now);
            }
            if !done {
                return true;
            }
            if !go_on() {
                return false;
            }
        }
    }

    /// Finishes every file, and ends. What the disk refuses now is lost, but for the frames in the spool, which the next start finishes.
    pub fn finish_all(&mut self, now: Instant) {
        let cookies: Vec<u64> = self.connections.keys().copied().collect();
        for cookie in cookies {
            // Each file gets its one chance: what failed for one may work for another.
            (self.write_again_at, self.publish_again_at) = (None, None);
            self.finish_file(cookie, now);
            let records = self.forget_waiting(cookie);
            self.connections.remove(&cookie);
            self.lost("shutdown", records);
        }
        self.full.clear();
        self.ended.clear();
        self.waiting.clear();
        self.open.clear();
    }

    fn write_full(&mut self, now: Instant) -> bool {
        let Some(&cookie) = self.full.front() else { return false };
        let written = self.flush(cookie, now);
        if written {
            self.full.pop_front();
        }
        written
    }

    fn finish_ended(&mut self, now: Instant) -> bool {
        let Some(&cookie) = self.ended.front() else { return false };
        let has_ended = self.connections.get(&cookie).is_some_and(|connection| connection.closing);
        if has_ended && !self.finish_file(cookie, now) {
            // To the back: what failed for this one may work for the others.
            self.ended.rotate_left(1);
            return false;
        }
        if has_ended {
            self.connections.remove(&cookie);
        }
        self.ended.pop_front();
        true
    }

    fn write_waiting(&mut self, now: Instant) -> bool {
        let Some(&(since, cookie)) = self.waiting.front() else { return false };
        let young = now.saturating_duration_since(since) < self.config.flush_age;
        if self.is_waiting_since(cookie, since) && (young || !self.flush(cookie, now)) {
            return false;
        }
        self.waiting.pop_front();
        true
    }

    fn rotate_oldest(&mut self, now: Instant) -> bool {
        let Some(&(opened, cookie)) = self.open.front() else { return false };
        if self.is_open_since(cookie, opened) {
            let young = now.saturating_duration_since(opened) < self.config.rotation;
            if young || !self.finish_file(cookie, now) {
                return false;
            }
        }
        self.open.pop_front();
        true
    }

    /// A record came of a connection that has ended, before its file was finished. It is finished now, if that is possible;
    /// else the connection lives on in it.
    fn revive(&mut self, cookie: u64, now: Instant) {
        self.finish_file(cookie, now);
        let Some(connection) = self.connections.get_mut(&cookie) else { return };
        connection.closing = false;
        if let Some(file) = connection.file.filter(|file| file.len > 0) {
            self.open.push_back((file.opened, cookie));
        }
    }

    fn is_waiting_since(&self, cookie: u64, since: Instant) -> bool {
        let waiting = self.connections.get(&cookie).and_then(|connection| connection.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.since == since)
    }

    fn is_open_since(&self, cookie: u64, opened: Instant) -> bool {
        let file = self.connections.get(&cookie).and_then(|connection| connection.file);
        file.is_some_and(|file| file.opened == opened)
    }

    /// Writes what is pending of one connection. `false` if the disk refused, now or a moment ago.
    fn flush(&mut self, cookie: u64, now: Instant) -> bool {
        if self.write_again_at.is_some_and(|at| now < at) {
            return false;
        }
        let Some(connection) = self.connections.get_mut(&cookie) else { return true };
        let Some(file) = connection.file.filter(|_| connection.waiting.is_some()) else { return true };
        let (written, outcome) = self.writer.write(cookie, connection);
        if file.len == 0 && written.compressed > 0 && !connection.closing {
            self.open.push_back((file.opened, cookie));
        }
        self.counters.records_written.inc_by(written.records);
        self.counters.bytes_raw.inc_by(written.raw);
        self.counters.bytes_compressed.inc_by(written.compressed);
        self.counters.attributes_dropped.inc_by(written.attributes_dropped);
        self.losses.attributes += written.attributes_dropped;
        match outcome {
            Ok(()) => {
                self.forget_waiting(cookie);
                self.write_again_at = None;
                true
            }
            Err(error) if file.len + written.compressed > 0 && !error.lacks_room() => {
                // This file is what fails: someone removed it, or the disk is bad there. What is in it waits for the next
                // start, what is pending begins a new one at once, so that no other connection waits for this one.
                connection.file = Some(OpenFile { len: 0, ..file });
                self.note(error);
                self.flush(cookie, now)
            }
            Err(error) => {
                self.note(error);
                self.write_again_at = Some(now + RETRY_AFTER);
                false
            }
        }
    }

    /// Writes what is pending and gives the file its place; the next record begins the next file.
    /// `true` also if there was no file. `false` if the disk refused.
    fn finish_file(&mut self, cookie: u64, now: Instant) -> bool {
        if !self.flush(cookie, now) {
            return false;
        }
        let Some(connection) = self.connections.get_mut(&cookie) else { return true };
        let Some(file) = connection.file.filter(|file| file.len > 0) else {
            connection.file = None;
            return true;
        };
        if self.publish_again_at.is_some_and(|at| now < at) {
            return false;
        }
        let partial = file_name(&self.config.prefix, cookie, connection.sequence);
        let mut sequence = connection.sequence;
        loop {
            let name = file_name(&self.config.prefix, cookie, sequence);
            match self.spool.publish(&partial, &name, file.day) {
                Ok(true) => {
                    connection.sequence = sequence + 1;
                    connection.file = None;
                    self.counters.files.inc();
                    self.publish_again_at = None;
                    return true;
                }
                // Taken since the file was begun: by no recorder, for the spool has one owner. The next name, then.
                Ok(false) => {
                    self.counters.errors.with_label_values(&["name_taken"]).inc();
                    sequence += 1;
                }
                Err(error) => {
                    let vanished = matches!(self.spool.partial_path(&partial).try_exists(), Ok(false));
                    if vanished {
                        connection.file = None;
                    } else {
                        self.publish_again_at = Some(now + RETRY_AFTER);
                    }
                    self.note(error);
                    return vanished;
                }
            }
        }
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
            self.memory -= waiting.records.memory();
        }
        unwritten
    }

    /// Over the limit, the oldest records are written ahead of time; if the disk refuses, they are dropped.
    fn keep_within_memory(&mut self, now: Instant) {
        while self.memory > self.config.memory_limit {
            let Some((since, cookie)) = self.waiting.pop_front() else { return };
            if self.is_waiting_since(cookie, since) && !self.flush(cookie, now) {
                let records = self.forget_waiting(cookie);
                self.lost("memory_limit", records);
                let nothing_left =
                    |connection: &Connection| connection.closing && connection.file.is_none_or(|file| file.len == 0);
                if self.connections.get(&cookie).is_some_and(nothing_left) {
                    self.connections.remove(&cookie);
                }
            }
        }
    }

    fn lost(&mut self, reason: &str, records: u32) {
        if records == 0 {
            return;
        }
        self.losses.records += u64::from(records);
        self.counters.records_lost.with_label_values(&[reason]).inc_by(records.into());
    }
}

#[cfg(test)]
mod tests;
