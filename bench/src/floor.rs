//! What polling costs at the least: ask, receive, discard.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use collector::filter::{Criteria, Filter, States};
use collector::source::{Attributes, DumpRequest, RECEIVE_BUFFER_LEN, Whose};
use inetdiag::{AddressFamily, NetlinkMessages};
use netlink_packet_core::{NLMSG_DONE, NLMSG_ERROR};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use rustix::time::{ClockId, clock_gettime};

/// Dumps the sockets of both address families at an interval, with the recorder's own requests. Says how many times it
/// did, and how many microseconds of CPU that took.
pub(crate) fn dump_loop(interval_us: u64, seconds: f64) -> anyhow::Result<()> {
    let program = Filter::new(false, States::ALL, Criteria::default(), Criteria::default()).compile().program;
    let mut dumps = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        dumps.push((
            socket,
            DumpRequest::connections(Whose::Family(family), Attributes::FULL.whole(), States::ALL, &program),
        ));
    }
    let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
    let interval = Duration::from_micros(interval_us);
    let (begin, cpu_before) = (Instant::now(), cpu());
    let mut due = begin;
    let mut polls = 0u32;
    while begin.elapsed().as_secs_f64() < seconds {
        polls += 1;
        for (socket, request) in &mut dumps {
            socket.send(request.numbered(polls), 0)?;
            let mut end = false;
            while !end {
                let len = socket.recv(&mut &mut buffer[..], 0)?;
                end = is_end(&buffer[..len])?;
            }
        }
        while due <= Instant::now() {
            due += interval;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    println!("floor {polls} {}", (cpu() - cpu_before).as_micros());
    Ok(())
}

fn is_end(received: &[u8]) -> anyhow::Result<bool> {
    let mut end = false;
    for message in NetlinkMessages::new(received) {
        let kind = message?.kind;
        ensure!(kind != NLMSG_ERROR, "the kernel refused a dump");
        end |= kind == NLMSG_DONE;
    }
    Ok(end)
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
