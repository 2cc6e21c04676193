//! The daemon `tcp-stream-exporter`: tells Prometheus what packets say of TCP streams.
//!
//! [`streams::live`] captures and counts, [`web`] serves. Between them are the command line ([`cli`]), who asks the threads
//! that capture ([`gatherer`]), and the text that is made of their answers ([`exposition`]). [`daemon::run`] puts it together.

pub mod cli;
pub mod daemon;
pub mod exposition;
pub mod gatherer;
pub mod log;
pub mod pages;
pub mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use program::errors::chain;

/// Name of the program.
pub const NAME: &str = "tcp-stream-exporter";

const WRONG_COMMAND_LINE: u8 = 2;

/// The program, from its command line to its exit code.
pub fn main() -> ExitCode {
    let cli = match cli::load(std::env::args_os()) {
        Ok(cli::Request::Export(cli)) => cli,
        Ok(cli::Request::Print(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(cli::Refusal(reason)) => {
            let _ = writeln!(io::stderr(), "{NAME}: {reason}");
            return ExitCode::from(WRONG_COMMAND_LINE);
        }
    };
    log::start(cli.debug);
    match daemon::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{NAME}: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}
