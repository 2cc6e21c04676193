//! The programs on the real kernel: each test makes network namespaces of its own, and removes them.
//!
//! One binary, for it links once.

mod documentation;
mod ecn;
mod growth;
mod headers;
mod lifecycle;
mod listeners;
mod loss;
mod object;
mod openings;
mod poll;
mod privileges;
mod rtt;
mod scripted;
#[allow(unused_imports, reason = "what compares whole snapshots is not used here")]
#[path = "../../../inetdiag/tests/support/ss.rs"]
mod ss;
mod support;
mod timeouts;
mod windows;
