//! Payload by the second.

use super::spread::Spread;

const NANOSECONDS: u64 = 1_000_000_000;
/// Seconds that the variation of the rate is of.
const SPAN: u8 = 60;

/// Bytes in the second under way, in the last whole one, and in the best one. Seconds begin with the first packet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rate {
    /// Number of the second under way.
    second: u32,
    current: u64,
    last: u64,
    best: u64,
    spread: Spread<SPAN>,
}

impl Rate {
    /// Counts bytes that passed so long after the first packet.
    #[inline]
    pub(super) fn add(&mut self, since_first: u64, bytes: u32) {
        let second = second(since_first);
        if second > self.second {
            self.close(second);
        }
        self.current += u64::from(bytes);
    }

    /// What is known at a later time: seconds in which nothing passed have passed, too.
    pub(super) fn at(mut self, since_first: u64) -> Self {
        let second = second(since_first);
        if second > self.second {
            self.close(second);
        }
        self
    }

    /// Bits in the last whole second; `None` before there is one.
    pub(super) fn last(&self) -> Option<u64> {
        (self.second > 0).then_some(self.last.saturating_mul(8))
    }

    /// Bits in the best whole second.
    pub(super) fn best(&self) -> Option<u64> {
        (self.second > 0).then_some(self.best.saturating_mul(8))
    }

    /// Coefficient of variation of the rate.
    pub(super) fn variation(&self) -> Option<f64> {
        self.spread.variation()
    }

    fn close(&mut self, second: u32) {
        self.spread.add(self.current as f32);
        self.best = self.best.max(self.current);
        let silent = second - self.second - 1;
        // More of them change nothing: what was before is forgotten by then.
        (0..silent.min(4 * u32::from(SPAN))).for_each(|_| self.spread.add(0.0));
        self.last = if silent == 0 { self.current } else { 0 };
        (self.second, self.current) = (second, 0);
    }
}

fn second(since_first: u64) -> u32 {
    u32::try_from(since_first / NANOSECONDS).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_second_counts() {
        let mut rate = Rate::default();
        rate.add(0, 100);
        assert_eq!((rate.last(), rate.best()), (None, None));
        rate.add(900_000_000, 25);
        rate.add(NANOSECONDS, 10);
        assert_eq!((rate.last(), rate.best()), (Some(1000), Some(1000)));
        rate.add(2 * NANOSECONDS + 1, 10);
        assert_eq!((rate.last(), rate.best()), (Some(80), Some(1000)));
    }

    #[test]
    fn silence_is_a_rate_of_nothing() {
        let mut rate = Rate::default();
        rate.add(0, 100);
        let later = rate.at(5 * NANOSECONDS);
        assert_eq!((later.last(), later.best()), (Some(0), Some(800)));
        assert_eq!(rate.last(), None, "looking changes nothing");
        assert!(rate.at(u64::MAX).variation().is_none_or(|variation| variation.is_finite()));
    }
}
