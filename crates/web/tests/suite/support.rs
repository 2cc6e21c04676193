//! A server with a few pages, and a client that says what it likes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::Registry;
use web::{Address, Counters, Page, Server, Site, WebConfig};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pages `/`, `/long`, and `/slow`, which is made when [`Served::go_on`] says so.
struct Pages {
    go_on: Arc<Mutex<Receiver<()>>>,
}

impl Site for Pages {
    fn page(&self, path: &str) -> Option<Page> {
        match path {
            "/" => Some(Page::html("<p>hello")),
            "/ill" => Some(Page::text("ill\n").with_status(503)),
            "/failing" => Some(Page::written_by("text/plain", |out| {
                out.write_all(b"half of it")?;
                Err(std::io::Error::other("no more of it"))
            })),
            "/long" => Some(Page::made_by("text/plain", || b"line\n".repeat(20_000))),
            "/slow" => {
                let go_on = Arc::clone(&self.go_on);
                Some(Page::made_by("text/plain", move || {
                    let _ = go_on.lock().map(|go_on| go_on.recv());
                    b"slow".to_vec()
                }))
            }
            _ => None,
        }
    }
}

/// A running server.
pub(crate) struct Served {
    pub(crate) server: Server,
    registry: Registry,
    go_on: Sender<()>,
}

impl Served {
    pub(crate) fn new(config: WebConfig) -> Self {
        let address: Address = "127.0.0.1:0".parse().expect("an address");
        let registry = Registry::new();
        let counters = Counters::new("test", &registry).expect("names");
        let (go_on, wait) = channel();
        let pages = Pages { go_on: Arc::new(Mutex::new(wait)) };
        let server = Server::start(address.bind().expect("binds"), config, pages, counters).expect("starts");
        Self { server, registry, go_on }
    }

    /// Lets `/slow` be made once.
    pub(crate) fn go_on(&self) {
        self.go_on.send(()).expect("it waits");
    }

    /// Value of a counter with this value of its label.
    pub(crate) fn count(&self, name: &str, label: &str) -> u64 {
        let families = self.registry.gather();
        let metrics = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        let is_it = |metric: &&prometheus::proto::Metric| metric.get_label().iter().any(|pair| pair.value() == label);
        metrics.filter(is_it).map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    /// Sends these bytes, and reads until the server closes.
    pub(crate) fn say(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request).expect("is taken");
        Answer::read(stream)
    }

    pub(crate) fn get(&self, path: &str, headers: &str) -> Answer {
        self.say(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes())
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads all there is. A status of 0: nothing.
    pub(crate) fn read(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        // A connection that is reset has said what it had to say.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
        let body = bytes.get(end + 4..).unwrap_or_default().to_vec();
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head, body }
    }
}
