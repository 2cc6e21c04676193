//! Connections of which nothing is seen any more, and those that are heard of again.

use saver::Record;

use crate::support::*;

#[test]
fn a_connection_that_is_heard_of_again_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    let start = recorder.time;
    recorder.full(1, 1);
    recorder.saver.vanish(1);
    recorder.tick();
    assert_eq!(recorder.files(), [path(1, 0)], "what there is of it is finished");
    // Someone takes finished files away.
    let first = recorder.archive(&path(1, 0));
    std::fs::remove_file(dir.path().join(path(1, 0))).expect("is there");
    recorder.pass(seconds(3600));
    recorder.record(&Socket::bare(1, 2));
    recorder.full(1, 3);
    recorder.close(1);
    assert_eq!(recorder.files(), [path(1, 1)]);
    let second = recorder.archive(&path(1, 1));
    assert_eq!((first.serials(), second.serials()), (vec![1], vec![3]), "that it had tcp_info is known, too");
    assert_eq!((first.metadata.start_time, second.metadata.start_time), (start.fixed_offset(), start.fixed_offset()));
    assert_eq!((recorder.counters.connections.get(), recorder.saver.connections()), (1, 0));
}

#[test]
fn its_end_makes_it_forgotten() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.full(1, 1);
    recorder.saver.vanish(1);
    recorder.tick();
    assert_eq!(recorder.saver.connections(), 1);
    recorder.close(1);
    assert_eq!((recorder.saver.connections(), recorder.files()), (0, vec![path(1, 0)]));
    recorder.saver.vanish(2);
    recorder.tick();
    assert_eq!(recorder.saver.connections(), 0, "nothing was known of that one");
}

#[test]
fn no_more_than_some_thousands_are_kept() {
    let dir = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    for cookie in 1..=10_100 {
        recorder.saver.record(
            Record {
                message: Socket::bare(cookie, 1).message(),
                time: recorder.time,
                origin: inetdiag::Origin::Poll(1),
                streams: None,
            },
            recorder.now,
        );
        recorder.saver.vanish(cookie);
    }
    recorder.tick();
    assert_eq!(recorder.saver.connections(), 10_000);
}
