//! The event socket: tells programs on this host of connections as they come and go.
//!
//! The polling thread gathers notes, a batch a poll, and never waits: [`Events`]. One thread serves all clients
//! (`server`), in the Go original's protocol (`v1`) and in our own (`v2`); docs/events.md describes both.

mod client;
mod server;
mod socket;
mod subscription;
mod v1;
mod v2;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use chrono::{DateTime, Utc};
use crossbeam_channel::{Sender, TrySendError, bounded};
use inetdiag::{InetDiagMsg, Message, TcpInfo, attribute};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use serde::Serialize;

use crate::anonymize::Anonymizer;
use crate::limiter::LogLimiter;
use server::Server;
use socket::Wake;

/// Batches that may wait for the server.
const QUEUE_LEN: usize = 16;
/// Notes that are gathered while it lags; what comes then is dropped and counted.
const MOST_NOTES: usize = 100_000;

/// What happened to one connection.
#[derive(Debug, Clone)]
struct Note {
    cookie: u64,
    time: DateTime<Utc>,
    kind: NoteKind,
}

#[derive(Debug, Clone)]
enum NoteKind {
    /// It was seen for the first time.
    Open(Box<InetDiagMsg>),
    /// It is gone; with its totals, where they are known.
    Close(Option<Box<Totals>>),
}

/// What a connection came to, by its final record. A field is absent where the kernel did not send it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Totals {
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_acked: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_received: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_sent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_retrans: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segs_out: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segs_in: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_retrans: Option<u32>,
    /// Microseconds.
    #[serde(rename = "MinRTT", skip_serializing_if = "Option::is_none")]
    min_rtt: Option<u32>,
}

/// What the sockets count.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Events told, by kind: `open`, `close`.
    pub events: IntCounterVec,
    /// Events that were not told because the server lagged.
    pub dropped: IntCounter,
    /// Clients connected.
    pub clients: IntGauge,
    /// Clients dropped, by reason: `slow`, `too_many`, `malformed`.
    pub clients_dropped: IntCounterVec,
}

impl Counters {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let labelled = |name: &str, help: &str, label: &str, values: &[&str]| -> prometheus::Result<IntCounterVec> {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            values.iter().for_each(|value| counter.with_label_values(&[value]).inc_by(0));
            Ok(counter)
        };
        let dropped = IntCounter::new(
            "tcpinfo_flow_events_dropped_total",
            "Events of connections not told on the event sockets because their server lagged.",
        )?;
        let clients = IntGauge::new("tcpinfo_eventsocket_clients", "Clients connected to the event sockets.")?;
        registry.register(Box::new(dropped.clone()))?;
        registry.register(Box::new(clients.clone()))?;
        Ok(Self {
            events: labelled(
                "tcpinfo_flow_events_total",
                "Events told on the event sockets.",
                "event",
                &["open", "close"],
            )?,
            dropped,
            clients,
            clients_dropped: labelled(
                "tcpinfo_eventsocket_clients_dropped_total",
                "Clients of the event sockets that were dropped.",
                "reason",
                &["slow", "too_many", "malformed"],
            )?,
        })
    }
}

/// The polling thread's end.
pub struct Events {
    notes: Vec<Note>,
    /// Notes before this one have their time.
    unstamped: usize,
    batches: Sender<Vec<Note>>,
    wake: Arc<Wake>,
    anonymizer: Arc<Anonymizer>,
    counters: Counters,
    limiter: LogLimiter,
    server: Option<JoinHandle<()>>,
}

impl Events {
    /// Binds the sockets and starts to serve them: the original's protocol on one, ours on the other.
    pub fn start(
        v1: Option<&Path>,
        v2: Option<&Path>,
        prefix: &str,
        anonymizer: Arc<Anonymizer>,
        counters: Counters,
    ) -> io::Result<Self> {
        let (batches, received) = bounded(QUEUE_LEN);
        let wake = Arc::new(Wake::new()?);
        let server = Server::new(v1, v2, prefix.to_owned(), received, Arc::clone(&wake), counters.clone())?;
        let server = std::thread::Builder::new().name("events".to_owned()).spawn(move || server.run())?;
        let (notes, limiter, server) = (Vec::new(), LogLimiter::default(), Some(server));
        Ok(Self { notes, unstamped: 0, batches, wake, anonymizer, counters, limiter, server })
    }

    /// A connection is seen for the first time.
    pub fn open(&mut self, message: Message<'_>) {
        let mut bytes = message.as_bytes()[..InetDiagMsg::SIZE].to_vec();
        self.anonymizer.apply(&mut bytes);
        if let Ok(view) = Message::new(&bytes) {
            self.push(message.cookie(), NoteKind::Open(Box::new(*view.header())));
        }
    }

    /// A connection is gone. `last` is its final record, if there is one.
    pub fn close(&mut self, cookie: u64, last: Option<Message<'_>>) {
        self.push(cookie, NoteKind::Close(last.map(|message| Box::new(Totals::of(message)))));
    }

    fn push(&mut self, cookie: u64, kind: NoteKind) {
        // An end is always told: of what was told to be open there are not more.
        if self.notes.len() < MOST_NOTES || matches!(kind, NoteKind::Close(_)) {
            return self.notes.push(Note { cookie, time: DateTime::UNIX_EPOCH, kind });
        }
        self.counters.dropped.inc();
        if self.limiter.allows("dropped") {
            tracing::warn!("the event sockets lag: connections come of which their clients are not told");
        }
    }

    /// Gives all notes since the last call their time.
    pub fn stamp(&mut self, time: DateTime<Utc>) {
        self.notes[self.unstamped..].iter_mut().for_each(|note| note.time = time);
        self.unstamped = self.notes.len();
    }

    /// Batches that wait for the server.
    pub fn queued(&self) -> usize {
        self.batches.len()
    }

    /// Hands on what there is. A server that lags gets it with the next batch.
    pub fn send(&mut self) {
        if self.notes.is_empty() {
            return;
        }
        match self.batches.try_send(std::mem::take(&mut self.notes)) {
            Ok(()) => self.wake.up(),
            Err(TrySendError::Full(notes)) => self.notes = notes,
            // The server has ended: there is nobody to tell.
            Err(TrySendError::Disconnected(_)) => {}
        }
        self.unstamped = self.notes.len();
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.send();
        // The channel ends with this, and the server looks.
        let (ended, _) = bounded(0);
        self.batches = ended;
        self.wake.up();
        // It takes a moment at most, and its sockets go with it.
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

impl Totals {
    fn of(message: Message<'_>) -> Self {
        let Some(info) = message.attribute(attribute::INET_DIAG_INFO) else { return Self::default() };
        let info = TcpInfo::decode(info.payload);
        Self {
            bytes_acked: info.bytes_acked(),
            bytes_received: info.bytes_received(),
            bytes_sent: info.bytes_sent(),
            bytes_retrans: info.bytes_retrans(),
            segs_out: info.segs_out(),
            segs_in: info.segs_in(),
            total_retrans: info.total_retrans(),
            min_rtt: info.min_rtt(),
        }
    }
}
