//! Facts of this host that go into names and header lines.

use std::fs;

use anyhow::Context;
use chrono::{DateTime, Utc};
use rustix::system::uname;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use saver::{Spool, check_prefix, default_prefix, write_whole};

/// What is known of this host and this boot.
#[derive(Debug, Clone)]
pub struct Host {
    /// `POD_NAME` if set, else the host name.
    pub name: String,
    /// `uname -r`.
    pub kernel_release: String,
    /// Random id of this boot; `None` where `/proc` is not to be had.
    pub boot_id: Option<String>,
    /// When this boot began, in whole seconds.
    pub boot_time: DateTime<Utc>,
}

impl Host {
    /// Asks the kernel.
    pub fn read() -> anyhow::Result<Self> {
        let uname = uname();
        let pod = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
        let stat = fs::read_to_string("/proc/stat").context("cannot read the boot time from /proc/stat")?;
        let boot_time = stat
            .lines()
            .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .context("/proc/stat has no boot time (btime)")?;
        Ok(Self {
            name: pod.unwrap_or_else(|| uname.nodename().to_string_lossy().into_owned()),
            kernel_release: uname.release().to_string_lossy().into_owned(),
            boot_id: read_trimmed("/proc/sys/kernel/random/boot_id"),
            boot_time,
        })
    }

    /// The UUID prefix for want of a prefix file: the same in every run of one boot, even if the clock was set in between.
    ///
    /// It is kept in the spool directory beside the boot id, because the boot time is computed from the clock.
    pub fn uuid_prefix(&self, spool: &Spool) -> anyhow::Result<String> {
        let computed = default_prefix(&self.name, self.boot_time.timestamp())?;
        let Some(boot_id) = &self.boot_id else { return Ok(computed) };
        let path = spool.note_path("uuid-prefix");
        let kept = fs::read_to_string(&path).unwrap_or_default();
        if let [kept_boot, kept_prefix] = kept.lines().collect::<Vec<_>>()[..]
            && kept_boot == boot_id
            && kept_prefix
                .strip_prefix(&format!("{}_", self.name))
                .and_then(|rest| rest.strip_suffix("_unsafe"))
                .is_some_and(|time| time.parse::<u64>().is_ok())
            && let Ok(kept_prefix) = check_prefix(kept_prefix.to_owned())
        {
            return Ok(kept_prefix);
        }
        if let Err(error) = write_whole(&path, &format!("{boot_id}\n{computed}\n")) {
            tracing::warn!(path = %path.display(), %error, "cannot keep the UUID prefix for later runs of this boot");
        }
        Ok(computed)
    }
}

/// Whether this process may see and do what needs `CAP_NET_ADMIN`.
pub fn has_net_admin() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_ADMIN))
}

/// Gives up a capability, for this thread and those that it starts.
pub fn give_up(capability: CapabilitySet) -> rustix::io::Result<()> {
    let mut sets = capabilities(None)?;
    for set in [&mut sets.effective, &mut sets.permitted, &mut sets.inheritable] {
        set.remove(capability);
    }
    set_capabilities(None, sets)
}

fn read_trimmed(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
}
