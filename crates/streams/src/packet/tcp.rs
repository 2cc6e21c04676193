//! The TCP header (RFC 9293) and its options.

use super::Frame;
use super::NoSegment::{self, Malformed, Truncated};
use super::bytes::{array, be16, be32};
use super::ip::Ip;
use super::link;
use super::segment::{Endpoint, Flags, Flow, SackBlocks, Segment};

const HEADER_LEN: usize = 20;
/// Larger shifts count as this one (RFC 7323, 2.3).
const LARGEST_SHIFT: u8 = 14;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

#[inline]
pub(super) fn parse(frame: &Frame<'_>, ip: &Ip<'_>) -> Result<Segment, NoSegment> {
    let header: [u8; HEADER_LEN] = array(ip.payload, 0).ok_or(match ip.payload_len {
        len if (len as usize) < HEADER_LEN => Malformed,
        _ => Truncated,
    })?;
    let header_len = usize::from(header[12] >> 4) * 4;
    let payload = ip.payload_len.checked_sub(header_len as u32).filter(|_| header_len >= HEADER_LEN);
    let endpoint = |address, port| Endpoint { address, port };
    let mut segment = Segment {
        time: frame.time,
        interface: link::interface(frame),
        flow: Flow {
            source: endpoint(ip.source, u16::from_be_bytes([header[0], header[1]])),
            destination: endpoint(ip.destination, u16::from_be_bytes([header[2], header[3]])),
        },
        seq: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        ack: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: Flags(header[13]),
        window: u16::from_be_bytes([header[14], header[15]]),
        payload: payload.ok_or(Malformed)?,
        gso_size: frame.gso_size,
        ecn: ip.ecn,
        mss: None,
        window_scale: None,
        timestamps: None,
        sack: SackBlocks::default(),
    };
    let captured = ip.payload.len().min(header_len);
    read_options(&ip.payload[HEADER_LEN..captured], &mut segment);
    Ok(segment)
}

/// Reads options up to their end, or to the first one that is malformed or cut: what is behind it is not known.
#[inline]
fn read_options(mut options: &[u8], segment: &mut Segment) {
    // What nearly every segment of an open connection has, and nothing else.
    if let [NOP, NOP, TIMESTAMPS, 10, values @ ..] = options
        && values.len() == 8
    {
        segment.timestamps = timestamps(values);
        return;
    }
    while let [kind, rest @ ..] = options {
        match *kind {
            END => return,
            NOP => {
                options = rest;
                continue;
            }
            _ => {}
        }
        let Some(&len) = rest.first() else { return };
        let len = usize::from(len);
        let Some(value) = options.get(2..len) else { return };
        match (*kind, len) {
            (MSS, 4) => segment.mss = be16(value, 0),
            (WINDOW_SCALE, 3) => segment.window_scale = Some(value[0].min(LARGEST_SHIFT)),
            (TIMESTAMPS, 10) => segment.timestamps = timestamps(value),
            (SACK, 10 | 18 | 26 | 34) => segment.sack = sack_blocks(value),
            _ => {}
        }
        options = &options[len..];
    }
}

fn timestamps(value: &[u8]) -> Option<(u32, u32)> {
    be32(value, 0).zip(be32(value, 4))
}

fn sack_blocks(value: &[u8]) -> SackBlocks {
    let mut sack = SackBlocks::default();
    for (block, bytes) in sack.blocks.iter_mut().zip(value.chunks_exact(8)) {
        *block = be32(bytes, 0).zip(be32(bytes, 4)).unwrap_or_default();
        sack.len += 1;
    }
    sack
}
