//! From the bytes of a block of the ring to frames. They are checked as if anybody could have written them.

use std::cell::Cell;
use std::mem::{offset_of, size_of};

use zerocopy::byteorder::network_endian::U16 as BigEndianU16;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::protocol;
use crate::packet::{Frame, Link};

const NANOSECONDS: u64 = 1_000_000_000;

/// How the packets of a ring are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// They begin with an Ethernet header; else with what their protocol says.
    pub ethernet: bool,
    /// A `virtio_net_hdr` precedes each.
    pub virtio_header: bool,
}

/// `tpacket_block_desc` with `tpacket_hdr_v1`.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct BlockHeader {
    version: u32,
    offset_to_priv: u32,
    block_status: u32,
    num_pkts: u32,
    offset_to_first_pkt: u32,
    blk_len: u32,
}

/// `tpacket3_hdr`, and the `sockaddr_ll` that the kernel puts behind it.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct PacketHeader {
    tp_next_offset: u32,
    tp_sec: u32,
    tp_nsec: u32,
    tp_snaplen: u32,
    tp_len: u32,
    tp_status: u32,
    tp_mac: u16,
    tp_net: u16,
    /// Hash and VLAN tag of the packet; padding.
    unused: [u8; 20],
    sll_family: u16,
    sll_protocol: BigEndianU16,
    sll_ifindex: i32,
    sll_hatype: u16,
    sll_pkttype: u8,
    sll_halen: u8,
    sll_addr: [u8; 8],
}

const _: () = {
    const HEADER: usize = offset_of!(libc::tpacket_block_desc, hdr);
    assert!(HEADER + offset_of!(libc::tpacket_hdr_v1, num_pkts) == offset_of!(BlockHeader, num_pkts));
    assert!(HEADER + offset_of!(libc::tpacket_hdr_v1, blk_len) == offset_of!(BlockHeader, blk_len));
    assert!(offset_of!(libc::tpacket3_hdr, tp_mac) == offset_of!(PacketHeader, tp_mac));
    assert!(size_of::<libc::tpacket3_hdr>() == offset_of!(PacketHeader, sll_family));
    assert!(size_of::<PacketHeader>() == libc::TPACKET3_HDRLEN);
};

/// `virtio_net_hdr`.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct VirtioHeader {
    flags: u8,
    gso_type: u8,
    hdr_len: u16,
    gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
}

impl VirtioHeader {
    /// `VIRTIO_NET_HDR_GSO_ECN`, which may accompany each type.
    const ECN: u8 = 0x80;

    fn gso_size(&self) -> Option<u16> {
        (self.gso_type & !Self::ECN != 0 && self.gso_size != 0).then_some(self.gso_size)
    }
}

/// The frames of a block, in the order in which they passed.
///
/// A header that cannot be right costs its frame and those behind it in the block, because only headers say where the
/// next one is. It is counted.
#[derive(Debug)]
pub struct Frames<'a> {
    /// The part of the block that the kernel says it has filled.
    block: &'a [u8],
    layout: Layout,
    malformed: &'a Cell<u64>,
    /// Where the next header is, and how many there should be from there on.
    next: usize,
    left: u32,
}

impl<'a> Frames<'a> {
    /// The frames of a block. `malformed` counts the headers that cannot be right.
    pub fn of(block: &'a [u8], layout: Layout, malformed: &'a Cell<u64>) -> Self {
        let header = BlockHeader::read_from_prefix(block).ok().map(|(header, _)| header);
        let filled = header.as_ref().and_then(|header| block.get(..header.blk_len as usize));
        let (Some(header), Some(block)) = (header, filled) else {
            count(malformed);
            return Self { block: &[], layout, malformed, next: 0, left: 0 };
        };
        Self { block, layout, malformed, next: header.offset_to_first_pkt as usize, left: header.num_pkts }
    }

