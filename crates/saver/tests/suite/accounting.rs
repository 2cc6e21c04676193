//! Whatever happens, each record taken is in the archive once, in the order of its file, or counted as lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use crate::support::*;

#[derive(Debug, Clone)]
enum Step {
    Record {
        cookie: u64,
        with_tcp_info: bool,
    },
    /// Enough at once to fill a frame.
    Burst {
        cookie: u64,
    },
    Close {
        cookie: u64,
    },
    Pass {
        milliseconds: u64,
    },
    Tick,
    BreakSpool,
    BreakTree,
    Mend,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cookie = 1..=4u64;
    let step = prop_oneof![
        12 => (cookie.clone(), prop::bool::weighted(0.9))
            .prop_map(|(cookie, with_tcp_info)| Step::Record { cookie, with_tcp_info }),
        1 => cookie.clone().prop_map(|cookie| Step::Burst { cookie }),
        2 => cookie.prop_map(|cookie| Step::Close { cookie }),
        4 => prop_oneof![0..1500u64, 5_000..15_000u64, 590_000..700_000u64]
            .prop_map(|milliseconds| Step::Pass { milliseconds }),
        4 => Just(Step::Tick),
        1 => Just(Step::BreakSpool),
        1 => Just(Step::BreakTree),
        2 => Just(Step::Mend),
    ];
    prop::collection::vec(step, 1..120)
}

/// A directory that fails while a file stands in its place: permissions do not stop root.
struct Breakable<'a> {
    output: &'a Path,
    name: &'static str,
    broken: bool,
}

impl Breakable<'_> {
    fn away(&self) -> std::path::PathBuf {
        self.output.join(format!("away-{}", self.name))
    }

    fn break_it(&mut self) {
        if !std::mem::replace(&mut self.broken, true) {
            let _ = fs::rename(self.output.join(self.name), self.away());
            fs::write(self.output.join(self.name), "").expect("writes");
        }
    }

    fn mend(&mut self) {
        if std::mem::take(&mut self.broken) {
            fs::remove_file(self.output.join(self.name)).expect("is there");
            let _ = fs::rename(self.away(), self.output.join(self.name));
        }
    }
}

/// What was given to the saver: by connection, the serial numbers of records, in order.
type Given = BTreeMap<u64, Vec<u32>>;

fn run(output: &Path, steps: Vec<Step>, memory_limit: usize) -> (Recorder, Given) {
    let mut recorder = Recorder::with(output, saver::Config { memory_limit, ..config() });
    // Random walks are long: begin at midnight, so that all files are of one day.
    recorder.time = "2026-03-09T00:00:00Z".parse().expect("a time");
    let mut spool = Breakable { output, name: ".spool", broken: false };
    let mut tree = Breakable { output, name: "2026", broken: false };
    let mut given = Given::new();
    let mut serial = 0;
    let mut give = |recorder: &mut Recorder, cookie, with_tcp_info| {
        serial += 1;
        let socket = if with_tcp_info { Socket::full(cookie, serial) } else { Socket::bare(cookie, serial) };
        recorder.record(&socket);
        given.entry(cookie).or_default().push(serial);
    };
    for step in steps {
        match step {
            Step::Record { cookie, with_tcp_info } => give(&mut recorder, cookie, with_tcp_info),
            Step::Burst { cookie } => (0..150).for_each(|_| give(&mut recorder, cookie, true)),
            Step::Close { cookie } => recorder.close(cookie),
            Step::Pass { milliseconds } => recorder.pass(Duration::from_millis(milliseconds)),
            Step::Tick => recorder.tick(),
            Step::BreakSpool => spool.break_it(),
            Step::BreakTree => tree.break_it(),
            Step::Mend => {
                spool.mend();
                tree.mend();
            }
        }
        let counters = &recorder.counters;
        assert!(counters.records_written.get() + recorder.lost() <= counters.records.get());
    }
    spool.mend();
    tree.mend();
    // One failing attempt after another may have had its second, and a close waits for the tick after that.
    recorder.pass(seconds(1));
    recorder.tick();
    (recorder, given)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_written_once_and_in_order_or_counted_as_lost(
        steps in steps(),
        memory_limit in prop_oneof![Just(2_000usize), Just(60_000), Just(16 << 20)],
    ) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (mut recorder, given) = run(dir.path(), steps, memory_limit);
        recorder.finish_all();
        let counters = recorder.counters.clone();
        let lost = recorder.lost();
        let total: usize = given.values().map(Vec::len).sum();
        prop_assert_eq!(counters.records.get() + counters.without_tcp_info.get(), total as u64);
        prop_assert_eq!(counters.records.get(), counters.records_written.get() + lost);
        prop_assert_eq!(counters.records_lost.with_label_values(&["shutdown"]).get(), 0, "the disk is sound at the end");
        prop_assert_eq!(recorder.saver.connections(), 0);
        drop(recorder);

        // Files that failed halfway wait in the spool for the next start.
        let spool = open_spool(dir.path());
        let recovery = recover(&spool);
        prop_assert!(recovery.errors.is_empty() && recovery.bytes_cut == 0, "{:?}", recovery);
        prop_assert!(partials(dir.path()).is_empty());
        let reader = Recorder::on(dir.path(), spool, config());
        let mut readable = 0;
        for (cookie, given) in &given {
            let mut serials = reader.serials(*cookie);
            serials.sort_unstable();
            prop_assert!(serials.is_sorted_by(|a, b| a < b), "twice in the archive: {} {:?}", cookie, serials);
            prop_assert!(serials.iter().all(|serial| given.binary_search(serial).is_ok()));
            readable += serials.len() as u64;
        }
        prop_assert_eq!(readable, counters.records_written.get());
        for file in reader.files() {
            let archive = reader.archive(&file);
            prop_assert!(archive.serials().is_sorted(), "{}: {:?}", file, archive.serials());
            let records = archive.records;
            let last = records.last().expect("no file is without records");
            prop_assert!(has_tcp_info(last) || !records.iter().any(has_tcp_info), "{}", file);
        }
    }
}
