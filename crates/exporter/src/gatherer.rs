//! Who asks the threads that capture.

use std::cmp::Reverse;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use streams::analysis::Report;
use streams::live::{Choice, Gathered, Handle};

/// Threads that have not all answered for so long are not well.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the threads, and remembers whether they answer.
#[derive(Debug)]
pub struct Gatherer {
    handle: Handle,
    choice: Choice,
    /// What was gathered last, as long as somebody is still writing it.
    last: Mutex<Weak<Gathered>>,
    begin: Instant,
    /// Milliseconds from the beginning to the last answer of all.
    answered_at: AtomicU64,
}

impl Gatherer {
    /// For the streams that are chosen so.
    pub fn new(handle: Handle, choice: Choice) -> Self {
        let (last, begin, answered_at) = (Mutex::default(), Instant::now(), AtomicU64::new(0));
        Self { handle, choice, last, begin, answered_at }
    }

    /// Totals, and the streams that were chosen, in the order of their ends. Who asks while another is told waits, and is
    /// told the same: many scrapes at a time take the memory and the work of one.
    pub fn streams(&self) -> io::Result<Arc<Gathered>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gathered) = last.upgrade() {
            return Ok(gathered);
        }
        let mut gathered = self.gather(self.choice)?;
        order(&mut gathered.reports);
        let gathered = Arc::new(gathered);
        *last = Arc::downgrade(&gathered);
        Ok(gathered)
    }

    /// Totals only.
    pub fn totals(&self) -> io::Result<Gathered> {
        self.gather(Choice { most: 0, ..self.choice })
    }

    /// Whether the threads answer.
    pub fn is_well(&self) -> bool {
        let answered_at = Duration::from_millis(self.answered_at.load(Ordering::Relaxed));
        self.begin.elapsed().saturating_sub(answered_at) <= PATIENCE
    }

    /// If one thread is missing there is no answer: counters would go back.
    fn gather(&self, choice: Choice) -> io::Result<Gathered> {
        let gathered = self.handle.gather(choice);
        if gathered.threads < self.handle.threads() {
            return Err(io::Error::other("a thread that captures does not answer"));
        }
        self.answered_at.store(self.begin.elapsed().as_millis() as u64, Ordering::Relaxed);
        Ok(gathered)
    }
}

/// Sorts streams by their ends, and keeps each once.
///
/// Threads divide the streams of an interface. If a stream passes two interfaces, or has come in fragments, two of them may
/// know of it; then it is told by the one that has seen more.
pub(crate) fn order(reports: &mut Vec<Report>) {
    let ends = |report: &Report| (report.flow.source, report.flow.destination);
    reports.sort_unstable_by_key(|report| (ends(report), Reverse(report.counters.packets)));
    reports.dedup_by_key(|report| ends(report));
}

#[cfg(test)]
#[path = "gatherer_tests.rs"]
mod tests;
