//! What was gathered, as text for Prometheus (version 0.0.4 of the format).
//!
//! [`totals`] are of all streams, and of the capture; [`each_stream`] tells of each stream that was chosen.

mod each_stream;
mod labels;
#[cfg(test)]
mod tests;
mod text;
mod totals;

pub use each_stream::each_stream;
pub use labels::Labels;
pub use text::{CONTENT_TYPE, Kind, Text, Value};
pub use totals::totals;
