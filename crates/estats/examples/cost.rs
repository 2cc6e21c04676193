//! What the programs cost: traffic over the loopback of a namespace, with and without them in turn, and the time that the
//! kernel says each call takes. Takes root.
//!
//! What is compared is work by CPU time, that of whoever drains the ring included: it does not depend on what else the machine
//! does, as work by the clock would.
//!
//! `cargo run --release -p estats --example cost -- 15` makes 15 rounds of about five seconds.

use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};
use estats::{Estats, Options};
use netlab::Namespace;

const SLICE: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Setup {
    Off,
    On,
    Full,
}

/// Bytes, exchanges and connections a second of CPU time.
type Rates = [f64; 3];

const NAMES: [&str; 3] = ["throughput", "request/response", "connections"];
const WORK: [fn() -> f64; 3] = [throughput, exchanges, connections];

fn main() {
    let rounds = std::env::args().nth(1).map_or(9, |text| text.parse().expect("a number of rounds"));
    let namespace = Namespace::new();
    let mut rates: [Vec<Rates>; 3] = Default::default();
    for round in 0..rounds {
        // Whoever comes first is at an advantage, or not: each does in turn.
        for turn in 0..3 {
            let which = (round + turn) % 3;
            rates[which].push(namespace.run(|| measure([Setup::Off, Setup::On, Setup::Full][which])));
        }
    }
    for (number, name) in NAMES.into_iter().enumerate() {
        let of = |which: usize| rates[which].iter().map(move |rates| rates[number]);
        for (which, setup) in [(1, Setup::On), (2, Setup::Full)] {
            let ratios = of(which).zip(of(0)).map(|(with, without)| with / without).collect();
            println!("{name}: {setup:?} / Off {}", Spread::of(ratios));
        }
    }
    let _counting = enable_stats(Stats::RunTime).expect("root may count");
    println!("time of calls, while it is taken:");
    for setup in [Setup::On, Setup::Full] {
        namespace.run(|| calls(setup));
    }
}

fn load(setup: Setup) -> Option<Estats> {
    let load = |full| Estats::load(Options { full }).expect("root may load").0;
    match setup {
        Setup::Off => None,
        Setup::On => Some(load(false)),
        Setup::Full => Some(load(true)),
    }
}

fn measure(setup: Setup) -> Rates {
    let mut estats = load(setup);
    WORK.map(|work| {
        let before = cpu_time();
        let done = with_drain(estats.as_mut(), work);
        done / (cpu_time() - before)
    })
}

fn cpu_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Drains the ring while the work goes on, as a recorder would.
fn with_drain<T: Send>(estats: Option<&mut Estats>, work: impl FnOnce() -> T + Send) -> T {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let result = work();
            is_done.store(true, Ordering::Relaxed);
            result
        });
        if let Some(estats) = estats {
            while !is_done.load(Ordering::Relaxed) {
                estats.drain(|last| {
                    std::hint::black_box(last.cookie);
                });
                thread::sleep(TICK);
            }
            assert_eq!(estats.lost().expect("is counted"), 0);
        }
        worker.join().expect("ends")
    })
}

/// Time of each program, per call, for each kind of traffic.
fn calls(setup: Setup) {
    let mut estats = load(setup);
    for (name, work) in NAMES.into_iter().zip(WORK) {
        let before = counted();
        with_drain(estats.as_mut(), work);
        for (program, calls, nanoseconds) in counted() {
            let known = before.iter().find(|known| known.0 == program);
            let (calls, nanoseconds) =
                known.map_or((calls, nanoseconds), |known| (calls - known.1, nanoseconds - known.2));
            if calls > 100 {
                println!("{setup:?} {name}: {} {} ns x {calls}", program.1, nanoseconds / calls);
            }
        }
    }
}

type Program = (u32, String);

fn counted() -> Vec<(Program, u64, u64)> {
    let ours = ["callbacks", "congestion_sta", "segment_in", "segment_out"];
    let of = |program: aya::programs::ProgramInfo| {
        let name = program.name_as_str()?.to_owned();
        let is_ours = ours.iter().any(|ours| name.starts_with(ours));
        is_ours.then(|| ((program.id(), name), program.run_count(), program.run_time().as_nanos() as u64))
    };
    loaded_programs().filter_map(Result::ok).filter_map(of).collect()
}

fn throughput() -> f64 {
    let (mut client, mut server) = connect();
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; 1 << 18];
        let mut bytes = 0;
        while let Ok(read @ 1..) = server.read(&mut buffer) {
            bytes += read;
        }
        bytes
    });
    let began = Instant::now();
    let data = vec![7; 1 << 18];
    while began.elapsed() < SLICE {
        client.write_all(&data).expect("sends");
    }
    drop(client);
    reader.join().expect("ends") as f64
}

fn exchanges() -> f64 {
    let (mut client, mut server) = connect();
    let echo = thread::spawn(move || {
        let mut byte = [0];
        while server.read_exact(&mut byte).is_ok() {
            server.write_all(&byte).expect("answers");
        }
    });
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < SLICE {
        client.write_all(&[7]).expect("sends");
        client.read_exact(&mut [0]).expect("receives");
        count += 1;
    }
    drop(client);
    echo.join().expect("ends");
    f64::from(count)
}

fn connections() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("is bound");
    let is_done = &AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(move || {
            // Closed as soon as it is accepted: the port that waits then is that of the listener.
            while !is_done.load(Ordering::Relaxed) {
                drop(listener.accept().expect("accepts"));
            }
        });
        let began = Instant::now();
        let mut count = 0;
        while began.elapsed() < SLICE {
            let mut connection = TcpStream::connect(address).expect("connects");
            assert_eq!(connection.read(&mut [0]).expect("ends"), 0);
            count += 1;
        }
        is_done.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(address));
        f64::from(count)
    })
}

fn connect() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let client = TcpStream::connect(listener.local_addr().expect("is bound")).expect("connects");
    let (server, _) = listener.accept().expect("accepts");
    for end in [&client, &server] {
        end.set_nodelay(true).expect("is set");
    }
    (client, server)
}

/// The median, and the 95 % interval of it by order statistics.
#[derive(Debug)]
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        let reach = 0.98 * n.sqrt();
        let at = |rank: f64| values[(rank.round().max(0.0) as usize).min(values.len() - 1)];
        Self { low: at(n / 2.0 - reach - 0.5), median: at((n - 1.0) / 2.0), high: at(n / 2.0 + reach - 0.5) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} [{:.3}, {:.3}]", self.median, self.low, self.high)
    }
}
