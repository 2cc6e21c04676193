//! The daemon `tcp-info`: records every TCP connection of this host.
//!
//! 1. [`source`]: the kernel is polled for all sockets (`DumpSource`), asked about single ones (`LookupSource`), and
//!    tells of each one's end (`DestroySource`).
//! 2. [`filter`]: what is not wanted is left out, in the kernel where that is possible.
//! 3. [`recorder`]: messages become the life of connections: first sight, changes, final record, end.
//! 4. [`outbox`]: records are gathered in batches by cookie, one per poll, and sent to the workers.
//! 5. [`worker`]: each worker writes its connections with a [`saver::Saver`] of its own.
//!
//! The polling thread ([`poller`] decides when to look, by the [`schedule`]; [`observer`] is one look at the kernel)
//! does all of 1 to 4, and nothing that could wait for a disk. [`threads`] are the others: workers, recovery, and the
//! [`retention`] of finished files. [`daemon::run`] puts it together.

pub mod cli;
pub mod daemon;
pub mod filter;
pub mod given_up;
pub mod host;
pub mod limiter;
pub mod metrics;
pub mod observer;
pub mod outbox;
pub mod poller;
pub mod recorder;
pub mod retention;
pub mod schedule;
pub mod source;
pub mod stop;
pub mod summary;
pub mod threads;
pub mod worker;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// The program `tcp-info`, from its command line to its exit code.
pub fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if let Err(error) = cli.check() {
        error.exit();
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        // A log that cannot be written is no reason to stop recording.
        .log_internal_errors(false)
        .init();
    let outcome = stop::Stop::on_signals()
        .map_err(|error| anyhow::Error::new(error).context("cannot handle signals"))
        .and_then(|stop| daemon::run(&cli, &stop));
    match outcome {
        Ok(summary) => {
            // Nor is a reader that went away a reason to fail: what was recorded is recorded.
            let _ = writeln!(io::stdout(), "{summary}");
            if summary.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "tcp-info: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, each told once: many errors name their cause themselves.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told {
        told if told.is_empty() => cause,
        told if told.contains(&cause) => told,
        told => format!("{told}: {cause}"),
    })
}
