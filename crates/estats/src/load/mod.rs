//! The programs in the kernel: put there, told what they need to know, and read.

mod clock;
mod finals;
mod hooks;

use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, RawFd};

use aya::maps::{Array, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::{Btf, Ebpf, EbpfError, EbpfLoader, include_bytes_aligned};
use thiserror::Error;

use crate::flags;
use clock::{jiffy_nanoseconds, realtime_offset};
pub use finals::Final;
pub use hooks::{Hook, HookStatus, Status};

/// The compiled programs, as `bpf/build` makes them.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/estats.o"));

/// The clock may be set while the programs run; they are told if it moved by more than this.
const CLOCK_MOVED: u64 = 1_000_000;

/// `struct config`: what the clock is ahead by, a jiffy, flags of new values, and whether hooks see a part only.
type Config = [u64; 4];

/// What to load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Look at each segment, too (`cgroup_skb`): more variables, at more cost.
    pub full: bool,
}

impl Options {
    fn asks_for(self, hook: Hook) -> bool {
        self.full || !matches!(hook, Hook::SegmentsIn | Hook::SegmentsOut)
    }
}

/// Why there are no extended statistics.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The kernel does not describe its types (`CONFIG_DEBUG_INFO_BTF`).
    #[error("the kernel's types (BTF) are not to be had: {}", hooks::chain(.0))]
    Btf(#[source] aya::BtfError),
    /// The maps cannot be made. That takes `CAP_BPF`, and a kernel since 5.8.
    #[error("cannot load the BPF object: {}; it takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN", hooks::chain(.0))]
    Object(#[source] Box<EbpfError>),
    /// The object has no such map, or it is of another kind.
    #[error("map {name}: {reason}")]
    Map {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The core, without which no other hook has anything to add to, cannot be attached.
    #[error("{core}; it takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN")]
    Core {
        /// What became of it.
        core: HookStatus,
        /// What became of the others: none of them runs.
        others: Vec<HookStatus>,
    },
}

impl LoadError {
    /// What this says of each hook, where that was to be loaded.
    pub fn hooks(&self, asked: Options) -> Vec<HookStatus> {
        let all = |hook| match asked.asks_for(hook) {
            true => HookStatus { hook, status: Status::Unavailable(self.to_string()) },
            false => HookStatus { hook, status: Status::NotAskedFor },
        };
        match self {
            LoadError::Core { core, others } => [core].into_iter().chain(others).cloned().collect(),
            _ => Hook::ALL.map(all).into(),
        }
    }
}

/// The programs, loaded and attached. When this is dropped, or its process dies, nothing of them stays.
///
/// ```no_run
/// use estats::{Estats, Options};
///
/// let (mut estats, statuses) = Estats::load(Options { full: false })?;
/// for status in &statuses {
///     eprintln!("{status}"); // sock_ops: active
/// }
/// let open_before = estats.adopt()?;
/// let attribute = estats::request::storages(estats.map_fd()); // goes behind each dump request
/// // And every 20 to 50 ms:
/// estats.drain(|last| println!("{:016X} is closed: {:?}", last.cookie, last.value()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Estats {
    ebpf: Ebpf,
    storage: MapData,
    finals: RingBuf<MapData>,
    lost: PerCpuArray<MapData, u64>,
    config: Array<MapData, Config>,
    told: Config,
}

impl Estats {
    /// Loads the programs and attaches each by itself; says of each whether it is active.
    ///
    /// Takes `CAP_BPF`, `CAP_PERFMON` and `CAP_NET_ADMIN`. Afterwards only polls still need one of them, `CAP_BPF`, and
    /// [`adopt`](Self::adopt) the others.
    pub fn load(options: Options) -> Result<(Self, Vec<HookStatus>), LoadError> {
        let hooks: Vec<_> = Hook::ALL.into_iter().filter(|&hook| options.asks_for(hook)).collect();
        Self::load_hooks(&hooks)
    }

    /// The same with these hooks only. The first, [`Hook::SockOps`], is loaded in any case.
    pub fn load_hooks(hooks: &[Hook]) -> Result<(Self, Vec<HookStatus>), LoadError> {
        let btf = Btf::from_sys_fs().map_err(LoadError::Btf)?;
        let mut ebpf =
            EbpfLoader::new().btf(Some(&btf)).load(OBJECT).map_err(|error| LoadError::Object(Box::new(error)))?;
        let Map::SkStorage(storage) = take(&mut ebpf, "storage")? else {
            return Err(map_error("storage", "it is of another kind"));
        };
        let finals = take(&mut ebpf, "finals").and_then(as_kind("finals", RingBuf::try_from))?;
        let lost = take(&mut ebpf, "lost").and_then(as_kind("lost", PerCpuArray::try_from))?;
        let config = take(&mut ebpf, "config").and_then(as_kind("config", Array::try_from))?;
        let mut estats = Self { ebpf, storage, finals, lost, config, told: [0; 4] };

        // What only adds to a value comes first, so that the core, which makes values, can say in them what is active.
        let mut statuses = Vec::new();
        for hook in Hook::ALL.into_iter().filter(|&hook| hook != Hook::SockOps) {
            statuses.push(match hooks.contains(&hook) {
                true => hooks::load(hook, &mut estats.ebpf, &btf),
                false => HookStatus { hook, status: Status::NotAskedFor },
            });
        }
        let is_active = |hook| statuses.iter().any(|status| status.hook == hook && status.is_active());
        let mut flags = 0;
        if is_active(Hook::CongestionState) {
            flags |= flags::TRACED;
        }
        if is_active(Hook::SegmentsIn) && is_active(Hook::SegmentsOut) {
            flags |= flags::FULL;
        }
        estats.tell([realtime_offset(), jiffy_nanoseconds(), flags.into(), 0])?;

        let core = hooks::load(Hook::SockOps, &mut estats.ebpf, &btf);
        if !core.is_active() {
            for other in statuses.iter_mut().filter(|other| other.is_active()) {
                other.status = Status::Unavailable(format!("without {} it has nothing to add to", core.hook.name()));
            }
            return Err(LoadError::Core { core, others: statuses });
        }
        statuses.insert(0, core);
        let is_in_part = statuses.iter().any(|status| matches!(status.status, Status::InPart(_)));
        let [offset, jiffy, flags, _] = estats.told;
        estats.tell([offset, jiffy, flags, is_in_part.into()])?;
        Ok((estats, statuses))
    }

    /// The map of values: what a poll names to have them ([`request::storages`](crate::request::storages)).
    pub fn map_fd(&self) -> RawFd {
        self.storage.fd().as_fd().as_raw_fd()
    }

    /// Hands over the last value of each socket that was closed since the last call, and says how many they were.
    ///
    /// The ring holds some 20,000. Nothing wakes its reader, for that would cost more than all else: call this every 20 to 50 ms.
    pub fn drain(&mut self, mut visit: impl FnMut(Final<'_>)) -> usize {
        let mut count = 0;
        while let Some(record) = self.finals.next() {
            if let Some(last) = Final::decode(&record) {
                visit(last);
                count += 1;
            }
        }
        let [told, others @ ..] = self.told;
        let offset = realtime_offset();
        if offset.abs_diff(told) > CLOCK_MOVED {
            // The old offset stays where the new one cannot be told: times are off by what the clock moved.
            let [jiffy, flags, in_part] = others;
            let _ = self.tell([offset, jiffy, flags, in_part]);
        }
        count
    }

    /// How many last values found the ring full, since the programs were loaded.
    pub fn lost(&self) -> io::Result<u64> {
        let counts = self.lost.get(&0, 0).map_err(io::Error::other)?;
        Ok(counts.iter().sum())
    }

    /// Takes in the sockets of the calling thread's network namespace that were open before, and says how many there
    /// were. They are marked as partial, and their callbacks are switched on (since Linux 6.12).
    pub fn adopt(&mut self) -> io::Result<usize> {
        let mut file = hooks::iterate(&mut self.ebpf).map_err(|hooks::Unavailable(reason)| io::Error::other(reason))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
    }

    fn tell(&mut self, config: Config) -> Result<(), LoadError> {
        self.config.set(0, config, 0).map_err(|error| map_error("config", error))?;
        self.told = config;
        Ok(())
    }
}

impl fmt::Debug for Estats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Estats").field("map_fd", &self.map_fd()).field("told", &self.told).finish_non_exhaustive()
    }
}

fn map_error(name: &'static str, reason: impl ToString) -> LoadError {
    LoadError::Map { name, reason: reason.to_string() }
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, LoadError> {
    ebpf.take_map(name).ok_or_else(|| map_error(name, "it is not there"))
}

fn as_kind<T>(
    name: &'static str,
    convert: impl Fn(Map) -> Result<T, MapError>,
) -> impl Fn(Map) -> Result<T, LoadError> {
    move |map| convert(map).map_err(|error| map_error(name, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_may_be_handed_to_the_thread_that_drains_it() {
        fn is_send<T: Send>() {}
        is_send::<Estats>();
    }
}
