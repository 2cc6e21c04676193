//! The hooks: each is loaded by itself, and says what became of it.

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use aya::programs::{
    BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, Iter, Program, ProgramError, SockOps,
};
use aya::{Btf, Ebpf};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// Where a program of ours runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    /// `sock_ops` on the root cgroup, the core: connections as they are made and end, RTT samples, timeouts.
    SockOps,
    /// `tp_btf/tcp_cong_state_set` (since Linux 5.19): each change of the congestion state.
    CongestionState,
    /// `cgroup_skb/ingress`: segments coming in.
    SegmentsIn,
    /// `cgroup_skb/egress`: segments going out.
    SegmentsOut,
    /// `iter/tcp`: sockets that were open before.
    Iterator,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::SockOps, Self::CongestionState, Self::SegmentsIn, Self::SegmentsOut, Self::Iterator];

    /// As the kernel calls it.
    pub fn name(self) -> &'static str {
        match self {
            Hook::SockOps => "sock_ops",
            Hook::CongestionState => "tp_btf/tcp_cong_state_set",
            Hook::SegmentsIn => "cgroup_skb/ingress",
            Hook::SegmentsOut => "cgroup_skb/egress",
            Hook::Iterator => "iter/tcp",
        }
    }
}

/// What became of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It runs.
    Active,
    /// It runs, and does not see everything: what not.
    InPart(String),
    /// It does not, because it was not asked for.
    NotAskedFor,
    /// It does not, and why.
    Unavailable(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Active => f.write_str("active"),
            Status::InPart(reason) => write!(f, "active in part: {reason}"),
            Status::NotAskedFor => f.write_str("not asked for"),
            Status::Unavailable(reason) => write!(f, "unavailable: {reason}"),
        }
    }
}

/// A hook and what became of it. Displays as `sock_ops: active` or `iter/tcp: unavailable: ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookStatus {
    /// The hook.
    pub hook: Hook,
    /// What became of it.
    pub status: Status,
}

impl HookStatus {
    fn of(hook: Hook, outcome: Result<Status, Unavailable>) -> Self {
        let status = outcome.unwrap_or_else(|Unavailable(reason)| Status::Unavailable(reason));
        Self { hook, status }
    }

    /// Whether it runs.
    pub fn is_active(&self) -> bool {
        matches!(self.status, Status::Active | Status::InPart(_))
    }
}

impl fmt::Display for HookStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.hook.name(), self.status)
    }
}

/// Why a hook does not run.
#[derive(Debug)]
pub(super) struct Unavailable(pub(super) String);

impl From<ProgramError> for Unavailable {
    fn from(error: ProgramError) -> Self {
        let ProgramError::LoadError { io_error, verifier_log } = &error else {
            return Self(chain(&error));
        };
        // The verifier's log is pages long; what it ends with, but for statistics, is why it refused.
        const STATISTICS: [&str; 4] = ["processed ", "stack depth ", "verification time ", "mark_read"];
        let log = verifier_log.to_string();
        let is_reason = |line: &&str| !line.trim().is_empty() && !STATISTICS.iter().any(|word| line.starts_with(word));
        let last = log.lines().rev().find(is_reason);
        Self(last.map_or_else(|| io_error.to_string(), |last| format!("{io_error}: {last}")))
    }
}

impl From<String> for Unavailable {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// The program of that name.
fn program<'a, T>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut T, Unavailable>
where
    &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or_else(|| format!("the object has no program {name}"))?;
    Ok(program.try_into()?)
}

/// The root of the cgroup v2 hierarchy: what is attached there sees every socket of every namespace. Within a cgroup namespace it
/// looks as if there was one; what sees the sockets of that namespace only is better than nothing.
fn root_cgroup() -> Result<(File, Status), Unavailable> {
    /// Number of the directory that is the root of all.
    const ROOT: u64 = 1;
    let root = open_root_cgroup()?;
    let number = root.metadata().map_err(|error| format!("the root cgroup: {error}"))?.ino();
    let status = match number {
        ROOT => Status::Active,
        _ => Status::InPart("in this cgroup namespace it sees only the sockets of cgroups below its root".to_owned()),
    };
    Ok((root, status))
}

