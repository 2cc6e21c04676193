//! RFC 4898 extended statistics (TCP-ESTATS-MIB) of TCP connections, on a kernel that nobody patched.
//!
//! Linux tells much of what the MIB defines in each poll (`tcp_info`). The rest is counted by BPF programs, which keep one
//! value with each socket. The value comes back inside the poll itself, so that both parts are of one moment, and through
//! a ring when the socket is closed.
//!
//! # Read a variable
//!
//! Who reads archives or messages needs no privilege, and not the feature `load`:
//!
//! ```
//! use estats::Sample;
//! use inetdiag::Snapshot;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/archives/loopback.00000.jsonl.zst");
//! for record in inetdiag::open(path)? {
//!     let sample = Sample::of_snapshot(&Snapshot::decode(&record?));
//!     // `None` where it is not known: `PerfTimeouts` takes the programs, `PerfSegsOut` only a poll.
//!     if let Some(segments) = sample.get("PerfSegsOut") {
//!         println!("{segments} sent, timeouts: {:?}", sample.get("PerfTimeouts"));
//!     }
//! }
//! // What there is: name, type, unit, source, exactness, first kernel.
//! for variable in estats::variables() {
//!     println!("{variable} {:?} {:?}: {}", variable.syntax, variable.unit, variable.meaning);
//! }
//! # Ok(())
//! # }
//! ```
#![cfg_attr(feature = "load", doc = "[`Estats`] puts the programs into the kernel.")]
#![cfg_attr(not(feature = "load"), doc = "The feature `load` puts the programs into the kernel.")]
//!
//! # What no input can do
//!
//! Values come out of archives, too: no bytes make this crate panic. `unsafe` code is forbidden; what the kernel forces
//! is in the crate that loads the programs.

mod layout;
mod listener;
#[cfg(feature = "load")]
mod load;
pub mod request;
mod sample;
mod variables;

pub use layout::{RawValue, VERSION, Value, flags};
pub use listener::{LISTENER_VARIABLES, Listener, ListenerVariable, Listeners};
#[cfg(feature = "load")]
pub use load::{Estats, Final, Hook, HookStatus, LoadError, Options, Status};
pub use sample::Sample;
pub use variables::{Datum, Exactness, Needs, Syntax, Table, Unit, Variable, columns, variables};
