//! What can go wrong before the first packet.

use std::io;

use super::options::OptionsError;

/// Why there is no capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The process may not capture.
    #[error(
        "cannot {action}: this needs CAP_NET_RAW; run it as root, or give it the capability with `setcap cap_net_raw+ep` \
         on the program, or with AmbientCapabilities=CAP_NET_RAW in its systemd unit"
    )]
    NoPermission {
        /// What was tried.
        action: &'static str,
    },
    /// There is no such interface.
    #[error("there is no interface {name:?}; there are: any, {there}")]
    UnknownInterface {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        there: String,
    },
    /// The options of the ring contradict the kernel or each other.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// There is no memory for the ring.
    #[error("no memory for a ring of {blocks} blocks of {block_size} bytes; ask for fewer or smaller blocks: {source}")]
    NoMemory {
        /// Blocks that were asked for.
        blocks: u32,
        /// Bytes of each.
        block_size: u32,
        /// What the kernel says.
        source: io::Error,
    },
    /// The filter was compiled for an interface of another kind.
    #[error("the filter was not compiled for {interface}; compile it for this interface")]
    FilterOfOtherLink {
        /// The interface that was to be captured on.
        interface: String,
    },
    /// libpcap is needed, and cannot be used.
    #[error(
        "the filter {expression:?} needs libpcap: {source}; install the package libpcap0.8 (Debian, Ubuntu), libpcap1 \
         (SUSE) or libpcap (Fedora, Arch, Alpine), or use the filter \"tcp\", which needs none"
    )]
    NoLibpcap {
        /// The filter.
        expression: String,
        /// Why it cannot be used.
        source: libloading::Error,
    },
    /// The filter is not one.
    #[error("the filter {expression:?} is wrong: {message}; its language is described in pcap-filter(7)")]
    Expression {
        /// The filter.
        expression: String,
        /// What libpcap says.
        message: String,
    },
    /// The kernel refused something that it should not.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
}

impl CaptureError {
    /// That this was tried and failed.
    pub(super) fn at(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::PermissionDenied => Self::NoPermission { action },
            _ => Self::System { action, source },
        }
    }
}
