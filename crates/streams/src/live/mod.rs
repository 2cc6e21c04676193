//! Live analysis: rings on interfaces, connections in tables, and questions to them that packets do not wait for.
//!
//! [`open`] makes the work for one thread or several, and a [`Handle`] to ask them. Whoever calls it runs the threads:
//!
//! ```no_run
//! use streams::live::{self, By, Choice};
//!
//! let options = live::Options { interfaces: vec!["eth0".to_owned()], ..live::Options::default() };
//! let (workers, handle) = live::open(&options, None)?;
//! std::thread::scope(|scope| {
//!     for mut worker in workers {
//!         scope.spawn(move || worker.run());
//!     }
//!     std::thread::sleep(std::time::Duration::from_secs(10));
//!     let gathered = handle.gather(Choice { most: 100, by: By::Retransmits });
//!     for report in gathered.reports {
//!         println!("{:?} {}", report.flow, report.counters.retransmits);
//!     }
//!     handle.stop();
//! });
//! # Ok::<(), streams::capture::CaptureError>(())
//! ```

mod feed;
mod gather;
mod source;
mod trouble;
mod worker;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded, unbounded};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::write;

use crate::account::Account;
use crate::analysis::Totals;
use crate::capture::{CaptureError, RingOptions};
use crate::table::{Limits, Table};
use feed::Feed;
pub use gather::{By, Choice, Gathered, InterfaceState};
use source::{Group, Source};
use trouble::Trouble;
pub use worker::Worker;

/// A thread that does not answer within this time is busy with something that it should not be.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is captured, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Names of interfaces; `any` is all of them.
    pub interfaces: Vec<String>,
    /// Which packets, in the language of pcap-filter(7).
    pub filter: String,
    /// The memory for packets, of all rings together.
    pub ring: RingOptions,
    /// Threads that share the connections.
    pub threads: usize,
    /// Connections of all threads together.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        let [stream_age, finalized_age] = [300, 60].map(Duration::from_secs);
        Self {
            interfaces: Vec::new(),
            filter: "tcp".to_owned(),
            ring: RingOptions { retire: Duration::from_millis(20), ..RingOptions::default() },
            threads: 1,
            limits: Limits { connections: 250_000, stream_age, finalized_age },
        }
    }
}

/// Asks the threads, and stops them.
#[derive(Debug, Clone)]
pub struct Handle {
    threads: Vec<(Sender<worker::Question>, Arc<OwnedFd>)>,
    stop: Arc<AtomicBool>,
    lost_accounts: Arc<AtomicU64>,
}

/// Opens the rings, and divides them among the threads that are wanted. `accounts` are told of connections as they go on and end.
///
/// It is for the namespace of the calling thread.
pub fn open(options: &Options, accounts: Option<Sender<Account>>) -> Result<(Vec<Worker>, Handle), CaptureError> {
    let threads = options.threads.max(1);
    let rings = (threads * options.interfaces.len()).max(1) as u32;
    let ring_options = RingOptions { blocks: (options.ring.blocks / rings).max(2), ..options.ring };
    let mut sources: Vec<Vec<Source>> = (0..threads).map(|_| Vec::new()).collect();
    for name in &options.interfaces {
        let group = (threads > 1).then(|| Arc::new(Mutex::new(Group::default())));
        for sources in &mut sources {
            sources.push(Source::open(name, &options.filter, ring_options, group.clone())?);
        }
    }
    let limits = Limits { connections: options.limits.connections.div_ceil(threads), ..options.limits };
    let stop = Arc::new(AtomicBool::new(false));
    let mut handle = Handle { threads: Vec::new(), stop: Arc::clone(&stop), lost_accounts: Arc::default() };
    let mut workers = Vec::new();
    for sources in sources {
        let (ask, questions) = unbounded();
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wake =
            Arc::new(wake.map_err(|error| CaptureError::System { action: "make an eventfd", source: error.into() })?);
        handle.threads.push((ask, Arc::clone(&wake)));
        workers.push(Worker {
            sources,
            table: Table::new(limits),
            feed: accounts.clone().map(|accounts| Feed::new(accounts, Arc::clone(&handle.lost_accounts))),
            questions,
            wake,
            stop: Arc::clone(&stop),
            retire: ring_options.retire,
            gathering: None,
            told: Totals::default(),
            told_seen: 0,
            longest_pause: Duration::ZERO,
            longest_pause_cpu: Duration::ZERO,
            looked: Instant::now(),
            drops: Trouble::default(),
            crowding: Trouble::default(),
        });
    }
    Ok((workers, handle))
}

impl Handle {
    /// What all threads know now. A thread that has ended has nothing to say.
    pub fn gather(&self, choice: Choice) -> Gathered {
        let asked = self.threads.iter().filter_map(|(questions, wake)| {
            let (answer, answered) = bounded(1);
            questions.send((choice, answer)).ok()?;
            self.wake(wake);
            Some(answered)
        });
        let asked: Vec<_> = asked.collect();
        let mut gathered = Gathered::default();
        asked.iter().filter_map(|answered| answered.recv_timeout(PATIENCE).ok()).for_each(|one| gathered.add(one));
        gathered.reports = choice.among(gathered.reports);
        gathered
    }

    /// Threads that there are to ask.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Accounts that were dropped, because whoever takes them was far behind.
    pub fn lost_accounts(&self) -> u64 {
        self.lost_accounts.load(Ordering::Relaxed)
    }

    /// Tells the threads to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.iter().for_each(|(_, wake)| self.wake(wake));
    }

    fn wake(&self, wake: &OwnedFd) {
        // It fails only when it is full, and then it has been written to.
        let _ = write(wake, &1u64.to_ne_bytes());
    }
}
