//! The last message of every socket of one source.

use std::time::{Duration, Instant};

use inetdiag::attribute::INET_DIAG_INFO;
use inetdiag::{Attributes, InetDiagMsg, Message};

use crate::change::{Change, Known, LeftOut, change_since, same_bytes};
use crate::slots::Slots;

/// The last message of every socket of one source, by cookie.
#[derive(Debug, Default)]
pub struct Cache {
    entries: Slots<Entry>,
    /// Number of the poll under way, to tell who was seen in it.
    poll: u32,
    seen: usize,
    /// Sockets found missing when they were last looked for, and when that is to be done again even if none joined them.
    missing: usize,
    look_again: Option<Instant>,
}

/// How long a socket that polls no longer see is waited for.
///
/// A socket whose connection has ended is in no dump, yet it lives, and its destroy event is to come, for as long as a
/// process holds its descriptor. So where destroy events can be relied on, absence says little.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// As a rule.
    pub usual: Duration,
    /// For a socket that was first missed at this time or before: its event may be among those that were lost.
    pub doubt_until: Option<Instant>,
    /// How long that one is waited for.
    pub in_doubt: Duration,
}

impl Patience {
    /// No event will come: two polls decide.
    pub const NONE: Self = Self { usual: Duration::ZERO, doubt_until: None, in_doubt: Duration::ZERO };

    fn with_socket_missing(&self, since: Instant) -> Duration {
        if self.doubt_until.is_some_and(|until| since <= until) { self.in_doubt } else { self.usual }
    }
}

#[derive(Debug, Default)]
struct Entry {
    message: Box<[u8]>,
    /// Attributes that the poll of `message` left out, from an earlier one; `None` if it asked for everything.
    rest: Option<Box<[u8]>>,
    /// Where `message` holds `tcp_info`; empty, at the end of the header, if it has none.
    info: std::ops::Range<u32>,
    seen_in: u32,
    /// End of the first complete poll in a row that did not see the socket.
    missing_since: Option<Instant>,
    /// Whether that was told.
    is_absent: bool,
}

/// How a socket is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// No poll has seen it for a moment. It is still known, for its destroy event is to come.
    Absent,
    /// It was waited for long enough, and is forgotten.
    Vanished,
}

