//! The work of a thread that captures.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::time::{ClockId, clock_gettime};

use super::feed::{Feed, Step};
use super::gather::{Choice, Gathered, Gathering, InterfaceState};
use super::source::Source;
use super::trouble::Trouble;
use crate::analysis::Totals;
use crate::capture::Statistics;
use crate::table::{FrameCounts, Table};

/// Connections that are looked at in a turn, whether they are to be forgotten.
const EXPIRED_IN_A_TURN: usize = 128;
/// How long it waits for packets, if nothing else is to be done.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// How long it waits for whoever takes accounts, if packets do not come sooner.
const UNTIL_TAKEN: Duration = Duration::from_millis(5);

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A question to a thread: which streams, and where the answer goes.
pub(super) type Question = (Choice, Sender<Gathered>);

/// Rings, the connections of their packets, and who asks for them. [`run`](Self::run) is for a thread of its own.
pub struct Worker {
    pub(super) sources: Vec<Source>,
    pub(super) table: Table,
    pub(super) feed: Option<Feed>,
    pub(super) questions: Receiver<Question>,
    pub(super) wake: Arc<OwnedFd>,
    pub(super) stop: Arc<AtomicBool>,
    /// How long the kernel may keep packets back.
    pub(super) retire: Duration,
    pub(super) gathering: Option<(Gathering, Sender<Gathered>)>,
    /// What was told of totals the last time.
    pub(super) told: Totals,
    pub(super) told_seen: u64,
    pub(super) longest_pause: Duration,
    pub(super) longest_pause_cpu: Duration,
    /// When rings and table were looked at for the last time.
    pub(super) looked: Instant,
    /// Packets that the kernel dropped.
    pub(super) drops: Trouble,
    /// Packets that there was no room for in the table, and connections that had to make room.
    pub(super) crowding: Trouble,
}

impl Worker {
    /// Captures until it is told to stop; then takes what is on the way, and ends.
    ///
    /// After each block of packets there is a turn for everything else, each time a little of it: so packets do not wait
    /// the longer the more connections there are.
    pub fn run(&mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let had_packets = self.take_blocks();
            let (begin, cpu) = (Instant::now(), cpu_time());
            self.look_for_trouble(begin);
            let wait = self.turn(nanoseconds());
            self.longest_pause = self.longest_pause.max(begin.elapsed());
            self.longest_pause_cpu = self.longest_pause_cpu.max(cpu_time().saturating_sub(cpu));
            if !had_packets && !wait.is_zero() {
                self.wait(wait);
            }
        }
        let end = Instant::now() + self.retire + Duration::from_millis(10);
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if !self.take_blocks() {
                self.wait(left);
            }
        }
        if let Some(feed) = &mut self.feed {
            feed.finish(&mut self.table, nanoseconds());
        }
    }

    /// Takes a block of each ring that has one. Says whether one had.
    fn take_blocks(&mut self) -> bool {
        let mut had_packets = false;
        for source in &mut self.sources {
            let Some(block) = source.next_block() else { continue };
            had_packets = true;
            for frame in block.frames() {
                let Some(feed) = &mut self.feed else {
                    self.table.frame(&frame, |_| {});
                    continue;
                };
                if let Some(number) = self.table.frame(&frame, |replaced| feed.replace(replaced)) {
                    feed.touch(&mut self.table, number);
                }
            }
        }
        had_packets
    }

    /// A little of all that is not packets. Says how long it may wait then for packets.
    fn turn(&mut self, now: u64) -> Duration {
        let fed = self.feed.as_mut().map_or(Step::Done, |feed| feed.step(&mut self.table, now));
        if let Some((gathering, _)) = &mut self.gathering {
            if let Some(gathered) = gathering.step(&self.table, now) {
                self.answer(gathered);
            }
            return Duration::ZERO;
        }
        // Questions come after that: were they asked all the time, nothing would ever be forgotten.
        if !self.table.expire(now, EXPIRED_IN_A_TURN, |_| {}) {
            return Duration::ZERO;
        }
        if let Ok((choice, answer)) = self.questions.try_recv() {
            self.gathering = Some((Gathering::new(choice, &self.table), answer));
            return Duration::ZERO;
        }
        match fed {
            Step::More => Duration::ZERO,
            Step::Full => UNTIL_TAKEN,
            Step::Done => LONGEST_WAIT,
        }
    }

    fn answer(&mut self, mut gathered: Gathered) {
        // Ports that were used again while connections were looked at may be missing: totals do not go back for that.
        gathered.totals = gathered.totals.at_least(&self.told);
        self.told = gathered.totals;
        gathered.seen = gathered.seen.max(self.told_seen);
        self.told_seen = gathered.seen;
        gathered.threads = 1;
        gathered.frames = self.table.counts;
        gathered.capture = self.statistics();
        for source in &self.sources {
            gathered.add_interface(InterfaceState { name: source.name().to_owned(), is_up: source.is_up() });
        }
        gathered.longest_pause = self.longest_pause.as_nanos() as u64;
        gathered.longest_pause_cpu = self.longest_pause_cpu.as_nanos() as u64;
        if let Some((_, answer)) = self.gathering.take() {
            // Whoever asked may have given up.
            let _ = answer.send(gathered);
        }
    }

    /// What has become of packets in the kernel.
    fn statistics(&mut self) -> Statistics {
        let mut all = Statistics::default();
        self.sources.iter_mut().for_each(|source| all.add(&source.statistics()));
        all
    }

    /// Asks the kernel for its counters, which wrap around if nobody does, and tells of losses when they begin. Looks
    /// how the interfaces are.
    fn look_for_trouble(&mut self, now: Instant) {
        if now.saturating_duration_since(self.looked) < LOOK_EVERY {
            return;
        }
        self.looked = now;
        self.sources.iter_mut().for_each(Source::look);
        let dropped = self.statistics().dropped;
        if self.drops.begins(dropped, now) {
            tracing::warn!(
                dropped,
                "the kernel drops packets, because the ring is full: more blocks, more threads or a narrower filter help"
            );
        }
        let FrameCounts { untracked, evicted, .. } = self.table.counts;
        if self.crowding.begins(untracked + evicted, now) {
            tracing::warn!(
                untracked,
                evicted,
                "there are more streams than there is room for: those that have ended, or were never open, are forgotten \
                 early, and of packets of others nothing is known"
            );
        }
    }

    /// Waits for packets, or until somebody has something to ask.
    fn wait(&mut self, longest: Duration) {
        let watch = |source| PollFd::new(source, PollFlags::IN | PollFlags::ERR);
        let mut fds: Vec<_> = self.sources.iter().map(watch).collect();
        fds.push(PollFd::new(&*self.wake, PollFlags::IN));
        let timeout = Timespec { tv_sec: longest.as_secs() as i64, tv_nsec: longest.subsec_nanos().into() };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "cannot wait for packets");
                std::thread::sleep(longest);
            }
        }
        let events: Vec<_> = fds.iter().map(PollFd::revents).collect();
        let has_error = |events: &PollFlags| events.contains(PollFlags::ERR);
        let with_error = self.sources.iter_mut().zip(&events).filter(|(_, events)| has_error(events));
        with_error.for_each(|(source, _)| source.take_error());
        if events.last().is_some_and(|events| events.contains(PollFlags::IN)) {
            // Only that it was written to counts.
            let _ = read(self.wake.as_fd(), &mut [0; 8]);
        }
    }
}

/// Now, in nanoseconds since 1970, by the clock that packets have their times from.
fn nanoseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

/// CPU time that this thread has taken.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
