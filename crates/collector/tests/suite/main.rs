//! The daemon on the real kernel: each test makes network namespaces of its own, and removes them.

mod agrees_with_ss;
mod anonymity;
mod asking;
mod contrib;
mod disk;
mod endings;
mod estats;
mod events;
mod filters;
mod lives;
mod metrics;
mod mib;
mod options;
mod privileges;
mod prometheus;
mod restarts;
mod short_connections;
#[path = "../../../inetdiag/tests/support/ss.rs"]
mod ss;
mod streams;
mod support;
mod transfers;
mod verdicts;
mod web_clients;
