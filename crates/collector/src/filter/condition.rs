//! What can be said of a socket, and is said alike here and by the kernel.

use inetdiag::{Message, attribute};

use super::{Networks, Ports};

/// Which end of a connection a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The local address and port.
    Source,
    /// The remote ones.
    Destination,
}

/// Holds if one of the things listed does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// The port of that side is one of these.
    Ports(Side, Ports),
    /// The address of that side lies in one of these networks.
    Networks(Side, Networks),
    /// The socket belongs to the cgroup (version 2) of one of these ids.
    Cgroups(Vec<u64>),
}

/// A socket passes if its condition holds, or if it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) condition: Condition,
    /// Whether it has to hold.
    pub(super) accept: bool,
}

impl Condition {
    /// Whether nothing is listed.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Ports(_, ports) => ports.is_empty(),
            Self::Networks(_, networks) => networks.as_slice().is_empty(),
            Self::Cgroups(ids) => ids.is_empty(),
        }
    }

    /// Whether it holds for a socket. `None` if the message does not say.
    pub(super) fn holds(&self, message: Message<'_>) -> Option<bool> {
        let socket = message.header();
        Some(match self {
            Self::Ports(Side::Source, ports) => ports.contains(socket.id.idiag_sport.get()),
            Self::Ports(Side::Destination, ports) => ports.contains(socket.id.idiag_dport.get()),
            Self::Networks(side, networks) => {
                networks.contain(if *side == Side::Source { socket.src() } else { socket.dst() })
            }
            Self::Cgroups(ids) => ids.contains(&cgroup(message)?),
        })
    }

    /// The same at the end of a socket: one that was aborted or disconnected on this side has lost its remote port, and its
    /// local address unless a program had bound it.
    pub(super) fn holds_at_end(&self, message: Message<'_>) -> Option<bool> {
        let socket = message.header();
        let is_cleared = match self {
            Self::Ports(side, _) => *side == Side::Destination && socket.id.idiag_dport.get() == 0,
            Self::Networks(side, _) => *side == Side::Source && socket.src().is_unspecified(),
            Self::Cgroups(_) => false,
        };
        if is_cleared { None } else { self.holds(message) }
    }
}

fn cgroup(message: Message<'_>) -> Option<u64> {
    let value = message.attribute(attribute::INET_DIAG_CGROUP_ID)?.payload;
    Some(u64::from_ne_bytes(value.try_into().ok()?))
}
