//! Which sockets are recorded: one meaning, in the kernel for polls and here for destroy events, as far as these say.

mod bytecode;
mod condition;
mod networks;
mod states;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use inetdiag::Message;

use bytecode::Program;
use condition::{Condition, Side, Step};
pub use networks::{Network, Networks};
pub use program::ports::Ports;
pub use states::States;

/// A longer program would cost the kernel more than it saves: it checks each at every poll, in the square of its length.
const MAX_PROGRAM_LEN: usize = 8 << 10;

/// Networks of which the addresses are local: of programs of this host to each other, or on one link. The Go original
/// also leaves out multicast and unspecified addresses; TCP connections have neither.
const LOCAL: [Network; 4] = [
    Network { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix_len: 8 },
    Network { address: IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), prefix_len: 16 },
    Network { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix_len: 128 },
    Network { address: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), prefix_len: 10 },
];

/// What sockets are chosen by, as it is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Criteria {
    /// Local ports.
    pub source_ports: Ports,
    /// Remote ports.
    pub destination_ports: Ports,
    /// Local addresses.
    pub source_networks: Vec<Network>,
    /// Remote addresses.
    pub destination_networks: Vec<Network>,
    /// Ids of cgroups (version 2): the inode numbers of their directories. A socket of a cgroup below is not in it.
    pub cgroups: Vec<u64>,
}

/// Which sockets are recorded: those that pass every step. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    steps: Vec<Step>,
    states: States,
}

/// The part of a filter that the kernel can do at little cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compiled {
    /// For `INET_DIAG_REQ_BYTECODE`; empty if there is nothing to filter.
    pub program: Vec<u8>,
    /// States in which sockets are dumped.
    pub states: States,
    /// Whether that is all of the filter. Else what passes it has to be looked at again.
    pub is_whole: bool,
}

impl Filter {
    /// Polls look at sockets in these `states`; the end of a connection is recorded whatever its state was. Of each kind
    /// of `include` that is not empty, a socket has to meet one; it must meet none of `exclude`; and unless
    /// `include_local`, neither of its addresses may be loopback or link-local.
    pub fn new(include_local: bool, states: States, include: Criteria, exclude: Criteria) -> Self {
        let mut steps = Vec::new();
        if !include_local {
            let local = |side| Step { condition: Condition::Networks(side, LOCAL.to_vec().into()), accept: false };
            steps.extend([Side::Source, Side::Destination].map(local));
        }
        for (criteria, accept) in [(include, true), (exclude, false)] {
            let kinds = criteria.conditions().into_iter().filter(|condition| !condition.is_empty());
            steps.extend(kinds.map(|condition| Step { condition, accept }));
        }
        Self { steps, states }
    }

    /// Whether polls see sockets in all their states. Else one that they do not see may live on in another.
    pub fn has_all_states(&self) -> bool {
        self.states == States::ALL
    }

    /// Whether a socket is recorded, in those states, as polls show it.
    pub fn accepts(&self, message: Message<'_>) -> bool {
        self.steps.iter().all(|step| step.condition.holds(message) == Some(step.accept))
    }

    /// Whether a connection is recorded of which its destroy event alone tells. Polls may have left it out, or not seen it.
    ///
    /// A connection that was aborted on this side has lost its remote port, and its local address unless that was bound. What
    /// names those to leave them out does not name this one; whether what names those to record does is not known: `None`.
    /// No event names a cgroup: that counts against it.
    pub fn accepts_at_end(&self, message: Message<'_>) -> Option<bool> {
        let mut accepts = Some(true);
        for step in &self.steps {
            match step.condition.holds_at_end(message) {
                Some(holds) if holds == step.accept => {}
                None if matches!(step.condition, Condition::Cgroups(_)) => return Some(false),
                None if !step.accept => {}
                None => accepts = None,
                Some(_) => return Some(false),
            }
        }
        accepts
    }

    /// What of it the kernel is to do.
    pub fn compile(&self) -> Compiled {
        let mut program = Program::default();
        let mut is_whole = true;
        for step in &self.steps {
            // A long one costs more than it saves.
            if program.len() + Program::len_of(step) <= MAX_PROGRAM_LEN {
                program.push(step);
            } else {
                is_whole = false;
            }
        }
        Compiled { program: program.finish(), states: self.states, is_whole }
    }
}

impl Criteria {
    fn conditions(self) -> [Condition; 5] {
        [
            Condition::Ports(Side::Source, self.source_ports),
            Condition::Ports(Side::Destination, self.destination_ports),
            Condition::Networks(Side::Source, self.source_networks.into()),
            Condition::Networks(Side::Destination, self.destination_networks.into()),
            Condition::Cgroups(self.cgroups),
        ]
    }
}

#[cfg(test)]
mod tests;
