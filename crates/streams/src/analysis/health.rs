//! One number that says how well a stream does.

use super::report::{Report, State};

/// From what share on a penalty is whole, and what it is.
struct Penalty {
    whole_at: f64,
    points: f64,
}

/// Retransmissions among packets.
const RETRANSMITS: Penalty = Penalty { whole_at: 0.05, points: 40.0 };
/// Time with a zero window in the time that the stream is up.
const ZERO_WINDOW: Penalty = Penalty { whole_at: 0.20, points: 15.0 };
/// Packets out of order among packets.
const OUT_OF_ORDER: Penalty = Penalty { whole_at: 0.05, points: 10.0 };
/// Gaps among packets.
const GAPS: Penalty = Penalty { whole_at: 0.05, points: 10.0 };
/// Duplicate ACKs among packets.
const DUPLICATE_ACKS: Penalty = Penalty { whole_at: 0.20, points: 10.0 };
/// Jitter to mean delay.
const JITTER: Penalty = Penalty { whole_at: 1.0, points: 5.0 };
/// The connection was reset.
const RESET: f64 = 10.0;

/// 100 less the penalties: each grows with its share, up to its points. All points together are 100.
pub(super) fn score(report: &Report) -> f64 {
    let packets = report.counters.packets.max(1) as f64;
    let of_packets = |count: u32| f64::from(count) / packets;
    let uptime = report.uptime.as_secs_f64();
    let zero_window = if uptime > 0.0 { report.zero_window_time.as_secs_f64() / uptime } else { 0.0 };
    let jitter = report.delay.filter(|delay| delay.avg > 0.0).map_or(0.0, |delay| delay.jitter / delay.avg);
    let penalties = [
        RETRANSMITS.of(of_packets(report.counters.retransmits)),
        ZERO_WINDOW.of(zero_window),
        OUT_OF_ORDER.of(of_packets(report.counters.out_of_order)),
        GAPS.of(of_packets(report.counters.gaps)),
        DUPLICATE_ACKS.of(of_packets(report.counters.duplicate_acks)),
        JITTER.of(jitter),
        if report.state == State::Reset { RESET } else { 0.0 },
    ];
    100.0 - penalties.iter().sum::<f64>()
}

impl Penalty {
    fn of(&self, share: f64) -> f64 {
        (share / self.whole_at).min(1.0) * self.points
    }
}
