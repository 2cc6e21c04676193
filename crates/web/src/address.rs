//! Where to listen.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, ToSocketAddrs};
use std::str::FromStr;

use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// A host and a port, as Go programs take them: `127.0.0.1:9991`, `[::1]:9991`, `localhost:9991`; without a host, `:9991`
/// or `9991`, it is every address of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Listens there. Where there is no IPv6, every address is every one of IPv4.
    pub fn bind(&self) -> io::Result<TcpListener> {
        if !self.host.is_empty() {
            let addresses: Vec<SocketAddr> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
            return TcpListener::bind(&*addresses);
        }
        self.bind_both().or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
            _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)),
        })
    }
}

impl Address {
    /// Of both families, whatever the system's default for that is.
    fn bind_both(&self) -> io::Result<TcpListener> {
        let socket = socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        set_ipv6_v6only(&socket, false)?;
        set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, self.port, 0, 0))?;
        listen(&socket, BACKLOG)?;
        Ok(socket.into())
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let bad = || format!("{text:?} is no address and port such as :9991, 127.0.0.1:9991 or [::1]:9991");
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        if host.contains(['[', ']', '/', ' ']) || bare.is_none() && host.contains(':') {
            return Err(bad());
        }
        let host = host.to_owned();
        Ok(Self { host, port: port.parse().map_err(|_| bad())? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_go_takes_them() {
        for (text, written) in [
            (":9991", ":9991"),
            ("9991", ":9991"),
            ("127.0.0.1:9991", "127.0.0.1:9991"),
            ("localhost:0", "localhost:0"),
            ("[::1]:9991", "[::1]:9991"),
        ] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), written);
        }
        for bad in
            ["", ":", "x", "127.0.0.1", "127.0.0.1:x", ":65536", "::1:80", "http://x:80", "[::1:80", "a b:80", "[[]:0"]
        {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_address_of_both_families_is_listened_on() {
        let listener = ":0".parse::<Address>().expect("an address").bind().expect("binds");
        let port = listener.local_addr().expect("is bound").port();
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connects");
    }
}
