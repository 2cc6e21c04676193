//! What of the programs this kernel takes, and what they say of a transfer over loopback. Takes root.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use estats::{Estats, Options, Sample, variables};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let before = TcpStream::connect(listener.local_addr()?)?;
    let (mut other_end, _) = listener.accept()?;

    let (mut estats, statuses) = Estats::load(Options { full: true })?;
    for status in &statuses {
        println!("{status}");
    }
    println!("{} sockets were open before", estats.adopt()?);

    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        server.read_to_end(&mut received).map(|_| received.len())
    });
    client.write_all(&vec![7; 3_000_000])?;
    drop(client);
    println!("{} octets received", reader.join().expect("the reader ends")?);
    (&before).write_all(&[7; 1000])?;
    drop(before);
    other_end.read_to_end(&mut Vec::new())?;
    drop(other_end);
    thread::sleep(Duration::from_millis(200));

    estats.drain(|last| {
        let sample = Sample { value: last.value(), ..Sample::default() };
        let known: Vec<_> =
            variables().filter_map(|one| Some(format!("{}={}", one.short_name(), one.of(&sample)?))).collect();
        println!("{:016X} {:#x} {}", last.cookie, sample.value.map_or(0, |value| value.raw.flags), known.join(" "));
    });
    println!("{} lost", estats.lost()?);
    Ok(())
}
