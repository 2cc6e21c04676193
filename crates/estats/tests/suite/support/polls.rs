//! Polls: dumps with the values of the programs in them.

use std::os::fd::RawFd;
use std::time::{SystemTime, UNIX_EPOCH};

use estats::{Sample, Value};
use inetdiag::{AddressFamily, Message, NetlinkMessages, Snapshot};
use netlab::Namespace;
use netlink_packet_core::{Emitable, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkHeader};
use netlink_packet_sock_diag::constants::{IPPROTO_TCP, SOCK_DIAG_BY_FAMILY};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

/// What a poll says of a socket.
#[derive(Debug, Clone)]
pub(crate) struct Polled {
    pub(crate) bytes: Vec<u8>,
    /// Nanoseconds since 1970.
    pub(crate) time: u64,
}

impl Polled {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::new(&self.bytes).expect("is a socket")
    }

    pub(crate) fn value(&self) -> Option<Value> {
        Value::of_message(&self.message())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::of_message(self.message())
    }

    pub(crate) fn sample(&self) -> Sample {
        Sample::of_message(&self.message(), Some(self.time))
    }
}

/// All TCP sockets of a namespace, or the error that the kernel answers with.
pub(crate) fn poll(namespace: &Namespace, map: RawFd) -> Result<Vec<Polled>, i32> {
    namespace.run(|| poll_here(map))
}

/// The same for the namespace of the calling thread.
pub(crate) fn poll_here(map: RawFd) -> Result<Vec<Polled>, i32> {
    let mut polled = Vec::new();
    for family in AddressFamily::ALL {
        polled.extend(dump(family, map)?);
    }
    Ok(polled)
}

/// The socket with this cookie.
pub(crate) fn poll_one(namespace: &Namespace, map: RawFd, cookie: u64) -> Polled {
    let polled = poll(namespace, map).expect("the kernel answers");
    polled.into_iter().find(|polled| polled.message().cookie() == cookie).expect("the socket is there")
}

fn dump(family: AddressFamily, map: RawFd) -> Result<Vec<Polled>, i32> {
    let request = InetRequest {
        family: family.number(),
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::all(),
        states: StateFlags::all(),
        socket_id: SocketId::new_v4(),
    };
    let attribute = estats::request::storages(map);
    let mut header = NetlinkHeader::default();
    let body = header.buffer_len() + request.buffer_len();
    header.length = (body + attribute.len()) as u32;
    header.message_type = SOCK_DIAG_BY_FAMILY;
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut bytes = vec![0; body];
    header.emit(&mut bytes[..header.buffer_len()]);
    request.emit(&mut bytes[header.buffer_len()..]);
    bytes.extend_from_slice(&attribute);

    let socket = Socket::new(NETLINK_SOCK_DIAG).expect("opens");
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).expect("is sent");
    let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let mut polled = Vec::new();
    loop {
        let (answer, _) = socket.recv_from_full().expect("answers");
        for message in NetlinkMessages::new(&answer) {
            let message = message.expect("well formed");
            match message.kind {
                NLMSG_DONE => return Ok(polled),
                NLMSG_ERROR => {
                    return Err(-i32::from_ne_bytes(message.payload[..4].try_into().expect("an error number")));
                }
                _ => polled.push(Polled { bytes: message.payload.to_vec(), time }),
            }
        }
    }
}
