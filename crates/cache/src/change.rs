//! The change rule.

use inetdiag::attribute::INET_DIAG_INFO;
use inetdiag::{Attribute, Attributes, InetDiagMsg, Message, TcpInfo};

/// Why a socket is saved anew: the first of these that applies.
///
/// Everything is a change except what only measures elapsed time: `idiag_expires` of the header, and of `tcp_info`
/// `last_data_sent`, `last_ack_sent`, `last_data_recv`, `last_ack_recv`; `busy_time`, `rwnd_limited` and
/// `sndbuf_limited`, which advance with the clock while data is outstanding; and `total_rto_time`, which does so
/// during a timeout recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// No message of this cookie is known.
    FirstSight,
    /// The socket has other addresses or ports: it was disconnected and connected again.
    SockId,
    /// The TCP state differs.
    State,
    /// Another header field differs: timer, retransmits, queues, owner or inode.
    Header,
    /// A field of `tcp_info` differs that counts.
    TcpInfo,
    /// There is an attribute that was not there.
    AttributeAdded,
    /// An attribute is gone.
    AttributeRemoved,
    /// An attribute has another length.
    AttributeLength,
    /// An attribute has another value.
    Attribute,
}

impl Change {
    /// Every reason, in the order in which they are looked for.
    pub const ALL: [Self; 9] = [
        Self::FirstSight,
        Self::SockId,
        Self::State,
        Self::Header,
        Self::TcpInfo,
        Self::AttributeAdded,
        Self::AttributeRemoved,
        Self::AttributeLength,
        Self::Attribute,
    ];

    /// Name of the reason, as counters have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstSight => "first_sight",
            Self::SockId => "sock_id",
            Self::State => "state",
            Self::Header => "header",
            Self::TcpInfo => "tcp_info",
            Self::AttributeAdded => "attribute_added",
            Self::AttributeRemoved => "attribute_removed",
            Self::AttributeLength => "attribute_length",
            Self::Attribute => "attribute",
        }
    }
}

/// Parts of `tcp_info` that only measure elapsed time.
const ELAPSED: [std::ops::Range<usize>; 3] = [TcpInfo::LAST_TIMES, TcpInfo::LIMITED_TIMES, TcpInfo::TOTAL_RTO_TIME];

/// Attributes that a poll did not ask for: that they are not there says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut(u64);

impl LeftOut {
    /// The poll asked for all that is ever asked for.
    pub const NOTHING: Self = Self(0);

    /// The poll did not ask for these.
    pub fn of(kinds: &[u16]) -> Self {
        Self(kinds.iter().filter_map(|&kind| 1u64.checked_shl(kind.into())).fold(0, |all, bit| all | bit))
    }

    /// Whether the attribute was not asked for.
    pub fn contains(self, kind: u16) -> bool {
        1u64.checked_shl(kind.into()).is_some_and(|bit| self.0 & bit != 0)
    }
}

/// What is known of a socket: its last message, and attributes of an earlier one that the last did not ask for.
#[derive(Debug, Clone)]
pub(crate) struct Known<'k> {
    pub(crate) last: Message<'k>,
    pub(crate) rest: Attributes<'k>,
}

impl<'k> Known<'k> {
    pub(crate) fn attributes(&self) -> impl Iterator<Item = Attribute<'k>> {
        let well_formed = |attributes: Attributes<'k>| attributes.map_while(Result::ok);
        well_formed(self.last.attributes()).chain(well_formed(self.rest.clone()))
    }

    fn attribute(&self, kind: u16) -> Option<Attribute<'k>> {
        self.attributes().find(|attribute| attribute.kind == kind)
    }
}

/// Applies the change rule to two messages of one cookie, attribute by attribute. `None` is "no change".
pub fn change_between(old: Message<'_>, new: Message<'_>) -> Option<Change> {
    change_since(&Known { last: old, rest: Attributes::new(&[], 0) }, new, LeftOut::NOTHING)
}

/// The same for what is known and the message of a poll that did not ask for everything.
pub(crate) fn change_since(old: &Known<'_>, new: Message<'_>, left_out: LeftOut) -> Option<Change> {
    let (a, b) = (old.last.header(), new.header());
    if a.id != b.id {
        return Some(Change::SockId);
    }
    if a.idiag_state != b.idiag_state {
        return Some(Change::State);
    }
    if (InetDiagMsg { idiag_expires: b.idiag_expires, ..*a }) != *b {
        return Some(Change::Header);
    }
    if let (Some(a), Some(b)) = (old.last.attribute(INET_DIAG_INFO), new.attribute(INET_DIAG_INFO))
        && !same_tcp_info(a.payload, b.payload)
    {
        return Some(Change::TcpInfo);
    }
    let mut compared = 0;
    for attribute in new.attributes().map_while(Result::ok) {
        match old.attribute(attribute.kind) {
            None => return Some(Change::AttributeAdded),
            Some(before) if !same_attribute(before, attribute) => {
                let same_length = before.payload.len() == attribute.payload.len();
                return Some(if same_length { Change::Attribute } else { Change::AttributeLength });
            }
            Some(_) => compared += 1,
        }
    }
    let expected = old.attributes().filter(|attribute| !left_out.contains(attribute.kind)).count();
    (expected > compared).then_some(Change::AttributeRemoved)
}

fn same_attribute(a: Attribute<'_>, b: Attribute<'_>) -> bool {
    a.payload == b.payload || (a.kind == INET_DIAG_INFO && same_tcp_info(a.payload, b.payload))
}

fn same_tcp_info(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && significant(a.len(), 0).all(|part| a[part.clone()] == b[part])
}

/// The parts of a `tcp_info` of `len` bytes that count, shifted by `offset`.
fn significant(len: usize, offset: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let starts = [0].into_iter().chain(ELAPSED.map(|elapsed| elapsed.end));
    let ends = ELAPSED.map(|elapsed| elapsed.start).into_iter().chain([len]);
    starts.zip(ends).map(move |(start, end)| offset + start.min(len)..offset + end.min(len))
}

/// Whether two messages are the same bytes but for elapsed times: the quick answer for nearly every socket of a poll.
///
/// `info` is where the old message holds its `tcp_info`. As all bytes before it, the attribute headers among them, are
/// compared too, it is there in the new message as well, or the answer is no. A "no" is not yet a change: the
/// attributes may be the same in another order.
pub(crate) fn same_bytes(old: &[u8], new: &[u8], info: std::ops::Range<usize>) -> bool {
    const EXPIRES: usize = InetDiagMsg::EXPIRES_OFFSET;
    old.len() == new.len()
        && old[..EXPIRES] == new[..EXPIRES]
        && old[EXPIRES + 4..info.start] == new[EXPIRES + 4..info.start]
        && significant(info.len(), info.start).all(|part| old[part.clone()] == new[part])
        && old[info.end..] == new[info.end..]
}
