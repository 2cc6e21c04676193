//! Sockets that clients connect to, and what wakes the server.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// A socket file that is removed with this, if it is still the same.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Listener {
    /// Binds a path. A socket file that a recorder before left there is replaced, but only if nobody listens on it.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        if let Ok(meta) = fs::symlink_metadata(path) {
            if !meta.file_type().is_socket() {
                return Err(problem(path, "is there, and no socket"));
            }
            if !is_left_over(path)? {
                return Err(problem(path, "is served by another program"));
            }
            fs::remove_file(path)?;
        }
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let socket = UnixListener::bind(path).map_err(named)?;
        socket.set_nonblocking(true)?;
        let inode = fs::symlink_metadata(path).map_err(named)?.ino();
        Ok(Self { socket, path: path.into(), inode })
    }
}

/// Whether nobody listens. Any other answer than that says that somebody may, if only one who is busy or not for us.
fn is_left_over(path: &Path) -> io::Result<bool> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(connect(&socket, &SocketAddrUnix::new(path)?) == Err(Errno::CONNREFUSED))
}

fn problem(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, format!("{} {what}", path.display()))
}

impl Drop for Listener {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Readable while there is something to be looked at.
#[derive(Debug)]
pub(super) struct Wake(OwnedFd);

impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?))
    }

    pub(super) fn up(&self) {
        // Only a counter that is full refuses, and then it is readable.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    pub(super) fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_replaced_only_if_nobody_listens() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("socket");
        let first = Listener::bind(&path).expect("binds");
        let error = Listener::bind(&path).expect_err("is served").to_string();
        assert!(error.contains("another program"), "{error}");
        // As kill -9 leaves it.
        let Listener { socket, .. } = &first;
        let left = dir.path().join("left");
        fs::hard_link(&path, &left).expect("links");
        let _ = socket;
        drop(first);
        assert!(!path.exists() && left.exists());
        let second = Listener::bind(&left).expect("nobody listens");
        drop(second);
        let datagrams = std::os::unix::net::UnixDatagram::bind(&path).expect("binds");
        assert!(Listener::bind(&path).is_err() && path.exists(), "it is another's");
        drop(datagrams);
        fs::remove_file(&path).expect("is there");
        fs::write(&path, "a file").expect("writes");
        assert!(Listener::bind(&path).expect_err("is no socket").to_string().contains("no socket"));
        assert_eq!(fs::read(&path).expect("is there"), b"a file");
    }
}
