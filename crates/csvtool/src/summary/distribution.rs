//! How often values of about a size came up: enough for medians and percentiles, in little memory.

use std::collections::BTreeMap;

/// Leading bits of a value that are kept: what is told of it is less than 0.2 % too small.
const KEPT_BITS: u32 = 10;

/// Counts of values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    counts: BTreeMap<u32, u64>,
    total: u64,
}

impl Distribution {
    /// Adds a value.
    pub fn add(&mut self, value: u32) {
        let dropped = (u32::BITS - value.leading_zeros()).saturating_sub(KEPT_BITS);
        *self.counts.entry(value >> dropped << dropped).or_default() += 1;
        self.total += 1;
    }

    /// Adds the values of another.
    pub fn join(&mut self, other: Self) {
        for (value, count) in other.counts {
            *self.counts.entry(value).or_default() += count;
        }
        self.total += other.total;
    }

    /// The value that so large a share of all, from 0 to 1, is not above; `None` if there is no value.
    pub fn quantile(&self, share: f64) -> Option<u32> {
        let rank = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut passed = 0;
        self.counts.iter().find_map(|(value, count)| {
            passed += count;
            (passed >= rank).then_some(*value)
        })
    }

    /// The smallest value.
    pub fn min(&self) -> Option<u32> {
        self.counts.keys().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_few_values_ranks_are_exact() {
        let mut values = Distribution::default();
        assert_eq!((values.quantile(0.5), values.min()), (None, None));
        (1..=100).for_each(|value| values.add(value));
        let ranks = [0.0, 0.5, 0.99, 1.0].map(|share| values.quantile(share).expect("a value"));
        assert_eq!(ranks, [1, 50, 99, 100]);
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_values_but_for_a_little(
            values in prop::collection::vec(any::<u32>(), 1..200),
            share in 0.0f64..=1.0,
            split in any::<prop::sample::Index>(),
        ) {
            let (mut all, mut rest) = (Distribution::default(), Distribution::default());
            let split = split.index(values.len());
            values[..split].iter().for_each(|value| all.add(*value));
            values[split..].iter().for_each(|value| rest.add(*value));
            all.join(rest);
            let mut sorted = values;
            sorted.sort_unstable();
            let rank = ((share * sorted.len() as f64).ceil().max(1.0) as usize).min(sorted.len());
            let exact = f64::from(sorted[rank - 1]);
            let told = f64::from(all.quantile(share).expect("a value"));
            prop_assert!(told <= exact && told >= exact * (1.0 - 1.0 / 512.0), "{told} for {exact}");
        }
    }
}
