//! Being told to stop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};

/// Exit code when a second signal cuts the orderly end short.
const EXIT_HURRIED: i32 = 130;

/// Becomes readable once the daemon is to stop.
#[derive(Debug)]
pub struct Stop {
    reader: UnixStream,
}

impl Stop {
    /// Stops on SIGTERM and SIGINT: the first asks for an orderly end, a second one exits at once.
    pub fn on_signals() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the check sees the flag as the signals before left it.
            signal_hook::flag::register_conditional_shutdown(signal, EXIT_HURRIED, Arc::clone(&asked))?;
            signal_hook::flag::register(signal, Arc::clone(&asked))?;
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Self { reader })
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
