//! A packet socket and its options.

use std::ffi::c_int;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libc::{fanout_args, ifreq, sock_filter, sock_fprog, sockaddr_ll, tpacket_req3, tpacket_stats_v3};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::capture::program::Instruction;

/// What the bytes of a packet begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::capture) enum Kind {
    /// The header of the link layer (`SOCK_RAW`).
    Raw,
    /// What is behind it (`SOCK_DGRAM`).
    Cooked,
}

/// Sizes of a ring, as the kernel takes them.
#[derive(Debug, Clone, Copy)]
pub(in crate::capture) struct RingShape {
    pub(in crate::capture) block_size: u32,
    pub(in crate::capture) blocks: u32,
    pub(in crate::capture) frame_size: u32,
    pub(in crate::capture) retire_ms: u32,
}

/// What the kernel counted since it was asked last.
#[derive(Debug, Clone, Copy)]
pub(in crate::capture) struct Counted {
    /// Packets that passed the filter, dropped ones included.
    pub(in crate::capture) packets: u32,
    pub(in crate::capture) drops: u32,
    pub(in crate::capture) freezes: u32,
}

#[derive(Debug)]
pub(in crate::capture) struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// A socket that gets nothing before it is bound, because it names no protocol.
    pub(in crate::capture) fn new(kind: Kind) -> io::Result<Self> {
        let socket_type = match kind {
            Kind::Raw => SocketType::RAW,
            Kind::Cooked => SocketType::DGRAM,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(Self(socket_with(AddressFamily::PACKET, socket_type, flags, None)?))
    }

    pub(in crate::capture) fn attach_filter(&self, program: &[Instruction]) -> io::Result<()> {
        let mut filter: Vec<sock_filter> = program
            .iter()
            .map(|&Instruction { code, if_true, if_false, value }| sock_filter {
                code,
                jt: if_true,
                jf: if_false,
                k: value,
            })
            .collect();
        let len = filter.len().try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // The kernel copies the program while it is asked; the pointer is of no use to it afterwards.
        let program = sock_fprog { len, filter: filter.as_mut_ptr() };
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }

    pub(in crate::capture) fn use_version_3(&self) -> io::Result<()> {
        self.set(libc::SOL_PACKET, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V3 as c_int))
    }

    /// Lets a `virtio_net_hdr` precede each packet.
    pub(in crate::capture) fn add_virtio_header(&self) -> io::Result<()> {
        const ON: c_int = 1;
        self.set(libc::SOL_PACKET, libc::PACKET_VNET_HDR, &ON)
    }

    pub(in crate::capture) fn make_ring(&self, shape: RingShape) -> io::Result<()> {
        let RingShape { block_size, blocks, frame_size, retire_ms } = shape;
        let request = tpacket_req3 {
            tp_block_size: block_size,
            tp_block_nr: blocks,
            tp_frame_size: frame_size,
            tp_frame_nr: block_size / frame_size * blocks,
            tp_retire_blk_tov: retire_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        self.set(libc::SOL_PACKET, libc::PACKET_RX_RING, &request)
    }

    /// Packets of all protocols come from now on. Interface 0: of all interfaces.
    pub(in crate::capture) fn bind(&self, interface: u32) -> io::Result<()> {
        let address = sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
            sll_ifindex: interface as c_int,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // SAFETY: the address is a whole `sockaddr_ll` of the length that is told, and outlives the call.
        let result = unsafe {
            libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), mem::size_of::<sockaddr_ll>() as u32)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The interface that it is bound to: 0 is all. `None` if that was removed, for then the kernel unbinds it.
    pub(in crate::capture) fn bound_to(&self) -> io::Result<Option<u32>> {
        // SAFETY: a `sockaddr_ll` consists of integers; zeros are valid in all.
        let mut address: sockaddr_ll = unsafe { mem::zeroed() };
        let mut len = mem::size_of::<sockaddr_ll>() as u32;
        // SAFETY: the kernel writes at most `len` bytes into the address, which is that long; all bits are valid there.
        let result = unsafe { libc::getsockname(self.0.as_raw_fd(), (&raw mut address).cast(), &raw mut len) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // Of an interface that is gone it says -1.
        Ok(u32::try_from(address.sll_ifindex).ok())
    }

    /// Joins a group whose members share the packets by flow, a new one if none is named, and returns its number.
    pub(in crate::capture) fn join(&self, group: Option<u16>) -> io::Result<u16> {
        let (id, flags) = match group {
            None => (0, libc::PACKET_FANOUT_FLAG_UNIQUEID),
            Some(group) => (group, 0),
        };
        let type_flags = (libc::PACKET_FANOUT_HASH | flags) as u16;
        let arguments = if cfg!(target_endian = "little") {
            fanout_args { id, type_flags, max_num_members: 0 }
        } else {
            // There the C structure has them the other way round.
            fanout_args { id: type_flags, type_flags: id, max_num_members: 0 }
        };
        self.set(libc::SOL_PACKET, libc::PACKET_FANOUT, &arguments)?;
        // The number is in the lower half, type and flags are above it.
        let joined: u32 = self.get(libc::PACKET_FANOUT)?;
        Ok(joined as u16)
    }

    /// The kernel's counters, which this sets to zero.
    pub(in crate::capture) fn take_statistics(&self) -> io::Result<Counted> {
        let [packets, drops, freezes]: [u32; 3] = self.get(libc::PACKET_STATISTICS)?;
        Ok(Counted { packets, drops, freezes })
    }

    fn set<T: Copy>(&self, level: c_int, option: c_int, value: &T) -> io::Result<()> {
        let len = mem::size_of::<T>() as u32;
        // SAFETY: the kernel reads `len` bytes of the value, which is that long and outlives the call.
        let result =
            unsafe { libc::setsockopt(self.0.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), len) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// An option of packet sockets. Of an answer that is shorter, the rest is zero.
    fn get<T: Copy + Default + Integers>(&self, option: c_int) -> io::Result<T> {
        let mut value = T::default();
        let mut len = mem::size_of::<T>() as u32;
        // SAFETY: the kernel writes at most `len` bytes into the value, which is that long; all bits are valid there.
        let result = unsafe {
            libc::getsockopt(self.0.as_raw_fd(), libc::SOL_PACKET, option, (&raw mut value).cast(), &raw mut len)
        };
        if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Types that every combination of bits is valid for.
trait Integers {}

impl Integers for u32 {}
impl Integers for [u32; 3] {}

const _: () = assert!(mem::size_of::<tpacket_stats_v3>() == mem::size_of::<[u32; 3]>());

/// The hardware type (`ARPHRD_…`) of an interface. Any socket will do to ask with.
pub(in crate::capture) fn hardware_type(socket: BorrowedFd<'_>, name: &str) -> io::Result<u16> {
    let answer = ask(socket, name, libc::SIOCGIFHWADDR)?;
    // SAFETY: the kernel has filled in the hardware address, of which all bits are valid.
    Ok(unsafe { answer.ifr_ifru.ifru_hwaddr }.sa_family)
}

/// Whether an interface is up. Any socket will do to ask with.
pub(in crate::capture) fn is_up(socket: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    let answer = ask(socket, name, libc::SIOCGIFFLAGS)?;
    // SAFETY: the kernel has filled in the flags, of which all bits are valid.
    let flags = unsafe { answer.ifr_ifru.ifru_flags };
    Ok(c_int::from(flags) & libc::IFF_UP != 0)
}

/// What the kernel says of an interface, asked by one of the requests that take and give an `ifreq` (netdevice(7)).
fn ask(socket: BorrowedFd<'_>, name: &str, what: libc::Ioctl) -> io::Result<ifreq> {
    // SAFETY: an `ifreq` consists of integers and a union of them; zeros are valid in all.
    let mut request: ifreq = unsafe { mem::zeroed() };
    // One byte stays zero and ends the name.
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: for these requests the kernel reads and writes one `ifreq`, which outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw mut request) };
    if result == 0 { Ok(request) } else { Err(io::Error::last_os_error()) }
}
