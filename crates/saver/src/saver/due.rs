//! What is due: by the number of records, by age, by the end of a connection, by the end of all.

use std::time::Instant;

use super::refused::{Due, Place, Refused};
use super::{RETRY_AFTER, Saver, is_due, is_open_since, is_waiting_since};
use crate::connection::{Connection, Life};
use crate::queue::Queue;

/// So many connections in a row that the disk refused stand for all.
const REFUSED_BY_ALL: u32 = 100;
/// Connections that vanished and may be heard of again.
const VANISHED_KEPT: usize = 10_000;

impl Saver {
    /// Does what is due, a piece at a time as long as `go_on` says so: finishes files of ended connections, writes full
    /// frames and records that are old enough, rotates files, tries again after a disk error. Says whether that was all.
    pub fn tick(&mut self, now: Instant, mut go_on: impl FnMut() -> bool) -> bool {
        self.hold_spool(now);
        self.tell_memory();
        // Each kind gets its turn, so that none waits for all of another.
        let pieces = [Self::write_full, Self::finish_due, Self::write_waiting, Self::rotate_oldest, Self::try_refused];
        self.has_time = go_on();
        loop {
            let mut done = false;
            for piece in pieces {
                done |= piece(self, now);
            }
            if !done {
                return true;
            }
            self.has_time = go_on();
            if !self.has_time {
                return false;
            }
        }
    }

    /// Finishes every file, for the end; as long as `has_time` says so, they are made as small as may be. Says how many
    /// connections are left because the disk refused them: for another try, or for [`give_up`](Saver::give_up).
    pub fn finish_all(&mut self, now: Instant, mut has_time: impl FnMut() -> bool) -> usize {
        let cookies: Vec<u64> = self.connections.keys().copied().collect();
        self.refused = Refused::default();
        let mut unwritten = 0;
        for cookie in cookies {
            if unwritten < REFUSED_BY_ALL {
                // What failed for one may work for another.
                self.write_again_at = None;
            }
            self.has_time = has_time();
            match self.finish_file(cookie, now) {
                Ok(()) => self.forget(cookie),
                Err(Place::Spool) => {
                    unwritten += 1;
                    continue;
                }
                // The others under that day are written, too, and no more.
                Err(place) => self.refuse(place, Due { cookie, opened: None }, now),
            }
            unwritten = 0;
        }
        self.connections.len()
    }

    /// Ends. What the disk refused is lost, but for the frames in the spool, which the next start finishes. Returns the
    /// connections that are still open, by cookie, and the SEQ of their next files.
    pub fn give_up(&mut self) -> Vec<(u64, u32)> {
        let cookies: Vec<u64> = self.connections.keys().copied().collect();
        for cookie in cookies {
            let records = self.forget_waiting(cookie);
            self.lost_at_end(records);
            self.forget(cookie);
        }
        for queue in [&mut self.full, &mut self.vanished] {
            queue.clear();
        }
        (self.due, self.refused) = (Queue::default(), Refused::default());
        (self.waiting, self.open) = (Queue::default(), Queue::default());
        std::mem::take(&mut self.outlive)
    }

    fn write_full(&mut self, now: Instant) -> bool {
        let Some(&cookie) = self.full.front() else { return false };
        let written = self.flush(cookie, now);
        if written {
            self.full.pop_front();
        } else {
            // What failed for this one may work for the others.
            self.full.rotate_left(1);
        }
        written
    }

    fn finish_due(&mut self, now: Instant) -> bool {
        let Some(due) = self.due.pop() else { return false };
        if let Err(place) = self.finish(due, now) {
            self.refuse(place, due, now);
        }
        true
    }

    fn try_refused(&mut self, now: Instant) -> bool {
        let Some((place, mut waiting)) = self.refused.take_due(now) else { return false };
        let Some(due) = waiting.pop() else { return true };
        let outcome = self.finish(due, now);
        if outcome == Err(place) {
            self.refused.put_back(place, waiting, now);
        } else {
            for due in waiting.files() {
                self.due.push(due, |due| is_due(&self.connections, due));
            }
        }
        if let Err(place) = outcome {
            self.refuse(place, due, now);
        }
        true
    }

    /// Lets a file wait for the place that refused it. Beyond some number of them, one stays in the spool for good: the
    /// next start finishes it.
    fn refuse(&mut self, place: Place, due: Due, now: Instant) {
        let Some(left) = self.refused.push(place, due, now, |due| is_due(&self.connections, due)) else { return };
        let has_ended = |connection: &Connection| connection.life != Life::Open && connection.waiting.is_none();
        if self.connections.get(&left.cookie).is_some_and(has_ended) {
            self.connections.remove(&left.cookie);
            self.counters.files_left.inc();
            self.losses.files_left += 1;
        }
    }

    fn finish(&mut self, due: Due, now: Instant) -> Result<(), Place> {
        if !is_due(&self.connections, &due) {
            return Ok(());
        }
        let cookie = due.cookie;
        self.finish_file(cookie, now)?;
        match self.connections.get(&cookie).map_or(Life::Open, |connection| connection.life) {
            Life::Open => {}
            Life::Ended => drop(self.connections.remove(&cookie)),
            Life::Vanished => {
                self.vanished.push_back(cookie);
                if self.vanished.len() > VANISHED_KEPT {
                    self.forget_oldest_vanished();
                }
            }
        }
        Ok(())
    }

    fn forget_oldest_vanished(&mut self) {
        if let Some(cookie) = self.vanished.pop_front()
            && let Some(connection) = self.connections.get(&cookie)
            && connection.life == Life::Vanished
            && connection.file.is_none()
        {
            self.connections.remove(&cookie);
        }
    }

    fn write_waiting(&mut self, now: Instant) -> bool {
        let Some(&(since, cookie)) = self.waiting.front() else { return false };
        if is_waiting_since(&self.connections, cookie, since) {
            let is_young = now.saturating_duration_since(since) < self.config.flush_age;
            if is_young || !self.flush(cookie, now) {
                return false;
            }
        }
        self.waiting.pop();
        true
    }

    fn rotate_oldest(&mut self, now: Instant) -> bool {
        let Some(&(opened, cookie)) = self.open.front() else { return false };
        if is_open_since(&self.connections, cookie, opened) {
            if now.saturating_duration_since(opened) < self.config.rotation {
                return false;
            }
            self.due.push(Due { cookie, opened: Some(opened) }, |due| is_due(&self.connections, due));
        }
        self.open.pop();
        true
    }

    /// Somebody may have removed the spool's lock, and with it what keeps a second recorder out.
    fn hold_spool(&mut self, now: Instant) {
        if self.hold_again_at.is_some_and(|at| now < at) {
            return;
        }
        self.hold_again_at = Some(now + RETRY_AFTER);
        if let Err(error) = self.spool.hold_lock() {
            self.note(error);
        }
    }

    /// Forgets a connection at the end, but for what the next run has to know of it.
    fn forget(&mut self, cookie: u64) {
        if let Some(connection) = self.connections.remove(&cookie)
            && connection.life != Life::Ended
        {
            // A file of this SEQ may be left in the spool.
            let is_taken = connection.file.is_some_and(|file| file.partial.is_some());
            self.outlive.push((cookie, connection.sequence + u32::from(is_taken)));
        }
    }
}
