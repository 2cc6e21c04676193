//! Connections that do not begin as most do.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::thread;

use estats::flags;
use netlab::Namespace;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::support::capture::require;
use crate::support::nft::{clear, counted, incoming};
use crate::support::polls::{Polled, poll, poll_one};
use crate::support::traffic::{RIGHT, cookie, pair};
use crate::support::{expect, load, mib, require_root, wait_until};

/// A socket that connects to itself is the plainest of simultaneous opens: its SYN meets its SYN.
#[test]
fn who_opens_at_once_with_the_other_side_is_active() {
    require_root!();
    let namespace = Namespace::new();
    let estats = load(false);
    let stream = namespace.run(|| {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("is made");
        let own = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5000);
        bind(&socket, &own).expect("is free");
        connect(&socket, &own).expect("hears itself");
        TcpStream::from(socket)
    });
    (&stream).write_all(&[7; 100]).expect("sends");
    let sample = poll_one(&namespace, estats.map_fd(), cookie(&stream)).sample();
    let value = sample.value.expect("is counted");
    assert!(value.has(flags::ACTIVE | flags::PASSIVE | flags::ESTABLISHED), "{:#x}", value.raw.flags);
    expect(&sample, "StackActiveOpen", "connect(2)", 1);
    expect(&sample, "StackRecInitial", "its own", mib(&sample, "StackSndInitial"));
}

#[test]
fn what_waits_for_an_answer_when_it_is_taken_in_is_not_established() {
    require_root!();
    require!("nft");
    let pair = pair();
    incoming(&pair.right, &[("lost", "tcp flags syn {} drop")]);
    let listener = pair.right.run(|| TcpListener::bind((RIGHT, 0)).expect("binds"));
    let listening = listener.local_addr().expect("is bound");
    thread::scope(|scope| {
        let client = scope.spawn(|| pair.left.run(|| TcpStream::connect(listening).expect("is heard in the end")));
        wait_until("it waits", || counted(&pair.right, "lost") > 0);
        let mut estats = load(false);
        assert_eq!(pair.left.run(|| estats.adopt().expect("the iterator runs")), 1);
        let is_it = |polled: &&Polled| polled.message().header().id.idiag_dport.get() == listening.port();
        let polled = poll(&pair.left, estats.map_fd()).expect("the kernel answers");
        let sample = polled.iter().find(is_it).expect("it waits").sample();
        assert!(sample.value.is_some_and(|value| value.has(flags::PARTIAL) && !value.has(flags::ESTABLISHED)));
        assert_eq!((sample.get("StackRecInitial"), sample.get("PerfSndLimTimeSnd")), (None, None));
        clear(&pair.right);
        let client = client.join().expect("connects");
        let value = poll_one(&pair.left, estats.map_fd(), cookie(&client)).value().expect("is kept");
        assert!(value.has(flags::PARTIAL | flags::ESTABLISHED));
    });
}
