//! What programs in the kernel counted of a connection from its beginning on, where its records have extended statistics.

use chrono::{DateTime, Utc};
use estats::{Value, flags};
use inetdiag::ArchivalRecord;

/// Counts that do not depend on when polls looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// When the connection began.
    pub start: DateTime<Utc>,
    /// Microseconds from then to its last segment, if it has ended.
    pub lasted: Option<u64>,
    /// Microseconds until it was established; `None` if it never was.
    pub handshake: Option<u64>,
    /// Retransmission timeouts.
    pub rtos: u64,
    /// Entries into recovery and loss; `None` if changes of the congestion state were not traced.
    pub loss_episodes: Option<u64>,
    /// Least round-trip time of all, in microseconds; the kernel's own is that of the last minutes.
    pub min_rtt: Option<u32>,
}

impl Counted {
    /// Of that record; `None` if it has no such counts, or they began when the connection was open already.
    pub fn of(record: &ArchivalRecord) -> Option<Self> {
        let value = Value::decode(record.estats.as_deref()?)?;
        if value.has(flags::PARTIAL) {
            return None;
        }
        let raw = &value.raw;
        Some(Self {
            start: DateTime::from_timestamp_nanos(raw.start.try_into().ok()?),
            lasted: value.has(flags::CLOSED).then(|| raw.mstamp.saturating_sub(raw.start_monotonic)),
            handshake: value.has(flags::ESTABLISHED).then(|| raw.handshake.into()),
            rtos: u64::from(raw.timeouts) + u64::from(raw.subsequent_timeouts),
            loss_episodes: value.has(flags::TRACED).then(|| u64::from(raw.fast_retran) + u64::from(raw.loss_entries)),
            min_rtt: (raw.min_rtt > 0).then_some(raw.min_rtt),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(flags: u32) -> Option<Counted> {
        let mut value = Value::default();
        value.raw.flags = flags;
        (value.raw.start, value.raw.min_rtt) = (1_000_000_000, 40);
        (value.raw.start_monotonic, value.raw.mstamp) = (5, 905);
        (value.raw.timeouts, value.raw.subsequent_timeouts) = (2, 3);
        (value.raw.fast_retran, value.raw.loss_entries, value.raw.handshake) = (7, 2, 300);
        Counted::of(&ArchivalRecord { estats: Some(value.as_bytes().into()), ..ArchivalRecord::default() })
    }

    #[test]
    fn only_counts_from_the_beginning_on_are_all() {
        let start = DateTime::from_timestamp_millis(1000).expect("a time");
        let all = Counted { start, lasted: None, handshake: None, rtos: 5, loss_episodes: Some(9), min_rtt: Some(40) };
        assert_eq!(counted(flags::TRACED), Some(all));
        assert_eq!(counted(0), Some(Counted { loss_episodes: None, ..all }));
        let open = Counted { handshake: Some(300), ..all };
        assert_eq!(counted(flags::TRACED | flags::ESTABLISHED), Some(open));
        let closed = Counted { lasted: Some(900), ..open };
        assert_eq!(counted(flags::TRACED | flags::ESTABLISHED | flags::CLOSED), Some(closed));
        assert_eq!(counted(flags::TRACED | flags::PARTIAL), None);
        assert_eq!(Counted::of(&ArchivalRecord { estats: Some([7; 400].into()), ..ArchivalRecord::default() }), None);
        assert_eq!(Counted::of(&ArchivalRecord::default()), None);
    }
}
