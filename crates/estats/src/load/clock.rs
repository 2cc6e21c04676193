//! What the programs cannot know of clocks.

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

const NANOSECONDS: u64 = 1_000_000_000;

/// Nanoseconds between 1970 and the zero of the kernel's monotonic clock.
pub(super) fn realtime_offset() -> u64 {
    let before = nanoseconds(clock_gettime(ClockId::Monotonic));
    let realtime = nanoseconds(clock_gettime(ClockId::Realtime));
    let after = nanoseconds(clock_gettime(ClockId::Monotonic));
    realtime.wrapping_sub(before + (after - before) / 2)
}

/// Nanoseconds of a jiffy, in which the kernel keeps its timeouts: the coarse clock ticks once in each.
pub(super) fn jiffy_nanoseconds() -> u64 {
    nanoseconds(clock_getres(ClockId::MonotonicCoarse))
}

fn nanoseconds(time: Timespec) -> u64 {
    time.tv_sec as u64 * NANOSECONDS + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_makes_a_monotonic_time_a_date() {
        let date = realtime_offset() + nanoseconds(clock_gettime(ClockId::Monotonic));
        let now = nanoseconds(clock_gettime(ClockId::Realtime));
        assert!(date.abs_diff(now) < NANOSECONDS, "{date} {now}");
    }

    #[test]
    fn a_jiffy_is_one_that_kernels_are_built_with() {
        let hertz = NANOSECONDS.div_ceil(jiffy_nanoseconds().max(1));
        assert!([100, 250, 300, 301, 1000].contains(&hertz), "{hertz}");
    }
}
