//! Records this host for some seconds, loopback connections included, and shows each connection as its file appears.
//!
//! ```text
//! cargo run --release --example quickstart [SECONDS [OUTPUT]]
//! ```
//!
//! It runs the same recorder as the daemon `tcp-info`, needs no privilege, and makes a few loopback connections of its
//! own, for hosts on which nothing else happens.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use collector::{cli::Cli, daemon, stop::Stop};
use inetdiag::{ArchivalRecord, Snapshot};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let seconds: u64 = args.next().map_or(Ok(5), |text| text.parse())?;
    let output = PathBuf::from(args.next().unwrap_or_else(|| "archive".to_owned()));

    let reps = (seconds * 100).to_string(); // one poll every 10 ms
    let mut cli = Cli::parse_from(["tcp-info", "--include-local", "--reps", &reps]);
    cli.output.clone_from(&output);
    let stop = Stop::on_signals()?;
    let mut seen: HashSet<PathBuf> = finished_files(&output).into_iter().collect();
    println!("recording into {} for {seconds} s", output.display());

    let recorder = thread::spawn(move || daemon::run(&cli, &stop, None));
    let traffic = thread::spawn(move || traffic(Duration::from_secs(seconds)));
    while !recorder.is_finished() {
        thread::sleep(Duration::from_millis(200));
        show_new(&output, &mut seen);
    }
    let summary = recorder.join().map_err(|_| anyhow::anyhow!("the recorder panicked"))??;
    show_new(&output, &mut seen);
    traffic.join().map_err(|_| anyhow::anyhow!("the traffic panicked"))??;
    println!("{summary}");
    println!("read a file with: target/release/csvtool FILE, or: zstd -dc FILE");
    Ok(())
}

fn show_new(output: &Path, seen: &mut HashSet<PathBuf>) {
    for path in finished_files(output) {
        if seen.insert(path.clone()) {
            match describe(&path) {
                Ok(line) => println!("{line}"),
                Err(error) => eprintln!("{}: {error}", path.display()),
            }
        }
    }
}

/// One line on one connection: its ends and the totals of its last record.
fn describe(path: &Path) -> anyhow::Result<String> {
    let records = inetdiag::open(path)?.collect::<Result<Vec<ArchivalRecord>, _>>()?;
    let Some(last) = records.iter().rfind(|record| record.raw_idm.is_some()).map(Snapshot::decode) else {
        return Ok(format!("{}: no records", path.display()));
    };
    let (Some(idm), Some(info)) = (last.idm, last.tcp_info) else {
        return Ok(format!("{}: no tcp_info", path.display()));
    };
    let or_dash = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    Ok(format!(
        "{:>21} -> {:<21} {:>4} records, bytes acked {:>8}, received {:>8}, rtt {:>6} us  {}",
        SocketAddr::new(idm.src().to_canonical(), idm.id.idiag_sport.get()).to_string(),
        SocketAddr::new(idm.dst().to_canonical(), idm.id.idiag_dport.get()).to_string(),
        records.len() - 1,
        or_dash(info.bytes_acked()),
        or_dash(info.bytes_received()),
        or_dash(info.rtt().map(u64::from)),
        path.display(),
    ))
}

/// The files of the date tree, in order.
fn finished_files(output: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![output.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue; // the spool: files in progress
            }
            if path.is_dir() { directories.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Loopback connections of different lives and sizes, one every 200 ms.
fn traffic(duration: Duration) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo(stream));
        }
    });
    let begin = Instant::now();
    for size in [100, 10_000, 1_000_000].into_iter().cycle() {
        if begin.elapsed() + Duration::from_millis(500) > duration {
            break;
        }
        let mut stream = TcpStream::connect(server)?;
        let mut answer = vec![0; 10_000.min(size)];
        for block in vec![7; size].chunks(answer.len()) {
            stream.write_all(block)?;
            stream.read_exact(&mut answer)?;
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 10_000];
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len])?;
    }
}
