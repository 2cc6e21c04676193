//! The receive window that a sender advertises.

/// The window, and how long it was zero.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    /// Since when it is zero, if it is, in nanoseconds since 1970.
    zero_since: u64,
    /// Nanoseconds that it was zero before.
    zero_time: u64,
    field: u16,
    /// The largest field that was not that of a SYN.
    largest: u16,
    /// Shift that this side offered.
    pub(super) offered_scale: Option<u8>,
    is_known: bool,
    /// Whether the field is that of a SYN, which is never scaled.
    is_of_syn: bool,
}

impl Window {
    /// Belongs the window field of a packet; says whether the window goes to zero with it.
    #[inline]
    pub(super) fn advertise(&mut self, field: u16, is_of_syn: bool, time: u64) -> bool {
        let was_zero = self.is_zero();
        (self.field, self.is_of_syn, self.is_known) = (field, is_of_syn, true);
        if !is_of_syn {
            self.largest = self.largest.max(field);
        }
        match (was_zero, self.is_zero()) {
            (false, true) => self.zero_since = time,
            (true, false) => self.zero_time += time.saturating_sub(self.zero_since),
            _ => {}
        }
        !was_zero && self.is_zero()
    }

    /// Whether the window field was this one in the packet before.
    #[inline]
    pub(super) fn is(&self, field: u16) -> bool {
        self.is_known && self.field == field
    }

    /// Whether it is zero now.
    #[inline]
    pub(super) fn is_zero(&self) -> bool {
        self.is_known && self.field == 0 && !self.is_of_syn
    }

    /// Bytes, scaled by this shift; `None` if nothing was advertised, or if the shift is not known.
    pub(super) fn bytes(&self, scale: Option<u8>) -> Option<u64> {
        let scale = if self.is_of_syn { Some(0) } else { scale };
        scale.filter(|_| self.is_known).map(|scale| u64::from(self.field) << scale)
    }

    /// The largest that there was, in bytes, scaled by this shift; `None` if there was none, or if the shift is not known.
    pub(super) fn largest(&self, scale: Option<u8>) -> Option<u64> {
        scale.filter(|_| self.largest > 0).map(|scale| u64::from(self.largest) << scale)
    }

    /// Nanoseconds that it was zero, up to now.
    pub(super) fn zero_time(&self, now: u64) -> u64 {
        self.zero_time + if self.is_zero() { now.saturating_sub(self.zero_since) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_window_is_one_event_until_it_opens() {
        let mut window = Window::default();
        assert_eq!(window.bytes(Some(7)), None);
        assert!(!window.advertise(0, true, 5), "a SYN may have 0: it is not the window yet");
        let events: Vec<_> =
            [(9, 10), (0, 20), (0, 30), (4, 50), (0, 60)].map(|(w, t)| window.advertise(w, false, t)).into();
        assert_eq!(events, [false, true, false, false, true]);
        assert_eq!((window.zero_time(60), window.zero_time(75)), (30, 45));
        window.advertise(4, false, 70);
        assert_eq!((window.bytes(Some(7)), window.bytes(None)), (Some(512), None));
    }
}
