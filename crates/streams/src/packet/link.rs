//! The link layer: where the IP header begins.

use super::bytes::{array, be16, be32};
use super::{Frame, NoSegment};

/// What the bytes of a frame begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header (`LINKTYPE_ETHERNET`, 1); loopback interfaces of Linux have one, too.
    Ethernet,
    /// The IP header; its first byte says which (`LINKTYPE_RAW` 101, `LINKTYPE_IPV4` 228, `LINKTYPE_IPV6` 229).
    Raw,
    /// What this EtherType says: a cooked packet socket tells it beside the bytes.
    Protocol(u16),
    /// The header of a cooked capture (`LINKTYPE_LINUX_SLL`, 113).
    LinuxSll,
    /// Its second version (`LINKTYPE_LINUX_SLL2`, 276).
    LinuxSll2,
    /// An address family in the byte order of whoever captured (`LINKTYPE_NULL`, 0).
    Null,
    /// An address family in network byte order (`LINKTYPE_LOOP`, 108).
    Loop,
}

impl Link {
    /// The link layer of this number in the list of LINKTYPE values, as capture files give it.
    pub fn from_linktype(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            // 12 and 14 are what some systems write for 101.
            12 | 14 | 101 | 228 | 229 => Self::Raw,
            108 => Self::Loop,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            _ => return None,
        })
    }
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and what was used for it before.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const VLAN_TAG_LEN: usize = 4;
const AF_INET: u32 = 2;
/// Of Linux; NetBSD and OpenBSD; FreeBSD; macOS.
const AF_INET6: [u32; 4] = [10, 24, 28, 30];

/// An IP datagram, as far as it was captured.
pub(super) struct Datagram<'a> {
    pub(super) bytes: &'a [u8],
    /// Bytes from its header to the end of the frame when that passed, padding included.
    pub(super) wire_len: u32,
}

/// The datagram in a frame. Its first byte says of which version it is.
#[inline]
pub(super) fn datagram<'a>(frame: &Frame<'a>) -> Result<Datagram<'a>, NoSegment> {
    let bytes = frame.bytes;
    let (protocol, start) = match frame.link {
        Link::Ethernet => (be16(bytes, 12), 14),
        Link::Raw => (Some(ETHERTYPE_IPV4), 0),
        Link::Protocol(protocol) => (Some(protocol), 0),
        Link::LinuxSll => (be16(bytes, 14), 16),
        Link::LinuxSll2 => (be16(bytes, 0), 20),
        Link::Null | Link::Loop => (family(frame).map(|family| of_family(family, frame.link)), 4),
    };
    let (mut protocol, mut start) = (protocol.ok_or(NoSegment::Truncated)?, start);
    while ETHERTYPES_VLAN.contains(&protocol) {
        protocol = be16(bytes, start + 2).ok_or(NoSegment::Truncated)?;
        start += VLAN_TAG_LEN;
    }
    if !matches!(protocol, ETHERTYPE_IPV4 | ETHERTYPE_IPV6) {
        return Err(NoSegment::OtherProtocol);
    }
    let bytes = bytes.get(start..).ok_or(NoSegment::Truncated)?;
    Ok(Datagram { bytes, wire_len: frame.wire_len.saturating_sub(start as u32) })
}

/// The interface that it passed: as the frame says, or a header that has it.
#[inline]
pub(super) fn interface(frame: &Frame<'_>) -> u32 {
    match frame.link {
        Link::LinuxSll2 => be32(frame.bytes, 4).unwrap_or(frame.interface),
        _ => frame.interface,
    }
}

fn family(frame: &Frame<'_>) -> Option<u32> {
    let bytes = array(frame.bytes, 0)?;
    Some(match frame.link {
        Link::Loop => u32::from_be_bytes(bytes),
        _ => u32::from_ne_bytes(bytes),
    })
}

fn of_family(family: u32, link: Link) -> u16 {
    // A file may come from a host of the other byte order; families are small numbers.
    let family = if link == Link::Null && family > 0xffff { family.swap_bytes() } else { family };
    match family {
        AF_INET => ETHERTYPE_IPV4,
        family if AF_INET6.contains(&family) => ETHERTYPE_IPV6,
        _ => 0,
    }
}
