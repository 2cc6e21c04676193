//! The archive on disk: one zstd JSONL file per connection, complete and never changed once it has its name.
//!
//! What happens to a record:
//!
//! 1. [`Saver::record`] keeps it with those of its connection that wait: the first as it is, the others as what
//!    differs from it, about 100 bytes each.
//! 2. When they are enough for a frame, at a certain age, at rotation, close and shutdown, [`Saver::tick`] makes JSONL
//!    lines of them and of these *complete zstd frames*, appended to the connection's `.partial` file in the [`Spool`].
//!    A connection needs no open file, no compressor and no thread, and `kill -9` costs no more than what waited.
//! 3. A file of many small frames is written anew, in few large ones, if there is time for it.
//! 4. At rotation and at close the file is renamed into the date tree, `YYYY/MM/DD/<UUID>.<SEQ>.jsonl.zst`, without
//!    ever replacing another. Whoever watches the tree sees only complete files.
//!
//! At start, [`Spool::open`] takes the directory for itself, [`recover`] finishes what an earlier run left, and
//! [`Saver::continue_noted`] and [`Saver::continue_sequences`] find the next free SEQ of connections that an earlier run
//! already wrote.
//!
//! [`Retention`] deletes finished files that are too old or too much, if that is asked for.
//!
//! Disk errors are values: they are counted in [`Counters`], kept for the caller in [`Saver::take_error`], and tried
//! again each second while records wait in memory, up to a limit beyond which the oldest are dropped and counted. A single
//! file that fails, without the disk lacking room, is left in the spool to the next start, and another begun at once.
//!
//! Frames declare no content size and use no dictionary, because readers of the Go original size their buffer from the
//! first frame. They carry a checksum, so that recovery can tell a torn frame from a whole one.

mod compaction;
mod config;
mod connection;
mod counters;
mod frame;
mod naming;
mod nursery;
mod pending;
mod queue;
mod recovery;
mod retention;
mod saver;
mod sequence;
mod spool;
mod tree;
mod uuid;
mod writer;

pub use config::{Config, HeaderFacts};
pub use counters::{Counters, Losses};
pub use naming::uuid;
pub use pending::Record;
pub use recovery::{Recovery, recover};
pub use retention::{Doomed, Limits, Retention};
pub use saver::Saver;
pub use sequence::{note_sequences, noted_sequences, write_whole};
pub use spool::{DiskError, Leftover, OpenError, Spool};
pub use uuid::{UuidError, check_prefix, default_prefix, prefix_from_file};