    /// The frame whose header is next.
    fn parse(&mut self) -> Option<Frame<'a>> {
        let packet = self.block.get(self.next..)?;
        let (header, _) = PacketHeader::read_from_prefix(packet).ok()?;
        let start = usize::from(header.tp_mac);
        let end = start.checked_add(header.tp_snaplen as usize)?;
        let bytes = packet.get(start..end)?;

        let before = if self.layout.virtio_header { size_of::<VirtioHeader>() } else { 0 };
        let before = packet.get(size_of::<PacketHeader>()..start)?.last_chunk_of(before)?;
        let gso_size = VirtioHeader::read_from_bytes(before).ok().and_then(|header| header.gso_size());

        // The last one has zero there.
        let is_last = self.left == 1;
        let distance = header.tp_next_offset as usize;
        if !is_last && distance < end {
            return None;
        }
        self.next = self.next.checked_add(distance)?;

        let link = match self.layout.ethernet {
            true => Link::Ethernet,
            false => Link::Protocol(protocol::at_start(header.sll_protocol.get(), bytes)),
        };
        let time = u64::from(header.tp_sec) * NANOSECONDS + u64::from(header.tp_nsec);
        let interface = u32::try_from(header.sll_ifindex).unwrap_or(0);
        Some(Frame { link, time, bytes, wire_len: header.tp_len, gso_size, interface })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        if self.left == 0 {
            return None;
        }
        let frame = self.parse();
        match frame {
            Some(_) => self.left -= 1,
            None => {
                count(self.malformed);
                self.left = 0;
            }
        }
        frame
    }
}

fn count(counter: &Cell<u64>) {
    counter.set(counter.get().saturating_add(1));
}

/// The last bytes of some.
trait LastChunk {
    fn last_chunk_of(&self, len: usize) -> Option<&[u8]>;
}

