//! Processes in cgroups of their own.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use netlab::Pair;

/// Where cgroups of version 2 are, and the name that one of this process has there.
pub(crate) fn place_of_cgroup() -> Option<(PathBuf, String)> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?.split(' ').nth(1)?;
    Some((mount.into(), format!("tcp-info-test-{}", std::process::id())))
}

/// A cgroup, removed when dropped.
#[derive(Debug)]
pub(crate) struct Cgroup(pub(crate) PathBuf);

impl Cgroup {
    pub(crate) fn new(suffix: &str) -> Option<Self> {
        let (mount, name) = place_of_cgroup()?;
        let path = mount.join(name + suffix);
        fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    /// A process in it that is connected, and stays so until it is told to end.
    pub(crate) fn connected(&self, pair: &Pair, server: SocketAddr) -> Child {
        let mut client = pair.left.command("bash");
        let script = format!("read; exec 3<>/dev/tcp/{}/{} && echo connected && read", server.ip(), server.port());
        let mut client =
            client.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash");
        fs::write(self.0.join("cgroup.procs"), client.id().to_string()).expect("root may");
        client.stdin.as_mut().expect("is piped").write_all(b"go\n").expect("it reads");
        let mut said = [0; 10];
        client.stdout.as_mut().expect("is piped").read_exact(&mut said).expect("is connected");
        client
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Tells it to end.
pub(crate) fn end(mut client: Child) {
    drop(client.stdin.take());
    client.wait().expect("ends");
}
