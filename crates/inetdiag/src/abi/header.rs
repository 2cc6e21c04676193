//! `struct inet_diag_msg`: the fixed part of every reply.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, big_endian, native_endian};

/// `struct inet_diag_sockid`, 48 bytes: which socket.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SockId {
    /// Local port.
    pub idiag_sport: big_endian::U16,
    /// Remote port; 0 for listeners, and for sockets that were disconnected or aborted locally.
    pub idiag_dport: big_endian::U16,
    /// Local address: 4 bytes and zeros, or 16 bytes, by the family of the message.
    pub idiag_src: [u8; 16],
    /// Remote address, laid out as `idiag_src`.
    pub idiag_dst: [u8; 16],
    /// Index of the interface the socket is bound to, 0 for none. Host byte order.
    pub idiag_if: native_endian::U32,
    /// The socket cookie, low word first. Host byte order.
    pub idiag_cookie: [native_endian::U32; 2],
}

/// `struct inet_diag_msg`, 72 bytes: header of each socket in a reply. It has not grown since Linux 2.6.
///
/// Multi-byte fields are unaligned types, so that a header can be borrowed from any place of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct InetDiagMsg {
    /// Address family, see [`InetDiagMsg::family`].
    pub idiag_family: u8,
    /// TCP state, see [`InetDiagMsg::state`].
    pub idiag_state: u8,
    /// Timer that is running: 0 none, 1 retransmit, 2 keepalive, 3 TIME_WAIT, 4 zero window probe, 5 delayed ACK.
    pub idiag_timer: u8,
    /// Times that timer has fired without success.
    pub idiag_retrans: u8,
    /// Addresses, ports, interface and cookie.
    pub id: SockId,
    /// Milliseconds until the timer fires.
    pub idiag_expires: native_endian::U32,
    /// Bytes received and not yet read by the application; on listeners the length of the accept queue.
    pub idiag_rqueue: native_endian::U32,
    /// Bytes written and not yet acknowledged; on listeners the limit of the accept queue.
    pub idiag_wqueue: native_endian::U32,
    /// User id of the owner.
    pub idiag_uid: native_endian::U32,
    /// Inode number of the socket, 0 once no process holds it.
    pub idiag_inode: native_endian::U32,
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<SockId>() == 48);
    assert!(size_of::<InetDiagMsg>() == InetDiagMsg::SIZE);
    assert!(offset_of!(InetDiagMsg, id) == 4);
    assert!(offset_of!(SockId, idiag_if) == 36);
    assert!(offset_of!(SockId, idiag_cookie) == 40);
    assert!(offset_of!(InetDiagMsg, idiag_expires) == InetDiagMsg::EXPIRES_OFFSET);
};

/// Address family of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// `AF_INET`.
    Inet,
    /// `AF_INET6`; its sockets may still talk IPv4, with v4-mapped addresses.
    Inet6,
}

impl AddressFamily {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inet, Self::Inet6];

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            AddressFamily::Inet => AddressFamily::Inet6,
            AddressFamily::Inet6 => AddressFamily::Inet,
        }
    }

    /// The number the kernel uses.
    pub fn number(self) -> u8 {
        match self {
            AddressFamily::Inet => AF_INET,
            AddressFamily::Inet6 => AF_INET6,
        }
    }
}

impl SockId {
    /// The 64-bit socket cookie: unique for the life of the kernel, the key of a connection. 0 means the kernel gave none.
    pub fn cookie(&self) -> u64 {
        u64::from(self.idiag_cookie[1].get()) << 32 | u64::from(self.idiag_cookie[0].get())
    }
}

impl InetDiagMsg {
    /// Length of the header in bytes.
    pub const SIZE: usize = 72;
    /// Where `idiag_expires` stands; it only counts down and is no change by itself.
    pub const EXPIRES_OFFSET: usize = 52;

    /// Address family, or `None` for one that is not IP.
    pub fn family(&self) -> Option<AddressFamily> {
        match self.idiag_family {
            AF_INET => Some(AddressFamily::Inet),
            AF_INET6 => Some(AddressFamily::Inet6),
            _ => None,
        }
    }

    /// TCP state, or `None` for a number this crate does not know.
    pub fn state(&self) -> Option<TcpState> {
        TcpState::from_number(self.idiag_state)
    }

