//! What only the saver itself can tell: how much it keeps.

use chrono::DateTime;
use inetdiag::{Message, Origin};

use super::*;
use crate::config::HeaderFacts;

fn socket(cookie: u64) -> Vec<u8> {
    let mut bytes = vec![0; 72];
    bytes[44..48].copy_from_slice(&(cookie as u32).to_ne_bytes());
    bytes
}

fn saver(output: &std::path::Path) -> Saver {
    let config = Config {
        prefix: "host".to_owned(),
        boot_time: DateTime::UNIX_EPOCH,
        rotation: Duration::from_secs(600),
        flush_age: Duration::from_secs(10),
        memory_limit: 1 << 20,
        level: 1,
        header: HeaderFacts::default(),
    };
    let spool = Spool::open(output, &output.join(".spool")).expect("opens");
    Saver::new(config, Arc::new(spool), Counters::default()).expect("the level exists")
}

/// In memory where there is such a place, for a disk would be what is measured.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}

#[test]
fn short_connections_leave_nothing_behind() {
    let dir = directory();
    let mut saver = saver(dir.path());
    let start = Instant::now();
    for number in 0..200_000u64 {
        let now = start + Duration::from_millis(number);
        let bytes = socket(number + 1);
        saver.record(
            Record {
                message: Message::new(&bytes).expect("long enough"),
                time: DateTime::UNIX_EPOCH,
                origin: Origin::Destroy { is_final: true },
                streams: None,
            },
            now,
        );
        saver.close(number + 1);
        if number % 1000 == 999 {
            assert!(saver.tick(now, || true));
            assert!(saver.waiting.len() <= 11_000, "no more than a flush age of them: {}", saver.waiting.len());
            let _ = std::fs::remove_dir_all(dir.path().join("1970"));
        }
    }
    assert!(saver.last_error.is_none());
    assert_eq!((saver.connections.len(), saver.open.len(), saver.due.len(), saver.memory), (0, 0, 0, 0));
    saver.tick(start + Duration::from_secs(300), || true);
    assert_eq!((saver.waiting.len(), saver.full.len()), (0, 0));
}

#[test]
fn a_disk_that_fails_for_long_bounds_what_waits() {
    let dir = directory();
    let mut saver = saver(dir.path());
    std::fs::remove_dir_all(dir.path()).expect("removes");
    std::fs::write(dir.path(), "in the way").expect("writes");
    let start = Instant::now();
    for number in 0..100_000u64 {
        let now = start + Duration::from_millis(number);
        let bytes = socket(number + 1);
        saver.record(
            Record {
                message: Message::new(&bytes).expect("long enough"),
                time: DateTime::UNIX_EPOCH,
                origin: Origin::Destroy { is_final: true },
                streams: None,
            },
            now,
        );
        saver.close(number + 1);
        saver.tick(now, || true);
    }
    assert!(saver.memory <= saver.config.memory_limit);
    // A message alone is that long; queues may be twice as long as what is live in them.
    let most = saver.config.memory_limit / 72;
    assert!(saver.connections.len() <= most);
    for len in [saver.waiting.len(), saver.due.len(), saver.refused.len()] {
        let most = 2 * most + 1024;
        assert!(len <= most, "{len}");
    }
    let counters = &saver.counters;
    let waiting: u64 = saver.connections.values().map(|connection| u64::from(connection.unwritten())).sum();
    assert_eq!(
        counters.records.get(),
        counters.records_written.get() + Counters::sum(&counters.records_lost) + waiting
    );
    std::fs::remove_file(dir.path()).expect("is there");
}

#[test]
fn a_date_tree_that_fails_for_long_bounds_what_is_kept() {
    let dir = directory();
    let mut saver = saver(dir.path());
    std::fs::write(dir.path().join("1970"), "in the way").expect("writes");
    let start = Instant::now();
    for number in 0..30_000u64 {
        let now = start + Duration::from_millis(number);
        let bytes = socket(number + 1);
        let message = Message::new(&bytes).expect("long enough");
        saver.record(
            Record { message, time: DateTime::UNIX_EPOCH, origin: Origin::Destroy { is_final: true }, streams: None },
            now,
        );
        saver.close(number + 1);
        saver.tick(now, || true);
    }
    assert_eq!(
        (saver.connections.len(), saver.refused.len(), saver.counters.files_left.get()),
        (10_000, 10_000, 20_000)
    );
    assert_eq!((saver.counters.records_written.get(), saver.losses.files_left), (30_000, 20_000));
    std::fs::remove_file(dir.path().join("1970")).expect("is there");
    saver.tick(start + Duration::from_secs(60), || true);
    assert_eq!((saver.connections.len(), saver.counters.files.get()), (0, 10_000), "all go as soon as one goes");
}

#[test]
fn one_old_connection_does_not_keep_what_is_known_of_those_that_ended() {
    let dir = directory();
    let mut saver = saver(dir.path());
    saver.config.rotation = Duration::from_secs(24 * 3600);
    let start = Instant::now();
    let record = |saver: &mut Saver, cookie: u64, now: Instant| {
        let bytes = socket(cookie);
        let message = Message::new(&bytes).expect("long enough");
        saver.record(Record { message, time: DateTime::UNIX_EPOCH, origin: Origin::Poll(1), streams: None }, now);
    };
    record(&mut saver, 1, start);
    for number in 0..20_000u64 {
        let now = start + Duration::from_millis(number * 10);
        record(&mut saver, number + 2, now);
        // It lives for 15 s, longer than until its file is begun.
        if let Some(ended) = number.checked_sub(1500) {
            saver.close(ended + 2);
        }
        saver.tick(now, || true);
        if number % 1000 == 999 {
            let _ = std::fs::remove_dir_all(dir.path().join("1970"));
        }
    }
    assert_eq!(saver.connections.len(), 1501);
    assert!(saver.open.len() <= 2 * 1501 + 1024, "{}", saver.open.len());
}
