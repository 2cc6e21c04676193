//! Whether packets can be those of a socket, by how many the kernel counted.

use inetdiag::{StreamStatistics, TcpInfo};

/// Segments that may be counted on one side only: SYN and SYN-ACK are no socket's, nor is what comes when it is gone.
const FEW: u64 = 4;
/// Of more, such a part may be missing: dropped on the way between the socket and the capture, or estimated.
const PART: u64 = 16;

/// What the kernel counted for a socket (`tcpi_segs_out` and `tcpi_segs_in`, since 4.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Segments(Option<[u64; 2]>);

impl Segments {
    /// Of a record; nothing if it does not say.
    pub(super) fn of(info: &TcpInfo) -> Self {
        let both = info.segs_out().zip(info.segs_in());
        Self(both.map(|(sent, received)| [sent.into(), received.into()]))
    }

    #[cfg(test)]
    pub(super) fn known(sent: u64, received: u64) -> Self {
        Self(Some([sent, received]))
    }

    /// By how many both differ. 0 if it is not known.
    pub(super) fn distance(&self, sent: &StreamStatistics, received: &StreamStatistics) -> u64 {
        self.0.map_or(0, |[out, into]| out.abs_diff(sent.packets) + into.abs_diff(received.packets))
    }

    /// Whether packets in such a distance are as good as certainly those of the socket, if the capture has seen all.
    pub(super) fn is_close(&self, distance: u64) -> bool {
        distance <= FEW + self.sum() / PART
    }

    /// Whether they may be, if some were lost on the way to the capture, or from there to the socket: every second one.
    pub(super) fn is_possible(&self, distance: u64) -> bool {
        distance <= 2 * FEW + self.sum() / 2
    }

    /// Whether there are more packets than a socket that goes on can have had up to now.
    pub(super) fn is_exceeded_by(&self, sent: &StreamStatistics, received: &StreamStatistics) -> bool {
        self.0.is_some() && sent.packets + received.packets > 2 * (FEW + self.sum())
    }

    fn sum(&self) -> u64 {
        self.0.map_or(0, |[out, into]| out + into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(packets: u64) -> StreamStatistics {
        StreamStatistics { packets, ..StreamStatistics::default() }
    }

    #[test]
    fn packets_are_those_of_a_socket_if_there_are_about_as_many() {
        let segments = Segments::known(60, 40);
        let distance = |sent, received| segments.distance(&packets(sent), &packets(received));
        assert_eq!([distance(60, 40), distance(61, 38), distance(0, 0)], [0, 3, 100]);
        assert_eq!([10, 11].map(|distance| segments.is_close(distance)), [true, false]);
        assert_eq!([58, 59].map(|distance| segments.is_possible(distance)), [true, false]);
        assert_eq!([208, 209].map(|all| segments.is_exceeded_by(&packets(all), &packets(0))), [false, true]);
        let unknown = Segments::default();
        assert_eq!(unknown.distance(&packets(9), &packets(9)), 0);
        assert!(unknown.is_close(0) && !unknown.is_exceeded_by(&packets(u64::MAX / 2), &packets(9)));
    }
}
