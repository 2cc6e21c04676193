//! A server with a few pages, and a client that says what it likes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::Registry;
use web::{Address, Counters, Page, Server, Site, WebConfig};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of `/large`; of `/huge`, which is more than is ever sent at a time but alone.
pub(crate) const LARGE: usize = 24 << 20;
pub(crate) const HUGE: usize = 130 << 20;

/// Pages `/`, `/long`, `/large`, `/huge`, and `/slow`, which is what [`Served::go_on`] says when it does.
struct Pages {
    go_on: Arc<Mutex<Receiver<&'static str>>>,
    /// Times that somebody asked for `/slow`.
    slow: Arc<AtomicUsize>,
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
            "/large" => Some(long(LARGE)),
            "/huge" => Some(long(HUGE)),
            "/slow" => {
                self.slow.fetch_add(1, Ordering::Relaxed);
                let go_on = Arc::clone(&self.go_on);
                Some(Page::made_by("text/plain", move || {
                    let text = go_on.lock().map(|go_on| go_on.recv());
                    text.expect("no panic").unwrap_or_default().into()
                }))
            }
            _ => None,
        }
    }
}

/// A page of so many bytes.
fn long(len: usize) -> Page {
    let piece = [7; 1 << 20];
    Page::written_by("text/plain", move |out| (0..len / piece.len()).try_for_each(|_| out.write_all(&piece)))
}

/// A running server.
pub(crate) struct Served {
    pub(crate) server: Server,
    registry: Registry,
    go_on: Sender<&'static str>,
    slow: Arc<AtomicUsize>,
}

impl Served {
    pub(crate) fn new(config: WebConfig) -> Self {
        let address: Address = "127.0.0.1:0".parse().expect("an address");
        let registry = Registry::new();
        let counters = Counters::new("test", &registry).expect("names");
        let (go_on, wait) = channel();
        let slow = Arc::new(AtomicUsize::new(0));
        let pages = Pages { go_on: Arc::new(Mutex::new(wait)), slow: Arc::clone(&slow) };
        let server = Server::start(address.bind().expect("binds"), config, pages, counters).expect("starts");
        Self { server, registry, go_on, slow }
    }

    /// Lets `/slow` be made once.
    pub(crate) fn go_on(&self, text: &'static str) {
        self.go_on.send(text).expect("it waits");
    }

    /// Waits until so many have asked for `/slow`.
    pub(crate) fn wait_for_slow(&self, asked: usize) {
        while self.slow.load(Ordering::Relaxed) < asked {
            std::thread::yield_now();
        }
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
