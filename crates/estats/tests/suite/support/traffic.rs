//! Connections.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::thread;

use netlab::{Namespace, Pair};

use super::wait_until;

pub(crate) const LEFT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
pub(crate) const RIGHT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));
pub(crate) const RIGHT6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2));

/// The cookie of a socket.
pub(crate) fn cookie(socket: impl AsFd) -> u64 {
    rustix::net::sockopt::socket_cookie(socket).expect("the kernel knows it")
}

/// Two namespaces that know each other's link addresses: to learn them takes up to a second, which no connection shall wait.
pub(crate) fn pair() -> Pair {
    let pair = Pair::new();
    for (unspecified, address) in [(IpAddr::V4(Ipv4Addr::UNSPECIFIED), RIGHT), (Ipv6Addr::UNSPECIFIED.into(), RIGHT6)] {
        let socket = pair.left.run(|| UdpSocket::bind((unspecified, 0)).expect("binds"));
        socket.connect((address, 9)).expect("is told");
        socket.set_nonblocking(true).expect("is told");
        // Nobody is there, and the other side says so.
        wait_until("the other side is reached", || {
            let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
            socket.send(&[7]).err().is_some_and(refused) || socket.recv(&mut [0]).err().is_some_and(refused)
        });
    }
    pair
}

/// A connection, both ends.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: TcpStream,
    pub(crate) server: TcpStream,
}

impl Connection {
    /// From one namespace to an address of another.
    pub(crate) fn open(client: &Namespace, server: &Namespace, address: IpAddr) -> Self {
        let listener = server.run(|| TcpListener::bind((address, 0)).expect("binds"));
        Self::to(client, &listener)
    }

    /// From the left side of a pair to the right one.
    pub(crate) fn across(pair: &Pair, address: IpAddr) -> Self {
        Self::open(&pair.left, &pair.right, address)
    }

    /// To a listener that nobody else connects to.
    pub(crate) fn to(client: &Namespace, listener: &TcpListener) -> Self {
        let listening: SocketAddr = listener.local_addr().expect("is bound");
        let client = client.run(|| TcpStream::connect(listening).expect("connects"));
        let (server, _) = listener.accept().expect("accepts");
        Self { client, server }
    }

    /// Sends so many bytes from the client to the server, which reads them all.
    pub(crate) fn upload(&self, bytes: usize) {
        transfer(&self.client, &self.server, bytes);
    }

    /// Sends so many bytes to the server, and as many back; so many times.
    pub(crate) fn exchange(&self, bytes: usize, times: usize) {
        for _ in 0..times {
            transfer(&self.client, &self.server, bytes);
            transfer(&self.server, &self.client, bytes);
        }
    }

    pub(crate) fn cookies(&self) -> [u64; 2] {
        [cookie(&self.client), cookie(&self.server)]
    }
}

fn transfer(mut from: &TcpStream, mut to: &TcpStream, bytes: usize) {
    thread::scope(|scope| {
        scope.spawn(move || from.write_all(&vec![7; bytes]).expect("sends"));
        let mut received = vec![0; bytes];
        to.read_exact(&mut received).expect("receives");
    });
}

/// Sets a sysctl of a namespace, given as its path below `/proc/sys/net`.
pub(crate) fn sysctl(namespace: &Namespace, path: &str, value: &str) {
    namespace.run(|| std::fs::write(format!("/proc/sys/net/{path}"), value).expect(path));
}

/// Timeouts of the left side are not shorter than that: what is to come before one has time, however slow the machine is.
pub(crate) fn shortest_timeout(pair: &Pair, time: &str) {
    pair.left.ip(&["route", "replace", "10.77.0.0/24", "dev", "veth0", "src", "10.77.0.1", "rto_min", time]);
}

/// Segments leave one by one, as they are on the wire, so that packets can be lost and counted one by one.
pub(crate) fn single_segments(pair: &Pair) {
    for namespace in [&pair.left, &pair.right] {
        namespace.ip(&["link", "set", "veth0", "gso_max_segs", "1"]);
    }
}

/// The congestion control of new connections of the left side.
pub(crate) fn congestion_control(pair: &Pair, name: &str) {
    sysctl(&pair.left, "ipv4/tcp_congestion_control", name);
}
