//! Programs for the kernel's packet filter (classic BPF), put together from few parts.

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use libc::{SKF_AD_HATYPE, SKF_AD_OFF, SKF_AD_PKTTYPE, SKF_AD_PROTOCOL};

/// Bytes of each packet that are captured: enough for Ethernet, two VLAN tags, IPv6 with extension headers and the
/// longest TCP header.
pub const SNAP_LEN: u32 = 256;

/// One instruction, as `sock_filter` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    /// Instructions to skip.
    pub(super) if_true: u8,
    pub(super) if_false: u8,
    pub(super) value: u32,
}

impl Instruction {
    const fn new(code: u32, value: u32) -> Self {
        Self { code: code as u16, if_true: 0, if_false: 0, value }
    }
}

/// Takes the packet, cut at the snap length.
pub(super) const ACCEPT: Instruction = Instruction::new(BPF_RET | BPF_K, SNAP_LEN);
pub(super) const REJECT: Instruction = Instruction::new(BPF_RET | BPF_K, 0);

/// What a program can look at. Where a packet is too short for it, the kernel rejects the packet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    Byte(u32),
    /// The upper four bits of a byte, in their place.
    Nibble(u32),
    /// Two bytes in network byte order.
    Half(u32),
    /// What the kernel thinks the protocol (EtherType) is.
    Protocol,
    /// The hardware type of the interface.
    HardwareType,
    /// Whose packet it is (`PACKET_HOST`, `PACKET_OUTGOING`, …).
    PacketType,
}

/// Runs `then` if what is looked at has one of the values; goes on behind it otherwise.
pub(super) fn when(load: Load, values: &[u16], then: &[Instruction]) -> Vec<Instruction> {
    let mut program = load.instructions();
    program.extend(when_it(values, then));
    program
}

/// The same for what was looked at before.
pub(super) fn when_it(values: &[u16], then: &[Instruction]) -> Vec<Instruction> {
    let skip = u8::try_from(then.len()).expect("a part of a program is short");
    let mut program: Vec<Instruction> = values
        .iter()
        .rev()
        .zip(0..)
        .map(|(&value, behind)| Instruction {
            if_true: behind,
            if_false: if behind == 0 { skip } else { 0 },
            ..Instruction::new(BPF_JMP | BPF_JEQ | BPF_K, value.into())
        })
        .collect();
    program.reverse();
    program.extend(then);
    program
}

impl Load {
    pub(super) fn instructions(self) -> Vec<Instruction> {
        let about = |what: i32| Instruction::new(BPF_LD | BPF_W | BPF_ABS, (SKF_AD_OFF + what) as u32);
        match self {
            Self::Byte(at) => vec![Instruction::new(BPF_LD | BPF_B | BPF_ABS, at)],
            Self::Nibble(at) => {
                vec![Instruction::new(BPF_LD | BPF_B | BPF_ABS, at), Instruction::new(BPF_ALU | BPF_AND | BPF_K, 0xf0)]
            }
            Self::Half(at) => vec![Instruction::new(BPF_LD | BPF_H | BPF_ABS, at)],
            Self::Protocol => vec![about(SKF_AD_PROTOCOL)],
            Self::HardwareType => vec![about(SKF_AD_HATYPE)],
            Self::PacketType => vec![about(SKF_AD_PKTTYPE)],
        }
    }
}
