//! Connections with known totals.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What one connection carried, as its client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// A server that answers each byte with two, until it is told the end, on threads of its own.
pub(crate) fn echo_server(listener: TcpListener) -> SocketAddr {
    // The library's 128 are full when a busy machine does not run the server for a moment; the kernel then resets.
    rustix::net::listen(&listener, 4096).expect("listens");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || echo(stream));
        }
    });
    address
}

fn echo(mut stream: TcpStream) {
    const QUESTION: usize = 16 << 10;
    let mut buffer = [0; 2 * QUESTION];
    while let Ok(read @ 1..) = stream.read(&mut buffer[..QUESTION]) {
        // In one piece: a second small write would wait for the acknowledgement of the first.
        buffer.copy_within(..read, read);
        if stream.write_all(&buffer[..2 * read]).is_err() {
            return;
        }
    }
}

/// Opens one connection, sends `len` bytes, takes the answer, stays for `life`, and closes in order.
pub(crate) fn connection(server: SocketAddr, len: usize, life: Duration) -> Truth {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(server).expect("connects");
    let client = stream.local_addr().expect("connected");
    stream.write_all(&vec![7; len]).expect("sends");
    let mut answer = vec![0; 2 * len];
    stream.read_exact(&mut answer).expect("is answered");
    thread::sleep(life.saturating_sub(begin.elapsed())); // the life of the connection is what is wanted, no event
    stream.shutdown(Shutdown::Write).expect("is open");
    let rest = stream.read_to_end(&mut answer).expect("ends in order");
    assert_eq!(rest, 0);
    Truth { client, server, sent: len as u64, received: 2 * len as u64 }
}

/// `count` connections at `rate` per second, each of `life`. Their lengths differ.
pub(crate) fn connections(server: SocketAddr, count: usize, rate: f64, life: Duration) -> Vec<Truth> {
    let begin = Instant::now();
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..count {
            let due = begin + Duration::from_secs_f64(number as f64 / rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let sender = sender.clone();
            scope.spawn(move || {
                let truth = connection(server, 1 + number % 3000, life);
                sender.send(truth).expect("is received");
            });
        }
    });
    drop(sender);
    receiver.into_iter().collect()
}
