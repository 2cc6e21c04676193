//! Filters: the kernel and the recorder itself leave out the same.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use netlab::Pair;
use rustix::net::sockopt::set_socket_linger;
use rustix::process::Signal;

use crate::support::cgroup::{Cgroup, end, place_of_cgroup};
use crate::support::daemon::{Daemon, program};
use crate::support::traffic::{connections, echo_server};
use crate::support::{archive, require_root, skipped};

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
    daemon.stop(); // It polls once more.
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

fn ports(output: &Path) -> Vec<u16> {
    archive::read(output).iter().map(|file| file.ends().1.port()).collect()
}

/// Their ends have lost the remote port.
#[test]
fn what_is_aborted_here_is_left_out_only_where_a_port_is_asked_for() {
    const CONNECTIONS: usize = 20;
    require_root!();
    for (option, is_recorded) in [("--exclude-dstport", true), ("--include-dstport", false)] {
        let pair = Pair::new();
        let at = server(&pair, "10.77.0.2:2001");
        let output = tempfile::tempdir().expect("a temporary directory");
        let daemon =
            Daemon::start(pair.left.command(program()), output.path(), &["--interval", "off", option, "2002,2003"]);
        pair.left.run(|| {
            for _ in 0..CONNECTIONS {
                let stream = TcpStream::connect(at).expect("connects");
                set_socket_linger(&stream, Some(Duration::ZERO)).expect("is set");
            }
        });
        daemon.signal(Signal::TERM);
        let said = daemon.wait().stdout;
        let expected = if is_recorded { CONNECTIONS } else { 0 };
        assert_eq!(archive::paths(output.path()).len(), expected, "{option}");
        assert_eq!(said.contains("nothing was lost"), is_recorded, "{said}");
        let told = format!("; {CONNECTIONS} aborted connections left out");
        assert_eq!(said.contains(&told), !is_recorded, "{said}");
    }
}

#[test]
fn the_sockets_of_a_cgroup_are_told_from_others() {
    require_root!();
    let Some(cgroup) = Cgroup::new("") else { return skipped("no cgroup can be made here") };
    // `ip netns exec` hides the mount: by its number, then.
    let id = fs::metadata(&cgroup.0).expect("is there").ino().to_string();
    for (option, expected) in [("--exclude-cgroup", [2001].as_slice()), ("--include-cgroup", &[2002])] {
        let pair = Pair::new();
        let [outside, inside] = ["10.77.0.2:2001", "10.77.0.2:2002"].map(|at| server(&pair, at));
        let output = tempfile::tempdir().expect("a temporary directory");
        let daemon = Daemon::start(pair.left.command(program()), output.path(), &[option, &id]);
        let _held = pair.left.run(|| TcpStream::connect(outside).expect("connects"));
        let client = cgroup.connected(&pair, inside);
        daemon.stop(); // It polls once more.
        end(client);
        assert_eq!(ports(output.path()), expected, "{option}");
    }
}

/// As of a service that is started again: its cgroup is another one then, under the same name.
#[test]
fn a_cgroup_that_comes_later_is_known_by_its_name() {
    require_root!();
    let Some((_, name)) = place_of_cgroup() else { return skipped("no cgroup can be made here") };
    let pair = Pair::new();
    let [outside, inside] = ["10.77.0.2:2001", "10.77.0.2:2002"].map(|at| server(&pair, at));
    let output = tempfile::tempdir().expect("a temporary directory");
    let option = format!("--exclude-cgroup={name}-later");
    // Not by `ip netns exec`, which hides the mount.
    let daemon = pair.left.run(|| Daemon::start(Command::new(program()), output.path(), &[&option]));
    daemon.wait_for_log("is not there; it counts as soon as it is");
    let Some(cgroup) = Cgroup::new("-later") else { return skipped("no cgroup can be made here") };
    daemon.wait_for_log("is another one now");
    let client = cgroup.connected(&pair, inside);
    let _held = pair.left.run(|| TcpStream::connect(outside).expect("connects"));
    daemon.stop();
    end(client);
    assert_eq!(ports(output.path()), [2001]);
}
