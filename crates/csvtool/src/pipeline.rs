//! Inputs in parallel, and what comes of them in their order.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

/// Bytes of pieces that may wait for those of the inputs before them. It has to be half of what a long archive becomes, or
/// the worker after next waits for the next one.
const WAITING: usize = 16 << 20;
/// Bytes of pieces of the input under way that may wait to be taken.
const AHEAD: usize = 2 << 20;

/// Bytes of pieces that are handed on together.
const PARCEL: usize = 64 << 10;

/// The other side wants no more: it has failed, or was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// What is made of inputs piece by piece.
pub trait Weigh {
    /// Bytes of memory that it takes, about.
    fn weight(&self) -> usize;
}

/// Takes the pieces of one input, until it is dropped.
#[derive(Debug)]
pub struct Emit<T: Weigh> {
    number: u64,
    parcels: Sender<Parcel<T>>,
    waiting: Arc<Waiting>,
    /// What is not handed on yet: whoever takes it is not woken for less.
    parcel: RefCell<Parcel<T>>,
}

/// Some pieces, and the bytes of them.
#[derive(Debug)]
struct Parcel<T> {
    pieces: Vec<T>,
    bytes: usize,
}

impl<T> Default for Parcel<T> {
    fn default() -> Self {
        Self { pieces: Vec::new(), bytes: 0 }
    }
}

impl<T: Weigh> Emit<T> {
    /// Hands one on. Waits where too many wait for inputs before it.
    pub fn emit(&self, piece: T) -> Result<(), Stopped> {
        let mut parcel = self.parcel.borrow_mut();
        parcel.bytes += piece.weight();
        parcel.pieces.push(piece);
        if parcel.bytes >= PARCEL { self.send(std::mem::take(&mut *parcel)) } else { Ok(()) }
    }

    fn send(&self, parcel: Parcel<T>) -> Result<(), Stopped> {
        let is_too_much = |state: &mut State| {
            let is_first = state.first == self.number;
            let is_full = if is_first { self.parcels.len() * parcel.bytes >= AHEAD } else { state.bytes >= WAITING };
            is_full && !state.is_stopped
        };
        let waited = self.waiting.changed.wait_while(self.waiting.state(), is_too_much);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.is_stopped {
            return Err(Stopped);
        }
        state.bytes += parcel.bytes;
        self.parcels.send(parcel).map_err(|_| Stopped)
    }
}

impl<T: Weigh> Drop for Emit<T> {
    fn drop(&mut self) {
        let parcel = self.parcel.take();
        if !parcel.pieces.is_empty() {
            // Nobody is left to be told that nobody wants it.
            let _ = self.send(parcel);
        }
    }
}

/// How much waits.
#[derive(Debug, Default)]
struct Waiting {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The input whose pieces are taken: it does not wait for others.
    first: u64,
    bytes: usize,
    is_stopped: bool,
}

impl Waiting {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and lets those look that wait for it.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}

/// Those that wait are told when nobody takes anything any more.
struct StopOnDrop<'a>(&'a Waiting);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_stopped = true);
    }
}

/// Hands each input that `find` gives on to one of so many workers, each made by `worker`, and what that makes of it to
/// `take`: the pieces of an input in their order, and inputs in theirs. Memory is bounded by the pieces that wait. The
/// error is one of `take`; the others then stop.
pub fn run<I: Send, T: Send + Weigh, W: FnMut(I, &Emit<T>), E>(
    jobs: usize,
    find: impl FnOnce(&dyn Fn(I) -> Result<(), Stopped>) + Send,
    worker: impl Fn() -> W + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let jobs = jobs.max(1);
    let (tasks, work) = bounded::<(I, Emit<T>)>(jobs);
    let (order, results) = bounded::<Receiver<Parcel<T>>>(4 * jobs);
    let waiting = Arc::new(Waiting::default());
    thread::scope(|scope| {
        let shared = &waiting;
        scope.spawn(move || {
            let number = Cell::new(0);
            find(&|input| {
                let (parcels, taken) = unbounded();
                let number = number.replace(number.get() + 1);
                let emit = Emit { number, parcels, waiting: shared.clone(), parcel: RefCell::default() };
                // In this order: the inputs whose pieces are waited for are at work, or next.
                order.send(taken).map_err(|_| Stopped)?;
                tasks.send((input, emit)).map_err(|_| Stopped)
            });
        });
        for _ in 0..jobs {
            let (work, worker) = (work.clone(), &worker);
            scope.spawn(move || {
                let mut worker = worker();
                work.iter().for_each(|(input, emit)| worker(input, &emit));
            });
        }
        drop(work);
        // Both end with this: an error closes the one, and lets go who waits for the other.
        let (results, _stop) = (results, StopOnDrop(&waiting));
        results.iter().try_for_each(|parcels| {
            for Parcel { pieces, bytes } in parcels {
                pieces.into_iter().try_for_each(&mut take)?;
                waiting.change(|state| state.bytes -= bytes);
            }
            waiting.change(|state| state.first += 1);
            Ok(())
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    impl Weigh for u64 {
        fn weight(&self) -> usize {
            1 << 20
        }
    }

    #[test]
    fn what_comes_of_inputs_is_in_their_order_whoever_is_first() {
        for jobs in [1, 2, 7] {
            let find = |give: &dyn Fn(u64) -> Result<(), Stopped>| (0..200).try_for_each(give).expect("all are taken");
            let worker = || {
                |input: u64, emit: &Emit<u64>| {
                    // Some are slow: that is what this is about.
                    thread::sleep(Duration::from_micros(input * 7919 % 500));
                    (0..input % 11).for_each(|piece| emit.emit(input * 100 + piece).expect("is taken"));
                }
            };
            let mut taken = Vec::new();
            let outcome: Result<(), ()> = run(jobs, find, worker, |piece| {
                taken.push(piece);
                Ok(())
            });
            let expected: Vec<u64> =
                (0..200).flat_map(|input| (0..input % 11).map(move |piece| input * 100 + piece)).collect();
            assert_eq!((outcome, taken), (Ok(()), expected), "{jobs}");
        }
    }

    #[test]
    fn an_error_stops_all_of_them() {
        let found = AtomicUsize::new(0);
        let find = |give: &dyn Fn(u64) -> Result<(), Stopped>| {
            let stopped = (0..1_000_000).try_for_each(|input| {
                found.fetch_add(1, Ordering::Relaxed);
                give(input)
            });
            assert_eq!(stopped, Err(Stopped));
        };
        let worker = || |input: u64, emit: &Emit<u64>| while emit.emit(input).is_ok() {};
        let mut left = 10;
        let outcome = run(3, find, worker, |_| {
            left -= 1;
            if left == 0 { Err("full") } else { Ok(()) }
        });
        assert_eq!(outcome, Err("full"));
        assert!(found.load(Ordering::Relaxed) < 100);
    }
}
