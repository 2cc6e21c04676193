//! Polling: one dump of all sockets of one address family.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use inetdiag::{Message, NetlinkError, NetlinkMessage, NetlinkMessages};
use netlink_packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN};
use netlink_packet_sock_diag::constants::SOCK_DIAG_BY_FAMILY;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use thiserror::Error;

use super::request::{DumpRequest, TCPDIAG_GETSOCK};

/// The kernel answers a dump at once; if it falls silent this long, the answer is lost.
pub(super) const SILENCE_LIMIT: Duration = Duration::from_secs(5);

/// A poll that was not complete. It is counted by [`label`](DumpError::label) and tried again at the next deadline;
/// what it delivered before is used, and no socket looks gone because of it.
#[derive(Debug, Error)]
pub enum DumpError {
    /// No netlink socket could be made: no descriptors, or no memory.
    #[error("cannot open a sock_diag socket: {0}")]
    Open(#[source] io::Error),
    /// The request could not be sent.
    #[error("cannot send the dump request: {0}")]
    Send(#[source] io::Error),
    /// The answer could not be received.
    #[error("cannot receive the dump: {0}")]
    Receive(#[source] io::Error),
    /// The kernel refused, or broke off.
    #[error("the kernel ended the dump with an error: {0}")]
    Kernel(#[source] io::Error),
    /// The kernel says that the table changed so that the dump may be inconsistent.
    #[error("the dump was interrupted by a change of the table")]
    Interrupted,
    /// A message did not fit the receive buffer.
    #[error("a message of {len} bytes was cut by the receive buffer")]
    Truncated {
        /// Its length.
        len: usize,
    },
    /// The kernel had no room for the answer.
    #[error("the receive queue overran")]
    Overrun,
    /// The kernel did not answer.
    #[error("no answer within {SILENCE_LIMIT:?}")]
    Silence,
    /// The answer is not netlink.
    #[error("malformed answer: {0}")]
    Malformed(#[from] NetlinkError),
}

impl DumpError {
    /// Name of the error in counters.
    pub fn label(&self) -> &'static str {
        match self {
            DumpError::Open(_) => "dump_open",
            DumpError::Send(_) => "dump_send",
            DumpError::Receive(_) => "dump_receive",
            DumpError::Kernel(_) => "dump_kernel",
            DumpError::Interrupted => "dump_interrupted",
            DumpError::Truncated { .. } => "dump_truncated",
            DumpError::Overrun => "dump_overrun",
            DumpError::Silence => "dump_silence",
            DumpError::Malformed(_) => "dump_malformed",
        }
    }

    /// Whether the next dump may well be complete.
    pub fn is_passing(&self) -> bool {
        matches!(self, DumpError::Interrupted | DumpError::Overrun | DumpError::Silence)
    }
}

/// What a dump delivered, complete or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DumpStats {
    /// Sockets.
    pub sockets: usize,
    /// Messages too short to be one, left out.
    pub malformed: usize,
}

/// One netlink socket that is asked again and again. It is opened by the first dump, and anew after an error.
#[derive(Debug)]
pub struct DumpSource {
    socket: Option<Socket>,
    sequence: u32,
    /// How long the kernel may be silent.
    silence: Duration,
}

impl Default for DumpSource {
    fn default() -> Self {
        Self { socket: None, sequence: 0, silence: SILENCE_LIMIT }
    }
}

impl DumpSource {
    /// Asks for all sockets, and hands each to `visit` as it arrives. Says what arrived, and whether that was all.
    pub fn dump(
        &mut self,
        request: &mut DumpRequest,
        buffer: &mut [u8],
        visit: impl FnMut(Message<'_>),
    ) -> (DumpStats, Result<(), DumpError>) {
        let mut stats = DumpStats::default();
        let socket = match self.socket.take().map_or_else(open, Ok) {
            Ok(socket) => socket,
            Err(error) => return (stats, Err(DumpError::Open(error))),
        };
        self.sequence = self.sequence.wrapping_add(1);
        let request = request.numbered(self.sequence);
        let silence = self.silence;
        let outcome = exchange(&socket, request, self.sequence, silence, buffer, &mut stats, visit);
        // A socket with half an answer in its queue is of no use, unless the answer was read to its end.
        if matches!(outcome, Ok(()) | Err(DumpError::Interrupted)) {
            self.socket = Some(socket);
        }
        (stats, outcome)
    }
}

pub(super) fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    Ok(socket)
}

fn exchange(
    socket: &Socket,
    request: &[u8],
    sequence: u32,
    silence: Duration,
    buffer: &mut [u8],
    stats: &mut DumpStats,
    mut visit: impl FnMut(Message<'_>),
) -> Result<(), DumpError> {
    socket.send(request, 0).map_err(DumpError::Send)?;
    let mut reply = Reply { sequence, interrupted: false };
    loop {
        let len = receive(socket, silence, buffer)?;
        let Some(received) = buffer.get(..len) else {
            return Err(DumpError::Truncated { len });
        };
        if let Some(end) = reply.take(received, stats, &mut visit) {
            return end;
        }
    }
}

/// How far the reply to one request has been read.
struct Reply {
    sequence: u32,
    interrupted: bool,
}

impl Reply {
    /// Takes what one `recv` delivered; the dump's outcome if it ends in there.
    fn take(
        &mut self,
        received: &[u8],
        stats: &mut DumpStats,
        visit: &mut impl FnMut(Message<'_>),
    ) -> Option<Result<(), DumpError>> {
        for message in NetlinkMessages::new(received) {
            let message = match message {
                Ok(message) => message,
                Err(error) => return Some(Err(error.into())),
            };
            if message.sequence != self.sequence {
                continue; // an answer to a request that was given up
            }
            self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
            match message.kind {
                SOCK_DIAG_BY_FAMILY | TCPDIAG_GETSOCK => match Message::new(message.payload) {
                    Ok(socket) => {
                        stats.sockets += 1;
                        visit(socket);
                    }
                    Err(_) => stats.malformed += 1,
                },
                NLMSG_DONE | NLMSG_ERROR => {
                    return Some(match status(&message) {
                        Some(error) => Err(DumpError::Kernel(error)),
                        None if self.interrupted => Err(DumpError::Interrupted),
                        None => Ok(()),
                    });
                }
                NLMSG_OVERRUN => return Some(Err(DumpError::Overrun)),
                _ => {}
            }
        }
        None
    }
}

/// Receives one buffer from the kernel; returns the length it really has.
pub(super) fn receive(socket: &Socket, silence: Duration, buffer: &mut [u8]) -> Result<usize, DumpError> {
    loop {
        match socket.recv_from(&mut &mut *buffer, RecvFlags::TRUNC.bits() as i32) {
            // Only the kernel has port 0; anyone else may send to this socket, too.
            Ok((len, sender)) if sender.port_number() == 0 => return Ok(len),
            Ok(_) => {}
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INTR) => {}
                Some(Errno::AGAIN) => wait(socket, silence)?,
                Some(Errno::NOBUFS) => return Err(DumpError::Overrun),
                _ => return Err(DumpError::Receive(error)),
            },
        }
    }
}

fn wait(socket: &Socket, silence: Duration) -> Result<(), DumpError> {
    let timeout = Timespec { tv_sec: silence.as_secs() as i64, tv_nsec: silence.subsec_nanos().into() };
    match poll(&mut [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)], Some(&timeout)) {
        Ok(0) => Err(DumpError::Silence),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(DumpError::Receive(error.into())),
    }
}

/// The error that `NLMSG_DONE` and `NLMSG_ERROR` carry as a negative number, if any.
pub(super) fn status(message: &NetlinkMessage<'_>) -> Option<io::Error> {
    let code = i32::from_ne_bytes(message.payload.get(..4)?.try_into().ok()?);
    (code < 0).then(|| io::Error::from_raw_os_error(code.saturating_neg()))
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, AsRawFd};

    use super::*;
    use crate::source::Whose;

    const SEQUENCE: u32 = 7;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(16 + payload.len() as u32).to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&0u32.to_ne_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    fn request() -> DumpRequest {
        DumpRequest::connections(
            Whose::Everybody,
            crate::source::Attributes::FULL.whole(),
            crate::filter::States::ALL,
            &[],
        )
    }

    fn socket(flags: u16, sequence: u32) -> Vec<u8> {
        message(SOCK_DIAG_BY_FAMILY, flags, sequence, &[0; 72])
    }

    fn done(status: i32) -> Vec<u8> {
        message(NLMSG_DONE, 0, SEQUENCE, &status.to_ne_bytes())
    }

    /// Label of the outcome (`""` for success, `None` for no end yet), sockets, malformed messages.
    fn take(parts: &[Vec<u8>]) -> (Option<&'static str>, usize, usize) {
        let mut reply = Reply { sequence: SEQUENCE, interrupted: false };
        let mut stats = DumpStats::default();
        let mut visited = 0;
        let end = reply.take(&parts.concat(), &mut stats, &mut |_| visited += 1);
        assert_eq!(visited, stats.sockets);
        (end.map(|end| end.map_or_else(|error| error.label(), |()| "")), stats.sockets, stats.malformed)
    }

    #[test]
    fn a_dump_is_complete_when_it_says_so_and_not_before() {
        assert_eq!(take(&[socket(0, SEQUENCE), socket(0, SEQUENCE)]), (None, 2, 0));
        assert_eq!(take(&[socket(0, SEQUENCE), done(0)]), (Some(""), 1, 0));
        assert_eq!(take(&[message(NLMSG_ERROR, 0, SEQUENCE, &0i32.to_ne_bytes())]), (Some(""), 0, 0));
    }

    #[test]
    fn every_other_end_is_an_error_of_its_own() {
        assert_eq!(take(&[socket(0, SEQUENCE), done(-12)]).0, Some("dump_kernel"));
        assert_eq!(take(&[message(NLMSG_ERROR, 0, SEQUENCE, &(-22i32).to_ne_bytes())]).0, Some("dump_kernel"));
        assert_eq!(take(&[socket(NLM_F_DUMP_INTR, SEQUENCE), done(0)]), (Some("dump_interrupted"), 1, 0));
        assert_eq!(take(&[message(NLMSG_OVERRUN, 0, SEQUENCE, &[])]).0, Some("dump_overrun"));
        assert_eq!(take(&[socket(0, SEQUENCE), vec![9; 8]]), (Some("dump_malformed"), 1, 0));
    }

    #[test]
    fn answers_to_an_earlier_request_are_passed_over() {
        let stale_end = message(NLMSG_DONE, 0, SEQUENCE - 1, &0i32.to_ne_bytes());
        assert_eq!(take(&[socket(0, SEQUENCE - 1), stale_end, socket(0, SEQUENCE)]), (None, 1, 0));
    }

    #[test]
    fn a_message_too_short_costs_only_itself() {
        let short = message(SOCK_DIAG_BY_FAMILY, 0, SEQUENCE, &[0; 71]);
        // Behind 71 bytes the next message starts at a multiple of four.
        assert_eq!(take(&[short, vec![0], socket(0, SEQUENCE), done(0)]), (Some(""), 1, 1));
    }

    #[test]
    fn a_receive_buffer_that_is_too_small_is_a_failed_dump() {
        let mut source = DumpSource::default();
        let (_, outcome) = source.dump(&mut request(), &mut [0; 8], |_| {});
        assert!(matches!(outcome, Err(DumpError::Truncated { .. })), "{outcome:?}");
        let (_, outcome) = source.dump(&mut request(), &mut [0; 1 << 16], |_| {});
        assert!(outcome.is_ok(), "the next one starts anew: {outcome:?}");
    }

    /// The label of the error that a request brings about, on the real kernel.
    fn refusal(mut request: DumpRequest) -> &'static str {
        let (_, outcome) = DumpSource::default().dump(&mut request, &mut [0; 1 << 16], |_| {});
        outcome.expect_err("is refused").label()
    }

