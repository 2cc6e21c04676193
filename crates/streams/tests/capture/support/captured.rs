//! Rings of the tests, and what was captured with them.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netlab::Namespace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use streams::capture::{CaptureError, Fanout, Filter, Interface, Ring, RingOptions};
use streams::packet::{Frame, Link};

use super::PATIENCE;

/// A frame that outlives its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Captured {
    pub(crate) link: Link,
    pub(crate) bytes: Vec<u8>,
    pub(crate) wire_len: u32,
    pub(crate) gso_size: Option<u16>,
    pub(crate) time: u64,
}

impl From<Frame<'_>> for Captured {
    fn from(Frame { link, time, bytes, wire_len, gso_size, .. }: Frame<'_>) -> Self {
        Self { link, bytes: bytes.to_vec(), wire_len, gso_size, time }
    }
}

/// 8 MiB, given up early: the tests wait for it.
pub(crate) const OPTIONS: RingOptions =
    RingOptions { block_size: 64 << 10, blocks: 128, frame_size: 2048, retire: Duration::from_millis(10) };

/// A ring with the built-in filter.
pub(crate) fn ring(namespace: &Namespace, interface: &str) -> Ring {
    open(namespace, interface, "tcp", None).expect("the ring opens")
}

pub(crate) fn open(
    namespace: &Namespace,
    interface: &str,
    filter: &str,
    fanout: Option<Fanout>,
) -> Result<Ring, CaptureError> {
    namespace.run(|| {
        let interface = Interface::named(interface)?;
        let filter = Filter::compile(filter, &interface)?;
        Ring::open(&interface, &filter, &OPTIONS, fanout)
    })
}

/// Reads until there is enough, and fails if that never comes.
pub(crate) fn read_until(ring: &mut Ring, mut is_enough: impl FnMut(&[Captured]) -> bool) -> Vec<Captured> {
    let mut captured = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while !is_enough(&captured) {
        assert!(Instant::now() < deadline, "{} frames, which is not what was waited for", captured.len());
        read_some(ring, &mut captured);
    }
    captured
}

/// Waits a moment for a block, and reads those there are.
pub(crate) fn read_some(ring: &mut Ring, captured: &mut Vec<Captured>) {
    let moment = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    let fd = ring.as_fd();
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&moment)).expect("polls");
    // No more often than there are blocks: a ring that gives the same ones again and again is to be noticed.
    for _ in 0..OPTIONS.blocks {
        let Some(block) = ring.next_block() else { return };
        captured.extend(block.frames().map(Captured::from));
    }
}