impl Cache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sockets known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no socket is known.
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// Whether a socket with this cookie is known.
    pub fn contains(&self, cookie: u64) -> bool {
        self.entries.contains(cookie)
    }

    /// Sockets that the poll under way, or the last one, has not seen.
    pub fn unseen(&self) -> usize {
        self.entries.len().saturating_sub(self.seen)
    }

    /// Starts a poll. One that was begun before and not ended has failed: it makes nothing look vanished.
    pub fn begin_poll(&mut self) {
        self.poll = self.poll.wrapping_add(1);
        self.seen = 0;
    }

    /// Takes the message of one socket, and says whether and why it must be saved; `None` is "unchanged".
    ///
    /// `left_out` is what the poll did not ask for: nothing, or the same in each such poll. A socket of which only such a
    /// part was ever seen stays unknown: it is first seen until it is seen whole.
    pub fn update(&mut self, message: Message<'_>, left_out: LeftOut) -> Option<Change> {
        let whole = left_out == LeftOut::NOTHING;
        let Some(entry) = self.entries.find(message.cookie()) else {
            if whole {
                self.entries.insert(message.cookie(), Entry::new(message, self.poll));
                self.seen += 1;
            }
            return Some(Change::FirstSight);
        };
        if entry.seen_in != self.poll {
            entry.seen_in = self.poll;
            entry.missing_since = None;
            entry.is_absent = false;
            self.seen += 1;
        }
        let info = entry.info.start as usize..entry.info.end as usize;
        let alike = whole == entry.rest.is_none();
        if alike && same_bytes(&entry.message, message.as_bytes(), info) {
            return None;
        }
        let change = entry.change(message, left_out);
        // Unchanged, but a part of what is known: from now on that part is compared quickly.
        if change.is_some() || (!whole && entry.rest.is_none()) {
            entry.replace(message, left_out);
        }
        change
    }

    /// Forgets a socket, and says whether it was known.
    pub fn remove(&mut self, cookie: u64) -> bool {
        match self.entries.remove(cookie) {
            Some(entry) => {
                if entry.seen_in == self.poll {
                    self.seen = self.seen.saturating_sub(1);
                }
                true
            }
            None => false,
        }
    }

    /// Forgets the sockets of which the last message is not to be kept.
    pub fn retain(&mut self, mut keep: impl FnMut(Message<'_>) -> bool) {
        let (poll, mut forgotten) = (self.poll, 0);
        self.entries.retain(|_, entry| {
            let stays = Message::new(&entry.message).is_ok_and(&mut keep);
            forgotten += usize::from(!stays && entry.seen_in == poll);
            stays
        });
        self.seen = self.seen.saturating_sub(forgotten);
    }

    /// Ends a *complete* poll: forgets the sockets that have vanished, and hands what is gone to `gone`, with its last
    /// message.
    ///
    /// Vanished is who was not seen in two complete polls in a row, as far apart as `patience` asks; absent, before that,
    /// who was not seen in two that are a tenth of a second apart. One poll is never enough: the kernel resumes a dump
    /// inside a hash bucket by position and may skip a socket when another leaves that bucket.
    pub fn end_poll(&mut self, now: Instant, patience: Patience, mut gone: impl FnMut(Gone, Message<'_>)) {
        const LOOK_AGAIN: Duration = Duration::from_millis(100);
        let unseen = self.unseen();
        if unseen == 0 || (unseen == self.missing && self.look_again.is_some_and(|at| now < at)) {
            return;
        }
        self.look_again = Some(now + LOOK_AGAIN);
        self.missing = 0;
        let missing = &mut self.missing;
        let poll = self.poll;
        self.entries.retain(|_, entry| {
            if entry.seen_in == poll {
                return true;
            }
            let Ok(last) = Message::new(&entry.message) else { return false };
            let missed_for = entry.missing_since.map(|since| (since, now.saturating_duration_since(since)));
            if let Some((since, time)) = missed_for {
                if time >= patience.with_socket_missing(since) {
                    gone(Gone::Vanished, last);
                    return false;
                }
                if time >= LOOK_AGAIN && !entry.is_absent {
                    entry.is_absent = true;
                    gone(Gone::Absent, last);
                }
            }
            entry.missing_since = entry.missing_since.or(Some(now));
            *missing += 1;
            true
        });
    }
}

impl Entry {
    fn new(message: Message<'_>, poll: u32) -> Self {
        let (seen_in, missing_since, is_absent) = (poll, None, false);
        let message_bytes = message.as_bytes().into();
        Self { message: message_bytes, rest: None, info: info_range(message), seen_in, missing_since, is_absent }
    }

    /// What is known; `None` never happens, for the kept message was viewed once already.
    fn known(&self) -> Option<Known<'_>> {
        let last = Message::new(&self.message).ok()?;
        Some(Known { last, rest: Attributes::new(self.rest.as_deref().unwrap_or_default(), 0) })
    }

    fn change(&self, message: Message<'_>, left_out: LeftOut) -> Option<Change> {
        self.known().map_or(Some(Change::Header), |known| change_since(&known, message, left_out))
    }

    fn replace(&mut self, message: Message<'_>, left_out: LeftOut) {
        if left_out == LeftOut::NOTHING {
            self.rest = None;
        } else if self.rest.is_none() {
            self.rest = Some(self.known().map_or_else(Box::default, |known| only(&known, left_out)));
        }
        if self.message.len() == message.as_bytes().len() {
            self.message.copy_from_slice(message.as_bytes());
        } else {
            self.message = message.as_bytes().into();
        }
        self.info = info_range(message);
    }
}

/// Those attributes of a socket that a poll leaves out, in the kernel's own form.
fn only(known: &Known<'_>, left_out: LeftOut) -> Box<[u8]> {
    let mut bytes = Vec::new();
    for attribute in known.attributes().filter(|attribute| left_out.contains(attribute.kind)) {
        bytes.extend_from_slice(&(attribute.payload.len() as u16 + 4).to_ne_bytes());
        bytes.extend_from_slice(&attribute.kind.to_ne_bytes());
        bytes.extend_from_slice(attribute.payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes.into()
}

fn info_range(message: Message<'_>) -> std::ops::Range<u32> {
    let (start, len) =
        message.attribute(INET_DIAG_INFO).map_or((InetDiagMsg::SIZE, 0), |info| (info.offset, info.payload.len()));
    start as u32..(start + len) as u32
}
