use streams::live::{self, By, Options};

use super::*;

const CHOICE: Choice = Choice { most: 10, by: By::Bytes };

/// Threads that capture nowhere, which takes no privilege.
fn open(threads: usize) -> (Vec<live::Worker>, Handle) {
    live::open(&Options { threads, ..Options::default() }, None).expect("no ring is opened")
}

/// Does something while these work. They end before anything is judged: a failure must not keep them working.
fn beside<T>(workers: &mut [live::Worker], handle: &Handle, work: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        workers.iter_mut().for_each(|worker| drop(scope.spawn(|| worker.run())));
        let outcome = work();
        handle.stop();
        outcome
    })
}

#[test]
fn who_asks_while_another_is_told_is_told_the_same() {
    let (mut workers, handle) = open(1);
    let gatherer = Gatherer::new(handle.clone(), CHOICE);
    let (first, second) = beside(&mut workers, &handle, || (gatherer.streams(), gatherer.streams()));
    let (first, second) = (first.expect("is answered"), second.expect("is answered"));
    assert!(Arc::ptr_eq(&first, &second));
    drop((first, second));
    assert!(gatherer.last.lock().expect("no panic").upgrade().is_none(), "nobody keeps it");
}

#[test]
fn if_a_thread_is_missing_there_is_no_answer_and_it_is_not_well_for_long() {
    let (mut workers, handle) = open(2);
    let mut gatherer = Gatherer::new(handle.clone(), CHOICE);
    drop(workers.pop());
    let answers = beside(&mut workers, &handle, || [gatherer.streams().is_err(), gatherer.totals().is_err()]);
    assert_eq!(answers, [true, true]);
    assert!(gatherer.is_well());
    gatherer.begin = gatherer.begin.checked_sub(PATIENCE + Duration::from_secs(1)).expect("the clock runs");
    assert!(!gatherer.is_well());
}
