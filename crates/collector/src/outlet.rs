//! What the recorder says, to the archive and to the event sockets.

use std::time::Duration;

use chrono::{DateTime, Utc};
use inetdiag::{Message, Origin};

use crate::events::Events;
use crate::outbox::{Outbox, WorkerGone};
use crate::recorder::Sink;

/// Tells both of everything, each what it needs.
pub struct Outlet {
    outbox: Outbox,
    events: Option<Events>,
}

impl Outlet {
    /// To the archive, and to event sockets if there are any.
    pub fn new(outbox: Outbox, events: Option<Events>) -> Self {
        Self { outbox, events }
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
        if let Some(events) = &mut self.events {
            events.send();
        }
        self.outbox.send(interval)
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
        self.outbox.record(message, origin);
    }

    fn close(&mut self, cookie: u64, last: Option<Message<'_>>) {
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
        self.outbox.vanish(cookie);
        if let Some(events) = &mut self.events {
            events.close(cookie, None);
        }
    }
}
