//! One client: what is still to be told it, and how much of it that may be.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client that has not read so much for so long is dropped: a single burst may be longer.
const QUEUE_LIMIT: usize = 4 << 20;
const GRACE: Duration = Duration::from_secs(1);
/// One that has not read so much is dropped at once.
const HARD_LIMIT: usize = 64 << 20;
/// A client may say so much in a second.
const MOST_SAID: usize = 256 << 10;
/// Longest line that a client may send.
const LINE_LIMIT: usize = 64 << 10;

/// What became of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Stays,
    /// It has gone.
    Gone,
    /// It has to go, for it does not read.
    Slow,
    /// It has to go, for it said what means nothing.
    Malformed,
}

/// A connected client. Chunks are shared with the others that are told the same.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    queue: VecDeque<Arc<[u8]>>,
    queued: usize,
    /// Bytes of the first chunk that are sent.
    sent: usize,
    /// What may wait beside the usual, until all of it is sent.
    allowance: usize,
    /// Since when something waits for it, and since when that is more than may.
    behind_since: Option<Instant>,
    over_since: Option<Instant>,
    /// What it said in the second that began then.
    said: (Instant, usize),
    /// Bytes of a line that has no end yet.
    line: Vec<u8>,
    /// Whether it may still say something.
    speaks: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (queue, line) = (VecDeque::new(), Vec::new());
        Ok(Self {
            stream,
            queue,
            queued: 0,
            sent: 0,
            allowance: 0,
            behind_since: None,
            over_since: None,
            said: (Instant::now(), 0),
            line,
            speaks: true,
        })
    }

    /// Tells it something, as far as it takes it now.
    pub(super) fn tell(&mut self, chunk: &Arc<[u8]>, now: Instant) -> Fate {
        if chunk.is_empty() {
            return Fate::Stays;
        }
        self.queue.push_back(Arc::clone(chunk));
        self.queued += chunk.len();
        self.behind_since.get_or_insert(now);
        let fate = self.flush();
        if fate != Fate::Stays || self.queued <= QUEUE_LIMIT + self.allowance {
            return fate;
        }
        let over_since = *self.over_since.get_or_insert(now);
        let is_slow = now.saturating_duration_since(over_since) > GRACE || self.queued > HARD_LIMIT;
        if is_slow { Fate::Slow } else { Fate::Stays }
    }

    /// The same for what it has asked for: however long that is, it is not too slow for it.
    pub(super) fn answer(&mut self, chunk: &Arc<[u8]>, now: Instant) -> Fate {
        self.allowance += chunk.len();
        self.tell(chunk, now)
    }

    /// Since when something waits for it.
    pub(super) fn behind_since(&self) -> Option<Instant> {
        self.behind_since
    }

    /// Whether it may still say something: it may have closed that direction, and go on reading.
    pub(super) fn speaks(&self) -> bool {
        self.speaks
    }

    /// Whether something waits for it.
    pub(super) fn is_behind(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Sends what it takes.
    pub(super) fn flush(&mut self) -> Fate {
        while let Some(chunk) = self.queue.front() {
            match self.stream.write(&chunk[self.sent..]) {
                Ok(written) => {
                    self.sent += written;
                    if self.sent == chunk.len() {
                        self.queued -= chunk.len();
                        self.sent = 0;
                        self.queue.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Fate::Gone,
            }
        }
        if self.queue.is_empty() {
            (self.allowance, self.behind_since) = (0, None);
        }
        if self.queued <= QUEUE_LIMIT + self.allowance {
            self.over_since = None;
        }
        Fate::Stays
    }

    /// Reads some of what it says, for the others want their turn, and hands on the last line of it that is whole: it
    /// counts, and not those before it. That it means nothing, `line` says.
    pub(super) fn listen(&mut self, now: Instant, line: impl FnOnce(&[u8]) -> bool) -> Fate {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => {
                self.speaks = false;
                if !self.line.is_empty() {
                    self.line.push(b'\n');
                }
            }
            Ok(len) => {
                self.line.extend_from_slice(&buffer[..len]);
                if now.saturating_duration_since(self.said.0) > Duration::from_secs(1) {
                    self.said = (now, 0);
                }
                self.said.1 += len;
                if self.said.1 > MOST_SAID {
                    return Fate::Malformed;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(_) => return Fate::Gone,
        }
        if let Some(end) = self.line.iter().rposition(|&byte| byte == b'\n') {
            let rest = self.line.split_off(end + 1);
            let said = std::mem::replace(&mut self.line, rest);
            let last = said[..end].rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
            if !line(last) {
                return Fate::Malformed;
            }
        }
        if self.line.len() > LINE_LIMIT { Fate::Malformed } else { Fate::Stays }
    }

    /// Bytes that wait for it.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        (Client::new(ours).expect("is made"), theirs)
    }

    #[test]
    fn what_is_not_read_waits_and_is_sent_in_order() {
        let (mut client, mut peer) = pair();
        let chunk = |number: u32| -> Arc<[u8]> { number.to_be_bytes().repeat(5000).into() };
        (0..100).for_each(|number| assert_eq!(client.tell(&chunk(number), Instant::now()), Fate::Stays));
        assert!(client.is_behind());
        let mut read = vec![0; 100 * 20_000];
        let mut at = 0;
        while at < read.len() {
            at += peer.read(&mut read[at..]).expect("reads");
            assert_eq!(client.flush(), Fate::Stays);
        }
        let expected: Vec<u8> = (0..100u32).flat_map(|number| number.to_be_bytes().repeat(5000)).collect();
        assert!(read == expected && !client.is_behind());
    }

    #[test]
    fn who_does_not_read_is_dropped_after_a_while_and_one_burst_is_no_reason() {
        let (mut client, _peer) = pair();
        let now = Instant::now();
        let burst: Arc<[u8]> = vec![7; 5 * QUEUE_LIMIT].into();
        let chunk: Arc<[u8]> = vec![7; 1000].into();
        assert_eq!(client.tell(&burst, now), Fate::Stays);
        assert_eq!(client.tell(&chunk, now + GRACE), Fate::Stays);
        assert_eq!(client.tell(&chunk, now + GRACE + Duration::from_millis(1)), Fate::Slow);
        let (mut client, _peer) = pair();
        let told = (1..1000).find(|_| client.tell(&burst, now) == Fate::Slow).expect("is dropped");
        assert!(told <= HARD_LIMIT / burst.len() + 2, "{told}");
    }

    #[test]
    fn who_reads_may_lag_behind() {
        let (mut client, mut peer) = pair();
        let (now, burst): (_, Arc<[u8]>) = (Instant::now(), vec![7; 2 * QUEUE_LIMIT].into());
        let mut read = vec![0; burst.len()];
        for second in 0..5 {
            assert_eq!(client.tell(&burst, now + GRACE * 2 * second), Fate::Stays);
            let mut at = 0;
            while at < read.len() {
                at += peer.read(&mut read[at..]).expect("reads");
                assert_eq!(client.flush(), Fate::Stays);
            }
        }
    }

    #[test]
    fn who_talks_without_end_is_dropped() {
        let (mut client, mut peer) = pair();
        let now = Instant::now();
        let mut said = 0;
        let fate = loop {
            peer.write_all(&[b'\n'; 4096]).expect("is taken");
            said += 4096;
            match client.listen(now, |_| true) {
                Fate::Stays => {}
                fate => break fate,
            }
        };
        assert_eq!((fate, said), (Fate::Malformed, MOST_SAID + 4096));
    }

    #[test]
    fn lines_come_whole_and_too_long_ones_not_at_all() {
        let (mut client, mut peer) = pair();
        let mut lines = Vec::new();
        let mut listen = |client: &mut Client| {
            client.listen(Instant::now(), |line| {
                lines.push(String::from_utf8_lossy(line).into_owned());
                true
            })
        };
        peer.write_all(b"one\ntw").expect("writes");
        assert_eq!(listen(&mut client), Fate::Stays);
        peer.write_all(b"o\n").expect("writes");
        assert_eq!(listen(&mut client), Fate::Stays);
        assert_eq!(lines, ["one", "two"]);
        peer.write_all(&[b'x'; LINE_LIMIT + 1]).expect("writes");
        let fates = std::iter::repeat_with(|| client.listen(Instant::now(), |_| true)).take(LINE_LIMIT / 4096 + 1);
        assert_eq!(fates.last(), Some(Fate::Malformed));
        let (mut client, mut peer) = pair();
        peer.write_all(b"last").expect("writes");
        peer.shutdown(std::net::Shutdown::Write).expect("is open");
        assert_eq!(client.listen(Instant::now(), |_| true), Fate::Stays);
        assert_eq!((client.listen(Instant::now(), |line| line == b"last"), client.speaks()), (Fate::Stays, false));
        let (mut client, peer) = pair();
        peer.shutdown(std::net::Shutdown::Write).expect("is open");
        assert_eq!((client.listen(Instant::now(), |_| true), client.speaks()), (Fate::Stays, false));
        assert_eq!(client.tell(&b"x"[..].into(), Instant::now()), Fate::Stays);
        drop(peer);
        assert_eq!(client.tell(&b"x"[..].into(), Instant::now()), Fate::Gone);
    }
}
