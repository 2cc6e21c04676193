//! The thread that deletes finished files, if that is asked for.
//!
//! While something is due it goes on, group after group, and faster if the backlog grows. So `--max-disk` is exceeded by
//! what the savers finish during two seconds and during a look, at most, if the disk is able to delete as fast as that.

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use saver::{Counters, Doomed, Limits, Retention};

use crate::limiter::LogLimiter;

/// Looking at all that has changed takes a hundredth of the time at most, and is done this often at most.
const REST_PER_LOOK: u32 = 100;
const LEAST_REST_PER_LOOK: Duration = Duration::from_secs(1);
/// When nothing is due; the counters tell of new files without a look.
const IDLE: Duration = Duration::from_millis(100);
/// Files are deleted in groups, with a rest after each: what writes new ones goes first.
const GROUP: usize = 50;

/// Starts the thread. It ends when the other end of `end` is dropped.
pub fn start(output: &Path, limits: Limits, counters: Counters, end: Receiver<()>) -> std::io::Result<JoinHandle<()>> {
    let sweeper = Sweeper::new(output, limits, counters, Instant::now());
    thread::Builder::new().name("retention".to_owned()).spawn(move || sweeper.run(&end))
}

struct Sweeper {
    retention: Retention,
    counters: Counters,
    limiter: LogLimiter,
    pace: Pace,
    look_at: Instant,
}

impl Sweeper {
    fn new(output: &Path, limits: Limits, counters: Counters, at: Instant) -> Self {
        let retention = Retention::new(output, limits).counting(counters.clone());
        Self { retention, counters, limiter: LogLimiter::default(), pace: Pace::new(at), look_at: at }
    }