impl LastChunk for [u8] {
    fn last_chunk_of(&self, len: usize) -> Option<&[u8]> {
        self.get(self.len().checked_sub(len)?..)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK: usize = 4096;
    const FIRST: usize = 48;
    const INTERFACE: i32 = 9;

    const LAYOUTS: [Layout; 4] = [
        Layout { ethernet: true, virtio_header: true },
        Layout { ethernet: true, virtio_header: false },
        Layout { ethernet: false, virtio_header: true },
        Layout { ethernet: false, virtio_header: false },
    ];

    fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
        block[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// A block as the kernel makes it, by the offsets of <linux/if_packet.h>: of each packet its bytes. The packet of
    /// number n has 1000 + n bytes, passed n seconds and n nanoseconds after 1970, and has a `gso_size` of n.
    fn block(packets: &[&[u8]]) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        put(&mut block, 8, &1_u32.to_ne_bytes());
        put(&mut block, 12, &(packets.len() as u32).to_ne_bytes());
        put(&mut block, 16, &(FIRST as u32).to_ne_bytes());
        let mut at = FIRST;
        for (number, &bytes) in packets.iter().enumerate() {
            let number = number as u32;
            let next = (at + 92 + bytes.len()).next_multiple_of(16);
            let is_last = number as usize + 1 == packets.len();
            let distance = if is_last { 0 } else { next - at };
            let words = [distance as u32, number, number, bytes.len() as u32, 1000 + number];
            for (word, value) in words.iter().enumerate() {
                put(&mut block, at + 4 * word, &value.to_ne_bytes());
            }
            put(&mut block, at + 24, &92_u16.to_ne_bytes());
            put(&mut block, at + 50, &0x86dd_u16.to_be_bytes());
            put(&mut block, at + 52, &INTERFACE.to_ne_bytes());
            put(&mut block, at + 83, &[4]);
            put(&mut block, at + 86, &(number as u16).to_ne_bytes());
            put(&mut block, at + 92, bytes);
            at = next;
        }
        put(&mut block, 20, &(at as u32).to_ne_bytes());
        block
    }

    fn read<'a>(block: &'a [u8], layout: Layout, malformed: &'a Cell<u64>) -> Vec<Frame<'a>> {
        malformed.set(0);
        Frames::of(block, layout, malformed).collect()
    }

    #[test]
    fn frames_are_what_their_headers_say() {
        let block = block(&[b"first", b"second", b""]);
        let malformed = Cell::new(0);
        for layout in LAYOUTS {
            let link = if layout.ethernet { Link::Ethernet } else { Link::Protocol(0x86dd) };
            let frame = |number: u16, bytes| Frame {
                link,
                time: u64::from(number) * 1_000_000_001,
                bytes,
                wire_len: 1000 + u32::from(number),
                gso_size: (layout.virtio_header && number > 0).then_some(number),
                interface: INTERFACE as u32,
            };
            let expected = [frame(0, &b"first"[..]), frame(1, b"second"), frame(2, b"")];
            assert_eq!(read(&block, layout, &malformed), expected);
            assert_eq!(malformed.get(), 0);
        }
        assert!(read(&self::block(&[]), LAYOUTS[0], &malformed).is_empty());
        assert_eq!(malformed.get(), 0);
    }

    #[test]
    fn a_header_that_cannot_be_right_costs_itself_and_what_is_behind_it() {
        let good = block(&[b"first", b"second", b"third"]);
        let second = FIRST + 112;
        let malformed = Cell::new(0);
        assert_eq!(good[second + 92..][..6], *b"second");
        let header = |at: usize, value: u32| (at, value.to_ne_bytes().to_vec());
        for (what, (at, bytes), left) in [
            ("begins beyond the block", header(16, BLOCK as u32), 0),
            ("begins where no header fits", header(16, BLOCK as u32 - 60), 0),
            ("more is filled than there is", header(20, BLOCK as u32 + 1), 0),
            ("less is filled than there is", header(20, second as u32 + 93), 1),
            ("one more than there are", header(12, 4), 2),
            ("the next is itself", header(second, 0), 1),
            ("the next is within this one", header(second, 97), 1),
            ("the next is beyond the block", header(second, BLOCK as u32), 2),
            ("the next is at the end of the address space", header(second, u32::MAX), 2),
            ("longer than the block", header(second + 12, BLOCK as u32), 1),
            ("longer than all addresses", header(second + 12, u32::MAX), 1),
            ("begins within its header", (second + 24, 77_u16.to_ne_bytes().to_vec()), 1),
            ("begins beyond the block", (second + 24, u16::MAX.to_ne_bytes().to_vec()), 1),
        ] {
            let mut bad = good.clone();
            put(&mut bad, at, &bytes);
            let frames = read(&bad, LAYOUTS[0], &malformed);
            assert_eq!((frames.len(), malformed.get()), (left, 1), "{what}");
            assert_eq!(frames, read(&good, LAYOUTS[0], &malformed)[..left], "{what}");
        }
        assert!(read(&[], LAYOUTS[0], &malformed).is_empty());
        assert_eq!(malformed.get(), 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_give_more_than_there_are(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            layout in proptest::sample::select(&LAYOUTS),
        ) {
            let malformed = Cell::new(0);
            let frames = read(&bytes, layout, &malformed);
            prop_assert!(malformed.get() <= 1);
            prop_assert!(frames.iter().map(|frame| frame.bytes.len() + 68).sum::<usize>() <= bytes.len());
        }

        /// These get further than bytes by chance.
        #[test]
        fn nor_do_blocks_with_some_bytes_changed(
            changes in proptest::collection::vec((0_usize..400, any::<u8>()), 1..10),
            layout in proptest::sample::select(&LAYOUTS),
        ) {
            let mut bytes = block(&[b"first", b"second", b"third"]);
            for (at, value) in changes {
                bytes[at] = value;
            }
            let malformed = Cell::new(0);
            let frames = read(&bytes, layout, &malformed);
            prop_assert!(malformed.get() <= 1);
            prop_assert!(frames.iter().map(|frame| frame.bytes.len() + 68).sum::<usize>() <= bytes.len());
        }
    }
}
