//! A ring: memory that the kernel writes packets into, and that the program reads them from.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::block::{Frames, Layout};
use super::error::CaptureError;
use super::filter::Filter;
use super::interface::Interface;
use super::options::RingOptions;
use super::program::REJECT;
use super::sys::{Kind, PacketSocket, RingMemory};

/// Rings that share the packets of an interface: each connection, both its directions, belongs to one of them.
///
/// A further ring takes over connections of those there are; open all before what they say is counted on. Fragments go
/// by their addresses alone, so those of a connection may come to another ring than the rest of it. They are not put
/// together (`PACKET_FANOUT_FLAG_DEFRAG`), because the kernel would mix those of all interfaces and both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fanout {
    /// The first of a group, under a number that no other has.
    New,
    /// Another of the group that has this number ([`Ring::fanout_group`]).
    Join(u16),
}

/// What happened since the ring was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets that the filter let through and that are in the ring, or were.
    pub received: u64,
    /// Packets that the filter let through, but that found no room in the ring.
    pub dropped: u64,
    /// How often the ring was full and the kernel had to wait for the program.
    pub freezes: u64,
    /// Headers in the ring that could not be right; each cost the rest of its block.
    pub malformed: u64,
}

impl Statistics {
    /// Adds those of another ring.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.dropped += other.dropped;
        self.freezes += other.freezes;
        self.malformed += other.malformed;
    }
}

/// Packets of one interface, or of all.
///
/// Packets that stand for several on the wire (GSO, GRO) come as one. What is sent over a loopback interface passes
/// twice and is captured once, when it arrives. On all interfaces together, what passes several (a bridge and its
/// ports, a VLAN and what carries it) is captured on each.
#[derive(Debug)]
pub struct Ring {
    memory: RingMemory,
    socket: PacketSocket,
    layout: Layout,
    /// Index of the interface; 0 is all.
    interface: u32,
    fanout_group: Option<u16>,
    /// The block that the kernel fills next, or has filled.
    current: usize,
    counted: Statistics,
    malformed: Cell<u64>,
}

impl Ring {
    /// Starts to capture. Of packets that pass before this returns some may be missing, but none is there that the filter
    /// does not let through.
    pub fn open(
        interface: &Interface,
        filter: &Filter,
        options: &RingOptions,
        fanout: Option<Fanout>,
    ) -> Result<Self, CaptureError> {
        let at = CaptureError::at;
        let shape = options.shape()?;
        let ethernet = interface.has_ethernet_header();
        let program = filter
            .program(ethernet)
            .ok_or_else(|| CaptureError::FilterOfOtherLink { interface: interface.name().into() })?;

        let kind = if ethernet { Kind::Raw } else { Kind::Cooked };
        let socket = PacketSocket::new(kind).map_err(at("open a packet socket"))?;
        socket.use_version_3().map_err(at("use version 3 of the packet ring (TPACKET_V3)"))?;
        // Cooked sockets cannot have it, nor do all kernels.
        let virtio_header = socket.add_virtio_header().is_ok();

        let no_memory = |source: io::Error| match source.raw_os_error() {
            Some(libc::ENOMEM) => CaptureError::NoMemory { blocks: shape.blocks, block_size: shape.block_size, source },
            _ => CaptureError::System { action: "make the packet ring", source },
        };
        // In a group, others get packets already: this one takes none before it belongs to it, lest they come twice.
        let first = if fanout.is_some() { &[REJECT][..] } else { &program };
        socket.attach_filter(first).map_err(at("attach the filter"))?;
        socket.make_ring(shape).map_err(no_memory)?;
        let memory = RingMemory::map(socket.as_fd(), shape.block_size as usize, shape.blocks as usize);
        let memory = memory.map_err(no_memory)?;

        let index = interface.index().unwrap_or(0);
        socket.bind(index).map_err(at("bind the packet socket to the interface"))?;
        let mut fanout_group = None;
        if let Some(fanout) = fanout {
            let group = match fanout {
                Fanout::New => None,
                Fanout::Join(group) => Some(group),
            };
            let action = "join the fanout group (its members have to capture on the same interface)";
            fanout_group = Some(socket.join(group).map_err(at(action))?);
            socket.attach_filter(&program).map_err(at("attach the filter"))?;
        }
        Ok(Self {
            memory,
            socket,
            layout: Layout { ethernet, virtio_header },
            interface: index,
            fanout_group,
            current: 0,
            counted: Statistics::default(),
            malformed: Cell::new(0),
        })
    }

    /// The next block, if the kernel has given it away. If it has not, the ring becomes readable when it does.
    pub fn next_block(&mut self) -> Option<Block<'_>> {
        self.memory.block(self.current)?;
        Some(Block { ring: self })
    }

    /// What happened since the ring was opened.
    pub fn statistics(&mut self) -> io::Result<Statistics> {
        // The kernel sets its counters to zero when it is asked, and counts dropped packets as packets, too.
        let new = self.socket.take_statistics()?;
        self.counted.received += u64::from(new.packets.saturating_sub(new.drops));
        self.counted.dropped += u64::from(new.drops);
        self.counted.freezes += u64::from(new.freezes);
        self.counted.malformed = self.malformed.get();
        Ok(self.counted)
    }

    /// What happened to the interface, if something did: `ENETDOWN` when it was set down or is gone. Asking clears it;
    /// until then, the ring seems readable. If the interface comes up again, so do its packets, unless it was removed
    /// ([`is_bound`](Self::is_bound)).
    pub fn take_error(&mut self) -> io::Result<()> {
        match rustix::net::sockopt::socket_error(&self.socket)? {
            Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it still belongs to its interface. If that was removed it does not, not even if there is one of the same name
    /// and index again: then the ring has to be opened anew.
    pub fn is_bound(&self) -> io::Result<bool> {
        Ok(self.socket.bound_to()? == Some(self.interface))
    }

    /// Whether frames say how they are cut ([`gso_size`](crate::packet::Frame::gso_size)). On interfaces without
    /// Ethernet header, and on all together, the kernel does not tell.
    pub fn tells_gso_size(&self) -> bool {
        self.layout.virtio_header
    }

    /// The number of its fanout group, if it belongs to one.
    pub fn fanout_group(&self) -> Option<u16> {
        self.fanout_group
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Packets that the kernel gave away together. They go back when it is dropped.
#[derive(Debug)]
pub struct Block<'a> {
    ring: &'a mut Ring,
}

impl Block<'_> {
    /// Its frames, in the order in which they passed.
    pub fn frames(&self) -> Frames<'_> {
        let bytes = self.ring.memory.block(self.ring.current).unwrap_or_default();
        Frames::of(bytes, self.ring.layout, &self.ring.malformed)
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        let ring = &mut *self.ring;
        ring.memory.release(ring.current);
        ring.current = (ring.current + 1) % ring.memory.blocks();
    }
}
