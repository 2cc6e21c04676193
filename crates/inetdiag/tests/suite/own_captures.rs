//! Captures and archives of our own in `testdata`, each with what it decodes to.
//!
//! `UPDATE_EXPECTED=1` writes the expected files anew; `testdata/netlink/capture.py` makes new captures.

use std::collections::BTreeSet;
use std::fs;

use inetdiag::{Snapshot, TcpState};

use crate::support::compare::compare;
use crate::support::golden::decoded;
use crate::support::{read, sockets, testdata, updating};
use crate::transfer;

fn captured(name: &str) -> Vec<Snapshot> {
    let buffers = read(testdata(name));
    sockets(&buffers).into_iter().map(|(_, message)| Snapshot::of_message(message)).collect()
}

fn archived(name: &str) -> Vec<Snapshot> {
    let records = inetdiag::open(testdata(name)).expect("can be opened");
    records.map(|record| Snapshot::decode(&record.expect("well formed"))).collect()
}

#[test]
fn every_file_decodes_to_what_is_expected_of_it() {
    transfer::archive();
    let mut seen = BTreeSet::new();
    for directory in ["netlink", "archives"] {
        for entry in fs::read_dir(testdata(directory)).expect("testdata is there") {
            let name = entry.expect("can be listed").file_name().into_string().expect("UTF-8");
            let path = format!("{directory}/{name}");
            let stem = name.split('.').next().expect("splits into one at least");
            let snapshots = match (directory, name.as_str()) {
                // The archive is made of this one, see `transfer.rs`, and compared there; `.ss` is compared below.
                ("netlink", "transfer.bin" | "states.ss" | "capture.py") => continue,
                ("netlink", _) if name.ends_with(".bin") => captured(&path),
                ("archives", _) if name.ends_with(".jsonl.zst") => archived(&path),
                (_, _) if name.ends_with(".expected") => continue,
                _ => panic!("{path}: no test knows this file"),
            };
            let expected = format!("{directory}/{stem}.expected");
            let text = decoded(&snapshots);
            if updating() {
                fs::write(testdata(&expected), &text).expect("testdata can be written");
            }
            let expected_text = String::from_utf8(read(testdata(&expected))).expect("UTF-8");
            for (number, (is, should_be)) in text.lines().zip(expected_text.lines()).enumerate() {
                assert_eq!(is, should_be, "{expected}:{}", number + 1);
            }
            assert_eq!(text.lines().count(), expected_text.lines().count(), "{expected}");
            seen.insert(expected);
        }
    }
    let all: BTreeSet<_> =
        ["archives/loopback", "netlink/events", "netlink/states"].map(|stem| format!("{stem}.expected")).into();
    assert_eq!(seen, all);
}

/// Dump and text are of one quiet moment, so everything must agree, and a field of each kind must be there to agree on.
#[test]
fn a_dump_of_sockets_of_every_kind_is_what_ss_printed() {
    let snapshots = captured("netlink/states.bin");
    let text = String::from_utf8(read(testdata("netlink/states.ss"))).expect("UTF-8");
    let result = compare(&snapshots, &text);
    eprintln!("{result:?}");
    assert_eq!(result.wrong, [""; 0]);
    assert_eq!((result.comparable(), result.moved), (snapshots.len(), 0));
    assert_eq!(result.printed, snapshots.len());

    let states: Vec<_> = snapshots.iter().filter_map(|snapshot| snapshot.idm?.state()).collect();
    for state in ["Established", "SynSent", "FinWait2", "TimeWait", "CloseWait", "Listen"] {
        assert!(states.iter().any(|seen| format!("{seen:?}") == state), "{state}");
    }
    for (name, is_there) in [
        ("v4-mapped", snapshots.iter().any(|s| s.idm.is_some_and(|idm| idm.src().to_string().starts_with("::ffff:")))),
        (
            "minisock",
            snapshots
                .iter()
                .any(|s| s.tcp_info.is_none() && s.idm.and_then(|idm| idm.state()) == Some(TcpState::FinWait2)),
        ),
        ("bbr", snapshots.iter().any(|s| s.bbrinfo.and_then(|bbr| bbr.bw()).is_some_and(|bw| bw > 0))),
        ("mark", snapshots.iter().any(|s| s.mark == Some(0x2a))),
        ("tos", snapshots.iter().any(|s| s.tos == Some(0x88))),
        ("tclass", snapshots.iter().any(|s| s.tclass == Some(0x20))),
        ("class", snapshots.iter().any(|s| s.class_id == Some(5))),
        ("mptcp", snapshots.iter().any(|s| s.ulp_info.as_ref().and_then(|ulp| ulp.mptcp).is_some())),
        (
            "rwnd",
            snapshots.iter().any(|s| s.tcp_info.and_then(|info| info.rwnd_limited()).is_some_and(|time| time > 0)),
        ),
    ] {
        assert!(is_there, "{name}");
    }
}

#[test]
fn destroy_events_carry_totals_unless_the_socket_was_aborted() {
    let events = captured("netlink/events.bin");
    assert!(events.len() >= 8);
    let mut aborted = 0;
    for event in &events {
        let idm = event.idm.expect("a socket");
        assert_eq!(idm.state(), Some(TcpState::Close));
        // PROTOCOL and INFO, and nothing else.
        assert_eq!((event.observed, event.protocol), (1 << 9 | 1 << 1, Some(6)));
        let info = event.tcp_info.expect("every event has it");
        match (idm.id.idiag_sport.get(), idm.id.idiag_dport.get()) {
            (_, 5101 | 5102) => assert_eq!((info.bytes_sent(), info.bytes_acked()), (Some(1000), Some(1002))),
            (5101 | 5102, 1..) => assert_eq!(info.bytes_received(), Some(1001)),
            (5103, 1..) => assert_eq!(info.bytes_received(), Some(1000)),
            (_, 0) => {
                assert_eq!((info.bytes_sent(), info.segs_out()), (Some(0), Some(0)));
                aborted += 1;
            }
            _ => {}
        }
    }
    assert!(aborted > 0);
}
