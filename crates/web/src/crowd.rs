//! The connections there are, and which of them goes when there are too many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// The connections of a server, up to a limit.
pub(crate) struct Crowd {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    connected: usize,
    next: u64,
    /// Those whose request has not come yet, by the order in which they came.
    silent: BTreeMap<u64, Option<AbortHandle>>,
}

/// The place of one connection; it is free again when this is dropped.
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    number: u64,
}

impl Crowd {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, inner: Mutex::default() })
    }

    /// A place for one more. Where there is none, the one that has been silent for the longest time has to go; `None` if
    /// all are being answered. Says whether one had to go.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<(Place, bool)> {
        let mut inner = self.inner();
        let is_full = inner.connected >= self.limit;
        if is_full {
            let (_, task) = inner.silent.pop_first()?;
            if let Some(task) = task {
                task.abort();
            }
        }
        let number = inner.next;
        inner.next += 1;
        inner.connected += 1;
        inner.silent.insert(number, None);
        Some((Place { crowd: Arc::clone(self), number }, is_full))
    }

    /// The task that serves the connection with this number, as long as that is silent.
    pub(crate) fn is_served_by(&self, number: u64, task: AbortHandle) {
        if let Some(known) = self.inner().silent.get_mut(&number) {
            *known = Some(task);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Its request has come.
    pub(crate) fn has_spoken(&self) {
        self.crowd.inner().silent.remove(&self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.crowd.inner();
        inner.silent.remove(&self.number);
        inner.connected -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_for_the_longest_time_goes_and_who_has_spoken_stays() {
        let crowd = Crowd::new(2);
        let (first, _) = crowd.enter().expect("there is room");
        let (_second, is_full) = crowd.enter().expect("there is room");
        assert!(!is_full);
        first.has_spoken();
        let (third, is_full) = crowd.enter().expect("the second goes");
        assert!(is_full);
        third.has_spoken();
        assert!(crowd.enter().is_none(), "all that are left have spoken");
        drop((first, third));
        assert!(crowd.enter().is_some());
    }
}
