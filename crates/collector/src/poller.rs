//! The polling thread: polls at deadlines, fetches destroy events, and never waits for a disk.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::Context;
use cache::Patience;
use chrono::Utc;
use inetdiag::{AddressFamily, Message, Origin};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::cli::{Cli, Interval};
use crate::filter::reject_local;
use crate::limiter::LogLimiter;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::recorder::{Outcome, Recorder, Sink, Skip};
use crate::schedule::Schedule;
use crate::source::{Delivery, DestroySource, DumpRequest, DumpSource, RECEIVE_BUFFER_LEN};
use crate::stop::Stop;

/// How long the destroy event of a socket that no poll sees is waited for: as a rule, and if events were dropped.
const DESTROY_PATIENCE: Duration = Duration::from_secs(600);
const DESTROY_PATIENCE_IN_DOUBT: Duration = Duration::from_secs(1);
/// How long events of sockets that died just before the end are waited for: always, and if some are known to be on the way.
const LAST_EVENTS_AT_LEAST: Duration = Duration::from_millis(20);
const LAST_EVENTS_AT_MOST: Duration = Duration::from_millis(250);
/// Events that arrive within this time are fetched together.
const GATHER: Duration = Duration::from_millis(10);

/// Asks, listens, and hands on what is to be archived.
pub struct Poller {
    recorder: Recorder,
    dumps: [(AddressFamily, DumpSource); 2],
    destroy: Option<DestroySource>,
    outbox: Outbox,
    metrics: Metrics,
    buffer: Vec<u8>,
    limiter: LogLimiter,
    /// When the kernel last said that it dropped destroy events.
    overrun: Option<Instant>,
    /// Whether the interval is longer than it was meant, as far as the log knows.
    stretched: bool,
}

/// Why waiting ended.
#[derive(Debug, PartialEq, Eq)]
enum Wake {
    Stop,
    Events,
    Deadline,
}

impl Poller {
    /// A poller that has not asked yet. Without `destroy` it learns of ends by polls alone.
    pub fn new(cli: &Cli, destroy: Option<DestroySource>, outbox: Outbox, metrics: Metrics) -> Self {
        if let Interval::Every(interval) = cli.interval {
            metrics.interval_meant.set(interval.as_secs_f64());
        }
        let bytecode = if cli.include_local { Vec::new() } else { reject_local() };
        let dump = |family| (family, DumpSource::new(DumpRequest::connections(family, &bytecode)));
        Self {
            recorder: Recorder::new(cli.include_local),
            dumps: [dump(AddressFamily::Inet), dump(AddressFamily::Inet6)],
            destroy,
            outbox,
            metrics,
            buffer: vec![0; RECEIVE_BUFFER_LEN],
            limiter: LogLimiter::default(),
            overrun: None,
            stretched: false,
        }
    }

    /// Polls and listens until told to stop, or until `reps` polls are made, if that is not 0.
    pub fn record(&mut self, cli: &Cli, stop: &Stop) -> anyhow::Result<()> {
        let mut schedule = match cli.interval {
            Interval::Off => None,
            Interval::Every(interval) => Some(Schedule::new(Instant::now(), interval, cli.max_cpu.of_one_core())),
        };
        let mut polls = 0;
        loop {
            match (self.wait(stop, schedule.as_ref().map(Schedule::next))?, &mut schedule) {
                (Wake::Deadline, Some(schedule)) => {
                    let before = cpu_time();
                    self.poll();
                    let missed = schedule.advance(Instant::now(), cpu_time().saturating_sub(before));
                    self.tell_pace(schedule, missed);
                    polls += 1;
                }
                (Wake::Stop, Some(_)) => {
                    self.poll(); // what came since the last one
                    break;
                }
                (Wake::Stop, None) => break,
                (Wake::Events | Wake::Deadline, _) => self.drain_destroy_events(),
            }
            let stalls = self.outbox.send(schedule.as_ref().map(Schedule::achieved))?;
            if stalls > 0 && self.limiter.allows("stalls") {
                tracing::warn!(stalls, "polling waited for the archive");
            }
            if cli.reps > 0 && polls == cli.reps {
                break;
            }
        }
        self.await_last_events();
        Ok(())
    }

    /// Counts and logs how fast polls follow each other.
    fn tell_pace(&mut self, schedule: &Schedule, missed: u64) {
        self.metrics.missed_deadlines.inc_by(missed);
        if missed > 0 && self.limiter.allows("missed_deadlines") {
            tracing::info!(missed, "a poll took longer than the interval; its deadlines are passed over");
        }
        self.metrics.interval_achieved.set(schedule.achieved().as_secs_f64());
        let stretched = schedule.is_stretched();
        if stretched != std::mem::replace(&mut self.stretched, stretched) && self.limiter.allows("stretched") {
            let interval = humantime::format_duration(schedule.achieved()).to_string();
            if stretched {
                tracing::info!(interval, "polls would take more than --max-cpu: the interval is stretched");
            } else {
                tracing::info!(interval, "polls take less than --max-cpu again: the interval is as it was meant");
            }
        }
    }

    /// Hands on the rest. The workers end with it.
    pub fn finish(self) {
        self.outbox.finish();
    }

