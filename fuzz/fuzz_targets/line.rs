//! Lines of an archive, decompressed.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/inetdiag/tests/support/invariants.rs"]
mod invariants;

fuzz_target!(|data: &[u8]| {
    invariants::of_text(data);
});