    /// Whether the socket was aborted or disconnected on this side: the kernel has cleared its remote port by then, and all
    /// counters with it. What is told of it then is zeros, and says nothing.
    pub fn is_cleared(&self) -> bool {
        self.state() == Some(TcpState::Close) && self.id.idiag_dport.get() == 0
    }

    /// Local address by the family of the message; v4-mapped addresses stay IPv6.
    pub fn src(&self) -> IpAddr {
        self.address(&self.id.idiag_src)
    }

    /// Remote address by the family of the message; v4-mapped addresses stay IPv6.
    pub fn dst(&self) -> IpAddr {
        self.address(&self.id.idiag_dst)
    }

    fn address(&self, bytes: &[u8; 16]) -> IpAddr {
        match self.family() {
            Some(AddressFamily::Inet) => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
            _ => Ipv6Addr::from(*bytes).into(),
        }
    }
}

impl fmt::Debug for InetDiagMsg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InetDiagMsg")
            .field("family", &self.idiag_family)
            .field("state", &self.idiag_state)
            .field("src", &self.src())
            .field("sport", &self.id.idiag_sport.get())
            .field("dst", &self.dst())
            .field("dport", &self.id.idiag_dport.get())
            .field("cookie", &format_args!("{:016X}", self.id.cookie()))
            .finish_non_exhaustive()
    }
}

/// TCP states, numbered as in `net/tcp_states.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TcpState {
    /// Open, data can flow.
    Established = 1,
    /// Connection attempt, waiting for the answer.
    SynSent = 2,
    /// Attempt of a peer, answered.
    SynRecv = 3,
    /// Closed here, FIN not yet acknowledged.
    FinWait1 = 4,
    /// Closed here and acknowledged, the peer may still send.
    FinWait2 = 5,
    /// Both ended, waiting for stray segments to die.
    TimeWait = 6,
    /// No connection (any more).
    Close = 7,
    /// Closed by the peer, not yet here.
    CloseWait = 8,
    /// Closed by both, waiting for the last acknowledgement.
    LastAck = 9,
    /// Waiting for connections.
    Listen = 10,
    /// Both closed at once, waiting for the acknowledgement.
    Closing = 11,
    /// Request socket of a half-open connection, not a full socket.
    NewSynRecv = 12,
}

impl TcpState {
    /// Every state, in the kernel's order.
    pub const ALL: [TcpState; 12] = [
        TcpState::Established,
        TcpState::SynSent,
        TcpState::SynRecv,
        TcpState::FinWait1,
        TcpState::FinWait2,
        TcpState::TimeWait,
        TcpState::Close,
        TcpState::CloseWait,
        TcpState::LastAck,
        TcpState::Listen,
        TcpState::Closing,
        TcpState::NewSynRecv,
    ];

    /// The state with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The kernel's number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The kernel's name, without `TCP_`.
    pub fn name(self) -> &'static str {
        match self {
            TcpState::Established => "ESTABLISHED",
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynRecv => "SYN_RECV",
            TcpState::FinWait1 => "FIN_WAIT1",
            TcpState::FinWait2 => "FIN_WAIT2",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::Listen => "LISTEN",
            TcpState::Closing => "CLOSING",
            TcpState::NewSynRecv => "NEW_SYN_RECV",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_round_trip_by_number() {
        for state in TcpState::ALL {
            assert_eq!(TcpState::from_number(state.number()), Some(state));
        }
        assert_eq!(TcpState::from_number(0), None);
        assert_eq!(TcpState::from_number(13), None);
    }

    #[test]
    fn addresses_ports_and_cookie_are_read_in_their_own_byte_orders() {
        let mut bytes = [0u8; 72];
        bytes[0] = AF_INET;
        bytes[4..6].copy_from_slice(&[0x01, 0xbb]);
        bytes[8..12].copy_from_slice(&[10, 0, 0, 1]);
        bytes[44..48].copy_from_slice(&0xdead_beefu32.to_ne_bytes());
        bytes[48..52].copy_from_slice(&0x0001_0002u32.to_ne_bytes());
        let message = InetDiagMsg::read_from_bytes(&bytes).expect("72 bytes");
        assert_eq!(message.id.idiag_sport.get(), 443);
        assert_eq!(message.src(), IpAddr::from([10, 0, 0, 1]));
        assert_eq!(message.id.cookie(), 0x0001_0002_dead_beef);
        assert!(format!("{message:?}").contains("00010002DEADBEEF"));
    }
}
