//! From the polling thread to the workers: batches of records by cookie, and buffers that come back to be filled again.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use inetdiag::{Message, Origin};
use prometheus::IntCounter;
use thiserror::Error;

use crate::anonymize::Anonymizer;
use crate::recorder::Sink;

/// Batches that may wait for a worker. While they do, further polls are gathered in the next one.
const QUEUE_LEN: usize = 2;
/// A batch of this size is not gathered on: polling waits for the worker instead, and that is counted.
const BATCH_LIMIT: usize = 4 << 20;

/// A worker has ended before it was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a worker of the archive is gone")]
pub struct WorkerGone;

/// What happened to connections, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// Socket messages, one behind the other.
    bytes: Vec<u8>,
    events: Vec<Event>,
    /// How far apart polls were when it was sent off; `None` without polls.
    pub interval: Option<Duration>,
}

/// One thing that happened to one connection.
#[derive(Debug, Clone, Copy)]
struct Event {
    cookie: u64,
    time: DateTime<Utc>,
    kind: EventKind,
}

#[derive(Debug, Clone, Copy)]
enum EventKind {
    /// A record, by its place in `bytes`.
    Record {
        start: usize,
        end: usize,
        origin: Origin,
    },
    Close,
    Vanish,
}

/// An event as the worker sees it.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'b> {
    /// A record to archive.
    Record {
        /// The socket.
        message: Message<'b>,
        /// When the kernel was asked.
        time: DateTime<Utc>,
        /// How it came to be known.
        origin: Origin,
    },
    /// The end of a connection.
    Close {
        /// Its cookie.
        cookie: u64,
    },
    /// A connection that nothing is seen of any more.
    Vanish {
        /// Its cookie.
        cookie: u64,
    },
}

impl Batch {
    /// The events in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.events.iter().filter_map(|event| match event.kind {
            EventKind::Close => Some(Entry::Close { cookie: event.cookie }),
            EventKind::Vanish => Some(Entry::Vanish { cookie: event.cookie }),
            EventKind::Record { start, end, origin } => {
                let message = Message::new(&self.bytes[start..end]).ok()?;
                Some(Entry::Record { message, time: event.time, origin })
            }
        })
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.events.clear();
    }
}

/// The worker's end of one shard.
#[derive(Debug)]
pub struct Inbox {
    /// Batches to handle.
    pub batches: Receiver<Batch>,
    /// Where handled ones go back to.
    pub spare: Sender<Batch>,
}

#[derive(Debug)]
struct Shard {
    batch: Batch,
    /// Events before this one have their time.
    unstamped: usize,
    batches: Sender<Batch>,
    spare: Receiver<Batch>,
}

/// Gathers what the recorder says, by shard, and sends it off once per poll.
#[derive(Debug)]
pub struct Outbox {
    shards: Vec<Shard>,
    stalls: IntCounter,
    /// What the workers get has no addresses but those that it leaves.
    anonymizer: Arc<Anonymizer>,
}

impl Outbox {
    /// An outbox for `workers` workers, and the inbox of each. `stalls` counts the times that polling waited for a worker.
    pub fn new(workers: usize, stalls: IntCounter, anonymizer: Arc<Anonymizer>) -> (Self, Vec<Inbox>) {
        let (shards, inboxes) = (0..workers.max(1))
            .map(|_| {
                let (batches, worker_batches) = bounded(QUEUE_LEN);
                let (worker_spare, spare) = bounded(QUEUE_LEN + 1);
                let shard = Shard { batch: Batch::default(), unstamped: 0, batches, spare };
                (shard, Inbox { batches: worker_batches, spare: worker_spare })
            })
            .unzip();
        (Self { shards, stalls, anonymizer }, inboxes)
    }

    /// Gives all events since the last call their time, cut to the millisecond: a poll has one time, that of its end.
    pub fn stamp(&mut self, time: DateTime<Utc>) {
        let time = time.trunc_subsecs(3);
        for shard in &mut self.shards {
            for event in &mut shard.batch.events[shard.unstamped..] {
                event.time = time;
            }
            shard.unstamped = shard.batch.events.len();
        }
    }

    /// Sends off what there is, with how far apart polls are. A worker that lags behind gets it with the next batch; one that lags far behind is
    /// waited for. Says how often that was. The error is that a worker is gone, which only a defect of this program can bring about.
    pub fn send(&mut self, interval: Option<Duration>) -> Result<u64, WorkerGone> {
        let mut stalls = 0;
        for shard in &mut self.shards {
            if shard.batch.events.is_empty() {
                continue;
            }
            let batch = Batch { interval, ..std::mem::take(&mut shard.batch) };
            let refused = match shard.batches.try_send(batch) {
                Ok(()) => None,
                Err(TrySendError::Full(batch)) if batch.bytes.len() < BATCH_LIMIT => Some(batch),
                Err(TrySendError::Full(batch)) => {
                    stalls += 1;
                    shard.batches.send(batch).map_err(|_| WorkerGone)?;
                    None
                }
                Err(TrySendError::Disconnected(_)) => return Err(WorkerGone),
            };
            shard.batch = refused.unwrap_or_else(|| shard.spare.try_recv().unwrap_or_default());
            shard.unstamped = shard.batch.events.len();
        }
        self.stalls.inc_by(stalls);
        Ok(stalls)
    }

    /// Batches that wait for the workers.
    pub fn queued(&self) -> usize {
        self.shards.iter().map(|shard| shard.batches.len()).sum()
    }

