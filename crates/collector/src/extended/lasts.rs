//! Last values of sockets, until their destroy events come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

/// How long one is kept: who has closed a socket may take its time to let go of it.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// So many are kept, in 30 MB; the oldest is forgotten when there is one more.
const MOST: usize = 50_000;

/// Values by cookie, and in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Lasts {
    values: FxHashMap<u64, Box<[u8]>>,
    /// Those that were taken are stale here.
    order: VecDeque<(Instant, u64)>,
}

impl Lasts {
    /// Keeps one. Says how many were forgotten for it: that of the connection before, if the socket was connected anew, too.
    pub(super) fn put(&mut self, cookie: u64, value: &[u8], now: Instant) -> u64 {
        let replaced = self.values.insert(cookie, value.into()).is_some();
        self.order.push_back((now, cookie));
        u64::from(replaced) + self.forget_while(|this, _| this.values.len() > MOST || this.order.len() > 2 * MOST)
    }

    pub(super) fn take(&mut self, cookie: u64) -> Option<Box<[u8]>> {
        self.values.remove(&cookie)
    }

    /// Forgets those that nobody has asked for in time, and says how many these were.
    pub(super) fn forget_old(&mut self, now: Instant) -> u64 {
        self.forget_while(|_, came| now.saturating_duration_since(came) > KEPT_FOR)
    }

    fn forget_while(&mut self, is_too_much: impl Fn(&Self, Instant) -> bool) -> u64 {
        let mut forgotten = 0;
        while let Some(&(came, cookie)) = self.order.front()
            && (is_too_much(self, came) || !self.values.contains_key(&cookie))
        {
            self.order.pop_front();
            forgotten += u64::from(self.values.remove(&cookie).is_some());
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_had_once_and_not_for_ever() {
        let (mut lasts, begin) = (Lasts::default(), Instant::now());
        assert_eq!(lasts.put(1, &[1], begin) + lasts.put(2, &[2], begin + Duration::from_secs(1)), 0);
        assert_eq!((lasts.take(1).as_deref(), lasts.take(1), lasts.take(3)), (Some(&[1][..]), None, None));
        assert_eq!(lasts.put(2, &[3], begin + Duration::from_secs(1)), 1, "the one before it");
        assert_eq!(lasts.forget_old(begin + KEPT_FOR), 0);
        assert_eq!(lasts.forget_old(begin + KEPT_FOR + Duration::from_millis(1001)), 1);
        assert!(lasts.order.is_empty() && lasts.values.is_empty());
    }

    #[test]
    fn the_oldest_makes_room() {
        let (mut lasts, now) = (Lasts::default(), Instant::now());
        let forgotten: u64 = (0..MOST as u64 + 10).map(|cookie| lasts.put(cookie, &[], now)).sum();
        assert_eq!((forgotten, lasts.values.len(), lasts.take(9), lasts.take(10).is_some()), (10, MOST, None, true));
        // Those that are taken leave nothing.
        for cookie in 0..3 * MOST as u64 {
            lasts.put(cookie, &[], now);
            assert!(lasts.take(cookie).is_some());
        }
        assert!(lasts.order.len() <= 2 * MOST && lasts.values.len() <= MOST);
    }
}
