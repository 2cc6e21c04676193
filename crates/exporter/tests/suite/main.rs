//! The exporter on the real kernel: each test makes network namespaces of its own, and removes them.

mod cap;
mod contrib;
mod endings;
mod options;
mod prometheus;
mod scrapes;
mod support;
mod transfers;
