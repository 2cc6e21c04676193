//! What is wrong with a capture file, and what to do about it.

use std::io;

use streams::file::FileError;
use streams::table::FrameCounts;
use thiserror::Error;

use super::FileTally;

/// Something that is wrong with a file.
#[derive(Debug, Error)]
pub enum Fault {
    /// It cannot be opened, or not one byte of it be read.
    #[error("cannot open: {0}")]
    Open(io::Error),
    /// There is nothing in it, not even a header.
    #[error("no packets: the file is empty")]
    Empty,
    /// It is no capture, or not whole.
    #[error(transparent)]
    File(FileError),
    /// What its packets begin with is not known.
    #[error(
        "link layer {linktype} is not read, {packets} packets are left out: Ethernet, Linux cooked, raw IP and BSD loopback \
         are read"
    )]
    ForeignLink {
        /// Its number in the list of LINKTYPE values; if there are several, of the first.
        linktype: u32,
        /// Packets that are left out.
        packets: u64,
    },
    /// The file does not say what its packets begin with.
    #[error("{0} packets are of no interface that the file describes, and left out")]
    NoInterface(u64),
    /// The file does not say when its packets passed.
    #[error("{0} packets have no time (simple packet blocks), and are left out: capture again with tcpdump or dumpcap")]
    Untimed(u64),
    /// Headers were not captured whole.
    #[error("{truncated} of {packets} packets are cut within their headers, and left out: {LARGER_SNAP_LENGTH}")]
    Truncated {
        /// Packets that are left out.
        truncated: u64,
        /// All packets.
        packets: u64,
    },
    /// There are packets, but not such.
    #[error("no TCP in it: {0}")]
    NoTcp(String),
}

const LARGER_SNAP_LENGTH: &str = "capture with a larger snap length, such as tcpdump -s 128";

/// What is wrong with a file in which this was; nothing, if all is well.
pub fn of(tally: FileTally) -> Vec<Fault> {
    let FileTally { file, frames, segments, outcome } = tally;
    let mut faults = Vec::new();
    faults.extend(outcome.err().map(Fault::File));
    if file.foreign > 0 {
        faults.push(match file.foreign_linktype {
            Some(linktype) => Fault::ForeignLink { linktype, packets: file.foreign },
            None => Fault::NoInterface(file.foreign),
        });
    }
    faults.extend((file.untimed > 0).then_some(Fault::Untimed(file.untimed)));
    if segments > 0 {
        let truncated = frames.truncated;
        faults.extend((truncated > 0).then_some(Fault::Truncated { truncated, packets: frames.frames }));
    } else if file.packets > 0 || faults.is_empty() {
        // Of a file that is cut within its first packet there is nothing more to say.
        faults.push(Fault::NoTcp(instead(&frames)));
    }
    faults
}

/// What is there instead of segments.
fn instead(frames: &FrameCounts) -> String {
    let FrameCounts { other_protocol, truncated, malformed, fragments, .. } = *frames;
    let cure = format!("cut within their headers ({LARGER_SNAP_LENGTH})");
    let all = [
        (other_protocol, "of other protocols"),
        (truncated, &cure),
        (malformed, "malformed"),
        (fragments, "fragments that come to no whole segment"),
    ];
    let some: Vec<_> = all.iter().filter(|(count, _)| *count > 0).map(|(count, of)| format!("{count} {of}")).collect();
    match frames.frames {
        0 => "there are no packets".to_owned(),
        packets => format!("of {packets} packets {}", some.join(", ")),
    }
}
