//! Where packets are captured.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

use super::error::CaptureError;
use super::sys;

/// The name that means all interfaces.
const ANY: &str = "any";

/// Names, one a line behind two lines of headings. `/proc/self` would be the namespace of the first thread.
const NAMES: &str = "/proc/thread-self/net/dev";

/// An interface of the network namespace of the calling thread, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    name: String,
    one: Option<Identity>,
}

/// What the kernel says of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    index: u32,
    hardware_type: u16,
    is_up: bool,
}

impl Interface {
    /// The interface of that name; `any` stands for all, those that come later included.
    pub fn named(name: &str) -> Result<Self, CaptureError> {
        if name == ANY {
            return Ok(Self { name: name.into(), one: None });
        }
        let unknown = || CaptureError::UnknownInterface { name: name.into(), there: names().join(", ") };
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
            .map_err(|error| CaptureError::at("open a socket to ask for the interface")(error.into()))?;
        let index = netdevice::name_to_index(&socket, name).map_err(|_| unknown())?;
        let refused = |error: io::Error| match error.raw_os_error() {
            // Gone in between.
            Some(libc::ENODEV) => unknown(),
            _ => CaptureError::at("ask for the type of the interface")(error),
        };
        let hardware_type = sys::hardware_type(socket.as_fd(), name).map_err(refused)?;
        let is_up = sys::is_up(socket.as_fd(), name).map_err(refused)?;
        Ok(Self { name: name.into(), one: Some(Identity { index, hardware_type, is_up }) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its index; `None` for all.
    pub fn index(&self) -> Option<u32> {
        self.one.map(|one| one.index)
    }

    /// Its hardware type (`ARPHRD_…`); `None` for all.
    pub fn hardware_type(&self) -> Option<u16> {
        self.one.map(|one| one.hardware_type)
    }

    /// Whether it was up when it was looked for; all together always are.
    pub fn is_up(&self) -> bool {
        self.one.is_none_or(|one| one.is_up)
    }

    /// Whether packets that leave it come back to the same host.
    pub fn is_loopback(&self) -> bool {
        self.hardware_type() == Some(libc::ARPHRD_LOOPBACK)
    }

    /// Whether its packets have Ethernet headers. Those of a loopback interface do.
    pub fn has_ethernet_header(&self) -> bool {
        matches!(self.hardware_type(), Some(libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK))
    }
}

/// The names there are; none if they cannot be read.
fn names() -> Vec<String> {
    let lines = fs::read_to_string(NAMES).unwrap_or_default();
    lines.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}
