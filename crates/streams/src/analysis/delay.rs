//! How long it takes from data to the ACK that covers it.

use super::seq::{after, before};

/// Segments whose ACK is waited for.
const MOST: usize = 8;
/// Sequence numbers are thinned out no further than to every so many segments.
const WIDEST_STRIDE: u8 = 128;

/// The end of a segment, and when it passed, in microseconds, wrapping.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    end: u32,
    time: u32,
}

/// A retransmission that an ACK can be told to be of, by its timestamp.
#[derive(Debug, Clone, Copy)]
struct Resent {
    mark: Mark,
    tsval: u32,
}

/// Delays of a stream.
///
/// Each ACK gives one sample: of the last segment it covers, from that to the ACK. By Karn's rule (RFC 6298, 3) a segment
/// that was sent more than once gives none, unless the timestamp that the ACK echoes tells which of them it is of. A SACK
/// block counts as an ACK of what is in it. Of a window with more segments than there is room for, every second, fourth,
/// ... is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delays {
    marks: [Mark; MOST],
    resent: Option<Resent>,
    len: u8,
    /// Of so many segments one is marked.
    stride: u8,
    /// Segments since the last mark.
    since_mark: u8,
    pub(super) samples: u64,
    /// ACKs that samples stand for: those that no segment was waited for with, too. Otherwise times with large windows, which
    /// have the longer delays, would count too little in the mean.
    weight: u64,
    /// ACKs since the last sample.
    acks: u8,
    /// All in microseconds; the sum by weight.
    sum: u64,
    first: u32,
    min: u32,
    max: u32,
    last: u32,
    jitter: f32,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            marks: [Mark::default(); MOST],
            resent: None,
            len: 0,
            stride: 1,
            since_mark: 0,
            samples: 0,
            weight: 0,
            acks: 0,
            sum: 0,
            first: 0,
            min: u32::MAX,
            max: 0,
            last: 0,
            jitter: 0.0,
        }
    }
}

/// Delays, summed up; in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DelaySummary {
    /// The smallest.
    pub min: u32,
    /// Their mean.
    pub avg: f64,
    /// The largest.
    pub max: u32,
    /// How much one differs from the next, smoothed as in RFC 3550, 6.4.1.
    pub jitter: f64,
}

impl Delays {
    /// New data up to `end` passes.
    #[inline]
    pub(super) fn sent(&mut self, end: u32, time: u32) {
        self.since_mark += 1;
        if self.since_mark < self.stride {
            return;
        }
        self.since_mark = 0;
        if usize::from(self.len) == MOST {
            if self.stride == WIDEST_STRIDE {
                return;
            }
            self.stride *= 2;
            (0..MOST / 2).for_each(|i| self.marks[i] = self.marks[2 * i + 1]);
            self.len = (MOST / 2) as u8;
        }
        self.marks[usize::from(self.len)] = Mark { end, time };
        self.len += 1;
    }

    /// Data from `start` up to `end` passes once more. `tsval`: its timestamp, if that is another than those of all data before.
    pub(super) fn resent(&mut self, start: u32, end: u32, time: u32, tsval: Option<u32>) {
        self.retain(|mark| !after(mark.end, start) || after(mark.end, end));
        self.resent = tsval.map(|tsval| Resent { mark: Mark { end, time }, tsval });
    }

    /// An ACK comes, of everything before `ack` and of the blocks, with the timestamp that it echoes.
    #[inline]
    pub(super) fn acknowledged(&mut self, ack: u32, blocks: &[(u32, u32)], tsecr: Option<u32>, time: u32) {
        self.acks = self.acks.saturating_add(1);
        if let Some(resent) = self.resent
            && !before(ack, resent.mark.end)
        {
            self.resent = None;
            if tsecr == Some(resent.tsval) {
                self.sample(time.wrapping_sub(resent.mark.time));
                self.retain(|mark| after(mark.end, ack));
                return;
            }
        }
        let mut newest = None;
        let covered = self.marks[..usize::from(self.len)].iter().take_while(|mark| !after(mark.end, ack)).count();
        if covered > 0 {
            newest = Some(self.marks[covered - 1]);
            self.marks.copy_within(covered..usize::from(self.len), 0);
            self.len -= covered as u8;
        }
        if usize::from(self.len) < MOST / 4 && self.stride > 1 {
            self.stride /= 2;
        }
        for &(left, right) in blocks {
            self.retain(|mark| {
                let is_in_it = after(mark.end, left) && !after(mark.end, right);
                if is_in_it && newest.is_none_or(|newest| after(mark.end, newest.end)) {
                    newest = Some(*mark);
                }
                !is_in_it
            });
        }
        if let Some(mark) = newest {
            self.sample(time.wrapping_sub(mark.time));
        }
    }

