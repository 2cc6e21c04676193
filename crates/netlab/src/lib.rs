//! Network namespaces that tests and benchmarks make, and remove when they end. Takes root and `ip` (iproute2).
//!
//! What fails here panics: there is nothing to test without it.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// States as `ss` names them, and as the kernel does.
const STATES: [(&str, &str); 11] = [
    ("ESTAB", "established"),
    ("SYN-SENT", "syn_sent"),
    ("SYN-RECV", "syn_recv"),
    ("FIN-WAIT-1", "fin_wait1"),
    ("FIN-WAIT-2", "fin_wait2"),
    ("TIME-WAIT", "time_wait"),
    ("UNCONN", "close"),
    ("CLOSE-WAIT", "close_wait"),
    ("LAST-ACK", "last_ack"),
    ("LISTEN", "listen"),
    ("CLOSING", "closing"),
];

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A namespace with its loopback up; removed when dropped.
#[derive(Debug)]
pub struct Namespace {
    /// As `ip netns` knows it.
    pub name: String,
}

/// Two namespaces joined by a veth pair: 10.77.0.1 and fd77::1 on one side, .2 and ::2 on the other.
#[derive(Debug)]
pub struct Pair {
    /// The side with .1.
    pub left: Namespace,
    /// The side with .2.
    pub right: Namespace,
}

/// Moves the calling thread, and those it starts, into the namespace of that name.
pub fn enter(name: &str) {
    let namespace = File::open(format!("/var/run/netns/{name}")).expect("the namespace is there");
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may enter");
}

impl Namespace {
    /// A new one, under a name that no other has.
    #[expect(clippy::new_without_default, reason = "a namespace is no default value")]
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = Self { name: format!("tcpinfo-{}-{number}", std::process::id()) };
        ip(&["netns", "add", &namespace.name]);
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// Runs `ip` in the namespace.
    pub fn ip(&self, args: &[&str]) {
        ip(&[&["-n", &self.name], args].concat());
    }

    /// A command that runs in the namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a command in the namespace and returns what it printed.
    pub fn output(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program).args(args).output().expect("the command starts");
        assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// All TCP sockets of the namespace by state, as `ss` counts them, under the kernel's names of states.
    pub fn sockets_by_state(&self) -> [(&'static str, usize); 11] {
        let listed = self.output("ss", &["-tanH"]);
        STATES.map(|(ss, kernel)| {
            let is_in_it = |line: &&str| line.split(' ').next() == Some(ss);
            (kernel, listed.lines().filter(is_in_it).count())
        })
    }

    /// Runs `work` on a thread inside the namespace; threads it starts are inside, too.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = || {
                enter(&self.name);
                work()
            };
            match scope.spawn(inside).join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

impl Pair {
    /// A new one, both sides up.
    #[expect(clippy::new_without_default, reason = "a namespace is no default value")]
    pub fn new() -> Self {
        let pair = Self { left: Namespace::new(), right: Namespace::new() };
        pair.join();
        pair
    }

    /// Makes the veth pair, anew if it was removed.
    pub fn join(&self) {
        self.join_with(&[]);
    }

    /// The same with this index on the left, where no other interface has it.
    pub fn join_as(&self, index: u32) {
        self.join_with(&["index", &index.to_string()]);
    }

    fn join_with(&self, left: &[&str]) {
        let right = ["type", "veth", "peer", "name", "veth0", "netns", &self.right.name];
        self.left.ip(&[&["link", "add", "veth0"], left, &right].concat());
        for (namespace, number) in [(&self.left, 1), (&self.right, 2)] {
            namespace.ip(&["address", "add", &format!("10.77.0.{number}/24"), "dev", "veth0"]);
            namespace.ip(&["address", "add", &format!("fd77::{number}/64"), "dev", "veth0", "nodad"]);
            namespace.ip(&["link", "set", "veth0", "up"]);
        }
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