    #[test]
    fn what_the_kernel_refuses_has_its_own_name() {
        let with_filter = |bytecode: &[u8]| {
            DumpRequest::connections(
                Whose::Everybody,
                crate::source::Attributes::FULL.whole(),
                crate::filter::States::ALL,
                bytecode,
            )
        };
        // A jump to nowhere; and more than fits the send buffer.
        assert_eq!(refusal(with_filter(&[1, 4, 200, 0])), "dump_kernel");
        assert_eq!(refusal(DumpRequest::of_len(32 << 20)), "dump_send");
    }

    #[test]
    fn a_kernel_that_does_not_answer_is_not_waited_for_without_end() {
        let mut source = DumpSource { silence: Duration::from_millis(20), ..DumpSource::default() };
        let (stats, outcome) = source.dump(&mut DumpRequest::without_answer(), &mut [0; 1 << 16], |_| {});
        assert_eq!((stats.sockets, outcome.expect_err("no answer").label()), (0, "dump_silence"));
        assert!(source.socket.is_none(), "a late answer must not be taken for one of the next dump");
    }

    #[test]
    fn the_socket_is_kept_from_dump_to_dump() {
        let mut source = DumpSource::default();
        let mut descriptor = || {
            assert!(source.dump(&mut request(), &mut [0; 1 << 16], |_| {}).1.is_ok());
            source.socket.as_ref().expect("is kept").as_fd().as_raw_fd()
        };
        assert_eq!(descriptor(), descriptor());
    }

    #[test]
    fn the_status_of_a_dump_is_a_negative_errno() {
        let status_of = |payload: &[u8]| {
            status(&NetlinkMessage { kind: NLMSG_DONE, flags: 0, sequence: 1, port: 0, payload, offset: 0 })
        };
        assert!(status_of(&0i32.to_ne_bytes()).is_none());
        assert!(status_of(&[]).is_none());
        assert_eq!(status_of(&(-22i32).to_ne_bytes()).expect("an error").raw_os_error(), Some(22));
        assert!(status_of(&i32::MIN.to_ne_bytes()).is_some());
    }
}
