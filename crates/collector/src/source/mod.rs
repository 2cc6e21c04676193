//! Where socket messages come from: polls ([`DumpSource`]), questions about one socket ([`LookupSource`]) and about
//! listeners ([`ListenerSource`]), and the kernel's destroy events ([`DestroySource`]).

mod attributes;
mod destroy;
mod dump;
mod listeners;
mod lookup;
mod request;

pub use attributes::Attributes;
pub use destroy::{Delivery, DestroySource};
pub use dump::{DumpError, DumpSource, DumpStats};
pub use listeners::ListenerSource;
pub use lookup::LookupSource;
pub use request::{DumpRequest, Whose};

/// Receive buffer of one `recv`. The kernel fills at most 32 KiB, unless one message is larger.
pub const RECEIVE_BUFFER_LEN: usize = 64 << 10;
