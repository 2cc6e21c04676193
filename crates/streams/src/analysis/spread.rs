//! Mean and variance of the last values, in twelve bytes.

/// Mean and variance in which each value counts less as others follow.
///
/// Up to half of its span, all values count the same. From then on each new one has the weight 2 / (span + 1), as a moving
/// average over the span would be written with exponential weights: 86 % of the whole is of the last `SPAN` values.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spread<const SPAN: u8> {
    mean: f32,
    variance: f32,
    count: u8,
}

impl<const SPAN: u8> Spread<SPAN> {
    /// Belongs the next value.
    #[inline]
    pub(super) fn add(&mut self, value: f32) {
        self.count = (self.count + 1).min(SPAN.div_ceil(2));
        let weight = 1.0 / f32::from(self.count);
        let difference = value - self.mean;
        let step = weight * difference;
        self.mean += step;
        self.variance = (1.0 - weight) * (self.variance + difference * step);
    }

    /// The standard deviation; `None` of fewer than two values.
    pub(super) fn deviation(&self) -> Option<f64> {
        (self.count > 1).then(|| f64::from(self.variance.max(0.0)).sqrt())
    }

    /// The standard deviation as a part of the mean; `None` of fewer than two values, or if their mean is 0.
    pub(super) fn variation(&self) -> Option<f64> {
        let mean = f64::from(self.mean);
        self.deviation().filter(|_| mean > 0.0).map(|deviation| deviation / mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_values_count_the_same() {
        let mut spread = Spread::<100>::default();
        assert_eq!((spread.deviation(), spread.variation()), (None, None));
        for value in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
            spread.add(value);
        }
        assert!((spread.deviation().expect("eight values") - 2.0).abs() < 1e-5);
        assert!((spread.variation().expect("their mean is 5") - 0.4).abs() < 1e-5);
    }

    #[test]
    fn old_values_are_forgotten() {
        let mut spread = Spread::<60>::default();
        (0..1000).for_each(|i| spread.add(if i % 2 == 0 { 0.0 } else { 1000.0 }));
        (0..600).for_each(|_| spread.add(10.0));
        assert!(spread.deviation().expect("many values") < 0.1, "{spread:?}");
    }
}
