//! What a process takes, read from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// What a process has taken up to now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// On the CPU, all threads: exact.
    pub cpu: Duration,
    /// Share of that in the kernel, as the clock tick sampled it.
    system: f64,
    user: f64,
    /// Memory that is resident, in bytes.
    pub rss: u64,
}

impl Usage {
    /// Time on the CPU of those threads of a process whose names begin so.
    pub(crate) fn of_threads(pid: u32, name: &str) -> anyhow::Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?.path();
            if fs::read_to_string(task.join("comm"))?.starts_with(name) {
                let text = fs::read_to_string(task.join("schedstat"))?;
                nanoseconds += text.split(' ').next().unwrap_or("0").parse::<u64>()?;
            }
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Of a running process. Threads that have ended do not count.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let read = |path: String| fs::read_to_string(&path).with_context(|| format!("cannot read {path}"));
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let text = read(format!("{}/schedstat", task?.path().display()))?;
            nanoseconds += text.split(' ').next().unwrap_or("0").parse::<u64>()?;
        }
        let stat = read(format!("/proc/{pid}/stat"))?;
        // Behind the name, which may hold anything: utime and stime are fields 14 and 15 of all, 12 and 13 of these.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).context("short stat")?.parse::<f64>().context("no number");
        let status = read(format!("/proc/{pid}/status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(Self {
            cpu: Duration::from_nanos(nanoseconds),
            user: ticks(11)?,
            system: ticks(12)?,
            rss: 1024 * rss.trim().trim_end_matches(" kB").parse::<u64>()?,
        })
    }

    /// Seconds in user and kernel mode since `before`: the exact total, shared out as the clock tick saw it.
    pub(crate) fn since(&self, before: &Self) -> (f64, f64) {
        let total = (self.cpu - before.cpu).as_secs_f64();
        let (user, system) = (self.user - before.user, self.system - before.system);
        let share = if user + system > 0.0 { system / (user + system) } else { 0.0 };
        (total * (1.0 - share), total * share)
    }
}
