//! From the polling thread to the workers: batches of records by cookie, and buffers that come back to be filled again.
//! On the way records get what packets say of their connection, if that is known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, Utc};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use inetdiag::{Message, Origin, Streams};
use prometheus::IntCounter;
use saver::Record;
use thiserror::Error;

use crate::anonymize::Anonymizer;
use crate::extended::Extended;
use crate::join::{Joiner, Released};
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
    /// What packets say of some of the records, with the number of their events.
    streams: Vec<(usize, Streams)>,
    /// How far apart polls were when it was sent off; `None` without polls.
    pub interval: Option<Duration>,
}

/// One thing that happened to one connection.
#[derive(Debug, Clone, Copy)]
struct Event {
    cookie: u64,
    /// `None` until it is told.
    time: Option<DateTime<Utc>>,
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
    Record(Record<'b>),
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
        let mut streams = self.streams.iter().peekable();
        self.events.iter().enumerate().filter_map(move |(number, event)| match event.kind {
            EventKind::Close => Some(Entry::Close { cookie: event.cookie }),
            EventKind::Vanish => Some(Entry::Vanish { cookie: event.cookie }),
            EventKind::Record { start, end, origin } => {
                let streams = streams.next_if(|(of, _)| *of == number).map(|(_, streams)| streams);
                let message = Message::new(&self.bytes[start..end]).ok()?;
                Some(Entry::Record(Record { message, time: event.time.unwrap_or_default(), origin, streams }))
            }
        })
    }

    fn size(&self) -> usize {
        self.bytes.len() + size_of_val(&self.streams[..])
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.events.clear();
        self.streams.clear();
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
    /// Knows what packets say, if anybody looks at them.
    joiner: Option<Joiner>,
    /// Has the last values of extended statistics, if any are kept.
    extended: Option<Box<Extended>>,
}

impl Outbox {
    /// An outbox for `workers` workers, and the inbox of each. `stalls` counts the times that polling waited for a worker.
    /// With a `joiner`, records get what packets say, and final ones are held back until that is known; with `extended`, records of
    /// destroy events get the last value of their socket.
    pub fn new(
        workers: usize,
        stalls: IntCounter,
        anonymizer: Arc<Anonymizer>,
        joiner: Option<Joiner>,
        extended: Option<Box<Extended>>,
    ) -> (Self, Vec<Inbox>) {
        let (shards, inboxes) = (0..workers.max(1))
            .map(|_| {
                let (batches, worker_batches) = bounded(QUEUE_LEN);
                let (worker_spare, spare) = bounded(QUEUE_LEN + 1);
                let shard = Shard { batch: Batch::default(), unstamped: 0, batches, spare };
                (shard, Inbox { batches: worker_batches, spare: worker_spare })
            })
            .unzip();
        (Self { shards, stalls, anonymizer, joiner, extended }, inboxes)
    }

    /// Gives all events since the last call their time, cut to the millisecond: a poll has one time, that of its end.
    /// What was held back has its time already.
    pub fn stamp(&mut self, time: DateTime<Utc>) {
        let time = time.trunc_subsecs(3);
        if let Some(joiner) = &mut self.joiner {
            joiner.stamp(time);
        }
        for shard in &mut self.shards {
            for event in &mut shard.batch.events[shard.unstamped..] {
                event.time.get_or_insert(time);
            }
            shard.unstamped = shard.batch.events.len();
        }
    }

