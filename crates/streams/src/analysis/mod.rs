//! What packets say of a connection, in both directions at once.
//!
//! Each [`Connection`] has two streams that share what they know: data of the one is acknowledged by the other. From
//! each packet they learn in time and memory that do not depend on what came before.

mod belonging;
mod connection;
mod counters;
mod delay;
mod health;
mod holes;
mod rate;
mod report;
mod seq;
mod spread;
mod stream;
mod window;

pub use connection::Connection;
pub(crate) use connection::{Belongs, Key, News};
pub use counters::{Counters, Totals};
pub use delay::DelaySummary;
pub use report::{Report, State};

#[cfg(test)]
mod tests;
