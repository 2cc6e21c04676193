//! Which connections are recorded: the options, and the filter that they make.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};

use crate::filter::{Criteria, Filter, Network, Ports, States};
use program::values::parse_bool;

/// Of `linux/magic.h`.
const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;

/// Options of the filter. Of each `include` that is given, a connection has to meet one; it must meet no `exclude`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Connections over loopback and link-local addresses, too
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = parse_bool, action = ArgAction::Set)]
    pub include_local: bool,

    /// Leave out connections with these local ports, such as 22,9100-9199
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    pub exclude_srcport: Vec<Ports>,

    /// Leave out connections with these remote ports. One that is aborted on this host before a poll sees it has lost its
    /// port: it is recorded
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    pub exclude_dstport: Vec<Ports>,

    /// Leave out connections with local addresses in these networks, such as 192.0.2.7,2001:db8::/32
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    pub exclude_srcip: Vec<Network>,

    /// Leave out connections with remote addresses in these networks
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    pub exclude_dstip: Vec<Network>,

    /// Leave out the sockets of these cgroups (version 2), such as system.slice/nginx.service, or by their CgroupID. With
    /// a filter by cgroup, only connections that polls have seen are recorded: destroy events name none
    #[arg(long, value_name = "PATHS", value_delimiter = ',', value_parser = parse_cgroup)]
    pub exclude_cgroup: Vec<Cgroup>,

    /// Leave out sockets in these states, such as syn-sent, while they are in them; their ends are taken all the same
    #[arg(long, value_name = "STATES", value_delimiter = ',')]
    pub exclude_state: Vec<States>,

    /// Only connections with these local ports
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    pub include_srcport: Vec<Ports>,

    /// Only connections with these remote ports. One that is aborted on this host before a poll sees it has lost its port:
    /// it is left out, and counted
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    pub include_dstport: Vec<Ports>,

    /// Only connections with local addresses in these networks
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    pub include_srcip: Vec<Network>,

    /// Only connections with remote addresses in these networks
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    pub include_dstip: Vec<Network>,

    /// Only the sockets of these cgroups (version 2)
    #[arg(long, value_name = "PATHS", value_delimiter = ',', value_parser = parse_cgroup)]
    pub include_cgroup: Vec<Cgroup>,

    /// Only sockets in these states
    #[arg(long, value_name = "STATES", value_delimiter = ',')]
    pub include_state: Vec<States>,
}

impl FilterArgs {
    /// The cgroups that are named.
    pub fn cgroups(&self) -> impl Iterator<Item = &Cgroup> {
        self.include_cgroup.iter().chain(&self.exclude_cgroup)
    }

    /// The filter. An error if no state is left to be polled.
    pub fn filter(&self) -> Result<Filter, String> {
        let states = States::new(&self.include_state, &self.exclude_state)
            .ok_or("--include-state and --exclude-state leave no state to be polled")?;
        let include = Criteria {
            source_ports: union(&self.include_srcport),
            destination_ports: union(&self.include_dstport),
            source_networks: self.include_srcip.clone(),
            destination_networks: self.include_dstip.clone(),
            cgroups: self.include_cgroup.iter().map(Cgroup::id).collect(),
        };
        let exclude = Criteria {
            source_ports: union(&self.exclude_srcport),
            destination_ports: union(&self.exclude_dstport),
            source_networks: self.exclude_srcip.clone(),
            destination_networks: self.exclude_dstip.clone(),
            cgroups: self.exclude_cgroup.iter().map(Cgroup::id).collect(),
        };
        Ok(Filter::new(self.include_local, states, include, exclude))
    }
}

fn union(parts: &[Ports]) -> Ports {
    parts.iter().cloned().collect()
}

/// A cgroup: the one of that number, or the one that is at that path now. Another is made when a service starts again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cgroup {
    /// Number of a directory.
    Id(u64),
    /// A directory.
    Path(PathBuf),
}

/// Of no cgroup.
const NO_CGROUP: u64 = 0;

impl Cgroup {
    /// The number that sockets have; one that none has, if there is no such cgroup now.
    pub fn id(&self) -> u64 {
        match self {
            Self::Id(id) => *id,
            Self::Path(path) => std::fs::metadata(path).map_or(NO_CGROUP, |meta| meta.ino()),
        }
    }
}

/// `text` is its path below the mount point, a whole path, or the inode number of its directory.
fn parse_cgroup(text: &str) -> Result<Cgroup, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("a cgroup is missing; / is the one of all".to_owned());
    }
    if let Ok(id) = text.parse() {
        return Ok(Cgroup::Id(id));
    }
    let mounted = mount_point().ok_or("no cgroups of version 2 are mounted here")?;
    let below = mounted.join(text.trim_start_matches('/'));
    let whole = Path::new(text);
    let path = if whole.is_absolute() && (is_cgroup(whole) || whole.starts_with(&mounted)) { whole } else { &below };
    if path.exists() && !is_cgroup(path) {
        return Err(format!("{} is no cgroup of version 2", path.display()));
    }
    Ok(Cgroup::Path(path.to_owned()))
}

fn is_cgroup(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type == CGROUP2_SUPER_MAGIC) && path.is_dir()
}

/// Where cgroups are: beside those of version 1, they have a directory of their own.
fn mount_point() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| path.into())
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        filters: FilterArgs,
    }

    fn filters(line: &str) -> Result<FilterArgs, clap::Error> {
        Line::try_parse_from(line.split_whitespace()).map(|line| line.filters)
    }

    #[test]
    fn lists_may_be_repeated_and_have_commas() {
        let args = filters("x --exclude-srcport 1,2-5 --exclude-srcport 65535 --exclude-dstip 10.0.0.0/8,::1")
            .expect("parses");
        assert_eq!(union(&args.exclude_srcport).to_string(), "1-5,65535");
        assert_eq!(args.exclude_dstip.len(), 2);
        assert!(args.filter().is_ok());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for line in [
            "x --exclude-srcport 65536",
            "x --include-dstip x",
            "x --exclude-cgroup=",
            "x --exclude-cgroup 1,",
            "x --include-state open",
        ] {
            assert!(filters(line).is_err(), "{line}");
        }
        assert!(filters("x --include-state syn-sent --exclude-state syn-sent").expect("parses").filter().is_err());
    }
}
