//! One connection's records into its file, and the file to its place.

use std::time::Instant;

use super::{RETRY_AFTER, Saver};
use crate::compaction::is_worth_it;
use crate::connection::{Life, OpenFile};
use crate::naming::file_name;

impl Saver {
    /// Writes what is pending of one connection. `false` if the disk refused, now or a moment ago.
    pub(super) fn flush(&mut self, cookie: u64, now: Instant) -> bool {
        if self.write_again_at.is_some_and(|at| now < at) {
            return false;
        }
        let Some(connection) = self.connections.get_mut(&cookie) else { return true };
        let Some(file) = connection.file.filter(|_| connection.waiting.is_some()) else { return true };
        let (written, outcome) = self.writer.write(cookie, connection);
        if file.partial.is_none() && written.compressed > 0 && connection.life == Life::Open {
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
        }
    }

    /// Writes what is pending and gives the file its place; the next record begins the next file.
    /// `true` also if there was no file. `false` if the disk refused.
    pub(super) fn finish_file(&mut self, cookie: u64, now: Instant) -> bool {
        if !self.flush(cookie, now) {
            return false;
        }
        let Some(connection) = self.connections.get_mut(&cookie) else { return true };
        let Some((mut file, mut partial)) = connection.file.and_then(|file| Some((file, file.partial?))) else {
            connection.file = None;
            return true;
        };
        if self.publish_again_at.is_some_and(|at| now < at) {
            return false;
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
                    connection.sequence = sequence + 1;
                    connection.file = None;
                    self.counters.files.inc();
                    self.counters.file_bytes.inc_by(partial.len);
                    self.publish_again_at = None;
                    return true;
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
                    } else {
                        self.publish_again_at = Some(now + RETRY_AFTER);
                    }
                    self.note(error);
                    return vanished;
                }
            }
        }
    }
}