    /// Gives the kernel the time to tell of the sockets that died just now: its events come a little later.
    fn await_last_events(&mut self) {
        let begin = Instant::now();
        loop {
            let patience = if self.recorder.unseen() == 0 { LAST_EVENTS_AT_LEAST } else { LAST_EVENTS_AT_MOST };
            let left = patience.saturating_sub(begin.elapsed());
            let Some(source) = self.destroy.as_ref().filter(|_| !left.is_zero()) else { return };
            let timeout = timespec(left);
            // Interrupted, timed out or not: what is there is fetched, and what is left of the time decides.
            let _ = poll(&mut [PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN)], Some(&timeout));
            self.drain_destroy_events();
        }
    }

    /// Waits for the deadline, for the order to stop, or for destroy events, which it then lets gather for a moment.
    fn wait(&self, stop: &Stop, deadline: Option<Instant>) -> anyhow::Result<Wake> {
        let mut gathered = None;
        loop {
            let now = Instant::now();
            let until = deadline.into_iter().chain(gathered).min();
            let timeout = until.map(|until| timespec(until.saturating_duration_since(now)));
            let watch = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
            // While events gather, or with no one to tell of them, the stop order stands in their place.
            let source = self.destroy.as_ref().filter(|_| gathered.is_none());
            let mut fds = [watch(stop.as_fd()), watch(source.map_or(stop.as_fd(), AsFd::as_fd))];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) if !fds[0].revents().is_empty() => return Ok(Wake::Stop),
                Ok(_) if !fds[1].revents().is_empty() => gathered = Some(Instant::now() + GATHER),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for the next poll"),
            }
            // Only now: however late it is, the order to stop comes first.
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(Wake::Deadline);
            }
            if gathered.is_some_and(|gathered| gathered <= now) {
                return Ok(Wake::Events);
            }
        }
    }

    /// One poll of both families, and the destroy events up to now.
    fn poll(&mut self) {
        self.recorder.number_poll();
        let mut complete = Vec::with_capacity(self.dumps.len());
        for (family, dump) in &mut self.dumps {
            self.recorder.begin_poll(*family);
            let (stats, outcome) = dump.dump(&mut self.buffer, |message| {
                let outcome = self.recorder.observe(*family, message, &mut self.outbox);
                count(&self.metrics, &mut self.limiter, outcome);
            });
            self.outbox.stamp(Utc::now());
            self.metrics.errors.with_label_values(&["message_malformed"]).inc_by(stats.malformed as u64);
            if stats.malformed > 0 && self.limiter.allows("message_malformed") {
                tracing::warn!(
                    af = label(*family),
                    messages = stats.malformed,
                    "messages too short to be a socket are left out"
                );
            }
            match outcome {
                Ok(()) => {
                    self.metrics.polls.with_label_values(&[label(*family)]).inc();
                    complete.push(*family);
                }
                Err(error) => {
                    self.metrics.error(error.label());
                    self.metrics.failed_polls.inc();
                    if self.limiter.allows(error.label()) {
                        tracing::warn!(af = label(*family), %error, "a poll failed; it is made again at the next deadline");
                    }
                }
            }
        }
        // Before anything looks gone: the events tell of most that is.
        self.drain_destroy_events();
        let patience = match &self.destroy {
            None => Patience::NONE,
            Some(_) => Patience {
                usual: DESTROY_PATIENCE,
                doubt_until: self.overrun.map(|at| at + DESTROY_PATIENCE_IN_DOUBT),
                in_doubt: DESTROY_PATIENCE_IN_DOUBT,
            },
        };
        for family in complete {
            let mut sink = Vanishing { outbox: &mut self.outbox, metrics: &self.metrics };
            self.recorder.end_poll(family, Instant::now(), patience, &mut sink);
        }
    }

    fn drain_destroy_events(&mut self) {
        let Some(source) = &self.destroy else { return };
        let delivery = source.drain(&mut self.buffer, |message| {
            self.metrics.destroy_events.inc();
            let outcome = self.recorder.destroyed(message, &mut self.outbox);
            count(&self.metrics, &mut self.limiter, outcome);
        });
        self.outbox.stamp(Utc::now());
        let Delivery { overruns, malformed, error, .. } = delivery;
        self.metrics.errors.with_label_values(&["destroy_malformed"]).inc_by(malformed as u64);
        self.metrics.errors.with_label_values(&["destroy_overrun"]).inc_by(overruns as u64);
        if malformed > 0 && self.limiter.allows("destroy_malformed") {
            tracing::warn!(events = malformed, "destroy events that cannot be read are left out");
        }
        if overruns > 0 {
            self.overrun = Some(Instant::now());
        }
        if overruns > 0 && self.limiter.allows("destroy_overrun") {
            tracing::warn!(
                overruns,
                "the kernel dropped destroy events: some last records lack the final counters, and some short connections are missed"
            );
        }
        if let Some(error) = error {
            self.metrics.error("destroy_receive");
            if self.limiter.allows("destroy_receive") {
                tracing::warn!(%error, "cannot receive destroy events");
            }
        }
    }
}

/// CPU time that this thread has taken.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}

/// Counts the connections that end without a destroy event on their way to the outbox.
struct Vanishing<'p> {
    outbox: &'p mut Outbox,
    metrics: &'p Metrics,
}

impl Sink for Vanishing<'_> {
    fn record(&mut self, message: Message<'_>, origin: Origin) {
        self.outbox.record(message, origin);
    }

    fn close(&mut self, cookie: u64) {
        self.metrics.vanished.inc();
        self.outbox.close(cookie);
    }
}

fn count(metrics: &Metrics, limiter: &mut LogLimiter, outcome: Outcome) {
    match outcome {
        Outcome::Changed(change) => metrics.change(change),
        Outcome::Skipped(Skip::NoCookie) => {
            metrics.error("no_cookie");
            if limiter.allows("no_cookie") {
                tracing::warn!("sockets without a cookie are left out: there is nothing to know them by");
            }
        }
        Outcome::Unchanged | Outcome::Final | Outcome::EndWithoutRecord | Outcome::Skipped(_) => {}
    }
}

fn label(family: AddressFamily) -> &'static str {
    match family {
        AddressFamily::Inet => "ipv4",
        AddressFamily::Inet6 => "ipv6",
    }
}
