//! The addresses of this host's own interfaces, kept up to date.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::ifaddrs::getifaddrs;

/// `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR`: the kernel tells of addresses that come and go.
const GROUPS: u32 = 0x10 | 0x100;
/// After an error the kernel is asked again so often.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Addresses of the host. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct OwnAddresses(Arc<RwLock<HashSet<IpAddr>>>);

impl OwnAddresses {
    /// The addresses that there are now. A thread that never ends keeps them up to date.
    pub fn watch() -> io::Result<Self> {
        // In this order: what changes in between is told of.
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, GROUPS))?;
        let own = Self::default();
        own.refresh()?;
        let watched = own.clone();
        thread::Builder::new().name("addresses".to_owned()).spawn(move || watched.follow(&socket))?;
        Ok(own)
    }

    /// Whether this is an address of the host.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&address)
    }

    fn follow(&self, socket: &Socket) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            // What the message says is not looked at: that there was one, or that one was lost, is enough.
            if let Err(error) = socket.recv(&mut &mut buffer[..], 0)
                && error.raw_os_error() != Some(nix::libc::ENOBUFS)
            {
                thread::sleep(AGAIN_AFTER);
            }
            if let Err(error) = self.refresh() {
                tracing::warn!(%error, "cannot list the addresses of this host; those known before still count as its own");
                thread::sleep(AGAIN_AFTER);
            }
        }
    }

    fn refresh(&self) -> io::Result<()> {
        let addresses = getifaddrs()?.filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
        });
        let addresses = addresses.collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = addresses;
        Ok(())
    }
}

impl FromIterator<IpAddr> for OwnAddresses {
    fn from_iter<T: IntoIterator<Item = IpAddr>>(addresses: T) -> Self {
        Self(Arc::new(RwLock::new(addresses.into_iter().collect())))
    }
}
