//! What the recorder says, to the archive, to the event sockets, and to the ledger of what connections have carried.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use inetdiag::{Message, Origin};

use crate::events::Events;
use crate::metrics::Ledger;
use crate::outbox::{Outbox, WorkerGone};
use crate::recorder::Sink;

/// Tells all of everything, each what it needs.
pub struct Outlet {
    outbox: Outbox,
    events: Option<Events>,
    ledger: Ledger,
}

impl Outlet {
    /// To the archive, and to event sockets if there are any.
    pub fn new(outbox: Outbox, events: Option<Events>, ledger: Ledger) -> Self {
        Self { outbox, events, ledger }
    }

    /// What connections have carried.
    pub fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Batches that wait for the archive, and for the event sockets.
    pub fn queued(&self) -> (usize, usize) {
        (self.outbox.queued(), self.events.as_ref().map_or(0, Events::queued))
    }

    /// When to send at the latest, whether anything was said or not; `None` if that does not matter.
    pub fn send_again_at(&self) -> Option<Instant> {
        self.outbox.send_again_at()
    }

    /// Gives all that was said since the last call its time.
    pub fn stamp(&mut self, time: DateTime<Utc>) {
        self.outbox.stamp(time);
        if let Some(events) = &mut self.events {
            events.stamp(time);
        }
    }

    /// Sends off what there is; see [`Outbox::send`].
    pub fn send(&mut self, interval: Option<Duration>) -> Result<u64, WorkerGone> {
        let now = Instant::now();
        self.ledger.tick(now);
        if let Some(events) = &mut self.events {
            events.send();
        }
        self.outbox.send(interval, now)
    }

    /// Sends off the rest, and ends.
    pub fn finish(self) {
        self.outbox.finish();
    }
}

impl Sink for Outlet {
    fn open(&mut self, message: Message<'_>) {
        if let Some(events) = &mut self.events {
            events.open(message);
        }
    }

    fn record(&mut self, message: Message<'_>, origin: Origin) {
        self.ledger.record(message, Instant::now());
        self.outbox.record(message, origin);
    }

    fn close(&mut self, cookie: u64, last: Option<Message<'_>>) {
        self.ledger.close(cookie, Instant::now());
        self.outbox.close(cookie, last);
        if let Some(events) = &mut self.events {
            events.close(cookie, last);
        }
    }

    fn absent(&mut self, last: Message<'_>) {
        // The archive waits for its end, and has no more to say by then. Who traces the path of what has ended does not wait.
        if let Some(events) = &mut self.events {
            events.close(last.cookie(), Some(last));
        }
    }

    fn vanish(&mut self, cookie: u64) {
        self.ledger.vanish(cookie, Instant::now());
        self.outbox.vanish(cookie);
        if let Some(events) = &mut self.events {
            events.close(cookie, None);
        }
    }

    fn leave_out(&mut self, cookie: u64) {
        self.ledger.forget(cookie);
        self.outbox.leave_out(cookie);
        if let Some(events) = &mut self.events {
            events.close(cookie, None);
        }
    }
}
