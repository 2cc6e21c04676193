//! An interface that is captured on, for as long as it is there, and again when it comes back.

use std::os::fd::{AsFd, BorrowedFd};

use crate::capture::{Block, CaptureError, Fanout, Filter, Interface, Ring, RingOptions, Statistics};

/// A ring, and what it takes to open another one.
pub(super) struct Source {
    interface: Interface,
    expression: String,
    options: RingOptions,
    ring: Ring,
    /// Whether it went down, and may be another interface when it is up again.
    is_down: bool,
    /// Of rings before this one.
    before: Statistics,
}

impl Source {
    pub(super) fn open(
        name: &str,
        expression: &str,
        options: RingOptions,
        fanout: Option<Fanout>,
    ) -> Result<Self, CaptureError> {
        let interface = Interface::named(name)?;
        let ring = Ring::open(&interface, &Filter::compile(expression.trim(), &interface)?, &options, fanout)?;
        let (expression, before) = (expression.to_owned(), Statistics::default());
        Ok(Self { interface, expression, options, ring, is_down: false, before })
    }

    pub(super) fn fanout_group(&self) -> Option<u16> {
        self.ring.fanout_group()
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
                tracing::warn!(interface = self.interface.name(), %error, "the kernel does not say how many packets it dropped");
            }
        }
        all
    }

    /// Takes note of what happened to the interface.
    pub(super) fn look_at_error(&mut self) {
        if let Err(error) = self.ring.take_error() {
            self.is_down = true;
            tracing::warn!(interface = self.interface.name(), %error, "the interface gives no packets until it is up again");
        }
    }

    /// If the interface went down, and another one has its name by now, captures on that one.
    pub(super) fn look_for_another(&mut self) {
        if !self.is_down {
            return;
        }
        let name = self.interface.name();
        let Ok(interface) = Interface::named(name) else { return };
        if interface.index() == self.interface.index() {
            return;
        }
        if self.ring.fanout_group().is_some() {
            self.is_down = false;
            tracing::error!(
                interface = name,
                "it was made anew; captured by several threads, it is not captured on again: restart"
            );
            return;
        }
        let ring = Filter::compile(self.expression.trim(), &interface)
            .and_then(|filter| Ring::open(&interface, &filter, &self.options, None));
        match ring {
            Ok(ring) => {
                tracing::info!(interface = name, "it was made anew, and is captured on again");
                self.before = self.statistics();
                (self.ring, self.interface, self.is_down) = (ring, interface, false);
            }
            Err(error) => {
                self.is_down = false;
                tracing::error!(interface = name, %error, "it was made anew, and cannot be captured on");
            }
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}
