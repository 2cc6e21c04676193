//! The archive on disk, driven with made-up sockets and made-up time, and read back.
//!
//! One binary, for it links once.

#[path = "../support/mod.rs"]
mod support;

mod accounting;
mod broken_disk;
mod compaction;
mod contract;
mod directories;
mod full_disk;
mod recovery;
mod restart;
mod retention;
mod rotation;
mod shutdown;
mod vanished;
