//! The thread that serves all clients: none waits for another, and nobody waits for it.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use rustc_hash::FxHashMap;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, getrlimit};

use super::client::{Client, Fate};
use super::socket::{Listener, Wake};
use super::subscription::Subscription;
use super::v2::{self, Connection};
use super::{Counters, Note, NoteKind, v1};

/// Clients beyond this number are turned away.
const MOST_CLIENTS: usize = 1000;
/// What all clients of the second protocol together have not read.
const QUEUED_LIMIT: usize = 64 << 20;
/// What clients have not read at the end is tried to be sent for so long.
const PATIENCE_AT_END: Duration = Duration::from_millis(200);
/// After a client could not be accepted, for want of descriptors, say.
const REST_AFTER_ERROR: Duration = Duration::from_millis(10);

pub(super) struct Server {
    v1: Option<Listener>,
    v2: Option<Listener>,
    prefix: String,
    batches: Receiver<Vec<Note>>,
    wake: Arc<Wake>,
    counters: Counters,
    clients: Vec<Connected>,
    most_clients: usize,
    open: FxHashMap<u64, Connection>,
}

struct Connected {
    client: Client,
    wants: Wants,
}

/// What a client is to be told.
enum Wants {
    /// Everything, in the original's protocol.
    Original,
    /// Nothing, before it has said what.
    Nothing,
    Some(Subscription),
}

impl Server {
    pub(super) fn new(
        v1: Option<&Path>,
        v2: Option<&Path>,
        prefix: String,
        batches: Receiver<Vec<Note>>,
        wake: Arc<Wake>,
        counters: Counters,
    ) -> io::Result<Self> {
        let [v1, v2] = [v1, v2].map(|path| path.map(Listener::bind).transpose());
        let (clients, open) = (Vec::new(), FxHashMap::default());
        // The archive needs descriptors as well.
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most_clients = usize::try_from(descriptors / 4).map_or(MOST_CLIENTS, |some| some.min(MOST_CLIENTS));
        Ok(Self { v1: v1?, v2: v2?, prefix, batches, wake, counters, clients, most_clients, open })
    }

    /// Serves until the other end of the channel is gone.
    pub(super) fn run(mut self) {
        loop {
            self.wait(None);
            self.wake.clear();
            loop {
                match self.batches.try_recv() {
                    Ok(notes) => self.tell(&notes),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return self.end(),
                }
            }
            self.accept();
            self.counters.clients.set(self.clients.len() as i64);
        }
    }

