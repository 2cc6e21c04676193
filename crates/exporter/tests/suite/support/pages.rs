//! Asking the exporter for its pages.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use netlab::Namespace;

use super::PATIENCE;

/// Status and body of a page, asked for over loopback in this namespace.
pub(crate) fn get(namespace: &Namespace, path: &str) -> (u16, String) {
    namespace.run(|| request("127.0.0.1:9100", path).unwrap_or_else(|error| panic!("{path}: {error}")))
}

/// The same of any server, in the namespace of the calling thread.
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

/// One answer of `/metrics`.
#[derive(Debug)]
pub(crate) struct Scrape(pub(crate) String);

impl Scrape {
    pub(crate) fn of(namespace: &Namespace) -> Self {
        let (status, body) = get(namespace, "/metrics");
        assert_eq!(status, 200, "{body}");
        Self(body)
    }

    /// Value of a series, as it stands in the text.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Values of a metric of streams, by their labels.
    pub(crate) fn streams(&self, name: &str) -> BTreeMap<String, f64> {
        let samples = self.0.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
        samples.map(|(labels, value)| (labels.to_owned(), value.parse().expect("a number"))).collect()
    }

    /// A metric of the stream between these ends, and its state.
    pub(crate) fn stream(&self, name: &str, from: SocketAddr, to: SocketAddr) -> Option<(f64, String)> {
        let ends = ends(from, to);
        let (labels, value) = self.streams(name).into_iter().find(|(labels, _)| labels.starts_with(&ends))?;
        let state = labels.strip_prefix(&ends)?.strip_prefix(",state=\"")?.strip_suffix('"')?;
        Some((value, state.to_owned()))
    }
}

/// Labels of a stream, but for its state.
pub(crate) fn ends(from: SocketAddr, to: SocketAddr) -> String {
    format!("src_ip=\"{}\",src_port=\"{}\",dst_ip=\"{}\",dst_port=\"{}\"", from.ip(), from.port(), to.ip(), to.port())
}

/// Scrapes until it is as wanted.
pub(crate) fn wait_for(namespace: &Namespace, what: &str, is_so: impl Fn(&Scrape) -> bool) -> Scrape {
    let begin = Instant::now();
    loop {
        let scrape = Scrape::of(namespace);
        if is_so(&scrape) {
            return scrape;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}:\n{}", scrape.0);
        std::thread::sleep(Duration::from_millis(20)); // each scrape takes some of what others need
    }
}
