//! Sockets that polls have not seen for long, and whose destroy events are still to come.
//!
//! Their connections' files are finished; but a process may hold the descriptor of a connection that ended for hours, and
//! the event, when it comes, is of that connection and of no new one.

use std::collections::{HashSet, VecDeque};

/// So many are remembered; events that were lost must not fill memory.
const KEPT: usize = 10_000;

/// The cookies of such sockets, the oldest forgotten first.
#[derive(Debug, Default)]
pub struct GivenUp {
    cookies: HashSet<u64>,
    order: VecDeque<u64>,
}

impl GivenUp {
    /// Remembers a socket.
    pub fn insert(&mut self, cookie: u64) {
        if self.cookies.insert(cookie) {
            self.order.push_back(cookie);
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.cookies.remove(&oldest);
        }
    }

    /// Forgets a socket, and says whether it was remembered.
    pub fn remove(&mut self, cookie: u64) -> bool {
        let known = !self.cookies.is_empty() && self.cookies.remove(&cookie);
        if known {
            self.order.retain(|&other| other != cookie);
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut given_up = GivenUp::default();
        (0..KEPT as u64 + 2).for_each(|cookie| given_up.insert(cookie));
        assert!(!given_up.remove(1) && given_up.remove(2) && !given_up.remove(2));
        assert_eq!((given_up.cookies.len(), given_up.order.len()), (KEPT - 1, KEPT - 1));
    }
}
