//! Where socket messages come from: polls ([`DumpSource`]) and the kernel's destroy events ([`DestroySource`]).

mod destroy;
mod dump;
mod request;

pub use destroy::{Delivery, DestroySource};
pub use dump::{DumpError, DumpSource, DumpStats};
pub use request::DumpRequest;

/// Receive buffer of one `recv`. The kernel fills at most 32 KiB, unless one message is larger.
pub const RECEIVE_BUFFER_LEN: usize = 64 << 10;
