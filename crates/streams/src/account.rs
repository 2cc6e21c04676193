//! What the capture tells of a connection.

use std::net::SocketAddr;

use inetdiag::StreamStatistics;

/// The statistics of both streams of a connection up to now.
///
/// The capture makes one of each connection that had packets in the last second, at most one a second; and one of a
/// connection with a FIN or RST as soon as the packets are handled that arrived with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// When its first packet passed, in nanoseconds since 1970: tells connections apart that have the same ends.
    pub began: u64,
    /// One end.
    pub a: SocketAddr,
    /// The other.
    pub b: SocketAddr,
    /// Packets from one to the other.
    pub a_to_b: StreamStatistics,
    /// Packets the other way.
    pub b_to_a: StreamStatistics,
    /// Whether the connection is over: a RST was seen, or FINs of both ends and their acknowledgements.
    pub ended: bool,
}
