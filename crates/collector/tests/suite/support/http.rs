//! Asking the daemon for its pages.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use netlab::Namespace;

use super::daemon::PATIENCE;

/// Where the daemon serves unless told otherwise.
pub(crate) const ADDRESS: &str = "127.0.0.1:9991";

/// Status and body of a page, asked for inside a namespace.
pub(crate) fn get(namespace: &Namespace, path: &str) -> (u16, String) {
    namespace.run(|| get_here(path).unwrap_or_else(|error| panic!("{path}: {error}")))
}

/// The same in the namespace of the calling thread.
pub(crate) fn get_here(path: &str) -> std::io::Result<(u16, String)> {
    request(ADDRESS, path)
}

/// The same of another server.
pub(crate) fn request(address: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}

/// Value of a series in an exposition, such as `tcp_connections_total{state="listen"}`.
pub(crate) fn value(exposition: &str, series: &str) -> Option<f64> {
    exposition.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Waits until a series has a value that is as wanted, and returns the exposition that has it.
pub(crate) fn wait_for(namespace: &Namespace, series: &str, wanted: impl Fn(f64) -> bool) -> String {
    let begin = Instant::now();
    loop {
        let (_, exposition) = get(namespace, "/metrics");
        if value(&exposition, series).is_some_and(&wanted) {
            return exposition;
        }
        assert!(begin.elapsed() < PATIENCE, "{series} is {:?}", value(&exposition, series));
    }
}
