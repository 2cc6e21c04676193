//! `tcpEStatsListenerTable`, as far as polls tell it.
//!
//! What is missing of it (SynRcvd, Initial, Established, Accepted, each in two widths) happens between polls and is
//! counted by the kernel for all listeners together only.

use std::collections::HashMap;
use std::net::IpAddr;

use inetdiag::attribute::INET_DIAG_SKMEMINFO;
use inetdiag::{InetDiagMsg, Message, SkMemInfo, TcpState};

use crate::Datum;
use crate::variables::{Syntax, Table};

/// A listener at the time of a poll.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Header of its record: addresses, and lengths of the accept queue.
    pub header: InetDiagMsg,
    /// When a poll first showed it, in nanoseconds since 1970.
    pub first_seen: u64,
    /// Connections established and accepted; `None` if others listen at the same address (`SO_REUSEPORT`).
    pub accepted: Option<u32>,
    /// Connections that are not yet established; `None` as `accepted`.
    pub half_open: Option<u32>,
    /// Connections and segments dropped by it, if the poll asked for `SKMEMINFO`.
    pub drops: Option<u32>,
    in_this_poll: bool,
}

/// The listeners of one network namespace, from poll to poll.
///
/// ```
/// # fn sockets() -> Vec<inetdiag::Message<'static>> { Vec::new() }
/// let mut listeners = estats::Listeners::default();
/// listeners.begin();
/// for message in sockets() {
///     listeners.visit(&message, 1_700_000_000_000_000_000); // each message of a dump with all states
/// }
/// for listener in listeners.finish() {
///     for variable in estats::LISTENER_VARIABLES {
///         println!("{} {:?}", variable.name, variable.of(listener));
///     }
/// }
/// ```
#[derive(Debug, Default)]
pub struct Listeners {
    by_cookie: HashMap<u64, Listener>,
    connections: HashMap<(IpAddr, u16), Connections>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Connections {
    accepted: u32,
    half_open: u32,
}

impl Listeners {
    /// A poll begins.
    pub fn begin(&mut self) {
        self.connections.clear();
        self.by_cookie.values_mut().for_each(|listener| listener.in_this_poll = false);
    }

    /// A socket of the poll, of whatever state; `time` is that of the poll.
    pub fn visit(&mut self, message: &Message<'_>, time: u64) {
        let header = *message.header();
        match header.state() {
            Some(TcpState::Listen) => {
                let drops = message.attribute(INET_DIAG_SKMEMINFO);
                let drops = drops.and_then(|attribute| SkMemInfo::decode(attribute.payload).drops());
                let first_seen = self.by_cookie.get(&message.cookie()).map_or(time, |known| known.first_seen);
                let (accepted, half_open) = (None, None);
                let listener = Listener { header, first_seen, accepted, half_open, drops, in_this_poll: true };
                self.by_cookie.insert(message.cookie(), listener);
            }
            Some(TcpState::Established) => {
                // Without an inode no process has it yet: it waits to be accepted.
                self.at(&header).accepted += u32::from(header.idiag_inode.get() != 0);
            }
            Some(TcpState::SynRecv | TcpState::NewSynRecv) => self.at(&header).half_open += 1,
            _ => {}
        }
    }

    fn at(&mut self, header: &InetDiagMsg) -> &mut Connections {
        self.connections.entry(local_end(header)).or_default()
    }

