//! The side that is not recorded: one thread that takes whatever comes.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use rustix::event::epoll;

const LISTENER: u64 = u64::MAX;
const BACKLOG: i32 = 20_000;

/// Takes connections at `address`. What arrives is counted; at its end as many bytes are sent back.
pub(crate) fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&queue, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    super::say("ready")?;
    let mut streams: HashMap<u64, (TcpStream, usize)> = HashMap::new();
    let mut buffer = vec![0; 64 << 10];
    let mut events = Vec::with_capacity(1024);
    loop {
        epoll::wait(&queue, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let key = event.data.u64();
            if key == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    let key = stream.as_raw_fd() as u64;
                    epoll::add(&queue, &stream, epoll::EventData::new_u64(key), epoll::EventFlags::IN)?;
                    streams.insert(key, (stream, 0));
                }
            } else if let Some((stream, received)) = streams.get_mut(&key)
                && !take(stream, received, &mut buffer)
            {
                streams.remove(&key);
            }
        }
    }
}

/// Reads what is there. `false` at the end of the connection.
fn take(stream: &mut TcpStream, received: &mut usize, buffer: &mut [u8]) -> bool {
    match stream.read(buffer) {
        Ok(0) => {
            while *received > 0 {
                let len = (*received).min(buffer.len());
                if stream.write_all(&buffer[..len]).is_err() {
                    break;
                }
                *received -= len;
            }
            false
        }
        Ok(len) => {
            *received += len;
            true
        }
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
