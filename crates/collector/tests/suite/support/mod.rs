//! What the tests of the daemon share: namespaces, the daemon as a process, traffic, and reading the archive.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) mod archive;
pub(crate) mod cgroup;
pub(crate) mod daemon;
pub(crate) mod http;
pub(crate) mod traffic;

/// `long` where the environment asks for the long form of the tests with `LONG_TESTS=1`, else `short`.
pub(crate) fn long_or_short<T>(long: T, short: T) -> T {
    if std::env::var_os("LONG_TESTS").is_some_and(|value| value == "1") { long } else { short }
}

/// Held by each test while it runs: beside another one's load, rates and times would say little of the daemon.
static MACHINE: Mutex<()> = Mutex::new(());

/// Waits for the machine. A test that failed keeps no other from running.
pub(crate) fn machine() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the test early, saying why, where it cannot run; else waits until no other test runs beside it.
macro_rules! require_root {
    () => {
        if !rustix::process::geteuid().is_root() {
            crate::support::skipped("network namespaces need root");
            return;
        }
        let _machine = crate::support::machine();
    };
}

pub(crate) use require_root;

/// Whether there is such a program.
pub(crate) fn is_installed(program: &str) -> bool {
    std::process::Command::new(program).arg("--version").output().is_ok()
}

/// Says why a test is skipped, past the capture of what passing tests print.
pub(crate) fn skipped(reason: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}
