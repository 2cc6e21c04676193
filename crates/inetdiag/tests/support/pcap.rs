//! Classic pcap files of netlink (link type 253), of either byte order.

use std::ops::Range;

const HEADER_LEN: usize = 24;
const PACKET_HEADER_LEN: usize = 16;
const COOKED_HEADER_LEN: usize = 16;
const LINKTYPE_NETLINK: u32 = 253;
const NETLINK_SOCK_DIAG: u16 = 4;

/// The buffers of `sock_diag` sockets in a capture, in order. Packets of other netlink families are left out.
pub(crate) fn sock_diag_buffers(file: &[u8]) -> Vec<&[u8]> {
    let word: fn([u8; 4]) -> u32 = match file[..4] {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => u32::from_le_bytes,
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => u32::from_be_bytes,
        _ => panic!("no classic pcap"),
    };
    let word = |at: Range<usize>| word(file[at].try_into().expect("four bytes"));
    assert_eq!(word(20..24) & 0xffff, LINKTYPE_NETLINK);
    let mut buffers = Vec::new();
    let mut offset = HEADER_LEN;
    while offset < file.len() {
        let (captured, original) = (word(offset + 8..offset + 12), word(offset + 12..offset + 16));
        assert_eq!(captured, original, "the snap length cut a packet");
        offset += PACKET_HEADER_LEN;
        let packet = &file[offset..offset + captured as usize];
        offset += packet.len();
        let (cooked, buffer) = packet.split_at(COOKED_HEADER_LEN);
        if u16::from_be_bytes([cooked[14], cooked[15]]) == NETLINK_SOCK_DIAG {
            buffers.push(buffer);
        }
    }
    buffers
}

#[test]
fn both_byte_orders_are_read_and_other_families_left_out() {
    for big in [false, true] {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut file = [word(0xa1b2_c3d4), word(2), word(0), word(0), word(1 << 18), word(253)].concat();
        for family in [0u8, 4] {
            file.extend([word(0), word(0), word(20), word(20)].concat());
            file.extend([[0; 15].as_slice(), &[family], b"data"].concat());
        }
        assert_eq!(sock_diag_buffers(&file), [b"data"]);
    }
}
