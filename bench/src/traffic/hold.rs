//! Connections that stay, and send messages at an even rate.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Messages of one moment are sent together.
const MOMENT: Duration = Duration::from_millis(1);

/// Opens `count` connections, and sends `rate` messages a second on each, one after the other.
pub(crate) fn hold(server: SocketAddr, count: usize, rate: f64, size: usize) -> anyhow::Result<()> {
    let mut streams = (0..count).map(|_| TcpStream::connect(server)).collect::<Result<Vec<_>, _>>()?;
    super::ready()?;
    let message = vec![7; size];
    let begin = Instant::now();
    let mut sent = 0;
    loop {
        if rate == 0.0 {
            thread::park();
            continue;
        }
        let due = (begin.elapsed().as_secs_f64() * rate * count as f64) as usize;
        for number in sent..due {
            streams[number % count].write_all(&message)?;
        }
        sent = due;
        thread::sleep(MOMENT);
    }
}
