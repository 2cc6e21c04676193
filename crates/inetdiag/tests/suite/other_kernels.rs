//! Captures of other kernels, as pcap, and what `ss` printed there: every message parses, every field is `ss`'s.
//!
//! They are not in this repository; where they are not beside it either, these tests pass and say so.

use std::fs;
use std::path::{Path, PathBuf};

use inetdiag::{AddressFamily, Message, NetlinkMessages, Snapshot};

use crate::support::compare::compare;
use crate::support::{SOCK_DIAG_BY_FAMILY, encoded_and_read, pcap, read, shared};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;

/// Known differences: the text beside this one is of another run, with other connections; two listeners outlived both.
/// One that is listed and is of the same run after all is an error.
const OF_ANOTHER_RUN: [&str; 1] = ["6.6-10"];

/// Least share of the sockets in both dump and text that must be comparable and equal. Where the text was printed from
/// the very dump, as in all files seen so far, it is all of them; where it was printed seconds later while all
/// connections moved, it is what never moves, listeners and TIME_WAIT, which is half.
const LEAST_COMPARABLE: f64 = 0.5;

fn captures() -> Vec<PathBuf> {
    let Some(directory) = shared("data/netlink") else { return Vec::new() };
    let entries = fs::read_dir(directory).expect("can be listed").map(|entry| entry.expect("can be listed").path());
    let mut captures: Vec<_> = entries.filter(|path| path.extension().is_some_and(|name| name == "pcap")).collect();
    captures.sort();
    assert!(!captures.is_empty());
    captures
}

/// Every socket in a capture, decoded without a fault. Requests and the ends of dumps are checked on the way.
fn snapshots(path: &Path) -> Vec<Snapshot> {
    let file = read(path);
    let mut snapshots = Vec::new();
    for buffer in pcap::sock_diag_buffers(&file) {
        for message in NetlinkMessages::new(buffer) {
            let message = message.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            match message.kind {
                // The request that the dump answers.
                _ if message.flags & NLM_F_REQUEST != 0 => {}
                SOCK_DIAG_BY_FAMILY if is_ip(message.payload) => snapshots.push(decoded(message.payload, path)),
                // Sockets of other families have other headers.
                SOCK_DIAG_BY_FAMILY | NLMSG_ERROR => {}
                NLMSG_DONE => assert!(message.payload.starts_with(&[0; 4]), "{}: a dump failed", path.display()),
                kind => panic!("{}: message of kind {kind}", path.display()),
            }
        }
    }
    snapshots
}

fn is_ip(payload: &[u8]) -> bool {
    [AddressFamily::Inet, AddressFamily::Inet6].iter().any(|family| payload.first() == Some(&family.number()))
}

fn decoded(payload: &[u8], path: &Path) -> Snapshot {
    let message = Message::new(payload).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let snapshot = Snapshot::of_message(message);
    assert_eq!(snapshot.malformed, [], "{}: {snapshot:?}", path.display());
    let idm = message.header();
    assert!(idm.state().is_some() && message.cookie() != 0, "{}: {idm:?}", path.display());
    let archived = Snapshot::decode(&encoded_and_read(message));
    assert_eq!(Snapshot { timestamp: None, ..archived }, snapshot, "{}: the archive changes it", path.display());
    snapshot
}

#[test]
fn every_message_and_attribute_parses() {
    for path in captures() {
        let snapshots = snapshots(&path);
        assert!(!snapshots.is_empty(), "{}", path.display());
        let with_info = snapshots.iter().filter(|snapshot| snapshot.tcp_info.is_some()).count();
        assert!(with_info > 0, "{}", path.display());
        // Fields that this kernel did not send are absent, not zero.
        for info in snapshots.iter().filter_map(|snapshot| snapshot.tcp_info) {
            assert_eq!(info.snd_wnd().is_some(), info.payload_len() >= 232, "{}", path.display());
            assert_eq!(info.rcv_wnd().is_some(), info.payload_len() >= 240, "{}", path.display());
        }
        // Longer than known is no fault; but everything up to Linux 6.6 is known.
        for snapshot in &snapshots {
            let is_new = snapshot.tcp_info.is_some_and(|info| info.payload_len() > 248);
            assert!(snapshot.not_fully_parsed == 0 || is_new, "{}: {snapshot:?}", path.display());
        }
        eprintln!("{}: {} sockets, {with_info} with tcp_info", path.display(), snapshots.len());
    }
}

#[test]
fn every_field_is_what_ss_printed() {
    let (mut files, mut compared) = (0, 0);
    for path in captures() {
        let Ok(text) = fs::read_to_string(path.with_extension("ss")) else { continue };
        let result = compare(&snapshots(&path), &text);
        let name = path.file_stem().expect("a file").to_string_lossy();
        eprintln!(
            "{name}: {} sockets printed by ss, {} of them in the dump; {} fully equal, {} but for elapsed time, {} moved on",
            result.printed, result.common, result.equal, result.later, result.moved
        );
        assert_eq!(result.wrong, [""; 0], "{name}");
        let share = |part: usize, whole: usize| part as f64 / whole as f64;
        let is_same_run = share(result.common, result.printed) > 0.9;
        assert!(!is_same_run || !OF_ANOTHER_RUN.contains(&&*name), "{name}: take it off the list");
        if result.common > 0 {
            assert!(share(result.comparable(), result.common) >= LEAST_COMPARABLE, "{name}: {result:?}");
        }
        compared += result.comparable();
        files += 1;
    }
    assert!(files == 0 || compared > 0, "nothing was compared");
}
