//! What the tests share.

pub(crate) mod capture;
pub(crate) mod kernel;
pub(crate) mod nft;
pub(crate) mod polls;
pub(crate) mod raw;
pub(crate) mod traffic;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use estats::{Estats, Options, Sample, Value};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Longer than anything here takes on a machine that is very busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One test at a time: each sees the sockets of the whole machine, and some keep it busy.
pub(crate) fn machine() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the test where namespaces cannot be made.
macro_rules! require_root {
    () => {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: BPF programs and network namespaces need root");
            return;
        }
        let _machine = crate::support::machine();
    };
}

pub(crate) use require_root;

/// The programs, all that were asked for active.
pub(crate) fn load(full: bool) -> Estats {
    let (estats, statuses) = Estats::load(Options { full }).expect("root may load");
    for status in &statuses {
        let is_due = full || status.status != estats::Status::NotAskedFor;
        assert!(status.is_active() || !is_due, "{status}");
    }
    estats
}

/// The last values by cookie, as they come in.
#[derive(Debug, Default)]
pub(crate) struct Finals {
    pub(crate) by_cookie: HashMap<u64, Vec<Value>>,
}

impl Finals {
    pub(crate) fn drain(&mut self, estats: &mut Estats) {
        estats.drain(|last| {
            let value = last.value().expect("is of this version");
            self.by_cookie.entry(last.cookie).or_default().push(value);
        });
    }

    /// The last value of the socket with this cookie; waits until it is there.
    pub(crate) fn of(&mut self, estats: &mut Estats, cookie: u64) -> Value {
        wait_until("the last value is there", || {
            self.drain(estats);
            self.by_cookie.contains_key(&cookie)
        });
        let values = &self.by_cookie[&cookie];
        assert_eq!(values.len(), 1, "one last value for each socket");
        values[0]
    }
}

/// Keeps the calling thread, and those it starts, on one processor. Between namespaces of one machine a segment is received
/// where it was sent; on two processors at once the order would not be that of the capture.
pub(crate) fn one_processor() {
    let mut processors = CpuSet::new();
    processors.set(0);
    sched_setaffinity(None, &processors).expect("there is one");
}

/// Waits for a condition.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A variable that is there, as the MIB has it.
#[track_caller]
pub(crate) fn mib(sample: &Sample, name: &str) -> i128 {
    let datum = sample.get(name).unwrap_or_else(|| panic!("{name} is absent"));
    datum.to_mib().expect("a number")
}

/// A variable that is there, with its fraction.
#[track_caller]
pub(crate) fn real(sample: &Sample, name: &str) -> f64 {
    sample.get(name).unwrap_or_else(|| panic!("{name} is absent")).to_f64()
}

/// Compares a variable with what its oracle says.
#[track_caller]
pub(crate) fn expect(sample: &Sample, name: &str, oracle: &str, expected: i128) {
    let found = mib(sample, name);
    println!("{name} = {found}, {oracle} = {expected}");
    assert_eq!(found, expected, "{name}, {oracle}");
}
