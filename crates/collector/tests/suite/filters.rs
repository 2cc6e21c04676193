//! Filters: the kernel and the recorder itself leave out the same.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use netlab::Pair;

use crate::support::daemon::{Daemon, program};
use crate::support::traffic::{connections, echo_server};
use crate::support::{archive, require_root};

fn server(pair: &Pair, address: &str) -> SocketAddr {
    pair.right.run(|| echo_server(TcpListener::bind(address).expect("binds")))
}

/// What is recorded of connections that stay, which polls see, and of short ones, which only events tell of.
fn recorded(options: &[&str]) -> BTreeSet<(bool, u16)> {
    let pair = Pair::new();
    let servers = ["10.77.0.2:2001", "10.77.0.2:2002", "[fd77::2]:2003", "[fd77::2]:2004"].map(|at| server(&pair, at));
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.left.command(program()), output.path(), options);
    let held: Vec<TcpStream> = pair.left.run(|| servers.map(|at| TcpStream::connect(at).expect("connects"))).into();
    let ends = |stream: &TcpStream| Some((stream.local_addr().ok()?, stream.peer_addr().ok()?));
    let held_ends: Vec<_> = held.iter().map(|stream| ends(stream).expect("is connected")).collect();
    for at in servers {
        pair.left.run(|| connections(at, 3, 500.0, Duration::ZERO));
    }
    // Two polls at least have looked.
    std::thread::sleep(Duration::from_millis(100));
    daemon.stop();
    let files = archive::read(output.path());
    files.iter().map(|file| (held_ends.contains(&file.ends()), file.ends().1.port())).collect()
}

#[test]
fn what_is_left_out_is_so_in_polls_and_events() {
    require_root!();
    for (options, expected) in [
        (&["-exclude-dstip=10.77.0.2"][..], &[2003, 2004][..]),
        (&["--exclude-dstport", "2001-2003"], &[2004]),
        (&["--include-dstip", "fd77::/64,10.0.0.0/8", "--exclude-dstport=2002"], &[2001, 2003, 2004]),
        (&["--include-dstport", "2002,2003"], &[2002, 2003]),
        (&["--include-srcip", "10.77.0.1"], &[2001, 2002]),
        (&["--exclude-srcport", "0-65535"], &[]),
    ] {
        let both = expected.iter().flat_map(|&port| [(true, port), (false, port)]).collect();
        assert_eq!(recorded(options), both, "{options:?}");
    }
}

/// So many that the kernel would take long to check them: it does none of them.
#[test]
fn a_long_filter_is_applied_here_and_leaves_out_the_same() {
    require_root!();
    let mut many: Vec<String> = (0..1500).map(|number| (10 * number + 1).to_string()).collect();
    many.extend(["2001".to_owned(), "2003".to_owned()]);
    let list = many.join(",");
    let both = [2002, 2004].iter().flat_map(|&port| [(true, port), (false, port)]).collect();
    assert_eq!(recorded(&["--exclude-dstport", &list]), both);
}

#[test]
fn a_state_that_is_left_out_is_not_polled() {
    require_root!();
    let events_only = |ports: &[u16]| ports.iter().flat_map(|&port| [(false, port)]).collect::<BTreeSet<_>>();
    let recorded = recorded(&["--exclude-state", "established,syn-sent,fin-wait-1,fin-wait-2,close-wait,last-ack"]);
    assert_eq!(
        recorded,
        events_only(&[2001, 2002, 2003, 2004]),
        "connections that stay are in no poll, and do not end"
    );
}
