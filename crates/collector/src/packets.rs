//! The capture beside the recording: threads that look at packets for as long as it lasts.

use std::thread::{self, JoinHandle};

use anyhow::Context;
use crossbeam_channel::{Receiver, bounded};
use streams::Account;
use streams::live::{self, Handle, Options};

/// Accounts that wait for the polling thread; what finds no room waits in the capture, and is of a later moment then.
const QUEUE_LEN: usize = 4096;

/// The threads, and how to end them.
pub struct Packets {
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
}

impl Packets {
    /// Captures on these interfaces from now on. What packets say of connections comes out of the channel.
    pub fn start(interfaces: &[String]) -> anyhow::Result<(Self, Receiver<Account>)> {
        let options = Options { interfaces: interfaces.to_vec(), ..Options::default() };
        let (accounts, incoming) = bounded(QUEUE_LEN);
        let (workers, handle) = live::open(&options, Some(accounts)).context("--streams")?;
        let start = |mut worker: live::Worker| {
            let thread = thread::Builder::new().name("capture".to_owned());
            thread.spawn(move || worker.run()).context("cannot start a thread")
        };
        let threads = workers.into_iter().map(start).collect::<anyhow::Result<_>>()?;
        Ok((Self { handle, threads }, incoming))
    }

    /// Who knows of the streams.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends, once what has been captured is told.
    pub fn finish(self) -> anyhow::Result<()> {
        self.handle.stop();
        let ended: Vec<_> = self.threads.into_iter().map(JoinHandle::join).collect();
        anyhow::ensure!(ended.iter().all(Result::is_ok), "the thread that captures packets ended early");
        Ok(())
    }
}
