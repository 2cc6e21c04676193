//! Connections that send as fast as they are taken, of which a part ends at once and is made anew.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Opens `count` connections, and writes messages of `size` bytes on them in turn. Every `every` the oldest `ending` of them
/// end all at once, and as many are opened.
pub(crate) fn bulk(
    server: SocketAddr,
    count: usize,
    size: usize,
    ending: usize,
    every: Duration,
) -> anyhow::Result<()> {
    let open = |count| (0..count).map(|_| TcpStream::connect(server)).collect::<Result<Vec<_>, _>>();
    let mut streams = open(count)?;
    super::ready()?;
    let message = vec![7; size];
    let mut next = Instant::now() + every;
    loop {
        for stream in &mut streams {
            stream.write_all(&message)?;
        }
        if Instant::now() >= next {
            next += every;
            streams.drain(..ending.min(count));
            streams.extend(open(ending.min(count))?);
        }
    }
}
