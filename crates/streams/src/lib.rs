//! What packets say of TCP streams, live and in capture files.
//!
//! A *stream* is one direction of a connection. From the bytes of a frame to what is known of its stream:
//!
//! 1. [`capture`]: frames of an interface, out of a ring that the kernel shares; [`mod@file`]: those of a capture file.
//! 2. [`packet`]: a frame is taken apart into a segment, or put together with the other fragments of its datagram.
//! 3. [`table`]: the segment's connection is found, or begun; those whose time is over are forgotten.
//! 4. [`analysis`]: its two streams learn from it, in fixed memory; a [report](analysis::Report) says what they came to.
//! 5. [`live`]: threads that do all of this, and answer questions while they do. [`Account`]s tell somebody else of connections.
//!
//! Nothing here starts a thread, and time is that of the packets. What the numbers mean is in `docs/streams.md`.
//!
//! # A capture file
//!
//! ```
//! use streams::table::{Limits, Table};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let capture: &[u8] = &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
//! let mut table = Table::new(Limits::NONE);
//! let mut now = 0;
//! let (counts, outcome) = streams::file::read(capture, |frame| {
//!     now = frame.time;
//!     table.frame(frame, |replaced| println!("before it: {:?}", replaced.reports(0).count()));
//! });
//! outcome?; // what came before an error was read
//! println!("{} packets", counts.packets);
//! for connection in (0..table.end() as u32).filter_map(|number| table.get(number)) {
//!     for stream in connection.reports(now) {
//!         // `None` means that it is not known; it is never passed off as zero.
//!         println!("{:?}: {} retransmissions, delay {:?}", stream.flow, stream.counters.retransmits, stream.delay);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What no input can do
//!
//! Packets come from anybody. No bytes make this crate panic, loop or allocate: connections, fragments and gaps have their
//! limits, and each packet costs the same. `unsafe` code is in one module, for the ring and for libpcap.

mod account;
pub mod analysis;
pub mod capture;
pub mod file;
pub mod live;
pub mod packet;
pub mod table;

pub use account::Account;
