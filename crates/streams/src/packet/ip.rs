//! IPv4 (RFC 791) and IPv6 (RFC 8200): from the datagram to what TCP has of it.

use super::NoSegment::{self, Malformed, OtherProtocol, Truncated};
use super::bytes::{array, be16, be32};
use super::fragments::Part;
use super::link::Datagram;
use super::segment::{Ecn, Endpoint, Flow, mapped};

const TCP: u8 = 6;
const IPV6_HEADER_LEN: usize = 40;
const FRAGMENT_UNIT: u32 = 8;
const OPTION_PAD1: u8 = 0;
const OPTION_JUMBO: u8 = 0xc2;

/// A datagram, or a fragment of one, that has TCP in it.
pub(super) struct Ip<'a> {
    pub(super) source: [u8; 16],
    pub(super) destination: [u8; 16],
    pub(super) ecn: Ecn,
    /// What was captured of the payload.
    pub(super) payload: &'a [u8],
    /// How long it is in truth.
    pub(super) payload_len: u32,
    pub(super) fragment: Option<Part>,
}

impl Ip<'_> {
    /// The addresses, with no ports: those are in the first fragment only.
    pub(super) fn flow_of_addresses(&self) -> Flow {
        let endpoint = |address| Endpoint { address, port: 0 };
        Flow { source: endpoint(self.source), destination: endpoint(self.destination) }
    }
}

#[inline]
pub(super) fn parse<'a>(datagram: &Datagram<'a>) -> Result<Ip<'a>, NoSegment> {
    match datagram.bytes.first().ok_or(Truncated)? >> 4 {
        4 => ipv4(datagram),
        6 => ipv6(datagram),
        _ => Err(Malformed),
    }
}

#[inline]
fn ipv4<'a>(datagram: &Datagram<'a>) -> Result<Ip<'a>, NoSegment> {
    let bytes = datagram.bytes;
    let header: [u8; 20] = array(bytes, 0).ok_or(Truncated)?;
    let header_len = usize::from(header[0] & 0xf) * 4;
    if header_len < header.len() {
        return Err(Malformed);
    }
    if header[9] != TCP {
        return Err(OtherProtocol);
    }
    // 0: a packet beyond 64 KiB, or one whose length is only known to whoever cuts it apart.
    let total_len = match u16::from_be_bytes([header[2], header[3]]) {
        0 => datagram.wire_len,
        len => len.into(),
    };
    let payload_len = payload_len(total_len, header_len, datagram)?;
    let flags_and_offset = u16::from_be_bytes([header[6], header[7]]);
    let part = Part {
        id: u16::from_be_bytes([header[4], header[5]]).into(),
        offset: u32::from(flags_and_offset & 0x1fff) * FRAGMENT_UNIT,
        is_last: flags_and_offset & 0x2000 == 0,
    };
    Ok(Ip {
        source: mapped([header[12], header[13], header[14], header[15]]),
        destination: mapped([header[16], header[17], header[18], header[19]]),
        ecn: Ecn::from_bits(header[1]),
        payload: clip(bytes, header_len, payload_len)?,
        payload_len,
        fragment: part.is_fragment().then_some(part),
    })
}

#[inline]
fn ipv6<'a>(datagram: &Datagram<'a>) -> Result<Ip<'a>, NoSegment> {
    let bytes = datagram.bytes;
    let header: [u8; IPV6_HEADER_LEN] = array(bytes, 0).ok_or(Truncated)?;
    let mut next = header[6];
    let mut start = IPV6_HEADER_LEN;
    let mut fragment = None;
    let mut jumbo_len = None;
    while next != TCP {
        let len = match next {
            // Hop-by-hop, routing, destination options, mobility, HIP, shim6
            0 | 43 | 60 | 135 | 139 | 140 => {
                if next == 0 {
                    jumbo_len = jumbo(bytes, start)?;
                }
                (usize::from(*bytes.get(start + 1).ok_or(Truncated)?) + 1) * 8
            }
            // Authentication
            51 => (usize::from(*bytes.get(start + 1).ok_or(Truncated)?) + 2) * 4,
            44 => {
                let offset = be16(bytes, start + 2).ok_or(Truncated)?;
                let id = be32(bytes, start + 4).ok_or(Truncated)?;
                fragment = Some(Part { id, offset: u32::from(offset & !7), is_last: offset & 1 == 0 });
                8
            }
            _ => return Err(OtherProtocol),
        };
        next = *bytes.get(start).ok_or(Truncated)?;
        start += len;
        if fragment.is_some_and(|part| part.offset > 0) {
            // Extension headers behind are in the first fragment only.
            break;
        }
    }
    if next != TCP {
        return Err(OtherProtocol);
    }
    let total_len = match (u16::from_be_bytes([header[4], header[5]]), jumbo_len) {
        (0, Some(len)) => len.checked_add(IPV6_HEADER_LEN as u32).ok_or(Malformed)?,
        // Beyond 64 KiB, and without the option that should say how long it is.
        (0, None) => datagram.wire_len,
        (len, _) => u32::from(len) + IPV6_HEADER_LEN as u32,
    };
    let payload_len = payload_len(total_len, start, datagram)?;
    Ok(Ip {
        source: array(&header, 8).ok_or(Truncated)?,
        destination: array(&header, 24).ok_or(Truncated)?,
        // The lowest two bits of the traffic class are in the second byte.
        ecn: Ecn::from_bits(header[1] >> 4),
        payload: clip(bytes, start, payload_len)?,
        payload_len,
        fragment: fragment.filter(Part::is_fragment),
    })
}

/// The length that a jumbo payload option gives (RFC 2675), if there is one among the hop-by-hop options at `start`.
fn jumbo(bytes: &[u8], start: usize) -> Result<Option<u32>, NoSegment> {
    let end = start + (usize::from(*bytes.get(start + 1).ok_or(Truncated)?) + 1) * 8;
    let mut at = start + 2;
    while at < end {
        match *bytes.get(at).ok_or(Truncated)? {
            OPTION_PAD1 => at += 1,
            OPTION_JUMBO => return be32(bytes, at + 2).ok_or(Truncated).map(Some),
            _ => at += 2 + usize::from(*bytes.get(at + 1).ok_or(Truncated)?),
        }
    }
    Ok(None)
}

/// What is behind the headers, if that is possible in a frame of this length.
fn payload_len(total_len: u32, headers_len: usize, datagram: &Datagram<'_>) -> Result<u32, NoSegment> {
    let payload_len = total_len.checked_sub(headers_len as u32).ok_or(Malformed)?;
    if total_len > datagram.wire_len { Err(Malformed) } else { Ok(payload_len) }
}

/// What was captured of it, without the padding of short frames.
fn clip(bytes: &[u8], start: usize, payload_len: u32) -> Result<&[u8], NoSegment> {
    let captured = bytes.get(start..).ok_or(Truncated)?;
    Ok(&captured[..captured.len().min(payload_len as usize)])
}
