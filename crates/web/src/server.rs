//! The thread that listens and answers.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::answer::answer;
use crate::config::WebConfig;
use crate::counters::Counters;
use crate::crowd::{Crowd, Place};
use crate::making::Making;
use crate::portions::Portions;
use crate::site::Site;

/// Connections at a time, as far as descriptors suffice: most of them are for others.
const MOST_CONNECTIONS: usize = 256;
const SHARE_OF_DESCRIPTORS: u64 = 8;
/// A request has to be there within this time, TLS included.
const TIME_TO_ASK: Duration = Duration::from_secs(5);
/// And the answer has to be taken within this time.
const LIFETIME: Duration = Duration::from_secs(30);
/// Largest request, but for what stays unread behind it.
const MOST_BYTES: usize = 16 << 10;
const MOST_HEADERS: usize = 64;
/// Bytes that are being sent at a time, as they are in memory: compressed or not. A single answer may be larger.
const MOST_SENT: usize = 128 << 20;
/// Pages that are made at a time.
const MOST_WORK: usize = 4;
const TELL_OF_SLOW_EVERY: Duration = Duration::from_secs(60);
/// After a connection could not be accepted, for want of descriptors, say.
const REST_AFTER_ERROR: Duration = Duration::from_millis(100);

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    site: Box<dyn Site>,
    config: WebConfig,
    counters: Counters,
    crowd: Arc<Crowd>,
    making: Making,
    /// When it was told last that clients are slow.
    told_of_slow: Mutex<Option<Instant>>,
}

impl Server {
    /// Serves `site` on a thread of its own to whoever connects to `listener`.
    pub fn start(listener: TcpListener, config: WebConfig, site: impl Site, counters: Counters) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(MOST_WORK).build()?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / SHARE_OF_DESCRIPTORS;
        let most = usize::try_from(descriptors).map_or(MOST_CONNECTIONS, |some| some.clamp(1, MOST_CONNECTIONS));
        let (site, crowd) = (Box::new(site), Crowd::new(most, MOST_SENT));
        let (making, told_of_slow) = (Making::default(), Mutex::default());
        let shared = Arc::new(Shared { site, config, counters, crowd, making, told_of_slow });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("web".to_owned());
        let thread = thread.spawn(move || run(runtime, listener, shared, stopped))?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Shared {
    /// Sends an answer, in the place of others if it must be.
    fn send(&self, place: &Place, body: Bytes) -> Portions {
        let (portions, dropped) = place.send(body);
        if dropped == 0 {
            return portions;
        }
        self.counters.drop_some("slow", dropped as u64);
        let (mut told, now) = (self.told_of_slow.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        if told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_OF_SLOW_EVERY) {
            *told = Some(now);
            tracing::warn!(
                "clients take pages too slowly: those that take nothing go, for pages of others need the memory"
            );
        }
        portions
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

fn run(runtime: Runtime, listener: tokio::net::TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    runtime.block_on(async {
        tokio::spawn(accept(listener, shared));
        // Nothing is ever sent: the other end is dropped. What is being served ends with the runtime.
        let _ = stopped.await;
    });
    // Nor are pages waited for that are still being made.
    runtime.shutdown_background();
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                shared.counters.drop_one("accept");
                tracing::debug!(%error, "a client could not be accepted");
                tokio::time::sleep(REST_AFTER_ERROR).await;
                continue;
            }
        };
        let entered = shared.crowd.enter();
        if !matches!(entered, Some((_, false))) {
            shared.counters.drop_one("crowded");
        }
        if let Some((place, _)) = entered {
            let number = place.number();
            let task = tokio::spawn(serve(stream, Arc::clone(&shared), place));
            shared.crowd.is_served_by(number, task.abort_handle());
        }
    }
}

/// Serves one connection: one request, so that none holds its place for longer than that takes.
async fn serve(stream: TcpStream, shared: Arc<Shared>, place: Place) {
    let settings = shared.config.settings();
    let begin = Instant::now();
    let outcome = timeout(LIFETIME, async {
        match &settings.tls {
            None => converse(stream, &shared, &place, begin).await,
            Some(tls) => match timeout(TIME_TO_ASK, TlsAcceptor::from(Arc::clone(tls)).accept(stream)).await {
                Ok(Ok(stream)) => converse(stream, &shared, &place, begin).await,
                Ok(Err(_)) => Err("broken"),
                Err(_) => Err("late"),
            },
        }
    });
    if let Err(reason) = outcome.await.unwrap_or(Err("late")) {
        shared.counters.drop_one(reason);
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    shared: &Arc<Shared>,
    place: &Place,
    begin: Instant,
) -> Result<(), &'static str> {
    let service = service_fn(|request: Request<Incoming>| async move {
        let settings = shared.config.settings();
        let response = answer(&*shared.site, &shared.making, &settings, &request, || place.has_spoken()).await;
        shared.counters.requests.with_label_values(&[response.status().as_str()]).inc();
        Ok::<Response<_>, Infallible>(response.map(|body| shared.send(place, body)))
    });
    let mut protocol = http1::Builder::new();
    // Something is left: a timeout of nothing would be none.
    let time_left = TIME_TO_ASK.saturating_sub(begin.elapsed()).max(Duration::from_millis(1));
    protocol.timer(TokioTimer::new()).header_read_timeout(time_left);
    protocol.keep_alive(false).half_close(true).max_buf_size(MOST_BYTES).max_headers(MOST_HEADERS);
    let outcome = protocol.serve_connection(TokioIo::new(stream), service).await;
    outcome.map_err(|error| if error.is_timeout() { "late" } else { "broken" })
}
