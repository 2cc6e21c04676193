//! Connections, and what the kernel counts of them.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use netlab::Namespace;

use super::captured::Captured;
use super::packets::network;

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_ICMPV6: u8 = 58;

/// Opens a connection from one namespace to the other, sends so many bytes and gets as many back; both sides close.
pub(crate) fn echo(client: &Namespace, server: &Namespace, address: IpAddr, bytes: usize) -> SocketAddr {
    let listener = server.run(|| TcpListener::bind((address, 0)).expect("binds"));
    let listening = listener.local_addr().expect("is bound");
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut connection, _) = listener.accept().expect("accepts");
            let mut received = Vec::new();
            connection.read_to_end(&mut received).expect("receives");
            connection.write_all(&received).expect("sends");
        });
        let mut connection = client.run(|| TcpStream::connect(listening).expect("connects"));
        connection.write_all(&vec![7; bytes]).expect("sends");
        connection.shutdown(Shutdown::Write).expect("closes its side");
        let mut received = Vec::new();
        connection.read_to_end(&mut received).expect("receives");
        assert_eq!(received.len(), bytes);
    });
    listening
}

/// Knocks at a port that nobody listens on: a SYN goes, and a RST comes, behind everything else.
pub(crate) fn knock(client: &Namespace, address: IpAddr, port: u16) {
    let error = client.run(|| TcpStream::connect((address, port))).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// Segments that TCP sent in this namespace, over IPv4 and IPv6. What is sent joined counts as often as it would have
/// been sent alone.
pub(crate) fn segments_sent(namespace: &Namespace) -> u64 {
    let text = namespace.output("cat", &["/proc/net/snmp"]);
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
    let names = lines.next().expect("names").split(' ');
    let values = lines.next().expect("values").split(' ');
    let sent = names.zip(values).filter(|(name, _)| ["OutSegs", "RetransSegs"].contains(name));
    sent.map(|(_, value)| value.parse::<u64>().expect("a number")).sum()
}

/// Of a TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    /// Segments that it stands for.
    pub(crate) segments: u64,
}

impl Ends {
    /// `None` for ICMP behind hop-by-hop options of IPv6, which the filter does not look behind: hosts ask for groups
    /// with it. Panics if it is something else that is not TCP.
    pub(crate) fn of(captured: &Captured) -> Option<Self> {
        let (protocol, ip) = network(captured.link, &captured.bytes);
        let (addresses, tcp): ([IpAddr; 2], &[u8]) = match protocol {
            0x0800 => {
                assert_eq!(ip[9], PROTOCOL_TCP);
                let address = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&ip[at..at + 4]).expect("4 bytes"));
                ([address(12), address(16)], &ip[usize::from(ip[0] & 0xf) * 4..])
            }
            0x86dd => {
                let (next_header, tcp) = match ip[6] {
                    0 => (ip[40], &ip[40 + 8 * (1 + usize::from(ip[41]))..]),
                    other => (other, &ip[40..]),
                };
                if ip[6] == 0 && next_header == PROTOCOL_ICMPV6 {
                    return None;
                }
                assert_eq!(next_header, PROTOCOL_TCP);
                let address = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&ip[at..at + 16]).expect("16 bytes"));
                ([address(8), address(24)], tcp)
            }
            other => panic!("EtherType {other:#x}"),
        };
        let port = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
        let header = captured.bytes.len() - tcp.len() + usize::from(tcp[12] >> 4) * 4;
        let payload = u64::from(captured.wire_len) - header as u64;
        let segments = captured.gso_size.map_or(1, |size| payload.div_ceil(size.into()));
        Some(Self {
            from: SocketAddr::new(addresses[0], port(0)),
            to: SocketAddr::new(addresses[1], port(2)),
            segments,
        })
    }
}

/// Segments that the frames stand for.
pub(crate) fn segments(captured: &[Captured]) -> u64 {
    captured.iter().filter_map(Ends::of).map(|ends| ends.segments).sum()
}

/// Whether the answer to a knock at this port is among them.
pub(crate) fn has_answer(captured: &[Captured], port: u16) -> bool {
    captured.iter().filter_map(Ends::of).any(|ends| ends.from.port() == port)
}