    fn run(mut self, end: &Receiver<()>) {
        loop {
            let rest = self.step(Utc::now(), Instant::now());
            if end.recv_timeout(rest) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    /// Looks if it is time for it, deletes one group, and says how long to rest.
    fn step(&mut self, now: DateTime<Utc>, at: Instant) -> Duration {
        if at >= self.look_at {
            let begin = Instant::now();
            self.retention.look(now);
            let took = begin.elapsed();
            self.look_at = at + took + LEAST_REST_PER_LOOK.max(took * REST_PER_LOOK);
        }
        self.counters.disk_bytes.set(i64::try_from(self.retention.bytes()).unwrap_or(i64::MAX));
        let group = self.retention.due(now, GROUP);
        if group.is_empty() {
            self.pace = Pace::new(at);
            return IDLE;
        }
        group.iter().for_each(|file| self.delete(file, now));
        self.pace.rest(self.retention.backlog(now), at)
    }

    fn delete(&mut self, file: &Doomed, now: DateTime<Utc>) {
        match self.retention.delete(file, now.date_naive()) {
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

/// How often the backlog is compared with what it was.
const JUDGE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_millis(10);
/// About as long as it takes to delete a group.
const SHORTEST: Duration = Duration::from_micros(625);

/// How long to rest after a group: half as long after each second in which the backlog has grown, twice as long after
/// one in which half of it went.
struct Pace {
    rest: Duration,
    judged: Instant,
    /// Bytes beyond the limit, and the time for which the oldest file has been due.
    backlog: Option<(u64, Duration)>,
}

impl Pace {
    fn new(at: Instant) -> Self {
        Self { rest: LONGEST, judged: at, backlog: None }
    }

    fn rest(&mut self, (bytes, late): (u64, Duration), at: Instant) -> Duration {
        let (bytes_before, late_before) = *self.backlog.get_or_insert((bytes, late));
        if at.saturating_duration_since(self.judged) >= JUDGE {
            if bytes > bytes_before || late > late_before {
                self.rest = SHORTEST.max(self.rest / 2);
            } else if bytes <= bytes_before / 2 && late <= late_before / 2 {
                self.rest = LONGEST.min(self.rest * 2);
            }
            (self.judged, self.backlog) = (at, Some((bytes, late)));
        }
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::PathBuf;

    use super::*;

    const NAMES: &str = "2026/03/09/host_1_unsafe_";

    /// An output directory in which files appear, and the time.
    struct Host {
        output: tempfile::TempDir,
        sweeper: Sweeper,
        counters: Counters,
        at: Instant,
        passed: Duration,
        files: u64,
    }

    impl Host {
        fn new(limits: Limits) -> Self {
            let output = tempfile::tempdir().expect("a temporary directory");
            fs::create_dir_all(output.path().join("2026/03/09")).expect("creates");
            let (counters, at) = (Counters::default(), Instant::now());
            let sweeper = Sweeper::new(output.path(), limits, counters.clone(), at);
            Self { output, sweeper, counters, at, passed: Duration::ZERO, files: 0 }
        }

        fn now(&self) -> DateTime<Utc> {
            "2026-03-09T18:00:00Z".parse::<DateTime<Utc>>().expect("a time") + self.passed
        }

        fn path(&self, number: u64) -> PathBuf {
            self.output.path().join(format!("{NAMES}{number:016X}.00000.jsonl.zst"))
        }

        /// A file that was finished before the daemon began, or by another.
        fn file(&mut self, age: Duration) {
            let path = self.path(self.files);
            fs::write(&path, [7; 400]).expect("writes");
            let modified = std::time::SystemTime::from(self.now() - age);
            File::options().write(true).open(&path).expect("opens").set_modified(modified).expect("is ours");
            self.files += 1;
        }

        fn finish(&mut self) {
            self.file(Duration::ZERO);
            self.counters.files.inc();
            self.counters.file_bytes.inc_by(400);
        }

        fn step(&mut self) -> Duration {
            let rest = self.sweeper.step(self.now(), self.at + self.passed);
            self.passed += rest;
            rest
        }

        fn left(&self) -> u64 {
            self.files - Counters::sum(&self.counters.files_deleted)
        }
    }

    fn block() -> u64 {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("x");
        fs::write(&path, [7; 400]).expect("writes");
        fs::metadata(path).expect("is there").blocks() * 512
    }

    #[test]
    fn many_files_that_arrive_between_looks_take_no_more_than_those_of_two_seconds_beyond_the_limit() {
        const PER_SECOND: u64 = 8_000;
        let mut host = Host::new(Limits { max_disk: Some(1_000 * block()), retain: None });
        (0..2_000).for_each(|_| host.file(Duration::from_secs(60)));
        host.step();
        // No look corrects the estimate from here on.
        host.sweeper.look_at += Duration::from_secs(3600);
        let (mut most, mut begun) = (0, host.passed);
        for _ in 0..500 {
            host.step();
            let new = PER_SECOND * (host.passed - begun).as_millis() as u64 / 1_000;
            (0..new).for_each(|_| host.finish());
            begun += Duration::from_micros(new * 1_000_000 / PER_SECOND);
            most = most.max(host.left());
        }
        assert!(host.files > 20_000, "{} files", host.files);
        assert!(most < 1_000 + 2 * PER_SECOND, "{most} files at once");
        assert!(host.left() < 1_000 + PER_SECOND / 2, "{} files are left", host.left());
        // And not too many go.
        while host.step() != IDLE {}
        assert_eq!(host.left(), 1_000);
        assert!(host.path(host.files - 1_000).exists() && !host.path(host.files - 1_001).exists());
    }

    #[test]
    fn expired_files_are_deleted_without_a_long_rest() {
        let mut host = Host::new(Limits { max_disk: None, retain: Some(Duration::from_secs(3600)) });
        // They had to be deleted over the last ten minutes.
        (0..6_000).for_each(|number| host.file(Duration::from_millis(3_600_000 + 100 * (6_000 - number))));
        (0..10).for_each(|_| host.file(Duration::from_secs(1800)));
        while host.step() != IDLE {
            assert!(host.passed <= Duration::from_secs(2), "{} are left", host.left());
        }
        assert_eq!(host.left(), 10);
        assert!(host.passed >= Duration::from_secs(1), "there is no hurry");
    }

    #[test]
    fn the_pace_follows_the_backlog() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        let mut rest = |bytes, seconds| pace.rest((bytes, Duration::ZERO), begin + Duration::from_secs(seconds));
        assert_eq!(rest(1000, 0), LONGEST);
        assert_eq!(rest(1001, 1), LONGEST / 2);
        assert_eq!(rest(5000, 1), LONGEST / 2, "not yet");
        assert_eq!(rest(1002, 2), LONGEST / 4);
        assert_eq!(rest(800, 3), LONGEST / 4);
        assert_eq!(rest(400, 4), LONGEST / 2);
        assert_eq!(rest(200, 5), LONGEST);
        assert_eq!(rest(100, 6), LONGEST);
        assert_eq!((7..20).map(|second| rest(second * 1000, second)).last(), Some(SHORTEST));
    }

    #[test]
    fn files_that_are_ever_later_are_a_reason_to_hurry() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        let mut rest = |late| pace.rest((0, Duration::from_secs(late)), begin + Duration::from_secs(late));
        assert_eq!([rest(0), rest(1), rest(2)], [LONGEST, LONGEST / 2, LONGEST / 4]);
    }
}
