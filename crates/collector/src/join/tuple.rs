//! Which connection: the 4-tuple, the same whichever end it is seen from.

use std::net::{IpAddr, SocketAddr};

use inetdiag::InetDiagMsg;

/// Address and port of one end.
type End = (IpAddr, u16);

/// The addresses and ports of both ends, the lower ones first. IPv4 is IPv4, also where a socket has it v4-mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tuple {
    low: End,
    high: End,
}

/// One end of a [`Tuple`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// Whose address and port are lower.
    Low,
    /// The other.
    High,
}

impl Side {
    /// Both.
    pub(super) const BOTH: [Self; 2] = [Self::Low, Self::High];

    /// The other one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

impl Tuple {
    /// Of a socket, and the side that it is.
    pub(super) fn of_socket(socket: &InetDiagMsg) -> (Self, Side) {
        let local = (socket.src().to_canonical(), socket.id.idiag_sport.get());
        Self::seen_from(local, (socket.dst().to_canonical(), socket.id.idiag_dport.get()))
    }

    /// Of packets, and the side that `from` is.
    pub(super) fn of_packets(from: SocketAddr, to: SocketAddr) -> (Self, Side) {
        let end = |address: SocketAddr| (address.ip().to_canonical(), address.port());
        Self::seen_from(end(from), end(to))
    }

    fn seen_from(here: End, there: End) -> (Self, Side) {
        if here <= there {
            (Self { low: here, high: there }, Side::Low)
        } else {
            (Self { low: there, high: here }, Side::High)
        }
    }
}
