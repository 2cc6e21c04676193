//! What the tests share: the exporter as a process, its pages, and traffic.

pub(crate) mod exporter;
pub(crate) mod pages;
pub(crate) mod traffic;

use std::time::Duration;

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the test early, saying why, where it cannot run.
macro_rules! require_root {
    () => {
        if !rustix::process::geteuid().is_root() {
            return crate::support::skipped("network namespaces and packet sockets need root");
        }
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
