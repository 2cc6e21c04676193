//! What is due: by the number of records, by age, by the end of a connection, by the end of all.

use std::time::Instant;

use super::Saver;
use crate::connection::Life;

/// So many connections in a row that the disk refused stand for all.
const REFUSED_BY_ALL: u32 = 100;
/// Connections that vanished and may be heard of again.
const VANISHED_KEPT: usize = 10_000;

impl Saver {
    /// Does what is due, a piece at a time as long as `go_on` says so: finishes files of ended connections, writes full
    /// frames and records that are old enough, rotates files, tries again after a disk error. Says whether that was all.
    pub fn tick(&mut self, now: Instant, mut go_on: impl FnMut() -> bool) -> bool {
        // Each kind gets its turn, so that none waits for all of another.
        let pieces = [Self::write_full, Self::finish_ended, Self::write_waiting, Self::rotate_oldest];
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
        let mut refused = 0;
        for cookie in cookies {
            // What failed for one may work for another.
            (self.write_again_at, self.publish_again_at) = (None, None);
            self.has_time = has_time();
            if self.finish_file(cookie, now) {
                self.forget(cookie);
                refused = 0;
            } else {
                refused += 1;
            }
            if refused == REFUSED_BY_ALL {
                break;
            }
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
        for queue in [&mut self.full, &mut self.ended, &mut self.vanished] {
            queue.clear();
        }
        self.waiting.clear();
        self.open.clear();
        std::mem::take(&mut self.outlive)
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
        let life = self.connections.get(&cookie).map_or(Life::Open, |connection| connection.life);
        if life != Life::Open && !self.finish_file(cookie, now) {
            // To the back: what failed for this one may work for the others.
            self.ended.rotate_left(1);
            return false;
        }
        self.ended.pop_front();
        match life {
            Life::Open => {}
            Life::Ended => drop(self.connections.remove(&cookie)),
            Life::Vanished => {
                self.vanished.push_back(cookie);
                if self.vanished.len() > VANISHED_KEPT {
                    self.forget_oldest_vanished();
                }
            }
        }
        true
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
        let young = now.saturating_duration_since(since) < self.config.flush_age;
        if self.is_waiting_since(cookie, since) && (young || !self.flush(cookie, now)) {
            return false;
        }
        self.waiting.pop_front();
        true
    }

    fn rotate_oldest(&mut self, now: Instant) -> bool {
        let Some(&(opened, cookie)) = self.open.front() else { return false };
        let young = now.saturating_duration_since(opened) < self.config.rotation;
        if self.is_open_since(cookie, opened) && (young || !self.finish_file(cookie, now)) {
            return false;
        }
        self.open.pop_front();
        true
    }

    fn is_open_since(&self, cookie: u64, opened: Instant) -> bool {
        let file = self.connections.get(&cookie).and_then(|connection| connection.file);
        file.is_some_and(|file| file.opened == opened)
    }

    /// Forgets a connection at the end, but for what the next run has to know of it.
    fn forget(&mut self, cookie: u64) {
        if let Some(connection) = self.connections.remove(&cookie)
            && connection.life != Life::Ended
        {
            self.outlive.push((cookie, connection.sequence));
        }
    }
}
