//! Connections that come and go.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const THREADS: usize = 4;

/// What a connection carries in each direction: known from its ports alone, so that a reader of the archive can check it.
pub(crate) fn payload_len(client_port: u16, server_port: u16) -> usize {
    1 + (usize::from(client_port) * 31 + usize::from(server_port) * 17) % 3000
}

/// Makes `count` connections, `rate` of them per second. Says how many succeeded, and in how many seconds.
pub(crate) fn churn(servers: &[SocketAddr], count: usize, rate: f64) -> anyhow::Result<()> {
    super::ready()?;
    let begin = Instant::now();
    let made: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let due = |number: usize| begin + Duration::from_secs_f64(number as f64 / rate);
                    let numbers = (thread..count).step_by(THREADS);
                    let one = |number: usize| {
                        thread::sleep(due(number).saturating_duration_since(Instant::now()));
                        connection(servers[number % servers.len()]).is_ok()
                    };
                    numbers.filter(|&number| one(number)).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
    });
    super::say(&format!("done {made} {}", begin.elapsed().as_secs_f64()))?;
    Ok(())
}

fn connection(server: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    let mut buffer = [0; 3000];
    let len = payload_len(stream.local_addr()?.port(), server.port());
    stream.write_all(&buffer[..len])?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_exact(&mut buffer[..len])?;
    stream.read(&mut buffer).map(drop)
}
