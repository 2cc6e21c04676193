//! Layer 3, the owned record: the JSONL line of an archive, written and read.
//!
//! An archive is a file of lines. The first is a header with the connection's [`Metadata`]; each other line is one
//! record: when, the 72-byte `inet_diag_msg`, and the attributes as the kernel sent them, in base64. Kernels newer
//! than this crate lose nothing: unknown attributes and the unknown tails of known ones are stored as they are.
//!
//! Lines are read by the Go original and its consumers too, so keys keep their meaning for ever; new facts go into
//! new optional keys, which those readers ignore. They also end a file at a line over 64 KiB: none is written.

mod encode;
mod frames;
mod line;
mod reader;
mod record;
mod streams;
mod tree;

pub use encode::{MAX_LINE_LEN, TimestampText, encode_header, encode_record};
pub use frames::Damage;
pub use reader::{ArchiveReader, MAX_READ_LINE_LEN, ReadError, ReadFault, open};
pub use record::{ArchivalRecord, AttributeSet, Metadata, Origin};
pub use streams::{StreamStatistics, Streams};
pub use tree::{Tree, is_archive_name, open_all};
