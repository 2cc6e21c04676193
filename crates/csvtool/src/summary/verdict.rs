//! What kept a connection from sending more.

use std::fmt;

use super::events::Limits;

/// Parts of the life of a connection by what kept it from sending more; together 1, where all are known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Shares {
    /// With data outstanding; those below that are not idle are parts of it.
    pub busy: f64,
    /// The receiver's window was full.
    pub rwnd_limited: f64,
    /// The send buffer was full, and too small for the path.
    pub sndbuf_limited: f64,
    /// The application had nothing to send, or less than could be sent.
    pub app_limited: f64,
    /// None of these: it sent as fast as congestion control let it.
    pub unlimited: f64,
}

/// Microseconds of its life, as the kernel counts them, and as polls saw it where that does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// All of it.
    pub life: u64,
    /// With data outstanding.
    pub busy: u64,
    /// Of these, with the receiver's window full.
    pub rwnd_limited: u64,
    /// Of these, with the send buffer full.
    pub sndbuf_limited: u64,
    /// As polls saw the rest.
    pub limits: Limits,
}

impl Shares {
    /// Of these times; `None` if it had no life that can be measured.
    pub fn new(times: &Times) -> Option<Self> {
        let Times { life, busy, rwnd_limited, sndbuf_limited, limits } = *times;
        let life = life.max(busy);
        let pauses = limits.pauses.min(life - busy);
        let share = |time: u64| (time as f64 / life as f64).clamp(0.0, 1.0);
        // Parts of the busy time, whatever counters say that go back.
        let rwnd_limited = rwnd_limited.min(busy);
        let sndbuf_limited = sndbuf_limited.saturating_add(limits.buffer).min(busy - rwnd_limited);
        let application = limits.application.min(busy - rwnd_limited - sndbuf_limited);
        (life > 0).then(|| Self {
            busy: share(busy),
            rwnd_limited: share(rwnd_limited),
            sndbuf_limited: share(sndbuf_limited + pauses),
            app_limited: share(life - busy - pauses + application),
            unlimited: share(busy - rwnd_limited - sndbuf_limited - application),
        })
    }
}

/// Signs that the path was what congestion control held back for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Path {
    /// Bytes that were sent again, of all that were sent.
    pub retransmitted: f64,
    /// What of these the peer had already: packets overtook each other, and were not lost.
    pub in_vain: f64,
    /// Retransmission timeouts.
    pub rtos: u64,
    /// Segments that were delivered with a mark of congestion.
    pub marked: u64,
    /// Least round-trip time, in microseconds.
    pub rtt_min: u32,
    /// Its median.
    pub rtt_median: u32,
}

impl Path {
    /// Retransmitted from this share on, loss is what a connection is limited by, and not an accident.
    const LOSS: f64 = 0.0005;
    /// If more than this was sent again in vain, packets are reordered; not all of it is told by the peer.
    const REORDERED: f64 = 0.75;
    /// A queue that stands adds so much to the round-trip time, in microseconds, and half of it at least.
    const QUEUE: u32 = 5000;

    fn is_congested(&self) -> bool {
        let queue = self.rtt_median.saturating_sub(self.rtt_min);
        let is_lossy = self.retransmitted * (1.0 - self.in_vain) >= Self::LOSS && self.in_vain <= Self::REORDERED;
        is_lossy || self.rtos > 0 || self.marked > 0 || (queue >= Self::QUEUE && queue >= self.rtt_min / 2)
    }
}

/// What limited a connection for the largest part of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The receiver read slower than data came, or has too small a buffer.
    ReceiverWindow,
    /// The sender's buffer (`SO_SNDBUF`, `tcp_wmem`) was too small for the path.
    SendBuffer,
    /// Congestion control, and the path shows why: loss, marks, or a queue.
    Network,
    /// The application had nothing more to send.
    Application,
    /// Nothing that shows: it sent all the time, without loss, marks or a queue.
    Nothing,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ReceiverWindow, Self::SendBuffer, Self::Network, Self::Application, Self::Nothing];

    /// By the largest share.
    pub fn of(shares: &Shares, path: &Path) -> Self {
        let unlimited = if path.is_congested() { Self::Network } else { Self::Nothing };
        let candidates = [
            (shares.unlimited, unlimited),
            (shares.app_limited, Self::Application),
            (shares.sndbuf_limited, Self::SendBuffer),
            (shares.rwnd_limited, Self::ReceiverWindow),
        ];
        candidates.into_iter().max_by(|(one, _), (other, _)| one.total_cmp(other)).map_or(unlimited, |(_, it)| it)
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReceiverWindow => "receiver window",
            Self::SendBuffer => "send buffer",
            Self::Network => "network",
            Self::Application => "application",
            Self::Nothing => "nothing",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_part_of_its_life_decides() {
        let verdict = |life, busy, rwnd_limited, sndbuf_limited, application| {
            let limits = Limits { application, ..Limits::default() };
            let times = Times { life, busy, rwnd_limited, sndbuf_limited, limits };
            Verdict::of(&Shares::new(&times).expect("it lived"), &Path::default())
        };
        assert_eq!(verdict(100, 90, 60, 10, 0), Verdict::ReceiverWindow);
        assert_eq!(verdict(100, 90, 10, 60, 0), Verdict::SendBuffer);
        assert_eq!(verdict(100, 30, 10, 10, 0), Verdict::Application);
        assert_eq!(verdict(100, 100, 0, 0, 60), Verdict::Application);
        assert_eq!(verdict(100, 100, 10, 10, 10), Verdict::Nothing);
        assert_eq!(verdict(0, 50, 0, 0, 0), Verdict::Nothing, "it lived as long as it was busy");
        assert_eq!(Shares::new(&Times::default()), None);
        // The buffer was full whenever somebody looked, and filled again at once.
        let limits = Limits { buffer: 55, application: 5, pauses: 35 };
        let shares = Shares::new(&Times { life: 100, busy: 60, limits, ..Times::default() }).expect("it lived");
        assert_eq!((shares.sndbuf_limited, shares.app_limited), (0.9, 0.1));
    }

    #[test]
    fn the_network_is_blamed_for_what_it_shows() {
        let times = Times { life: 100, busy: 100, ..Times::default() };
        let shares = Shares::new(&times).expect("it lived");
        let clean = Path { rtt_min: 40, rtt_median: 400, retransmitted: 0.0001, ..Path::default() };
        assert_eq!(Verdict::of(&shares, &clean), Verdict::Nothing);
        for path in [
            Path { retransmitted: 0.01, ..clean },
            Path { rtos: 1, ..clean },
            Path { marked: 1, ..clean },
            Path { rtt_min: 20_000, rtt_median: 50_000, ..clean },
            Path { retransmitted: 0.01, in_vain: 0.2, ..clean },
        ] {
            assert_eq!(Verdict::of(&shares, &path), Verdict::Network, "{path:?}");
        }
        let reordered = Path { retransmitted: 0.01, in_vain: 0.95, ..clean };
        assert_eq!(Verdict::of(&shares, &reordered), Verdict::Nothing);
    }
}
