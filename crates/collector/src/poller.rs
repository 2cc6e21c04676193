//! The polling thread: polls at deadlines, fetches destroy events, and never waits for a disk.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::cli::{Cli, Interval};
use crate::observer::Observer;
use crate::reload::Reload;
use crate::schedule::Schedule;
use program::stop::Stop;

/// How long events of sockets that died just before the end are waited for: always, and if some are known to be on the way.
const LAST_EVENTS_AT_LEAST: Duration = Duration::from_millis(20);
const LAST_EVENTS_AT_MOST: Duration = Duration::from_millis(250);
/// Events that arrive within this time are fetched together.
const GATHER: Duration = Duration::from_millis(10);

/// Looks at the kernel when it is time to.
pub struct Poller {
    observer: Observer,
    /// Whether the interval is longer than it was meant, as far as the log knows.
    stretched: bool,
    last_poll: Option<Instant>,
}

/// Why waiting ended.
#[derive(Debug, PartialEq, Eq)]
enum Wake {
    Stop,
    Reload,
    Events,
    Deadline,
}

impl Poller {
    /// A poller that has not begun.
    pub fn new(observer: Observer) -> Self {
        Self { observer, stretched: false, last_poll: None }
    }

    /// Polls and listens until told to stop, or until `reps` polls are made, if that is not 0.
    pub fn record(&mut self, cli: &Cli, stop: &Stop, mut reload: Option<&mut Reload>) -> anyhow::Result<()> {
        let mut schedule = match cli.interval {
            Interval::Off => None,
            Interval::Every(interval) => {
                self.observer.metrics.interval_meant.set(interval.as_secs_f64());
                Some(Schedule::new(Instant::now(), interval, cli.max_cpu.of_one_core()))
            }
        };
        let mut polls = 0;
        loop {
            match (self.wait(stop, reload.as_deref(), schedule.as_ref().map(Schedule::next))?, &mut schedule) {
                (Wake::Deadline, Some(schedule)) => {
                    if let Some(filter) = reload.as_mut().and_then(|reload| reload.look_at_cgroups(Instant::now())) {
                        self.observer.set_filter(filter);
                    }
                    self.tell_interval(Instant::now());
                    let before = cpu_time(ClockId::ThreadCPUTime);
                    self.observer.poll();
                    let cost = cpu_time(ClockId::ThreadCPUTime).saturating_sub(before);
                    let missed = schedule.advance(Instant::now(), cost, || cpu_time(ClockId::ProcessCPUTime));
                    self.tell_pace(schedule, missed);
                    polls += 1;
                }
                (Wake::Stop, Some(_)) => {
                    self.observer.poll(); // what came since the last one
                    break;
                }
                (Wake::Stop, None) => break,
                (Wake::Reload, _) => {
                    if let Some(filter) = reload.as_mut().and_then(|reload| reload.read()) {
                        self.observer.set_filter(filter);
                    }
                }
                (Wake::Events | Wake::Deadline, _) => self.observer.drain_destroy_events(),
            }
            self.observer.metrics.open_connections.set(self.observer.recorder.connections() as i64);
            let stalls = self.observer.outlet.send(schedule.as_ref().map(Schedule::achieved))?;
            let (archive, events) = self.observer.outlet.queued();
            self.observer.metrics.queued.with_label_values(&["archive"]).set(archive as i64);
            self.observer.metrics.queued.with_label_values(&["events"]).set(events as i64);
            if stalls > 0 && self.observer.limiter.allows("stalls") {
                tracing::warn!(stalls, "polling waited for the archive");
            }
            if cli.reps > 0 && polls == cli.reps {
                break;
            }
        }
        self.await_last_events();
        Ok(())
    }

    fn tell_interval(&mut self, now: Instant) {
        if let Some(last) = self.last_poll.replace(now) {
            let interval = now.saturating_duration_since(last).as_secs_f64();
            self.observer.metrics.original.polling_interval.observe(interval);
        }
    }

    /// Counts and logs how fast polls follow each other.
    fn tell_pace(&mut self, schedule: &Schedule, missed: u64) {
        self.observer.metrics.missed_deadlines.inc_by(missed);
        if missed > 0 && self.observer.limiter.allows("missed_deadlines") {
            tracing::info!(missed, "a poll took longer than the interval; its deadlines are passed over");
        }
        self.observer.metrics.interval_achieved.set(schedule.achieved().as_secs_f64());
        let stretched = schedule.is_stretched();
        if stretched != self.stretched && self.observer.limiter.allows("stretched") {
            self.stretched = stretched;
            let interval = humantime::format_duration(Duration::from_millis(schedule.interval().as_millis() as u64));
            if stretched {
                tracing::info!(%interval, "more than --max-cpu would be taken: the interval is stretched");
            } else {
                tracing::info!(%interval, "less than --max-cpu is taken again: the interval is as it was meant");
            }
        }
    }

    /// Hands on the rest. The workers end with it.
    pub fn finish(self) {
        self.observer.finish();
    }

    /// Gives the kernel the time to tell of the sockets that died just now: its events come a little later.
    fn await_last_events(&mut self) {
        let begin = Instant::now();
        loop {
            let patience =
                if self.observer.recorder.unseen() == 0 { LAST_EVENTS_AT_LEAST } else { LAST_EVENTS_AT_MOST };
            let left = patience.saturating_sub(begin.elapsed());
            let Some(events) = self.observer.destroy_events().filter(|_| !left.is_zero()) else { return };
            let timeout = timespec(left);
            // Interrupted, timed out or not: what is there is fetched, and what is left of the time decides.
            let _ = poll(&mut [PollFd::from_borrowed_fd(events, PollFlags::IN)], Some(&timeout));
            self.observer.drain_destroy_events();
        }
    }

    /// Waits for the deadline, for the order to stop or to read options again, or for destroy events, which it then lets gather for a moment.
    /// It counts as such an event if something is to be sent on that was held back.
    fn wait(&self, stop: &Stop, reload: Option<&Reload>, deadline: Option<Instant>) -> anyhow::Result<Wake> {
        let mut gathered = None;
        let send_again_at = self.observer.outlet.send_again_at();
        loop {
            let now = Instant::now();
            let until = deadline.into_iter().chain(gathered).chain(send_again_at).min();
            let timeout = until.map(|until| timespec(until.saturating_duration_since(now)));
            let watch = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
            // While events gather, or with no one to tell of something, the stop order stands in its place.
            let events = self.observer.destroy_events().filter(|_| gathered.is_none());
            let reload = reload.map_or(stop.as_fd(), AsFd::as_fd);
            let mut fds = [watch(stop.as_fd()), watch(reload), watch(events.unwrap_or(stop.as_fd()))];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) if !fds[0].revents().is_empty() => return Ok(Wake::Stop),
                Ok(_) if !fds[1].revents().is_empty() => return Ok(Wake::Reload),
                Ok(_) if !fds[2].revents().is_empty() => gathered = Some(Instant::now() + GATHER),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for the next poll"),
            }
            // Only now: however late it is, the order to stop comes first.
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(Wake::Deadline);
            }
            if gathered.into_iter().chain(send_again_at).any(|at| at <= now) {
                return Ok(Wake::Events);
            }
        }
    }
}

/// CPU time that this thread or the process has taken.
fn cpu_time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}