    /// Waits until there is something to be done, and hears and serves the clients that are ready.
    fn wait(&mut self, until: Option<Instant>) {
        let listeners = [&self.v1, &self.v2].into_iter().flatten().map(|listener| listener.socket.as_fd());
        let first = std::iter::once(self.wake.as_fd()).chain(listeners);
        let mut fds: Vec<_> = first.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let before = fds.len();
        fds.extend(self.clients.iter().map(|connected| {
            // Clients of the first protocol have nothing to say.
            let speaks = connected.client.speaks() && !matches!(connected.wants, Wants::Original);
            let input = if speaks { PollFlags::IN } else { PollFlags::empty() };
            let output = if connected.client.is_behind() { PollFlags::OUT } else { PollFlags::empty() };
            PollFd::from_borrowed_fd(connected.client.as_fd(), input | output)
        }));
        let timeout = until.map(|until| {
            let left = until.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "the event socket cannot be served for a moment");
                std::thread::sleep(REST_AFTER_ERROR);
            }
        }
        let ready: Vec<PollFlags> = fds[before..].iter().map(PollFd::revents).collect();
        let mut queued = self.queued();
        let now = Instant::now();
        let Self { clients, open, prefix, counters, .. } = self;
        let mut ready = ready.into_iter();
        clients.retain_mut(|connected| {
            let events = ready.next().unwrap_or(PollFlags::empty());
            let is_gone = events.intersects(PollFlags::HUP | PollFlags::ERR);
            let mut fate = if is_gone { Fate::Gone } else { Fate::Stays };
            // What is asked for while too much waits is answered when less does.
            if fate == Fate::Stays && events.contains(PollFlags::IN) && queued <= QUEUED_LIMIT {
                let before = connected.client.queued();
                fate = connected.listen(open, prefix, now);
                queued += connected.client.queued().saturating_sub(before);
            }
            if fate == Fate::Stays && events.contains(PollFlags::OUT) {
                fate = connected.client.flush();
            }
            stays(fate, counters)
        });
        self.keep_within_memory();
    }

    fn accept(&mut self) {
        for is_v1 in [true, false] {
            let listener = if is_v1 { &self.v1 } else { &self.v2 };
            let Some(listener) = listener else { continue };
            loop {
                match listener.socket.accept().and_then(|(stream, _)| Client::new(stream)) {
                    Ok(_) if self.clients.len() >= self.most_clients => {
                        self.counters.clients_dropped.with_label_values(&["too_many"]).inc();
                    }
                    Ok(client) => {
                        let wants = if is_v1 { Wants::Original } else { Wants::Nothing };
                        self.clients.push(Connected { client, wants });
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => {
                        std::thread::sleep(REST_AFTER_ERROR);
                        break;
                    }
                }
            }
        }
    }

    /// Tells every client of what happened, and keeps who is open.
    fn tell(&mut self, notes: &[Note]) {
        let mut original = Vec::new();
        let mut lines = Vec::new();
        for note in notes {
            let uuid = saver::uuid(&self.prefix, note.cookie);
            let (kind, connection, text) = match &note.kind {
                NoteKind::Open(header) => {
                    let connection = Connection { header: header.clone(), start: note.time };
                    let mut text = Vec::new();
                    v2::write_open(&mut text, &uuid, &connection, false);
                    self.open.insert(note.cookie, connection.clone());
                    ("open", connection, text)
                }
                NoteKind::Close(totals) => {
                    // Only what was told to be open: it may have been given up before, and its event come now.
                    let Some(connection) = self.open.remove(&note.cookie) else { continue };
                    let mut text = Vec::new();
                    v2::write_close(&mut text, &uuid, &connection, note.time, totals.as_deref());
                    ("close", connection, text)
                }
            };
            v1::write(&mut original, note, &uuid);
            lines.push((connection, text));
            self.counters.events.with_label_values(&[kind]).inc();
        }
        let original: Arc<[u8]> = original.into();
        let now = Instant::now();
        let Self { clients, counters, .. } = self;
        clients.retain_mut(|connected| stays(connected.tell(&original, &lines, now), counters));
        self.keep_within_memory();
    }

    /// What clients of the second protocol have not read.
    fn queued(&self) -> usize {
        self.clients.iter().map(Connected::queued).sum()
    }

    /// Clients of the second protocol each have a copy of what they are told. Beyond the limit, those go that have been
    /// behind for the longest time.
    fn keep_within_memory(&mut self) {
        let mut total = self.queued();
        while total > QUEUED_LIMIT {
            let behind = self.clients.iter().enumerate().filter(|(_, connected)| connected.queued() > 0);
            let Some((at, _)) = behind.min_by_key(|(_, connected)| connected.client.behind_since()) else { return };
            total -= self.clients.swap_remove(at).queued();
            stays(Fate::Slow, &self.counters);
        }
    }

    /// Sends what waits, as far as it is read soon.
    fn end(mut self) {
        let until = Instant::now() + PATIENCE_AT_END;
        while Instant::now() < until {
            self.clients.retain(|connected| connected.client.is_behind());
            if self.clients.is_empty() {
                return;
            }
            self.wait(Some(until));
        }
    }
}

impl Connected {
    /// What it has not read of what is its own.
    fn queued(&self) -> usize {
        if matches!(self.wants, Wants::Original) { 0 } else { self.client.queued() }
    }

    fn tell(&mut self, original: &Arc<[u8]>, lines: &[(Connection, Vec<u8>)], now: Instant) -> Fate {
        match &self.wants {
            Wants::Original => self.client.tell(original, now),
            Wants::Nothing => Fate::Stays,
            Wants::Some(subscription) => {
                let wanted = lines.iter().filter(|(connection, _)| subscription.wants(&connection.header));
                let text: Vec<u8> = wanted.flat_map(|(_, line)| line).copied().collect();
                self.client.tell(&text.into(), now)
            }
        }
    }

    /// The first line of a client of the second protocol says what it wants; it is then told what is open already.
    /// Another one changes it.
    fn listen(&mut self, open: &FxHashMap<u64, Connection>, prefix: &str, now: Instant) -> Fate {
        let Self { client, wants } = self;
        let mut replay = Vec::new();
        let fate = client.listen(now, |line| {
            let Some(subscription) = Subscription::parse(line) else { return false };
            if matches!(wants, Wants::Nothing) {
                for (&cookie, connection) in
                    open.iter().filter(|(_, connection)| subscription.wants(&connection.header))
                {
                    v2::write_open(&mut replay, &saver::uuid(prefix, cookie), connection, true);
                }
            }
            *wants = Wants::Some(subscription);
            true
        });
        if fate == Fate::Stays { client.answer(&replay.into(), now) } else { fate }
    }
}

fn stays(fate: Fate, counters: &Counters) -> bool {
    let reason = match fate {
        Fate::Stays => return true,
        Fate::Gone => return false,
        Fate::Slow => "slow",
        Fate::Malformed => "malformed",
    };
    counters.clients_dropped.with_label_values(&[reason]).inc();
    false
}
