//! One client: what is still to be told it, and how much of it that may be.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// A client that has not read so much is dropped.
const QUEUE_LIMIT: usize = 4 << 20;
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
    /// Bytes of a line that has no end yet.
    line: Vec<u8>,
    /// Whether it may still say something.
    speaks: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (queue, line) = (VecDeque::new(), Vec::new());
        Ok(Self { stream, queue, queued: 0, sent: 0, allowance: 0, line, speaks: true })
    }

    /// Tells it something, as far as it takes it now.
    pub(super) fn tell(&mut self, chunk: &Arc<[u8]>) -> Fate {
        if chunk.is_empty() {
            return Fate::Stays;
        }
        self.queue.push_back(Arc::clone(chunk));
        self.queued += chunk.len();
        self.flush()
    }

    /// The same for what it has asked for: however long that is, it is not too slow for it.
    pub(super) fn answer(&mut self, chunk: &Arc<[u8]>) -> Fate {
        self.allowance += chunk.len();
        self.tell(chunk)
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
            self.allowance = 0;
        }
        if self.queued > QUEUE_LIMIT + self.allowance { Fate::Slow } else { Fate::Stays }
    }

    /// Reads some of what it says, for the others want their turn, and hands on the last line of it that is whole: it
    /// counts, and not those before it. That it means nothing, `line` says.
    pub(super) fn listen(&mut self, line: impl FnOnce(&[u8]) -> bool) -> Fate {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => {
                self.speaks = false;
                if !self.line.is_empty() {
                    self.line.push(b'\n');
                }
            }
            Ok(len) => self.line.extend_from_slice(&buffer[..len]),
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

    /// Reads some of what it says, and forgets it.
    pub(super) fn ignore(&mut self) -> Fate {
        let fate = self.listen(|_| true);
        self.line.clear();
        fate
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
        (0..100).for_each(|number| assert_eq!(client.tell(&chunk(number)), Fate::Stays));
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
    fn who_does_not_read_is_dropped_within_the_limit() {
        let (mut client, _peer) = pair();
        let chunk: Arc<[u8]> = vec![7; 100_000].into();
        let told = (1..1000).find(|_| client.tell(&chunk) == Fate::Slow).expect("is dropped");
        assert!(client.queued <= QUEUE_LIMIT + chunk.len() && told > QUEUE_LIMIT / chunk.len(), "{told}");
    }

    #[test]
    fn lines_come_whole_and_too_long_ones_not_at_all() {
        let (mut client, mut peer) = pair();
        let mut lines = Vec::new();
        let mut listen = |client: &mut Client| {
            client.listen(|line| {
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
        let fates = std::iter::repeat_with(|| client.listen(|_| true)).take(LINE_LIMIT / 4096 + 1);
        assert_eq!(fates.last(), Some(Fate::Malformed));
        let (mut client, mut peer) = pair();
        peer.write_all(b"last").expect("writes");
        peer.shutdown(std::net::Shutdown::Write).expect("is open");
        assert_eq!(client.listen(|_| true), Fate::Stays);
        assert_eq!((client.listen(|line| line == b"last"), client.speaks()), (Fate::Stays, false));
        let (mut client, peer) = pair();
        peer.shutdown(std::net::Shutdown::Write).expect("is open");
        assert_eq!((client.listen(|_| true), client.speaks()), (Fate::Stays, false));
        assert_eq!(client.tell(&b"x"[..].into()), Fate::Stays);
        drop(peer);
        assert_eq!(client.tell(&b"x"[..].into()), Fate::Gone);
    }
}
