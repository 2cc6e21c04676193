//! The daemon `tcp-info`: records every TCP connection of this host.
//!
//! 1. [`source`]: the kernel is polled for all sockets (`DumpSource`), asked about single ones (`LookupSource`), and
//!    tells of each one's end (`DestroySource`).
//! 2. [`filter`]: what is not wanted is left out, in the kernel where that is possible.
//! 3. [`recorder`]: messages become the life of connections: first sight, changes, final record, end.
//! 4. [`outbox`]: records are gathered in batches by cookie, one per poll, and sent to the workers.
//!    With `--streams`, [`join`] attaches to them what packets say of the connection.
//! 5. [`worker`]: each worker writes its connections with a [`saver::Saver`] of its own.
//!
//! The polling thread ([`poller`] decides when to look, by the [`schedule`]; [`observer`] is one look at the kernel)
//! does all of 1 to 4, and nothing that could wait for a disk. [`threads`] are the others: workers, recovery, and the
//! [`retention`] of finished files. [`daemon::run`] puts it together.
//!
//! Beside it, [`mib`] shows extended statistics live, and records nothing.

pub mod anonymize;
pub mod asking;
pub mod cli;
pub mod daemon;
pub mod events;
pub mod extended;
pub mod filter;
pub mod given_up;
pub mod health;
pub mod host;
pub mod join;
pub mod limiter;
pub mod log;
pub mod metrics;
pub mod mib;
pub mod observer;
pub mod outbox;
pub mod outlet;
pub mod packets;
pub mod pages;
pub mod poller;
pub mod recorder;
pub mod reload;
pub mod retention;
pub mod schedule;
pub mod serving;
pub mod source;
pub mod summary;
pub mod threads;
pub mod worker;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use program::errors::chain;
pub use program::stop;

const WRONG_COMMAND_LINE: u8 = 2;

/// The program `tcp-info`, from its command line to its exit code.
pub fn main() -> ExitCode {
    let cli = match cli::load(std::env::args_os()) {
        Ok(cli::Request::Record(cli)) => cli,
        Ok(cli::Request::Show(args)) => return show(&args),
        Ok(cli::Request::Print(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(cli::Refusal(reason)) => {
            let _ = writeln!(io::stderr(), "tcp-info: {reason}");
            return ExitCode::from(WRONG_COMMAND_LINE);
        }
    };
    let level = log::start(&cli.log);
    if cli.metrics_only {
        return match handle_signals(&cli, level).and_then(|(stop, _)| serving::run(&cli, &stop)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        };
    }
    let outcome =
        handle_signals(&cli, level).and_then(|(stop, mut reload)| daemon::run(&cli, &stop, Some(&mut reload)));
    match outcome {
        Ok(summary) => {
            // Nor is a reader that went away a reason to fail: what was recorded is recorded.
            let _ = writeln!(io::stdout(), "{summary}");
            if summary.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => fail(&error),
    }
}

/// `tcp-info estats`.
fn show(args: &cli::EstatsArgs) -> ExitCode {
    log::start(&args.log);
    let stop = stop::Stop::on_signals().context("cannot handle signals");
    match stop.and_then(|stop| mib::run(args, &stop)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "tcp-info: {}", chain(error));
    ExitCode::FAILURE
}

fn handle_signals(cli: &cli::Cli, level: log::Level) -> anyhow::Result<(stop::Stop, reload::Reload)> {
    let stop = stop::Stop::on_signals().context("cannot handle signals")?;
    let args = std::env::args_os().collect();
    let reload = reload::Reload::on_signal(args, cli.clone(), level).context("cannot handle SIGHUP")?;
    Ok((stop, reload))
}
