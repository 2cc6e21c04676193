//! Listeners, by polls.

use std::net::{TcpListener, TcpStream};

use estats::{LISTENER_VARIABLES, Listener, Listeners};
use netlab::Namespace;

use crate::support::polls::poll;
use crate::support::traffic::{Connection, RIGHT, cookie, pair};
use crate::support::{load, require_root, wait_until};

fn number(listener: &Listener, name: &str) -> i128 {
    let variable = LISTENER_VARIABLES.iter().find(|variable| variable.name == name).expect(name);
    variable.of(listener).and_then(|datum| datum.to_mib()).unwrap_or_else(|| panic!("{name} is absent"))
}

fn look(listeners: &mut Listeners, namespace: &Namespace, map: i32) -> Vec<Listener> {
    listeners.begin();
    for polled in poll(namespace, map).expect("the kernel answers") {
        listeners.visit(&polled.message(), polled.time);
    }
    listeners.finish().cloned().collect()
}

#[test]
fn backlogs_and_connections_are_counted() {
    const WAITING: usize = 3;
    require_root!();
    let pair = pair();
    let estats = load(false);
    let listener = pair.right.run(|| TcpListener::bind((RIGHT, 0)).expect("binds"));
    rustix::net::listen(&listener, 4).expect("a backlog of four");
    let address = listener.local_addr().expect("is bound");
    let mut listeners = Listeners::default();
    let first = look(&mut listeners, &pair.right, estats.map_fd());
    assert_eq!(first.len(), 1);

    let accepted: Vec<_> = (0..2).map(|_| Connection::to(&pair.left, &listener)).collect();
    let waiting: Vec<_> =
        (0..WAITING).map(|_| pair.left.run(|| TcpStream::connect(address).expect("connects"))).collect();
    let mut seen = Vec::new();
    wait_until("all have arrived", || {
        seen = look(&mut listeners, &pair.right, estats.map_fd());
        number(&seen[0], "CurEstabBacklog") == WAITING as i128
    });
    // As `ss` has them: Recv-Q is the queue, Send-Q its limit.
    let text = pair.right.output("ss", &["-tlnH"]);
    let columns: Vec<_> = text.split_whitespace().collect();
    assert_eq!(number(&seen[0], "CurEstabBacklog"), columns[1].parse().expect("a number"));
    assert_eq!(number(&seen[0], "MaxBacklog"), columns[2].parse().expect("a number"));
    assert_eq!(number(&seen[0], "MaxBacklog"), 4);
    assert_eq!(number(&seen[0], "CurBacklog"), WAITING as i128, "none is half open");
    assert_eq!(number(&seen[0], "CurConns"), accepted.len() as i128);
    assert_eq!(number(&seen[0], "ExceedBacklog"), 0);
    assert_eq!(seen[0].first_seen, first[0].first_seen, "StartTime stays");

    // Two more fill the backlog, which holds one more than its limit; further ones are dropped.
    let more: Vec<_> = (0..2).map(|_| pair.left.run(|| TcpStream::connect(address).expect("connects"))).collect();
    let refused = pair.left.run(|| TcpStream::connect_timeout(&address, std::time::Duration::from_millis(300)));
    assert!(refused.is_err());
    let full = look(&mut listeners, &pair.right, estats.map_fd());
    println!("backlog {}, dropped {}", number(&full[0], "CurEstabBacklog"), number(&full[0], "ExceedBacklog"));
    assert_eq!(number(&full[0], "CurEstabBacklog"), (WAITING + more.len()) as i128);
    assert!(number(&full[0], "ExceedBacklog") > 0);
    assert_eq!(number(&full[0], "ExceedBacklog"), number(&full[0], "HCExceedBacklog"));

    // Who shares an address cannot be told apart; who is gone is forgotten.
    let known = cookie(&listener);
    assert_eq!(full[0].header.id.cookie(), known);
    drop((listener, waiting, more));
    assert!(look(&mut listeners, &pair.right, estats.map_fd()).is_empty());
}
