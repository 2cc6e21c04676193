//! The thread that deletes finished files, if that is asked for.

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chrono::Utc;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use saver::{Counters, Doomed, Limits, Retention};

use crate::limiter::LogLimiter;

/// Looking takes a hundredth of the time at most, and is done this often at most.
const REST_PER_LOOK: u32 = 100;
const LEAST_REST: Duration = Duration::from_secs(1);
/// Files are deleted in groups, with a rest after each: what writes new ones goes first.
const GROUP: usize = 50;
const REST_AFTER_GROUP: Duration = Duration::from_millis(10);

/// Starts the thread. It ends when the other end of `end` is dropped.
pub fn start(output: &Path, limits: Limits, counters: Counters, end: Receiver<()>) -> std::io::Result<JoinHandle<()>> {
    let retention = Retention::new(output, limits);
    let sweeper = Sweeper { retention, counters, end, limiter: LogLimiter::default() };
    thread::Builder::new().name("retention".to_owned()).spawn(move || sweeper.run())
}

struct Sweeper {
    retention: Retention,
    counters: Counters,
    end: Receiver<()>,
    limiter: LogLimiter,
}

impl Sweeper {
    fn run(mut self) {
        loop {
            let begin = Instant::now();
            let doomed = self.retention.plan(Utc::now());
            let look = begin.elapsed();
            for group in doomed.chunks(GROUP) {
                group.iter().for_each(|file| self.delete(file));
                if self.rest(REST_AFTER_GROUP) {
                    return;
                }
            }
            if self.rest(LEAST_REST.max(look * REST_PER_LOOK)) {
                return;
            }
        }
    }

    /// Says whether it is time to end.
    fn rest(&self, time: Duration) -> bool {
        self.end.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    fn delete(&mut self, file: &Doomed) {
        match self.retention.delete(file, Utc::now().date_naive()) {
            Ok(()) => {
                self.counters.files_deleted.with_label_values(&[file.reason]).inc();
                if self.limiter.allows(file.reason) {
                    let bytes_left = self.retention.bytes();
                    tracing::info!(reason = file.reason, bytes_left, "the oldest finished files are deleted");
                }
            }
            Err(error) => {
                self.counters.errors.with_label_values(&[error.operation]).inc();
                if self.limiter.allows(error.operation) {
                    tracing::error!(%error, "a finished file cannot be deleted; it is tried again");
                }
            }
        }
    }
}
