//! The threads that write the archive: each takes the batches of its shard to a saver of its own.

use std::collections::HashSet;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use saver::{Losses, Saver};

use crate::limiter::LogLimiter;
use crate::outbox::{Batch, Entry, Inbox};

/// How often age and disk are looked after while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// At the end, files are made as small as may be for this long; the rest is finished as it is.
const TIME_TO_COMPACT: Duration = Duration::from_secs(2);
/// What the disk refuses at the end is tried again for this long, so often.
const PATIENCE_AT_END: Duration = Duration::from_secs(3);
const AGAIN_AT_END: Duration = Duration::from_millis(100);

/// Connections that are still open at the end, by cookie, and the SEQ of their next files.
pub type Outlive = Vec<(u64, u32)>;

/// Starts a worker. It ends, with every file finished, when the outbox is.
pub fn start(number: usize, saver: Saver, inbox: Inbox) -> std::io::Result<JoinHandle<Outlive>> {
    thread::Builder::new().name(format!("saver-{number}")).spawn(move || run(saver, &inbox))
}

fn run(mut saver: Saver, inbox: &Inbox) -> Outlive {
    let mut limiter = LogLimiter::default();
    let mut lost = Losses::default();
    let mut first = true;
    let mut all_done = true;
    loop {
        let patience = if all_done { TICK } else { Duration::ZERO };
        match inbox.batches.recv_timeout(patience) {
            Ok(batch) => {
                if std::mem::take(&mut first) {
                    // Only sockets that were open before this run can have files of an earlier one.
                    saver.continue_sequences(&cookies(&batch));
                }
                if let Some(interval) = batch.interval {
                    saver.set_achieved_interval(interval);
                }
                handle(&mut saver, &batch);
                inbox.give_back(batch);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        // The disk may take its time, but a batch that waits is only memory to copy: it goes first.
        all_done = saver.tick(Instant::now(), || inbox.batches.is_empty());
        report(&mut saver, &mut lost, &mut limiter);
    }
    let begin = Instant::now();
    let has_time = || begin.elapsed() < TIME_TO_COMPACT;
    while saver.finish_all(Instant::now(), has_time) > 0 && begin.elapsed() < PATIENCE_AT_END {
        thread::sleep(AGAIN_AT_END);
    }
    let outlive = saver.give_up();
    // The last word: nothing remains unsaid because something was said a moment ago.
    report(&mut saver, &mut lost, &mut LogLimiter::default());
    outlive
}

fn cookies(batch: &Batch) -> HashSet<u64> {
    let cookie = |entry| match entry {
        Entry::Record(record) => record.message.cookie(),
        Entry::Close { cookie } | Entry::Vanish { cookie } => cookie,
    };
    batch.entries().map(cookie).collect()
}

fn handle(saver: &mut Saver, batch: &Batch) {
    let now = Instant::now();
    for entry in batch.entries() {
        match entry {
            Entry::Record(record) => saver.record(record, now),
            Entry::Close { cookie } => saver.close(cookie),
            Entry::Vanish { cookie } => saver.vanish(cookie),
        }
    }
}

fn report(saver: &mut Saver, lost: &mut Losses, limiter: &mut LogLimiter) {
    if let Some(error) = saver.take_error()
        && limiter.allows(error.operation)
    {
        tracing::error!(%error, "a file of the archive cannot be written; what could not be is kept in memory and tried again");
    }
    let new = saver.take_losses();
    lost.records += new.records;
    lost.attributes += new.attributes;
    lost.files_left += new.files_left;
    if lost.records > 0 && limiter.allows("records_lost") {
        tracing::error!(records = lost.records, "records are lost: the disk took none and memory is full");
        lost.records = 0;
    }
    if new.records_at_end > 0 {
        tracing::error!(records = new.records_at_end, "records are lost: the disk took none up to the end");
    }
    if lost.files_left > 0 && limiter.allows("files_left") {
        let files = lost.files_left;
        tracing::error!(files, "files stay in the spool directory until the next start: the date tree takes none");
        lost.files_left = 0;
    }
    if lost.attributes > 0 && limiter.allows("attributes_dropped") {
        tracing::warn!(attributes = lost.attributes, "attributes are left out that an archive line cannot hold");
        lost.attributes = 0;
    }
}
