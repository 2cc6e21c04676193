//! What the tests share.

pub(crate) mod captured;
pub(crate) mod packets;
pub(crate) mod traffic;

use std::time::Duration;

/// Longer than anything here takes on a machine that is very busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Ends the test where namespaces cannot be made.
macro_rules! require_root {
    () => {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: network namespaces and packet sockets need root");
            return;
        }
    };
}

pub(crate) use require_root;
