//! Addresses that must not leave memory do not.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use netlab::Pair;

use crate::support::daemon::{Daemon, PATIENCE, program};
use crate::support::traffic::{connections, echo_server};
use crate::support::{archive, require_root};

const PEERS: [&str; 3] = ["10.77.0.2", "fd77::2", "fd77:1:2:3:4::9"];

/// Records connections to all peers, with `options`, and returns the remote addresses in the archive. Neither the
/// archive nor the events nor the log have a real one.
fn remote_addresses(options: &[&str]) -> BTreeSet<IpAddr> {
    let pair = Pair::new();
    pair.right.ip(&["address", "add", "fd77:1:2:3:4::9/128", "dev", "veth0", "nodad"]);
    pair.left.ip(&["route", "add", "fd77:1:2:3:4::9/128", "via", "fd77::2"]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [output, socket] = ["out", "events"].map(|name| dir.path().join(name));
    let events = format!("-tcpinfo.eventsocket={}", socket.display());
    let options = [options, &[&*events, "--log-level", "trace"]].concat();
    let daemon = Daemon::start(pair.left.command(program()), &output, &options);
    let mut client = UnixStream::connect(&socket).expect("is served");
    let servers = PEERS.map(|peer| {
        let address = (peer.parse::<IpAddr>().expect("an address"), 0);
        pair.right.run(|| echo_server(TcpListener::bind(address).expect("binds")))
    });
    for server in servers {
        pair.left.run(|| connections(server, 5, 100.0, Duration::from_millis(30)));
    }
    // An address that comes while it runs is its own, too, once the kernel has told of it.
    pair.left.ip(&["address", "add", "10.77.0.99/24", "dev", "veth0"]);
    std::thread::sleep(Duration::from_millis(200)); // nothing tells that it has heard of it
    let late = pair.left.run(|| echo_server(TcpListener::bind("10.77.0.99:0").expect("binds")));
    pair.right.run(|| connections(late, 1, 100.0, Duration::from_millis(30)));
    let begin = Instant::now();
    while archive::paths(&output).len() < 16 {
        assert!(begin.elapsed() < PATIENCE, "{} files", archive::paths(&output).len());
        std::thread::yield_now();
    }
    let ended = daemon.stop();
    let mut told = String::new();
    client.read_to_string(&mut told).expect("text");
    assert_eq!(told.matches("\"Event\":0").count(), 16, "{told}");
    let files = archive::read(&output);
    let mut addresses = BTreeSet::new();
    let own = ["10.77.0.1", "fd77::1", "10.77.0.99"].map(|text| text.parse::<IpAddr>().expect("an address"));
    for file in &files {
        let (local, remote) = file.ends();
        assert!(own.contains(&local.ip()), "{local} is an own address");
        addresses.insert(remote.ip());
    }
    if options.contains(&"none") {
        return addresses;
    }
    let texts = archive::paths(&output).into_iter().map(|path| {
        let text = zstd::decode_all(&*fs::read(path).expect("is there")).expect("frames");
        String::from_utf8(text).expect("text")
    });
    for text in texts.chain([told, ended.log, ended.stdout]) {
        for peer in PEERS {
            assert!(!text.contains(&format!("\"{peer}\"")) && !text.contains(&format!("{peer}:")), "{peer} in {text}");
        }
    }
    addresses
}

fn parsed(addresses: &[&str]) -> BTreeSet<IpAddr> {
    addresses.iter().map(|text| text.parse().expect("an address")).collect()
}

#[test]
fn without_anonymisation_addresses_are_real() {
    require_root!();
    assert_eq!(remote_addresses(&["-anonymize.ip", "none"]), parsed(&PEERS));
}

#[test]
fn netblocks_are_what_is_left_of_peers() {
    require_root!();
    assert_eq!(remote_addresses(&["-anonymize.ip=netblock"]), parsed(&["10.77.0.0", "fd77::", "fd77:1:2::"]));
}

#[test]
fn cryptopan_keeps_networks_apart_and_peers_unknown() {
    require_root!();
    let key = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(key.path(), "0123456789abcdef".repeat(4)).expect("writes");
    let path = key.path().display().to_string();
    let once = remote_addresses(&["--anonymize.ip", "cryptopan", "--anonymize.key", &path]);
    assert_eq!(once.len(), 3);
    assert!(once.is_disjoint(&parsed(&PEERS)));
    assert_eq!(
        once,
        remote_addresses(&["--anonymize.ip", "cryptopan", "--anonymize.key", &path]),
        "the same each time"
    );
}
