//! Inputs in parallel, and what comes of them in their order.

use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

/// Pieces of one input that may wait for those of the inputs before it.
const PIECES: usize = 4;

/// The other side wants no more: it has failed, or was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// Takes the pieces of one input, until the last of its clones is dropped.
#[derive(Debug)]
pub struct Emit<T>(Sender<T>);

impl<T> Clone for Emit<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Emit<T> {
    /// Hands one on. Waits where the inputs before it have not all been taken yet.
    pub fn emit(&self, piece: T) -> Result<(), Stopped> {
        self.0.send(piece).map_err(|_| Stopped)
    }
}

/// Hands each input that `find` gives on to one of so many workers, each made by `worker`, and what that makes of it to
/// `take`: the pieces of an input in their order, and inputs in theirs. Memory is bounded by the pieces that wait. The
/// error is one of `take`; the others then stop.
pub fn run<I: Send, T: Send, W: FnMut(I, &Emit<T>), E>(
    jobs: usize,
    find: impl FnOnce(&dyn Fn(I) -> Result<(), Stopped>) + Send,
    worker: impl Fn() -> W + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let jobs = jobs.max(1);
    let (tasks, work) = bounded::<(I, Emit<T>)>(jobs);
    let (order, results) = bounded::<Receiver<T>>(2 * jobs);
    thread::scope(|scope| {
        scope.spawn(move || {
            find(&|input| {
                let (emit, pieces) = bounded(PIECES);
                // In this order: the inputs whose pieces are waited for are at work, or next.
                order.send(pieces).map_err(|_| Stopped)?;
                tasks.send((input, Emit(emit))).map_err(|_| Stopped)
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
        // Moved here, so that an error closes it, and the others notice.
        let results = results;
        results.iter().try_for_each(|pieces| pieces.iter().try_for_each(&mut take))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

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
        let find = |give: &dyn Fn(usize) -> Result<(), Stopped>| {
            let stopped = (0..1_000_000).try_for_each(|input| {
                found.fetch_add(1, Ordering::Relaxed);
                give(input)
            });
            assert_eq!(stopped, Err(Stopped));
        };
        let worker = || |input: usize, emit: &Emit<usize>| while emit.emit(input).is_ok() {};
        let mut left = 10;
        let outcome = run(3, find, worker, |_| {
            left -= 1;
            if left == 0 { Err("full") } else { Ok(()) }
        });
        assert_eq!(outcome, Err("full"));
        assert!(found.load(Ordering::Relaxed) < 100);
    }
}
