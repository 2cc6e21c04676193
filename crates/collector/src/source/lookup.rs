//! One socket, asked for by its addresses and its cookie.

use inetdiag::{InetDiagMsg, Message, NetlinkMessages};
use netlink_packet_core::NLMSG_ERROR;
use netlink_packet_sock_diag::constants::SOCK_DIAG_BY_FAMILY;
use netlink_sys::Socket;
use rustix::io::Errno;

use super::dump::{DumpError, SILENCE_LIMIT, open, receive, status};
use super::request::DumpRequest;

/// Asks for sockets one at a time. After an error it opens its netlink socket anew.
#[derive(Debug, Default)]
pub struct LookupSource {
    socket: Option<Socket>,
    sequence: u32,
}

impl LookupSource {
    /// Asks for the socket that has this header, with every attribute there is, and hands it to `visit`. One that has
    /// gone meanwhile is not handed on.
    pub fn look_up(
        &mut self,
        header: &InetDiagMsg,
        buffer: &mut [u8],
        visit: impl FnMut(Message<'_>),
    ) -> Result<(), DumpError> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open().map_err(DumpError::Open)?,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = DumpRequest::of_socket(header);
        socket.send(request.numbered(self.sequence), 0).map_err(DumpError::Send)?;
        answer(&socket, self.sequence, buffer, visit)?;
        self.socket = Some(socket);
        Ok(())
    }
}

/// Receives until the request with this number is answered, by the socket or by an error.
fn answer(
    socket: &Socket,
    sequence: u32,
    buffer: &mut [u8],
    mut visit: impl FnMut(Message<'_>),
) -> Result<(), DumpError> {
    loop {
        let len = receive(socket, SILENCE_LIMIT, buffer)?;
        let received = buffer.get(..len).ok_or(DumpError::Truncated { len })?;
        for message in NetlinkMessages::new(received) {
            let message = message?;
            if message.sequence != sequence {
                continue; // an answer to a request that was given up
            }
            match (message.kind, status(&message)) {
                (NLMSG_ERROR, Some(error)) if is_gone(&error) => return Ok(()),
                (NLMSG_ERROR, Some(error)) => return Err(DumpError::Kernel(error)),
                (SOCK_DIAG_BY_FAMILY, _) => {
                    if let Ok(message) = Message::new(message.payload) {
                        visit(message);
                    }
                    return Ok(());
                }
                _ => {}
            }
        }
    }
}

/// There is no such socket, or there is another with these addresses.
fn is_gone(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::STALE))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use inetdiag::AddressFamily;

    use super::*;
    use crate::source::{Attributes, DumpSource, Whose};

    #[test]
    fn a_socket_is_found_by_its_header_until_it_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        let port = client.local_addr().expect("connected").port();
        let mut buffer = vec![0; 1 << 16];
        let mut found = None;
        let mut request = DumpRequest::connections(
            Whose::Family(AddressFamily::Inet),
            Attributes::FULL.whole(),
            crate::filter::States::ALL,
            &[],
        );
        let (_, outcome) = DumpSource::default().dump(&mut request, &mut buffer, |message| {
            if message.header().id.idiag_sport.get() == port {
                found = Some((*message.header(), message.attributes().count()));
            }
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        let (header, attributes) = found.expect("is in the dump");

        let mut source = LookupSource::default();
        let mut look_up = |header: &InetDiagMsg| {
            let mut answers = Vec::new();
            let outcome = source.look_up(header, &mut buffer, |message| {
                answers.push((message.cookie(), message.attributes().count()));
            });
            assert!(outcome.is_ok(), "{outcome:?}");
            answers
        };
        assert_eq!(look_up(&header), [(header.id.cookie(), attributes)]);
        let mut other = header;
        other.id.idiag_cookie[0] = (header.id.idiag_cookie[0].get() ^ 1).into();
        assert_eq!(look_up(&other), [], "has the addresses of another");
        drop(client);
        let mut gone = header;
        gone.id.idiag_sport = 1.into();
        assert_eq!(look_up(&gone), []);
    }
}
