//! The connections there are, and which of them goes when there are too many, or when too much is being sent to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use tokio::task::AbortHandle;

use crate::portions::Portions;

/// The connections of a server, up to a limit; and what is being sent to all of them together, up to another.
pub(crate) struct Crowd {
    most: usize,
    most_bytes: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Counts what happens, to say what was before what.
    clock: u64,
    /// By the order in which they came.
    connections: BTreeMap<u64, Connection>,
}

#[derive(Default)]
struct Connection {
    task: Option<AbortHandle>,
    /// Whether its request has come.
    has_spoken: bool,
    /// What is being sent to it.
    body: Bytes,
    /// When some of that was taken last.
    taken: u64,
}

/// The place of one connection; it is free again when this is dropped.
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    number: u64,
}

impl Crowd {
    /// For so many connections, and so many bytes of what is being sent.
    pub(crate) fn new(most: usize, most_bytes: usize) -> Arc<Self> {
        Arc::new(Self { most, most_bytes, inner: Mutex::default() })
    }

    /// A place for one more. Where there is none, the one that has been silent for the longest time has to go; `None` if
    /// all are being answered. Says whether one had to go.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<(Place, bool)> {
        let mut inner = self.inner();
        let is_full = inner.connections.len() >= self.most;
        if is_full {
            let (&number, _) = inner.connections.iter().find(|(_, connection)| !connection.has_spoken)?;
            inner.end(number);
        }
        let number = inner.tick();
        inner.connections.insert(number, Connection::default());
        Some((Place { crowd: Arc::clone(self), number }, is_full))
    }

    /// The task that serves the connection with this number.
    pub(crate) fn is_served_by(&self, number: u64, task: AbortHandle) {
        if let Some(connection) = self.inner().connections.get_mut(&number) {
            connection.task = Some(task);
        }
    }

    /// The connection with this number has taken all that was given to it of what is being sent, and is given more.
    pub(crate) fn takes(&self, number: u64) {
        let mut inner = self.inner();
        let now = inner.tick();
        if let Some(connection) = inner.connections.get_mut(&number) {
            connection.taken = now;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn end(&mut self, number: u64) {
        if let Some(task) = self.connections.remove(&number).and_then(|connection| connection.task) {
            task.abort();
        }
    }

    /// Bytes that are being sent. What several connections are sent is in memory once.
    fn held(&self) -> usize {
        let bodies = self.connections.values().map(|connection| (connection.body.as_ptr(), connection.body.len()));
        let bodies: BTreeMap<_, _> = bodies.collect();
        bodies.values().sum()
    }

    /// Of those to whom something is being sent, but for one: who has taken nothing of it for the longest time.
    fn slowest_but(&self, number: u64) -> Option<u64> {
        let others = self.connections.iter().filter(|(other, it)| **other != number && !it.body.is_empty());
        others.min_by_key(|(_, connection)| connection.taken).map(|(&number, _)| number)
    }
}

impl Place {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Its request has come.
    pub(crate) fn has_spoken(&self) {
        if let Some(connection) = self.crowd.inner().connections.get_mut(&self.number) {
            connection.has_spoken = true;
        }
    }

    /// Sends this. Where that is too much, those have to go that have taken nothing for the longest time; says how many. Alone it
    /// may be as large as it is.
    pub(crate) fn send(&self, body: Bytes) -> (Portions, usize) {
        let mut inner = self.crowd.inner();
        let now = inner.tick();
        if let Some(connection) = inner.connections.get_mut(&self.number) {
            (connection.body, connection.taken) = (body.clone(), now);
        }
        let mut ended = 0;
        while inner.held() > self.crowd.most_bytes {
            let Some(slowest) = inner.slowest_but(self.number) else { break };
            inner.end(slowest);
            ended += 1;
        }
        (Portions::new(body, Arc::clone(&self.crowd), self.number), ended)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.inner().connections.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_for_the_longest_time_goes_and_who_has_spoken_stays() {
        let crowd = Crowd::new(2, 0);
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

    /// Whether these are still connected.
    fn are_there<const N: usize>(crowd: &Crowd, places: [&Place; N]) -> [bool; N] {
        places.map(|place| crowd.inner().connections.contains_key(&place.number))
    }

    #[test]
    fn who_takes_nothing_for_the_longest_time_goes_when_too_much_is_sent() {
        let crowd = Crowd::new(9, 100);
        let [a, b, c, d] = [(); 4].map(|()| crowd.enter().expect("there is room").0);
        let send = |place: &Place, len| place.send(Bytes::from(vec![7; len])).1;
        assert_eq!([send(&a, 40), send(&b, 30), send(&c, 30)], [0, 0, 0]);
        crowd.takes(a.number);
        assert_eq!((send(&d, 1), are_there(&crowd, [&a, &b, &c, &d])), (1, [true, false, true, true]));
        // More than is allowed in all; who is sent nothing stays.
        let [e, f] = [(); 2].map(|()| crowd.enter().expect("there is room").0);
        assert_eq!((send(&e, 101), are_there(&crowd, [&a, &c, &d, &e, &f])), (3, [false, false, false, true, true]));
        drop(e);
        assert_eq!(crowd.inner().held(), 0);
    }

    #[test]
    fn what_several_are_sent_counts_once() {
        let crowd = Crowd::new(9, 100);
        let places = [(); 5].map(|()| crowd.enter().expect("there is room").0);
        let body = Bytes::from(vec![7; 90]);
        assert_eq!(places.each_ref().map(|place| place.send(body.clone()).1), [0; 5]);
        let (other, _) = crowd.enter().expect("there is room");
        assert_eq!(other.send(Bytes::from(vec![7; 11])).1, 5);
    }
}
