//! Network namespaces that a test makes and removes.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A namespace with its loopback up; removed when dropped.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

/// Two namespaces joined by a veth pair: 10.77.0.1 and fd77::1 on one side, .2 and ::2 on the other.
pub(crate) struct Pair {
    pub(crate) left: Namespace,
    pub(crate) right: Namespace,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = Self { name: format!("tcpinfo-{}-{number}", std::process::id()) };
        ip(&["netns", "add", &namespace.name]);
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// Runs `ip` in the namespace.
    pub(crate) fn ip(&self, args: &[&str]) {
        ip(&[&["-n", &self.name], args].concat());
    }

    /// A command that runs in the namespace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a command in the namespace and returns what it printed.
    pub(crate) fn output(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program).args(args).output().expect("the command starts");
        assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs `work` on a thread inside the namespace; threads it starts are inside, too.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = || {
                let namespace = File::open(format!("/var/run/netns/{}", self.name)).expect("the namespace is there");
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may enter");
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
    pub(crate) fn new() -> Self {
        let pair = Self { left: Namespace::new(), right: Namespace::new() };
        pair.left.ip(&["link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", &pair.right.name]);
        for (namespace, number) in [(&pair.left, 1), (&pair.right, 2)] {
            namespace.ip(&["address", "add", &format!("10.77.0.{number}/24"), "dev", "veth0"]);
            namespace.ip(&["address", "add", &format!("fd77::{number}/64"), "dev", "veth0", "nodad"]);
            namespace.ip(&["link", "set", "veth0", "up"]);
        }
        pair
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
