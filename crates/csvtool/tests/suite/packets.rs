//! Frames and capture files, byte by byte.

use std::net::Ipv4Addr;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// A link layer as capture files number it.
pub(crate) const ETHERNET: u32 = 1;

/// An address and a port.
pub(crate) type End = ([u8; 4], u16);

/// A frame, and when it passed, in microseconds since 2026-01-02T03:04:05Z.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
    /// Its length before the capture cut it.
    pub(crate) wire_len: usize,
}

impl Packet {
    pub(crate) fn new(at: u64, bytes: Vec<u8>) -> Self {
        let wire_len = bytes.len();
        Self { at, bytes, wire_len }
    }

    /// As a capture with this snap length has it.
    pub(crate) fn cut(mut self, snap_len: usize) -> Self {
        self.bytes.truncate(snap_len);
        self
    }
}

/// What a segment says.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tcp {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    /// A SYN offers this shift, and a segment size of 1460.
    pub(crate) scale: Option<u8>,
    pub(crate) payload: usize,
}

/// It in an Ethernet frame.
pub(crate) fn segment(at: u64, from: End, to: End, tcp: Tcp) -> Packet {
    let options = tcp.scale.map(|shift| vec![2, 4, 0x05, 0xb4, 1, 3, 3, shift]).unwrap_or_default();
    let mut bytes = Vec::new();
    bytes.extend(from.1.to_be_bytes());
    bytes.extend(to.1.to_be_bytes());
    bytes.extend(tcp.seq.to_be_bytes());
    bytes.extend(tcp.ack.to_be_bytes());
    bytes.push((((20 + options.len()) / 4) << 4) as u8);
    bytes.push(tcp.flags);
    bytes.extend(tcp.window.to_be_bytes());
    bytes.extend([0; 4]); // checksum and urgent pointer
    bytes.extend(options);
    bytes.resize(bytes.len() + tcp.payload, b'x');
    datagram(at, 6, from.0, to.0, &bytes)
}

/// An IPv4 datagram of any protocol in an Ethernet frame.
pub(crate) fn datagram(at: u64, protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Packet {
    let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45, 0];
    bytes.extend((20 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    bytes.extend(Ipv4Addr::from(from).octets());
    bytes.extend(Ipv4Addr::from(to).octets());
    bytes.extend(payload);
    Packet::new(at, bytes)
}

/// The byte order of the host that made a capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) const BOTH: [Self; 2] = [Self::Little, Self::Big];

    fn u16(self, number: u16) -> [u8; 2] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }
}

/// 2026-01-02T03:04:05Z, in seconds since 1970.
const EPOCH: u64 = 1_767_323_045;

/// A pcap file; its magic number says whether times are in micro- or in nanoseconds.
pub(crate) fn pcap(order: Order, is_nano: bool, linktype: u32, packets: &[Packet]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(order.u32(if is_nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }));
    file.extend([2, 4].map(|version| order.u16(version)).concat());
    file.extend([0, 0, 262_144, linktype].map(|field| order.u32(field)).concat());
    for packet in packets {
        let fraction = packet.at % 1_000_000 * if is_nano { 1000 } else { 1 };
        let fields = [EPOCH + packet.at / 1_000_000, fraction, packet.bytes.len() as u64, packet.wire_len as u64];
        file.extend(fields.map(|field| order.u32(field as u32)).concat());
        file.extend(&packet.bytes);
    }
    file
}

/// A pcapng file whose unit of time is ten to the minus `tsresol` of a second; `None`: it does not say, which is 6.
pub(crate) fn pcapng(order: Order, tsresol: Option<u8>, linktype: u32, packets: &[Packet]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let len = order.u32(12 + body.len().next_multiple_of(4) as u32);
        let mut block = [&order.u32(kind)[..], &len, body].concat();
        block.resize(block.len().next_multiple_of(4), 0);
        [block, len.to_vec()].concat()
    };
    let version = [order.u16(1), order.u16(0)].concat();
    let section = [&order.u32(0x1a2b_3c4d)[..], &version, &[0xff; 8]].concat();
    let mut interface = [&order.u16(linktype as u16)[..], &[0; 2], &order.u32(262_144)].concat();
    if let Some(tsresol) = tsresol {
        interface.extend([&order.u16(9)[..], &order.u16(1), &[tsresol, 0, 0, 0], &[0; 4]].concat());
    }
    let mut file = [block(0x0a0d_0d0a, &section), block(1, &interface)].concat();
    for packet in packets {
        let nanoseconds = (EPOCH * 1_000_000 + packet.at) * 1000;
        let time = nanoseconds / 10u64.pow(9 - u32::from(tsresol.unwrap_or(6)));
        let fields = [0, time >> 32, time & 0xffff_ffff, packet.bytes.len() as u64, packet.wire_len as u64];
        let mut body = fields.map(|field| order.u32(field as u32)).concat();
        body.extend(&packet.bytes);
        file.extend(block(6, &body));
    }
    file
}
