//! Connections between two namespaces.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use netlab::Pair;

/// Addresses of the right side, IPv4 and IPv6, and a port that the kernel chooses.
pub(crate) const SERVERS: [&str; 2] = ["10.77.0.2:0", "[fd77::2]:0"];

/// A connection and its two ends.
pub(crate) struct Connection {
    pub(crate) client: TcpStream,
    pub(crate) server: TcpStream,
    pub(crate) client_at: SocketAddr,
    pub(crate) server_at: SocketAddr,
}

impl Connection {
    /// From the left to this address on the right.
    pub(crate) fn open(pair: &Pair, address: &str) -> Self {
        let listener = pair.right.run(|| TcpListener::bind(address).expect("the port is free"));
        let server_at = listener.local_addr().expect("is bound");
        let client = pair.left.run(|| TcpStream::connect(server_at).expect("somebody listens"));
        let client_at = client.local_addr().expect("is bound");
        let (server, _) = listener.accept().expect("a client");
        Self { client, server, client_at, server_at }
    }

    /// So many bytes there, and then so many back. All are read.
    pub(crate) fn carry(&mut self, there: usize, back: usize) {
        pass(&mut self.client, &mut self.server, there);
        pass(&mut self.server, &mut self.client, back);
    }
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: usize) {
    thread::scope(|scope| {
        scope.spawn(|| from.write_all(&vec![7; bytes]).expect("is taken"));
        to.read_exact(&mut vec![0; bytes]).expect("all of it");
    });
}

/// Ends it by a reset: what has been received is not read.
pub(crate) fn reset(connection: Connection) {
    let Connection { mut client, server, .. } = connection;
    client.write_all(&[7; 10]).expect("is taken");
    server.peek(&mut [0]).expect("is there");
    drop(server);
}
