//! Archives made to exhaust memory: read to their end, in a process that has little of it.

use std::io::{Cursor, Read, repeat};
use std::process::Command;
use std::{env, fs};

use inetdiag::{ArchiveReader, ReadFault};

const THIS_TEST: &str = "memory::hostile_archives_take_bounded_memory";
const IN_CHILD: &str = "INETDIAG_HOSTILE_CHILD";
/// Address space of the child: twice the largest window that a zstd frame may ask for, and room for the test itself.
const ADDRESS_SPACE_KIB: u64 = 768 << 10;
/// What the child may touch of it. The inputs are each larger than this, or would be if they were held in any way.
const RESIDENT_KIB: u64 = 48 << 10;

/// Reads `source` to its end, and returns how many lines were good and what the last one that was not is said to be.
fn faults(source: impl Read + Send + 'static) -> (usize, Option<ReadFault>) {
    let (mut good, mut last) = (0, None);
    for item in ArchiveReader::sniff(source).expect("can be read") {
        match item {
            Ok(_) => good += 1,
            Err(error) => last = Some(error.fault),
        }
    }
    (good, last)
}

fn read_hostile_archives() {
    const MIB: usize = 1 << 20;
    // A gigabyte without a newline, plain.
    assert!(matches!(faults(repeat(b'a').take(1 << 30)), (0, Some(ReadFault::TooLong))));
    // The same compressed: a few kilobytes that become a gigabyte.
    let frame = zstd::encode_all(repeat(b'a').take(16 << 20), 1).expect("in memory");
    let bomb = frame.repeat(64);
    assert!(bomb.len() < MIB / 8);
    assert!(matches!(faults(Cursor::new(bomb)), (0, Some(ReadFault::TooLong))));
    // Frames that ask for a window of 256 MiB and of 2 GiB.
    for window_log in [28, 31] {
        let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (window_log - 10) << 3, 0x01, 0x00, 0x00];
        assert!(matches!(faults(Cursor::new(greedy)), (0, Some(ReadFault::Damaged(_)))));
    }
    // A frame to be skipped, of 4 GiB.
    let skipped = [0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff];
    assert!(matches!(faults(Cursor::new(skipped).chain(repeat(b'a').take(1 << 30))), (0, Some(ReadFault::Damaged(_)))));
    // Nesting as deep as a line is long, where a value is skipped and where one is read.
    for key in ["New", "Attributes", "Metadata", "RawIDM", "Streams"] {
        let line = format!("{{\"{key}\":{}\n", "[".repeat(MIB - 100));
        assert!(matches!(faults(Cursor::new(line.repeat(4))), (0, Some(ReadFault::Malformed(_)))), "{key}");
    }
    // Lines full of attributes that are not there, and of empty ones.
    let idm = "A".repeat(96);
    for value in ["null", "\"\""] {
        let values = vec![value; 190_000].join(",");
        let line = format!("{{\"RawIDM\":\"{idm}\",\"Attributes\":[{values}]}}\n");
        assert!(matches!(faults(Cursor::new(line.repeat(4))), (4, None)), "{value}");
    }
}

/// The most memory that this process ever touched.
fn peak_resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("is there");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn hostile_archives_take_bounded_memory() {
    if env::var_os(IN_CHILD).is_some() {
        read_hostile_archives();
        let peak = peak_resident_kib();
        eprintln!("peak {peak} KiB");
        assert!(peak < RESIDENT_KIB, "peak {peak} KiB");
        return;
    }
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -v {ADDRESS_SPACE_KIB} && exec \"$0\" --exact {THIS_TEST} --nocapture")])
        .arg(env::current_exe().expect("is running"))
        .env(IN_CHILD, "1")
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    eprintln!("{said}");
}
