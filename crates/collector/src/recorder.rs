//! What becomes of each message: the life of a connection, from polls and destroy events.
//!
//! Pure: messages in, [`Sink`] calls out, time passed in.

use std::collections::HashSet;
use std::time::Instant;

use cache::{Cache, Change, Gone, LeftOut, Patience};
use inetdiag::{AddressFamily, Message, Origin, TcpState};

use crate::filter::Filter;
use crate::given_up::GivenUp;

/// `idiag_timer` of the structure that stands in for a socket in TIME_WAIT, and in FIN_WAIT2 without a process.
const TIMER_OF_MINISOCK: u8 = 3;

/// Takes what is to be archived.
pub trait Sink {
    /// A connection is seen for the first time; its record follows.
    fn open(&mut self, message: Message<'_>);
    /// One record of a connection.
    fn record(&mut self, message: Message<'_>, origin: Origin);
    /// The connection has ended, with this final record, if there is one.
    fn close(&mut self, cookie: u64, last: Option<Message<'_>>);
    /// Polls do not see the connection any more; this is the last they saw. Its end is to come.
    fn absent(&mut self, last: Message<'_>);
    /// Polls have not seen the connection for long. It may be heard of again.
    fn vanish(&mut self, cookie: u64);
    /// The connection goes on, but is not recorded any more.
    fn leave_out(&mut self, cookie: u64);
}

/// What the recorder made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was recorded, for this reason.
    Changed(Change),
    /// The socket is as it was.
    Unchanged,
    /// A socket that is not known yet, of which the poll asked for a part only: ask for all of it.
    Unknown,
    /// The final record of a connection.
    Final,
    /// The end of a connection, without a record: its counters are zero because it was aborted or disconnected here.
    EndWithoutRecord,
    /// No connection, or none that is recorded.
    Skipped(Skip),
}

/// Why a message is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The kernel gave no cookie, so there is nothing to know the connection by.
    NoCookie,
    /// Not an IP socket.
    Family,
    /// A listener, a socket that never tried to connect, or one that is being torn down at this moment.
    NoConnection,
    /// The remains of a connection (FIN_WAIT2 or TIME_WAIT minisock), which the kernel dumps under the same cookie.
    Minisock,
    /// Excluded by the filter.
    Filtered,
    /// The end of a connection that no poll saw, which does not say what the filter asks for.
    Undecided,
}

/// The connections that are open, by address family.
#[derive(Debug, Default)]
pub struct Recorder {
    inet: Cache,
    inet6: Cache,
    given_up: GivenUp,
    /// Cookies of those that a filter left out when it came: their ends may not say so.
    left_out: HashSet<u64>,
    /// Number of the poll under way, from 1; of both families together.
    poll: u64,
    filter: Filter,
    /// Whether what polls show has to pass the filter here, because the kernel does not do all of it.
    filters_polls: bool,
}

impl Recorder {
    /// A recorder that knows of no connection yet. `filters_polls`: the kernel does not do all of the filter.
    pub fn new(filter: Filter, filters_polls: bool) -> Self {
        Self { filter, filters_polls, ..Self::default() }
    }

    /// From now on another filter counts. Connections that it leaves out end as if they had vanished.
    pub fn set_filter(&mut self, filter: Filter, filters_polls: bool, sink: &mut impl Sink) {
        for cache in [&mut self.inet, &mut self.inet6] {
            cache.retain(|message| {
                let stays = filter.accepts(message);
                if !stays {
                    sink.leave_out(message.cookie());
                    self.left_out.insert(message.cookie());
                }
                stays
            });
        }
        (self.filter, self.filters_polls) = (filter, filters_polls);
    }

    /// The kernel does nothing of the filter.
    pub fn filter_polls(&mut self) {
        self.filters_polls = true;
    }

    /// Connections open.
    pub fn connections(&self) -> usize {
        self.inet.len() + self.inet6.len()
    }

    /// Connections that the last polls did not see: their destroy events are on the way.
    pub fn unseen(&self) -> usize {
        self.inet.unseen() + self.inet6.unseen()
    }

    /// Gives the polls of both families that follow the next number.
    pub fn number_poll(&mut self) {
        self.poll += 1;
    }

    /// Starts a poll of one family.
    pub fn begin_poll(&mut self, family: AddressFamily) {
        self.cache(family).begin_poll();
    }

    /// Takes a socket of a poll that did not ask for what is `left_out`.
    pub fn observe(&mut self, message: Message<'_>, left_out: LeftOut, sink: &mut impl Sink) -> Outcome {
        let Some(family) = message.header().family() else {
            return Outcome::Skipped(Skip::Family);
        };
        if message.cookie() == 0 {
            return Outcome::Skipped(Skip::NoCookie);
        }
        let id = &message.header().id;
        if id.idiag_sport.get() == 0 || id.idiag_dport.get() == 0 {
            // Seen in the moment it is torn down: half of it is cleared, and its destroy event says the rest.
            return Outcome::Skipped(Skip::NoConnection);
        }
        match message.header().state() {
            Some(TcpState::Listen) => return Outcome::Skipped(Skip::NoConnection),
            // It may follow the destroy event of its connection for minutes, and may not revive it.
            Some(TcpState::FinWait2 | TcpState::TimeWait) if message.header().idiag_timer == TIMER_OF_MINISOCK => {
                return Outcome::Skipped(Skip::Minisock);
            }
            _ => {}
        }
        if self.filters_polls && !self.filter.accepts(message) {
            return Outcome::Skipped(Skip::Filtered);
        }
        match self.cache(family).update(message, left_out) {
            None => Outcome::Unchanged,
            Some(Change::FirstSight) if left_out != LeftOut::NOTHING => Outcome::Unknown,
            Some(change) => {
                if change == Change::FirstSight {
                    // IPV6_ADDRFORM makes an IPv6 socket one of IPv4: it is the same connection, and has not vanished.
                    let was_known = self.cache(family.other()).remove(message.cookie());
                    self.given_up.remove(message.cookie());
                    if !was_known {
                        sink.open(message);
                    }
                }
                sink.record(message, Origin::Poll(self.poll));
                Outcome::Changed(change)
            }
        }
    }

    /// Ends a *complete* poll of one family, and tells of the connections that have vanished.
    /// Says how many these are.
    pub fn end_poll(&mut self, family: AddressFamily, now: Instant, patience: Patience, sink: &mut impl Sink) -> u64 {
        let mut vanished = 0;
        let tells_absence = self.filter.has_all_states();
        let cache = match family {
            AddressFamily::Inet => &mut self.inet,
            AddressFamily::Inet6 => &mut self.inet6,
        };
        cache.end_poll(now, patience, |gone, last| match gone {
            Gone::Absent if tells_absence => sink.absent(last),
            Gone::Absent => {}
            Gone::Vanished => {
                self.given_up.insert(last.cookie());
                sink.vanish(last.cookie());
                vanished += 1;
            }
        });
        vanished
    }

    /// Takes a destroy event.
    ///
    /// A socket that was aborted or disconnected on this side has lost its remote port and all its counters by now. If
    /// its connection is known, that says no more than that it ended; if not, it is all there is to know of it.
    pub fn destroyed(&mut self, message: Message<'_>, sink: &mut impl Sink) -> Outcome {
        let (cookie, header) = (message.cookie(), message.header());
        if cookie == 0 {
            return Outcome::Skipped(Skip::NoCookie);
        }
        if header.family().is_none() {
            return Outcome::Skipped(Skip::Family);
        }
        // Both: the family may have changed since the last poll.
        let known = self.inet.remove(cookie) | self.inet6.remove(cookie) | self.given_up.remove(cookie);
        let was_left_out = self.left_out.remove(&cookie);
        let disconnected = header.id.idiag_dport.get() == 0;
        if known && disconnected {
            sink.close(cookie, None);
            return Outcome::EndWithoutRecord;
        }
        if !known {
            if header.dst().is_unspecified() {
                return Outcome::Skipped(Skip::NoConnection);
            }
            if was_left_out && disconnected {
                return Outcome::Skipped(Skip::Filtered);
            }
            match self.filter.accepts_at_end(message) {
                Some(true) => {}
                Some(false) => return Outcome::Skipped(Skip::Filtered),
                None => return Outcome::Skipped(Skip::Undecided),
            }
            sink.open(message);
        }
        sink.record(message, Origin::Destroy { is_final: !disconnected });
        sink.close(cookie, Some(message).filter(|_| !disconnected));
        Outcome::Final
    }

    fn cache(&mut self, family: AddressFamily) -> &mut Cache {
        match family {
            AddressFamily::Inet => &mut self.inet,
            AddressFamily::Inet6 => &mut self.inet6,
        }
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
