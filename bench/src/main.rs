//! Measures the recorder on real connections, beside what the kernel itself charges for answering.
//!
//! 1. [`lab`]: two network namespaces joined by a veth pair, and the processes in them; all end with this one.
//! 2. [`traffic`]: connections that are idle, that talk, or that come and go.
//! 3. [`floor`]: a bare dump loop on the same sockets: what polling costs at the least.
//! 4. [`run`]: the recorder and the floor in turn on the same connections; [`usage`] is what they cost, [`archive`] what
//!    came of it.
//! 5. [`table`]: one line per scenario.

mod archive;
mod floor;
mod frames;
mod lab;
mod run;
mod scenario;
mod scrape;
mod streams;
mod table;
mod traffic;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use scenario::Scenario;

/// Measures tcp-info on real connections between two network namespaces, beside a bare dump loop on the same sockets.
///
/// Takes root, and the release build of tcp-info. Cleans up after itself, also when interrupted.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Connections that are held open, and send messages or do not
    Hold(Scenario),
    /// Connections that come and go
    Churn(Scenario),
    /// Metrics of a host with many connections: against ss, and what a scrape costs
    Scrape(Scenario),
    /// What looking at packets costs, and whether it misses any
    Streams(streams::Load),
    /// How small the records of an archive become, by size of frame and level
    Frames {
        /// An archive's output directory
        directory: std::path::PathBuf,
    },
    /// A part of the lab, started by it
    #[command(subcommand, hide = true)]
    Part(lab::Part),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().what {
        What::Hold(scenario) => run::hold(&scenario),
        What::Churn(scenario) => run::churn(&scenario),
        What::Scrape(scenario) => scrape::scrape(&scenario),
        What::Streams(load) => streams::streams(&load),
        What::Frames { directory } => frames::compare(&directory),
        What::Part(part) => part.play(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
