//! Replies of the kernel, or of something that says it is: walked, decoded, archived and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/inetdiag/tests/support/invariants.rs"]
mod invariants;

fuzz_target!(|data: &[u8]| {
    invariants::of_reply(data);
    invariants::of_socket(data);
});
