//! Streams of real connections, over paths that lose and reorder, beside what others make of the same packets.
//!
//! One binary, for it links once.

mod live;
mod pauses;
mod support;
mod tshark;