fn open_root_cgroup() -> Result<File, Unavailable> {
    let mounts =
        fs::read_to_string("/proc/self/mountinfo").map_err(|error| format!("/proc/self/mountinfo: {error}"))?;
    match cgroup_mount(&mounts) {
        Some(path) => File::open(path).map_err(|error| Unavailable(format!("{path}: {error}"))),
        // `ip netns exec` hides it behind a /sys of its own.
        None => mount_cgroup()
            .map_err(|error| Unavailable(format!("no cgroup v2 file system is mounted, and none can be: {error}"))),
    }
}

/// Mounts it nowhere: only the descriptor knows of it (since Linux 5.2, with `CAP_SYS_ADMIN`).
fn mount_cgroup() -> rustix::io::Result<File> {
    let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    Ok(File::from(mount))
}

/// Where `mountinfo` says that cgroup v2 is mounted; its root rather than a part of it.
fn cgroup_mount(mounts: &str) -> Option<&str> {
    fn of_line(line: &str) -> Option<(bool, &str)> {
        let (place, kind) = line.split_once(" - ")?;
        let mut fields = place.split(' ').skip(3);
        let (root, path) = (fields.next()?, fields.next()?);
        (kind.split(' ').next() == Some("cgroup2")).then_some((root != "/", path))
    }
    mounts.lines().filter_map(of_line).min_by_key(|&(is_part, _)| is_part).map(|(_, path)| path)
}

/// Loads the hook's program and attaches it.
pub(super) fn load(hook: Hook, ebpf: &mut Ebpf, btf: &Btf) -> HookStatus {
    let outcome = match hook {
        Hook::SockOps => sock_ops(ebpf),
        Hook::CongestionState => congestion_state(ebpf, btf),
        Hook::SegmentsIn => segments(ebpf, "segment_in", CgroupSkbAttachType::Ingress),
        Hook::SegmentsOut => segments(ebpf, "segment_out", CgroupSkbAttachType::Egress),
        Hook::Iterator => iterator(ebpf, btf),
    };
    HookStatus::of(hook, outcome)
}

fn sock_ops(ebpf: &mut Ebpf) -> Result<Status, Unavailable> {
    let program: &mut SockOps = program(ebpf, "callbacks")?;
    program.load()?;
    // A link, which ends with its descriptor, and leaves the programs of others beside it.
    let (root, status) = root_cgroup()?;
    program.attach(root, CgroupAttachMode::Single)?;
    Ok(status)
}

fn congestion_state(ebpf: &mut Ebpf, btf: &Btf) -> Result<Status, Unavailable> {
    let program: &mut BtfTracePoint = program(ebpf, "congestion_state")?;
    program.load("tcp_cong_state_set", btf)?;
    program.attach()?;
    Ok(Status::Active)
}

fn segments(ebpf: &mut Ebpf, name: &str, direction: CgroupSkbAttachType) -> Result<Status, Unavailable> {
    let program: &mut CgroupSkb = program(ebpf, name)?;
    program.load()?;
    let (root, status) = root_cgroup()?;
    program.attach(root, direction, CgroupAttachMode::Single)?;
    Ok(status)
}

fn iterator(ebpf: &mut Ebpf, btf: &Btf) -> Result<Status, Unavailable> {
    let program: &mut Iter = program(ebpf, "adopt")?;
    program.load("tcp", btf)?;
    Ok(Status::Active)
}

/// Opens the iterator for the calling thread's network namespace; reading it runs the program on each socket.
pub(super) fn iterate(ebpf: &mut Ebpf) -> Result<File, Unavailable> {
    let program: &mut Iter = program(ebpf, "adopt")?;
    let link = program.attach()?;
    let link = program.take_link(link)?;
    link.into_file().map_err(|error| Unavailable(chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_cgroup_v2_is_found() {
        let unified = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(cgroup_mount(unified), Some("/sys/fs/cgroup"));
        let hybrid = "25 18 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      26 25 0:23 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      35 25 0:32 /part /run/part rw - cgroup2 cgroup2 rw\n\
                      34 25 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup_mount(hybrid), Some("/sys/fs/cgroup/unified"));
        for none in ["", "26 25 0:23 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", "34 25\n", " - cgroup2"] {
            assert_eq!(cgroup_mount(none), None);
        }
    }

    #[test]
    fn a_status_says_what_and_why() {
        let status = |outcome| HookStatus::of(Hook::Iterator, outcome).to_string();
        assert_eq!(status(Ok(Status::Active)), "iter/tcp: active");
        assert_eq!(status(Ok(Status::InPart("not all".into()))), "iter/tcp: active in part: not all");
        assert_eq!(status(Err(Unavailable("too old".into()))), "iter/tcp: unavailable: too old");
    }
}
