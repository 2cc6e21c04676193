//! One connection's records into its file, and the file to its place.

use std::time::Instant;

use super::refused::Place;
use super::{FULL, RETRY_AFTER, Saver};
use crate::compaction::is_worth_it;
use crate::connection::{Life, OpenFile, Waiting};
use crate::naming::file_name;

impl Saver {
    /// Writes what is pending of one connection. `false` if the disk refused, now or a moment ago.
    pub(super) fn flush(&mut self, cookie: u64, now: Instant) -> bool {
        let Some(connection) = self.connections.get_mut(&cookie) else { return true };
        let Some(file) = connection.file.filter(|_| connection.waiting.is_some()) else { return true };
        if self.write_again_at.is_some_and(|at| now < at) {
            return false;
        }
        let (written, outcome) = self.writer.write(cookie, connection);
        let is_new = file.partial.is_none() && written.compressed > 0 && connection.life == Life::Open;
        written.count(&self.counters, &mut self.losses);
        let outcome = match outcome {
            Ok(()) => {
                self.forget_waiting(cookie);
                self.write_again_at = None;
                true
            }
            Err(error) if connection.file.is_some_and(|file| file.partial.is_some()) && !error.lacks_room() => {
                // This file is what fails: someone removed it, or the disk is bad there. What is in it waits for the next
                // start, what is pending begins a new one at once, so that no other connection waits for this one. Its name
                // is another, for the file may come back.
                connection.file = Some(OpenFile::new(file.opened, file.day));
                connection.sequence += 1;
                self.note(error);
                self.flush(cookie, now)
            }
            Err(error) => {
                self.note(error);
                self.write_again_at = Some(now + RETRY_AFTER);
                false
            }
        };
        if is_new {
            self.push_open(cookie, file.opened);
        }
        outcome
    }

    /// Writes what is pending and gives the file its place; the next record begins the next file. Done also if there was
    /// no file. Else says what refused it.
    pub(super) fn finish_file(&mut self, cookie: u64, now: Instant) -> Result<(), Place> {
        if self.write_whole_file(cookie, now) {
            return Ok(());
        }
        if !self.flush(cookie, now) {
            return Err(Place::Spool);
        }
        let Some(connection) = self.connections.get_mut(&cookie) else { return Ok(()) };
        let Some((mut file, mut partial)) = connection.file.and_then(|file| Some((file, file.partial?))) else {
            connection.file = None;
            return Ok(());
        };
        let place = Place::Day(file.day);
        if self.refused.waits_for(place) {
            return Err(place);
        }
        let name = file_name(&self.config.prefix, cookie, connection.sequence);
        if self.has_time && is_worth_it(&file) {
            let outcome = self.writer.compact(&name, &mut file);
            connection.file = Some(file);
            partial = file.partial.unwrap_or(partial);
            if let Err(error) = outcome {
                // It keeps its place as it is.
                self.counters.errors.with_label_values(&[error.operation]).inc();
                self.last_error = Some(error);
            }
        }
        let mut sequence = connection.sequence;
        loop {
            let target = file_name(&self.config.prefix, cookie, sequence);
            match self.spool.publish(&name, &partial, &target, file.day) {
                Ok(true) => {
                    connection.sequence = sequence;
                    self.published(cookie, partial.len);
                    return Ok(());
                }
                // Taken since the file was begun: by no recorder, for the spool has one owner. The next name, then.
                Ok(false) => {
                    self.counters.errors.with_label_values(&["name_taken"]).inc();
                    sequence += 1;
                }
                Err(error) => {
                    let vanished = !self.spool.has(&name, &partial);
                    if vanished {
                        connection.file = None;
                        connection.sequence += 1;
                    }
                    self.note(error);
                    return if vanished { Ok(()) } else { Err(place) };
                }
            }
        }
    }

    /// The short way for a short connection, which has no file yet and records for one frame: a file made in its place.
    /// `false` if this is no such connection, or it cannot be done.
    fn write_whole_file(&mut self, cookie: u64, now: Instant) -> bool {
        if self.write_again_at.is_some_and(|at| now < at) {
            return false;
        }
        let Some(connection) = self.connections.get(&cookie) else { return false };
        let fits = |waiting: &Waiting| waiting.written == 0 && waiting.records.message_bytes() < FULL;
        let fits = connection.waiting.as_deref().is_some_and(fits);
        let is_new = |file: OpenFile| file.partial.is_none() && !self.refused.waits_for(Place::Day(file.day));
        if !fits || !connection.file.is_some_and(is_new) {
            return false;
        }
        let Some(written) = self.writer.write_whole(cookie, connection) else { return false };
        written.count(&self.counters, &mut self.losses);
        self.forget_waiting(cookie);
        self.write_again_at = None;
        self.published(cookie, written.compressed);
        true
    }

    fn published(&mut self, cookie: u64, len: u64) {
        if let Some(connection) = self.connections.get_mut(&cookie) {
            connection.sequence += 1;
            connection.file = None;
        }
        self.counters.files.inc();
        self.counters.file_bytes.inc_by(len);
    }
}