    /// The first sample: of the SYN, if the handshake was seen.
    pub(super) fn first(&self) -> Option<u32> {
        (self.samples > 0).then_some(self.first)
    }

    /// All samples; `None` before there is one.
    pub(super) fn summary(&self) -> Option<DelaySummary> {
        let Self { min, max, samples, .. } = *self;
        let avg = self.sum as f64 / self.weight as f64;
        (samples > 0).then_some(DelaySummary { min, avg, max, jitter: self.jitter.into() })
    }

    fn sample(&mut self, delay: u32) {
        if delay > i32::MAX as u32 {
            return; // the clock was set back
        }
        if self.samples == 0 {
            self.first = delay;
        } else {
            self.jitter += (delay.abs_diff(self.last) as f32 - self.jitter) / 16.0;
        }
        self.samples += 1;
        let weight = u64::from(self.acks.clamp(1, self.stride));
        self.acks = 0;
        self.weight += weight;
        self.sum += u64::from(delay) * weight;
        self.min = self.min.min(delay);
        self.max = self.max.max(delay);
        self.last = delay;
    }

    fn retain(&mut self, mut keep: impl FnMut(&Mark) -> bool) {
        let mut kept = 0;
        for i in 0..usize::from(self.len) {
            if keep(&self.marks[i]) {
                self.marks[kept] = self.marks[i];
                kept += 1;
            }
        }
        self.len = kept as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_is_of_the_last_segment_it_covers() {
        let mut delays = Delays::default();
        delays.sent(100, 10);
        delays.sent(200, 30);
        delays.sent(300, 60);
        delays.acknowledged(250, &[], None, 130);
        delays.acknowledged(250, &[], None, 140);
        delays.acknowledged(300, &[], None, 200);
        let summary = delays.summary().expect("two samples");
        assert_eq!((summary.min, summary.avg, summary.max, delays.first()), (100, 120.0, 140, Some(100)));
        assert_eq!(summary.jitter, 40.0 / 16.0);
    }

    #[test]
    fn what_was_sent_twice_gives_no_sample() {
        let mut delays = Delays::default();
        delays.sent(100, 0);
        delays.sent(200, 1);
        delays.resent(0, 100, 50, None);
        delays.acknowledged(100, &[], None, 60);
        assert_eq!(delays.samples, 0);
        delays.acknowledged(200, &[], None, 61);
        assert_eq!(delays.summary().map(|summary| summary.min), Some(60));
    }

    #[test]
    fn a_timestamp_tells_which_of_them_is_acknowledged() {
        for (tsecr, samples) in [(7, 1), (3, 0)] {
            let mut delays = Delays::default();
            delays.sent(100, 0);
            delays.resent(0, 100, 50, Some(7));
            delays.acknowledged(100, &[], Some(tsecr), 60);
            assert_eq!(delays.samples, samples);
            assert!(delays.summary().is_none_or(|summary| summary.max == 10));
        }
    }

    #[test]
    fn a_sack_block_acknowledges_what_is_in_it() {
        let mut delays = Delays::default();
        (1..=5).for_each(|i| delays.sent(i * 100, i));
        delays.acknowledged(100, &[(200, 400)], None, 44);
        assert_eq!(delays.summary().map(|summary| summary.max), Some(40));
        delays.acknowledged(500, &[], None, 105);
        assert_eq!(delays.summary().map(|summary| summary.max), Some(100));
        assert_eq!(delays.len, 0);
    }

    #[test]
    fn a_large_window_is_thinned_out_and_the_stride_comes_back() {
        let mut delays = Delays::default();
        (1..=10_000).for_each(|i| delays.sent(i * 10, i));
        assert!(usize::from(delays.len) <= MOST);
        assert_eq!(delays.stride, WIDEST_STRIDE);
        delays.acknowledged(100_000, &[], None, 20_000);
        for i in 10_001..=10_040 {
            delays.sent(i * 10, i);
            delays.acknowledged(i * 10, &[], None, i + 5);
        }
        assert_eq!((delays.len, delays.summary().map(|summary| summary.min)), (0, Some(5)));
    }

    #[test]
    fn a_clock_that_is_set_back_gives_no_sample() {
        let mut delays = Delays::default();
        delays.sent(1, 1000);
        delays.acknowledged(1, &[], None, 900);
        assert_eq!(delays.samples, 0);
    }
}
