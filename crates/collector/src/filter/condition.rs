//! What can be said of a socket, and is said alike here and by the kernel.

use inetdiag::{Message, attribute};

use super::{Network, Ports};

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
    Networks(Side, Vec<Network>),
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
            Self::Networks(_, networks) => networks.is_empty(),
            Self::Cgroups(ids) => ids.is_empty(),
        }
    }

    /// Whether it holds for a socket.
    pub(super) fn holds(&self, message: Message<'_>) -> bool {
        let socket = message.header();
        match self {
            Self::Ports(Side::Source, ports) => ports.contains(socket.id.idiag_sport.get()),
            Self::Ports(Side::Destination, ports) => ports.contains(socket.id.idiag_dport.get()),
            Self::Networks(side, networks) => {
                let address = if *side == Side::Source { socket.src() } else { socket.dst() };
                networks.iter().any(|network| network.contains(address))
            }
            Self::Cgroups(ids) => cgroup(message).is_some_and(|id| ids.contains(&id)),
        }
    }
}

fn cgroup(message: Message<'_>) -> Option<u64> {
    let value = message.attribute(attribute::INET_DIAG_CGROUP_ID)?.payload;
    Some(u64::from_ne_bytes(value.try_into().ok()?))
}