    /// Sends off what there is, with how far apart polls are. A worker that lags behind gets it with the next batch; one that lags far behind is
    /// waited for. Says how often that was. The error is that a worker is gone, which only a defect of this program can bring about.
    pub fn send(&mut self, interval: Option<Duration>, now: Instant) -> Result<u64, WorkerGone> {
        if let Some(joiner) = &mut self.joiner {
            joiner.fetch(now);
            self.let_go();
        }
        if let Some(extended) = &mut self.extended
            && extended.drain_again_at() <= now
        {
            extended.drain(now);
        }
        let mut stalls = 0;
        for shard in &mut self.shards {
            if shard.batch.events.is_empty() {
                continue;
            }
            let batch = Batch { interval, ..std::mem::take(&mut shard.batch) };
            let refused = match shard.batches.try_send(batch) {
                Ok(()) => None,
                Err(TrySendError::Full(batch)) if batch.size() < BATCH_LIMIT => Some(batch),
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

    /// When to [`send`](Outbox::send) at the latest; `None` if nothing can be held back.
    pub fn send_again_at(&self) -> Option<Instant> {
        let joined = self.joiner.as_ref().map(Joiner::fetch_again_at);
        joined.into_iter().chain(self.extended.as_ref().map(|extended| extended.drain_again_at())).min()
    }

    /// Sends off what there is, waiting for the workers where needed. Their channels end with it.
    pub fn finish(mut self) {
        if let Some(joiner) = &mut self.joiner {
            joiner.finish(Instant::now());
            self.let_go();
        }
        for shard in self.shards {
            if !shard.batch.events.is_empty() {
                // A worker that is gone takes nothing; its end is reported where it is joined.
                let _ = shard.batches.send(shard.batch);
            }
        }
    }

    fn push(&mut self, cookie: u64, kind: EventKind) {
        batch_of(&mut self.shards, cookie).events.push(Event { cookie, time: None, kind });
    }

    fn push_record(
        &mut self,
        message: Message<'_>,
        time: Option<DateTime<Utc>>,
        origin: Origin,
        streams: Option<&Streams>,
    ) {
        let cookie = message.cookie();
        let Batch { bytes, events, streams: of_events, .. } = batch_of(&mut self.shards, cookie);
        let start = bytes.len();
        bytes.extend_from_slice(message.as_bytes());
        self.anonymizer.apply(&mut bytes[start..]);
        if let Some(streams) = streams {
            of_events.push((events.len(), *streams));
        }
        events.push(Event { cookie, time, kind: EventKind::Record { start, end: bytes.len(), origin } });
    }

    /// Adds what packets say, if anybody looks at them.
    fn join(&mut self, message: Message<'_>, origin: Origin) {
        let Some(joiner) = &mut self.joiner else { return self.push_record(message, None, origin, None) };
        let streams = match origin {
            Origin::Poll(_) => joiner.news(message),
            Origin::Destroy { is_final: true } => match joiner.last(message) {
                None => return self.let_go(),
                streams => streams,
            },
            // Without its remote port nothing is to be found of it.
            Origin::Destroy { is_final: false } => None,
        };
        self.let_go();
        self.push_record(message, None, origin, streams.as_ref());
    }

    /// Takes the final records that the joiner holds back no longer.
    fn let_go(&mut self) {
        while let Some(released) = self.joiner.as_mut().and_then(Joiner::released) {
            let Released { message, time, streams, is_closed } = released;
            // It was a message when it came.
            let Ok(message) = Message::new(&message) else { continue };
            self.push_record(message, time, Origin::Destroy { is_final: true }, streams.as_ref());
            if is_closed {
                self.push(message.cookie(), EventKind::Close);
            }
        }
    }
}

/// Cookies count up by one, so consecutive connections go to different workers.
fn batch_of(shards: &mut [Shard], cookie: u64) -> &mut Batch {
    let number = cookie % shards.len() as u64;
    &mut shards[number as usize].batch
}

impl Sink for Outbox {
    fn open(&mut self, _: Message<'_>) {}

    fn record(&mut self, message: Message<'_>, origin: Origin) {
        let extended = match origin {
            Origin::Destroy { .. } => self.extended.take(),
            Origin::Poll(_) => None,
        };
        match extended {
            None => self.join(message, origin),
            Some(mut extended) => {
                self.join(extended.complete(message), origin);
                self.extended = Some(extended);
            }
        }
    }

    fn close(&mut self, cookie: u64, _: Option<Message<'_>>) {
        if self.joiner.as_mut().is_none_or(|joiner| !joiner.close(cookie)) {
            self.push(cookie, EventKind::Close);
        }
    }

    fn absent(&mut self, _: Message<'_>) {}

    fn vanish(&mut self, cookie: u64) {
        if let Some(joiner) = &mut self.joiner {
            joiner.vanish(cookie);
            self.let_go();
        }
        self.push(cookie, EventKind::Vanish);
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
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use inetdiag::StreamStatistics;
    use streams::Account;

    use super::*;
    use crate::join::Counters;

    fn message(cookie: u32) -> Vec<u8> {
        let mut bytes = vec![0u8; 72];
        bytes[44..48].copy_from_slice(&cookie.to_ne_bytes());
        bytes
    }

    fn record(outbox: &mut Outbox, cookie: u32) {
        outbox.record(Message::new(&message(cookie)).expect("long enough"), Origin::Poll(1));
    }

    const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 443);
    const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 51202);

    /// The message of a socket between these two.
    fn socket(cookie: u32) -> Vec<u8> {
        let mut bytes = message(cookie);
        bytes[0] = 2; // AF_INET
        bytes[4..8].copy_from_slice(&[1, 187, 200, 2]);
        bytes[8..12].copy_from_slice(&[10, 0, 0, 1]);
        bytes[24..28].copy_from_slice(&[192, 0, 2, 7]);
        bytes
    }

    fn account(packets: u64, ended: bool) -> Account {
        let stream = |packets| StreamStatistics { packets, last_packet: packets, ..StreamStatistics::default() };
        Account { began: 1, a: PEER, b: LOCAL, a_to_b: stream(packets), b_to_a: stream(packets + 1), ended }
    }

    /// With a joiner, and the capture's end of it.
    fn joining(workers: usize) -> (Outbox, Vec<Inbox>, Sender<Account>) {
        let (capture, incoming) = bounded(100);
        let joiner = Joiner::new(incoming, Counters::new(&prometheus::Registry::new()).expect("names"), Instant::now());
        let stalls = IntCounter::new("stalls", "Stalls.").expect("a name");
        let (outbox, inboxes) = Outbox::new(workers, stalls, Arc::default(), Some(joiner), None);
        (outbox, inboxes, capture)
    }

    /// What a worker is told: cookie, seconds, whether it is final, and packets sent and received. A close is a cookie alone.
    type Told = (u64, Option<(i64, bool, Option<(u64, u64)>)>);

    fn told(inbox: &Inbox) -> Vec<Told> {
        fn told(entry: Entry<'_>) -> Told {
            match entry {
                Entry::Record(Record { message, time, origin, streams }) => {
                    let packets = streams.map(|streams| (streams.sent.packets, streams.received.packets));
                    let is_final = origin == Origin::Destroy { is_final: true };
                    (message.cookie(), Some((time.timestamp(), is_final, packets)))
                }
                Entry::Close { cookie } | Entry::Vanish { cookie } => (cookie, None),
            }
        }
        inbox.batches.try_iter().flat_map(|batch| batch.entries().map(told).collect::<Vec<_>>()).collect()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    fn end(outbox: &mut Outbox, bytes: &[u8]) {
        let message = Message::new(bytes).expect("long enough");
        outbox.record(message, Origin::Destroy { is_final: true });
        outbox.close(message.cookie(), Some(message));
    }

    #[test]
    fn each_account_is_on_one_record_and_the_last_one_on_the_final_record() {
        let (mut outbox, inboxes, capture) = joining(1);
        let (bytes, now) = (socket(1), Instant::now());
        let poll = |outbox: &mut Outbox, seconds| {
            record(outbox, 7);
            outbox.record(Message::new(&bytes).expect("long enough"), Origin::Poll(1));
            outbox.stamp(at(seconds));
            outbox.send(None, now).expect("the worker is there");
            told(&inboxes[0])
        };
        capture.send(account(5, false)).expect("is taken");
        let mut seen: Vec<_> = (1..5).flat_map(|seconds| poll(&mut outbox, seconds)).collect();
        capture.send(account(6, false)).expect("is taken");
        seen.extend((5..7).flat_map(|seconds| poll(&mut outbox, seconds)));
        // Whose it is comes to be known after the poll; that there is a newer one, with it.
        let packets = [None, Some((6, 5)), None, None, Some((7, 6)), None];
        let expected = (1..)
            .zip(packets)
            .flat_map(|(seconds, packets)| [(7, Some((seconds, false, None))), (1, Some((seconds, false, packets)))]);
        assert_eq!(seen, expected.collect::<Vec<_>>());

        capture.send(account(6, true)).expect("is taken");
        outbox.send(None, now).expect("the worker is there");
        end(&mut outbox, &bytes);
        outbox.stamp(at(8));
        outbox.send(None, now).expect("the worker is there");
        assert_eq!(told(&inboxes[0]), [(1, Some((8, true, Some((7, 6))))), (1, None)]);
    }

    #[test]
    fn a_final_record_waits_for_the_end_of_its_streams_and_keeps_its_time() {
        let (mut outbox, inboxes, capture) = joining(1);
        let (bytes, now) = (socket(1), Instant::now());
        end(&mut outbox, &bytes);
        record(&mut outbox, 2);
        outbox.stamp(at(10));
        outbox.send(None, now).expect("the worker is there");
        assert_eq!(told(&inboxes[0]), [(2, Some((10, false, None)))], "others do not wait");
        assert!(outbox.send_again_at().is_some_and(|again| again > now && again <= now + Duration::from_secs(1)));
        capture.send(account(3, false)).expect("is taken");
        record(&mut outbox, 2);
        outbox.stamp(at(11));
        outbox.send(None, now + Duration::from_millis(400)).expect("the worker is there");
        assert_eq!(told(&inboxes[0]), [(2, Some((11, false, None)))], "that was not the end");
        capture.send(account(4, true)).expect("is taken");
        record(&mut outbox, 2);
        outbox.stamp(at(12));
        outbox.send(None, now + Duration::from_millis(500)).expect("the worker is there");
        let expected = [(1, Some((10, true, Some((5, 4))))), (1, None), (2, Some((12, false, None)))];
        assert_eq!(told(&inboxes[0]), expected, "as soon as that is looked at");
    }

    #[test]
    fn it_waits_for_so_long_only_and_at_the_end_for_nothing() {
        let (mut outbox, inboxes, capture) = joining(1);
        let now = Instant::now();
        end(&mut outbox, &socket(1));
        outbox.stamp(at(10));
        outbox.send(None, now).expect("the worker is there");
        outbox.send(None, now + Duration::from_millis(1100)).expect("the worker is there");
        assert_eq!(told(&inboxes[0]), []);
        outbox.send(None, now + Duration::from_millis(1200)).expect("the worker is there");
        assert_eq!(told(&inboxes[0]), [(1, Some((10, true, None))), (1, None)]);

        end(&mut outbox, &socket(2));
        outbox.stamp(at(20));
        outbox.send(None, now + Duration::from_secs(2)).expect("the worker is there");
        capture.send(account(1, false)).expect("is taken");
        outbox.finish();
        assert_eq!(told(&inboxes[0]), [(2, Some((20, true, Some((2, 1))))), (2, None)], "with what there is");
    }

    #[test]
    fn what_goes_on_amid_others_keeps_its_time() {
        let (mut outbox, inboxes, _capture) = joining(1);
        let now = Instant::now();
        end(&mut outbox, &socket(1));
        outbox.stamp(at(10));
        outbox.send(None, now).expect("the worker is there");
        record(&mut outbox, 3);
        outbox.vanish(1);
        outbox.stamp(at(11));
        outbox.send(None, now).expect("the worker is there");
        let expected = [(3, Some((11, false, None))), (1, Some((10, true, None))), (1, None), (1, None)];
        assert_eq!(told(&inboxes[0]), expected, "the close waited, too");
    }

    #[test]
    fn without_a_joiner_nothing_is_held_back() {
        let (mut outbox, inboxes) = outbox(1);
        end(&mut outbox, &socket(1));
        outbox.stamp(at(10));
        assert_eq!(outbox.send_again_at(), None);
        outbox.send(None, Instant::now()).expect("the worker is there");
        assert_eq!(told(&inboxes[0]), [(1, Some((10, true, None))), (1, None)]);
    }

    fn outbox(workers: usize) -> (Outbox, Vec<Inbox>) {
        Outbox::new(workers, IntCounter::new("stalls", "Stalls.").expect("a name"), Arc::default(), None, None)
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
        outbox.send(None, Instant::now()).expect("the worker is there");
        let batch = inboxes[0].batches.recv().expect("a batch");
        let seen: Vec<_> = batch
            .entries()
            .map(|entry| match entry {
                Entry::Record(record) => (record.message.cookie(), Some(record.time.timestamp())),
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
            outbox.send(None, Instant::now()).expect("the worker is there");
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
        assert_eq!(outbox.send(None, Instant::now()), Ok(0), "there is nothing to send");
        record(&mut outbox, 1);
        assert_eq!(outbox.send(None, Instant::now()), Err(WorkerGone));
    }

    #[test]
    fn a_lagging_worker_gets_everything_in_fewer_batches() {
        let (mut outbox, inboxes) = outbox(2);
        for cookie in 0..100 {
            record(&mut outbox, cookie);
            outbox.send(None, Instant::now()).expect("the workers are there");
        }
        let finish = std::thread::spawn(|| outbox.finish());
        for (shard, inbox) in inboxes.iter().enumerate() {
            let mut cookies = Vec::new();
            for batch in &inbox.batches {
                cookies.extend(batch.entries().map(|entry| match entry {
                    Entry::Record(record) => record.message.cookie(),
                    Entry::Close { cookie } | Entry::Vanish { cookie } => cookie,
                }));
            }
            let expected: Vec<u64> = (0..100).filter(|cookie| cookie % 2 == shard as u64).collect();
            assert_eq!(cookies, expected);
        }
        finish.join().expect("ends with its last batch taken");
    }
}
