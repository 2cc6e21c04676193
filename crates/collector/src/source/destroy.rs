//! Destroy events: the kernel tells of each socket as it dies, with its final counters.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use inetdiag::{Message, NetlinkMessages};
use netlink_packet_sock_diag::constants::SOCK_DIAG_BY_FAMILY;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

/// Bind mask of `SKNLGRP_INET_TCP_DESTROY` (1) and `SKNLGRP_INET6_TCP_DESTROY` (3).
const TCP_DESTROY_GROUPS: u32 = 1 | 1 << 2;
/// The multicast socket on which destroy events arrive.
#[derive(Debug)]
pub struct DestroySource {
    socket: Socket,
    buffer_len: usize,
}

/// What [`DestroySource::drain`] found.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Events handed on.
    pub events: usize,
    /// Times the kernel said that it had to drop events: an unknown number of them each time.
    pub overruns: usize,
    /// Messages that could not be read.
    pub malformed: usize,
    /// Why no more could be received, if it is not that there were none.
    pub error: Option<io::Error>,
}

impl DestroySource {
    /// Joins the groups of both address families, with a receive buffer of `buffer_len` bytes for the events that arrive
    /// while a long dump is read. Needs no privilege; with `CAP_NET_ADMIN` the buffer may exceed the system's limit.
    pub fn open(buffer_len: u32) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        if set_socket_recv_buffer_size_force(&socket, buffer_len as usize).is_err() {
            socket.set_rx_buf_sz(buffer_len)?;
        }
        socket.bind(&SocketAddr::new(0, TCP_DESTROY_GROUPS))?;
        socket.set_non_blocking(true)?;
        let buffer_len = socket.get_rx_buf_sz()?;
        Ok(Self { socket, buffer_len })
    }

    /// Size of the receive buffer the kernel granted, in bytes of its own accounting.
    pub fn buffer_len(&self) -> usize {
        self.buffer_len
    }

    /// Hands on the events that have arrived, and returns without waiting for more.
    pub fn drain(&self, buffer: &mut [u8], mut visit: impl FnMut(Message<'_>)) -> Delivery {
        let mut delivery = Delivery::default();
        loop {
            let (len, sender) = match self.socket.recv_from(&mut &mut *buffer, RecvFlags::TRUNC.bits() as i32) {
                Ok(received) => received,
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::AGAIN) => return delivery,
                    Some(Errno::INTR) => continue,
                    Some(Errno::NOBUFS) => {
                        delivery.overruns += 1;
                        continue;
                    }
                    _ => {
                        delivery.error = Some(error);
                        return delivery;
                    }
                },
            };
            if sender.port_number() != 0 {
                continue; // not from the kernel
            }
            let Some(received) = buffer.get(..len) else {
                delivery.malformed += 1;
                continue;
            };
            for message in NetlinkMessages::new(received) {
                match message.map(|message| (message.kind, Message::new(message.payload))) {
                    Ok((SOCK_DIAG_BY_FAMILY, Ok(socket))) => {
                        delivery.events += 1;
                        visit(socket);
                    }
                    _ => delivery.malformed += 1,
                }
            }
        }
    }
}

impl AsFd for DestroySource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
