//! Files, compressed or not, as they may lie on a disk.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/inetdiag/tests/support/invariants.rs"]
mod invariants;

fuzz_target!(|data: &[u8]| {
    invariants::of_archive(data);
});
