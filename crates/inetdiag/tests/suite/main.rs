//! What the crate makes of real captures, of real archives, and of bytes that are neither.
//!
//! One binary, for it links once. Captures and archives of our own are in `testdata`; others are looked for beside
//! the repository and skipped where they are not.

#[path = "../support/mod.rs"]
mod support;

mod estats;
mod hostile;
mod memory;
mod other_archives;
mod other_kernels;
mod own_captures;
mod reader;
mod round_trip;
mod schema;
mod streams;
mod transfer;
