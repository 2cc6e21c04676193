//! TCP socket records of Linux: from the bytes of a netlink `inet_diag` reply to archives, and back.
//!
//! This is the crate to import for reading the archives that `tcp-info` (this one or M-Lab's Go original) writes:
//! one file per connection, zstd-compressed JSONL, from the first sight of the socket to its destruction.
//!
//! # Read an archive: round-trip time over time
//!
//! ```
//! use inetdiag::Snapshot;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/archives/loopback.00000.jsonl.zst");
//! let mut bad_lines = 0;
//! for record in inetdiag::open(path)? {
//!     let record = match record {
//!         Ok(record) => record,
//!         Err(error) => {
//!             eprintln!("{path}: {error}"); // says line, byte and reason
//!             bad_lines += 1;
//!             continue; // a bad line does not end the file
//!         }
//!     };
//!     if let Some(metadata) = &record.metadata {
//!         println!("{} from {}", metadata.uuid, metadata.start_time);
//!     }
//!     // `None` means the kernel did not send it; it is never passed off as zero.
//!     if let Some(rtt) = Snapshot::decode(&record).tcp_info.and_then(|info| info.rtt()) {
//!         println!("{} {:.3} ms", record.timestamp.to_rfc3339(), f64::from(rtt) / 1000.0);
//!     }
//! }
//! # assert_eq!(bad_lines, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # More than one file, and less than all of it
//!
//! - [`open_all`] opens each archive below a directory, by date. [`ArchiveReader::sniff`] reads from anything else: standard
//!   input, a member of a tar file.
//! - A bad line is an error, and reading goes on behind it. So it does behind damage of the compression, from the next frame
//!   that is whole ([`ReadFault::Damaged`]).
//! - [`ArchiveReader::only`] decodes the attributes that are needed, and [`ArchivalRecord::tcp_info`] that one alone.
//! - [`columns`] has all that is known of a record as the columns of a table, with type, unit, first kernel and meaning.
#![cfg_attr(feature = "arrow", doc = "- [`arrow`] makes Arrow record batches of them.")]
#![cfg_attr(not(feature = "arrow"), doc = "- The feature `arrow` makes Arrow record batches of them.")]
//!
//! # Three layers
//!
//! 1. **The raw ABI** ([`TcpInfo`], [`InetDiagMsg`], [`attribute`], ...): the kernel's structs, decoded at any length a
//!    kernel sends. Presence follows from length alone: fields past the end are `None`.
//! 2. **Borrowed views** ([`NetlinkMessages`], [`Message`], [`Attributes`]): a dump reply taken apart in place. Nothing is
//!    allocated, so a recorder can look at ten thousand sockets a hundred times a second. Each walk yields one `Result` per item.
//! 3. **The owned record** ([`ArchivalRecord`], [`ArchiveReader`], [`encode_record`], [`Snapshot`]): the line of an archive.
//!
//! Users of one layer need not know the others.
//!
//! The price of keeping raw bytes in the archive is that decoding happens when reading; the gain is that recording
//! costs next to nothing and that nothing is lost which a newer kernel says and this crate does not know yet.
//!
//! # What no input can do
//!
//! Replies and archives are untrusted input: no bytes make this crate panic, loop or allocate without bound. That is held
//! by property tests and fuzz targets, and `unsafe` code is forbidden.
//!
//! # Byte order
//!
//! Archives hold the kernel's structs in the byte order of the host that recorded them, as the Go original does. They
//! are read in the byte order of the host that reads.

mod abi;
mod archive;
#[cfg(feature = "arrow")]
pub mod arrow;
pub mod columns;
mod dump;
mod snapshot;

pub use abi::{
    AddressFamily, BbrInfo, BpfStorage, DctcpInfo, InetDiagMsg, Md5Sig, MemInfo, MptcpSubflow, SkMemInfo, SockId,
    SockOpt, TcpInfo, TcpInfoTail, TcpState, TlsInfo, UlpInfo, VegasInfo, attribute,
};
pub use archive::{
    ArchivalRecord, ArchiveReader, AttributeSet, Damage, MAX_LINE_LEN, MAX_READ_LINE_LEN, Metadata, Origin, ReadError,
    ReadFault, StreamStatistics, Streams, TimestampText, Tree, encode_header, encode_record, is_archive_name, open,
    open_all,
};
pub use dump::{
    Attribute, AttributeError, AttributeFault, Attributes, Message, MessageError, NetlinkError, NetlinkMessage,
    NetlinkMessages,
};
pub use snapshot::Snapshot;