    /// Sends off what there is, waiting for the workers where needed. Their channels end with it.
    pub fn finish(self) {
        for shard in self.shards {
            if !shard.batch.events.is_empty() {
                // A worker that is gone takes nothing; its end is reported where it is joined.
                let _ = shard.batches.send(shard.batch);
            }
        }
    }

    fn push(&mut self, cookie: u64, kind: impl FnOnce(&mut Vec<u8>, &Anonymizer) -> EventKind) {
        let shards = self.shards.len() as u64;
        // Cookies count up by one, so consecutive connections go to different workers.
        let Batch { bytes, events, .. } = &mut self.shards[(cookie % shards) as usize].batch;
        let kind = kind(bytes, &self.anonymizer);
        events.push(Event { cookie, time: DateTime::UNIX_EPOCH, kind });
    }
}

impl Sink for Outbox {
    fn open(&mut self, _: Message<'_>) {}

    fn record(&mut self, message: Message<'_>, origin: Origin) {
        self.push(message.cookie(), |bytes, anonymizer| {
            let start = bytes.len();
            bytes.extend_from_slice(message.as_bytes());
            anonymizer.apply(&mut bytes[start..]);
            EventKind::Record { start, end: bytes.len(), origin }
        });
    }

    fn close(&mut self, cookie: u64, _: Option<Message<'_>>) {
        self.push(cookie, |_, _| EventKind::Close);
    }

    fn absent(&mut self, _: Message<'_>) {}

    fn vanish(&mut self, cookie: u64) {
        self.push(cookie, |_, _| EventKind::Vanish);
    }

    fn leave_out(&mut self, cookie: u64) {
        self.vanish(cookie);
    }
}

impl Inbox {
    /// Gives a handled batch back.
    pub fn give_back(&self, mut batch: Batch) {
        batch.clear();
        // With the outbox gone nobody needs it.
        let _ = self.spare.try_send(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(cookie: u32) -> Vec<u8> {
        let mut bytes = vec![0u8; 72];
        bytes[44..48].copy_from_slice(&cookie.to_ne_bytes());
        bytes
    }

    fn record(outbox: &mut Outbox, cookie: u32) {
        outbox.record(Message::new(&message(cookie)).expect("long enough"), Origin::Poll(1));
    }

    fn outbox(workers: usize) -> (Outbox, Vec<Inbox>) {
        Outbox::new(workers, IntCounter::new("stalls", "Stalls.").expect("a name"), Arc::default())
    }

    #[test]
    fn events_keep_their_order_and_get_the_time_of_their_poll() {
        let (mut outbox, inboxes) = outbox(1);
        let at = |seconds| DateTime::from_timestamp(seconds, 0).expect("a time");
        record(&mut outbox, 1);
        outbox.stamp(at(10));
        record(&mut outbox, 2);
        outbox.close(1, None);
        outbox.stamp(at(20));
        outbox.send(None).expect("the worker is there");
        let batch = inboxes[0].batches.recv().expect("a batch");
        let seen: Vec<_> = batch
            .entries()
            .map(|entry| match entry {
                Entry::Record { message, time, .. } => (message.cookie(), Some(time.timestamp())),
                Entry::Close { cookie } | Entry::Vanish { cookie } => (cookie, None),
            })
            .collect();
        assert_eq!(seen, [(1, Some(10)), (2, Some(20)), (1, None)]);
    }

    #[test]
    fn a_worker_that_lags_far_behind_is_waited_for_and_that_is_counted() {
        let (mut outbox, mut inboxes) = outbox(1);
        let stalls = outbox.stalls.clone();
        let large = [message(1), vec![0; BATCH_LIMIT]].concat();
        let inbox = inboxes.remove(0);
        let slow_worker = std::thread::spawn(move || {
            let count = |batch: Batch| {
                std::thread::sleep(Duration::from_millis(20)); // it is slow: that is what it is for
                batch.entries().count()
            };
            inbox.batches.into_iter().map(count).sum::<usize>()
        });
        let mut sent = 0;
        while stalls.get() == 0 {
            outbox.record(Message::new(&large).expect("long enough"), Origin::Poll(1));
            outbox.send(None).expect("the worker is there");
            sent += 1;
        }
        assert_eq!(stalls.get(), 1);
        outbox.finish();
        assert_eq!(slow_worker.join().expect("ends"), sent, "nothing is lost by waiting");
    }

    #[test]
    fn a_worker_that_is_gone_is_an_error() {
        let (mut outbox, inboxes) = outbox(1);
        drop(inboxes);
        assert_eq!(outbox.send(None), Ok(0), "there is nothing to send");
        record(&mut outbox, 1);
        assert_eq!(outbox.send(None), Err(WorkerGone));
    }

    #[test]
    fn a_lagging_worker_gets_everything_in_fewer_batches() {
        let (mut outbox, inboxes) = outbox(2);
        for cookie in 0..100 {
            record(&mut outbox, cookie);
            outbox.send(None).expect("the workers are there");
        }
        let finish = std::thread::spawn(|| outbox.finish());
        for (shard, inbox) in inboxes.iter().enumerate() {
            let mut cookies = Vec::new();
            for batch in &inbox.batches {
                cookies.extend(batch.entries().map(|entry| match entry {
                    Entry::Record { message, .. } => message.cookie(),
                    Entry::Close { cookie } | Entry::Vanish { cookie } => cookie,
                }));
            }
            let expected: Vec<u64> = (0..100).filter(|cookie| cookie % 2 == shard as u64).collect();
            assert_eq!(cookies, expected);
        }
        finish.join().expect("ends with its last batch taken");
    }
}