    /// The poll is complete: forgets the listeners that it did not show, and gives each connection to its listener.
    pub fn finish(&mut self) -> impl Iterator<Item = &Listener> {
        self.by_cookie.retain(|_, listener| listener.in_this_poll);
        let mut owners: HashMap<(IpAddr, u16), Vec<u64>> = HashMap::new();
        for (&cookie, listener) in &self.by_cookie {
            owners.entry(local_end(&listener.header)).or_default().push(cookie);
        }
        for listeners in owners.values() {
            if let &[cookie] = &listeners[..]
                && let Some(listener) = self.by_cookie.get_mut(&cookie)
            {
                (listener.accepted, listener.half_open) = (Some(0), Some(0));
            }
        }
        for (&(address, port), connections) in &self.connections {
            let places = [address, unspecified_like(address), IpAddr::from([0; 16])];
            let Some(listeners) = places.iter().find_map(|&place| owners.get(&(place, port))) else { continue };
            if let &[cookie] = &listeners[..]
                && let Some(listener) = self.by_cookie.get_mut(&cookie)
            {
                listener.accepted = listener.accepted.map(|count| count + connections.accepted);
                listener.half_open = listener.half_open.map(|count| count + connections.half_open);
            }
        }
        self.by_cookie.values()
    }
}

/// Local address, IPv4 as such also where a socket of IPv6 talks it, and port.
fn local_end(header: &InetDiagMsg) -> (IpAddr, u16) {
    (header.src().to_canonical(), header.id.idiag_sport.get())
}

fn unspecified_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0; 16]),
    }
}

/// A variable of the table.
#[derive(Debug)]
pub struct ListenerVariable {
    /// Number in the table.
    pub number: u8,
    /// Name in the MIB, without `tcpEStatsListener`.
    pub name: &'static str,
    /// Type in the MIB.
    pub syntax: Syntax,
    /// Where it comes from.
    pub source: &'static str,
    /// What it means.
    pub meaning: &'static str,
    compute: fn(&Listener) -> Option<Datum>,
}

impl ListenerVariable {
    /// Its table.
    pub const TABLE: Table = Table::Listener;

    /// What it was at that poll; `None` if that is not known.
    pub fn of(&self, listener: &Listener) -> Option<Datum> {
        (self.compute)(listener)
    }
}

/// Those of the table's 15 variables that polls tell.
pub static LISTENER_VARIABLES: &[ListenerVariable] = &[
    ListenerVariable {
        number: 1,
        name: "StartTime",
        syntax: Syntax::TimeStamp,
        source: "the first poll that shows it",
        meaning: "When it began to listen.",
        compute: |listener| Some(Datum::Date(listener.first_seen)),
    },
    ListenerVariable {
        number: 6,
        name: "ExceedBacklog",
        syntax: Syntax::ZeroBasedCounter32,
        source: "drops of SKMEMINFO, which counts segments that were dropped for other reasons, too",
        meaning: "Connections dropped from the backlog.",
        compute: |listener| Some(Datum::Number(listener.drops?.into())),
    },
    ListenerVariable {
        number: 11,
        name: "HCExceedBacklog",
        syntax: Syntax::ZeroBasedCounter64,
        source: "as ExceedBacklog; the kernel's counter has 32 bits",
        meaning: "The same, 64 bits wide.",
        compute: |listener| Some(Datum::Number(listener.drops?.into())),
    },
    ListenerVariable {
        number: 12,
        name: "CurConns",
        syntax: Syntax::Gauge32,
        source: "sockets in ESTABLISHED at its address that a process holds",
        meaning: "Connections that are established and accepted.",
        compute: |listener| Some(Datum::Number(listener.accepted?.into())),
    },
    ListenerVariable {
        number: 13,
        name: "MaxBacklog",
        syntax: Syntax::Unsigned32,
        source: "idiag_wqueue; Linux lets in one more",
        meaning: "Connections that the backlog may hold.",
        compute: |listener| Some(Datum::Number(listener.header.idiag_wqueue.get().into())),
    },
    ListenerVariable {
        number: 14,
        name: "CurBacklog",
        syntax: Syntax::Gauge32,
        source: "idiag_rqueue, and sockets in SYN_RECV at its address",
        meaning: "Connections in the backlog, established or not.",
        compute: |listener| {
            let established = u64::from(listener.header.idiag_rqueue.get());
            Some(Datum::Number(established + u64::from(listener.half_open?)))
        },
    },
    ListenerVariable {
        number: 15,
        name: "CurEstabBacklog",
        syntax: Syntax::Gauge32,
        source: "idiag_rqueue",
        meaning: "Connections in the backlog that are established.",
        compute: |listener| Some(Datum::Number(listener.header.idiag_rqueue.get().into())),
    },
];
