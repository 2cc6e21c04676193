//! An interface that is captured on, for as long as it is there, and again when it comes back.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::capture::{Block, CaptureError, Fanout, Filter, Interface, Ring, RingOptions, Statistics};

/// A ring, and what it takes to open another one.
pub(super) struct Source {
    interface: Interface,
    expression: String,
    options: RingOptions,
    ring: Ring,
    /// What the sources of this interface have in common, if several threads capture on it.
    group: Option<Arc<Mutex<Group>>>,
    /// Which of the groups the ring belongs to.
    generation: u64,
    is_up: bool,
    /// Whether the last ring that was wanted could not be opened.
    has_failed: bool,
    /// Of rings before this one.
    before: Statistics,
}

/// The fanout group of an interface, to which the rings of all its sources belong, or will.
///
/// A group ends with its interface. Of one that was made anew the first source to notice makes another group, and the others
/// follow it there.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Groups that there have been.
    generation: u64,
    /// The number of the last one.
    number: u16,
}

impl Source {
    /// Captures on the interface of that name; together with other sources, if these are given the same group.
    pub(super) fn open(
        name: &str,
        expression: &str,
        options: RingOptions,
        group: Option<Arc<Mutex<Group>>>,
    ) -> Result<Self, CaptureError> {
        let interface = Interface::named(name)?;
        let mut generation = 0;
        let ring = open_ring(&interface, expression, &options, group.as_deref(), &mut generation)?;
        if !interface.is_up() {
            tracing::warn!(interface = name, "the interface is down, and gives no packets until it is up");
        }
        let (expression, is_up, before) = (expression.to_owned(), interface.is_up(), Statistics::default());
        Ok(Self { interface, expression, options, ring, group, generation, is_up, has_failed: false, before })
    }

    pub(super) fn name(&self) -> &str {
        self.interface.name()
    }

    /// Whether the interface was there, up and captured on when it was looked at last.
    pub(super) fn is_up(&self) -> bool {
        self.is_up
    }

    pub(super) fn next_block(&mut self) -> Option<Block<'_>> {
        self.ring.next_block()
    }

    /// What has become of packets since the beginning.
    pub(super) fn statistics(&mut self) -> Statistics {
        let mut all = self.before;
        match self.ring.statistics() {
            Ok(these) => all.add(&these),
            Err(error) => {
                tracing::warn!(interface = self.name(), %error, "the kernel does not say how many packets it dropped");
            }
        }
        all
    }

    /// Takes note of what happened to the interface; unless that is done, the ring seems readable.
    pub(super) fn take_error(&mut self) {
        if let Err(error) = self.ring.take_error() {
            tracing::debug!(interface = self.name(), %error, "it was down, or is");
        }
    }

    /// Looks how the interface is. If it was made anew, or another one has its name, captures on that one: if not now, at
    /// one of the next looks.
    ///
    /// The socket is asked, for whether something happened to it is noticed only while nothing else is to be done.
    pub(super) fn look(&mut self) {
        let was_up = self.is_up;
        self.is_up = match Interface::named(self.name()) {
            Ok(interface) => {
                let is_up = interface.is_up();
                (self.is_on(&interface) || self.capture_on(interface)) && is_up
            }
            Err(_) => false,
        };
        match (was_up, self.is_up) {
            (true, false) => {
                tracing::warn!(interface = self.name(), "the interface is down or gone, and gives no packets")
            }
            (false, true) => tracing::info!(interface = self.name(), "the interface is up, and captured on again"),
            _ => {}
        }
    }

    /// Whether the ring belongs to this interface, and to the group of the others.
    fn is_on(&self, interface: &Interface) -> bool {
        let is_in_group = self.group.as_deref().is_none_or(|group| lock(group).generation == self.generation);
        // What is not known is as good as not so.
        let is_bound = self.ring.is_bound().unwrap_or(false);
        !self.has_failed && is_in_group && is_bound && interface.index() == self.interface.index()
    }

    /// Opens another ring. Says whether it could.
    fn capture_on(&mut self, interface: Interface) -> bool {
        let group = self.group.as_deref();
        match open_ring(&interface, &self.expression, &self.options, group, &mut self.generation) {
            Ok(ring) => {
                tracing::info!(interface = self.name(), "the interface was made anew");
                self.before = self.statistics();
                (self.ring, self.interface, self.has_failed) = (ring, interface, false);
            }
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                tracing::error!(interface = self.name(), %error, "the interface was made anew, and cannot be captured on yet");
            }
            Err(_) => {}
        }
        !self.has_failed
    }
}

/// Opens a ring in the group that there is by now; if that is the one of the ring before, which this generation says, in a
/// new group.
fn open_ring(
    interface: &Interface,
    expression: &str,
    options: &RingOptions,
    group: Option<&Mutex<Group>>,
    generation: &mut u64,
) -> Result<Ring, CaptureError> {
    let filter = Filter::compile(expression.trim(), interface)?;
    let Some(group) = group else {
        return Ring::open(interface, &filter, options, None);
    };
    // The others wait: each would make a group of its own.
    let mut group = lock(group);
    let is_first = group.generation == *generation;
    // Should it fail to join the others, they are those of an interface that is gone again: the next group is of its making.
    *generation = group.generation;
    let fanout = if is_first { Fanout::New } else { Fanout::Join(group.number) };
    let ring = Ring::open(interface, &filter, options, Some(fanout))?;
    if let (true, Some(number)) = (is_first, ring.fanout_group()) {
        *generation += 1;
        *group = Group { generation: *generation, number };
    }
    Ok(ring)
}

fn lock(group: &Mutex<Group>) -> MutexGuard<'_, Group> {
    group.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
