//! What only the kernel's own interface can give: the packet socket, the memory of its ring, and libpcap. The only
//! place of the crate with unsafe code; what it hands out is safe to use.
#![allow(unsafe_code)]

mod memory;
mod pcap;
mod socket;

pub(super) use memory::RingMemory;
pub(super) use pcap::{LinkLayer, NAMES as PCAP_NAMES, Pcap, PcapError};
pub(super) use socket::{Kind, PacketSocket, RingShape, hardware_type, is_up};
