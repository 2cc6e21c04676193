//! Prints connections as they come and go, as an event socket tells of them.
//!
//! ```sh
//! tcp-info --output /tmp/tcp --include-local --eventsocket-v2 /tmp/tcp/events
//! cargo run --release --example events -- /tmp/tcp/events                        # all
//! cargo run --release --example events -- /tmp/tcp/events '{"ports":[443]}'      # those with port 443 at either end
//! ```
//!
//! On the socket of the Go original's protocol (`--tcpinfo.eventsocket`) what is asked for is not read: it tells of all.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

fn main() -> io::Result<()> {
    let mut args = env::args().skip(1);
    let Some(path) = args.next() else {
        return Err(io::Error::other("usage: events SOCKET [SUBSCRIPTION]"));
    };
    let mut stream = UnixStream::connect(&path)?;
    writeln!(stream, "{}", args.next().unwrap_or_default())?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let event: serde_json::Value = serde_json::from_str(&line)?;
        let id = &event["ID"];
        let end = |address: &str, port: &str| format!("{}:{}", id[address].as_str().unwrap_or("?"), id[port]);
        let ends = match id.is_null() {
            true => event["UUID"].as_str().unwrap_or_default().to_owned(),
            false => format!("{} -> {}", end("SrcIP", "SPort"), end("DstIP", "DPort")),
        };
        match (event["Event"].as_str(), event["Event"].as_u64()) {
            (Some("open"), _) | (_, Some(0)) => println!("open   {ends}"),
            _ => println!("close  {ends}  {} s  {}", event["Duration"], event["Totals"]),
        }
    }
    Ok(())
}
