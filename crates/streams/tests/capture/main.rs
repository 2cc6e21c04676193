//! The capture on the real kernel: each test makes network namespaces of its own, and removes them.

mod expressions;
mod fanout;
mod interfaces;
mod losses;
mod opening;
mod support;
mod tags;
mod transfers;
