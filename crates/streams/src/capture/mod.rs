//! Live capture: packets of an interface, or of all, out of a ring that the kernel writes them into.
//!
//! An [`Interface`] says where, a [`Filter`] what, [`RingOptions`] how much memory; a [`Ring`] gives the packets, a
//! [`Block`] of them at a time. Nothing is copied, and the interface is not made promiscuous.

mod block;
mod error;
mod filter;
mod interface;
mod options;
mod program;
mod protocol;
mod ring;
mod sys;

pub use block::{Frames, Layout};
pub use error::CaptureError;
pub use filter::Filter;
pub use interface::Interface;
pub use options::{OptionsError, RingOptions};
pub use program::SNAP_LEN;
pub use ring::{Block, Fanout, Ring, Statistics};
