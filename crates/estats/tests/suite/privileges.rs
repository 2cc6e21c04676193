//! What may be loaded and polled with which capabilities.

use std::thread;

use estats::{Estats, LoadError, Options};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use crate::support::polls::poll_here;
use crate::support::require_root;

/// Runs on a thread that has these capabilities and no others.
fn with<T: Send>(capabilities: CapabilitySet, work: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        keep(capabilities);
        work()
    };
    thread::scope(|scope| scope.spawn(inside).join().expect("ends"))
}

fn keep(capabilities: CapabilitySet) {
    let sets = CapabilitySets { effective: capabilities, permitted: capabilities, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).expect("capabilities may be given up");
}

#[test]
fn three_capabilities_are_enough_to_load_and_one_to_poll() {
    require_root!();
    let loading = CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::NET_ADMIN;
    with(loading, || {
        let (mut estats, statuses) = Estats::load(Options { full: true }).expect("three are enough");
        for status in &statuses {
            assert!(status.is_active(), "{status}");
        }
        estats.adopt().expect("the iterator runs");
        keep(CapabilitySet::BPF);
        assert!(poll_here(estats.map_fd()).is_ok());
        estats.drain(|_| {});
        estats.lost().expect("is counted");
        keep(CapabilitySet::empty());
        let refused = poll_here(estats.map_fd()).expect_err("polls with values take CAP_BPF");
        assert_eq!(refused, Errno::PERM.raw_os_error());
        // What needs none: the ring is mapped.
        estats.drain(|_| {});
    });
}

#[test]
fn who_may_not_is_told() {
    require_root!();
    for (capabilities, expected) in [
        (CapabilitySet::empty(), "cannot load the BPF object"),
        (CapabilitySet::NET_ADMIN, "cannot load the BPF object"),
        (CapabilitySet::BPF | CapabilitySet::PERFMON, "sock_ops: unavailable"),
    ] {
        let error = with(capabilities, || Estats::load(Options::default()).expect_err("is not enough"));
        let text = error.to_string();
        assert!(text.starts_with(expected) && text.contains("permitted"), "{capabilities:?}: {text}");
        assert!(matches!(error, LoadError::Object(_) | LoadError::Core { .. }));
        println!("{capabilities:?}: {text}");
    }
}
