//! The log: lines on standard error, whose level may change while it runs.

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::cli::{LogArgs, LogFormat};

/// Changes the level.
#[derive(Debug, Clone)]
pub struct Level(reload::Handle<EnvFilter, Registry>);

/// Starts to log.
pub fn start(args: &LogArgs) -> Level {
    let (filter, handle) = reload::Layer::new(filter(args));
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        // A log that cannot be written is no reason to stop recording.
        .log_internal_errors(false);
    let lines = match args.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Level(handle)
}

/// What the options ask for; if nothing, what `RUST_LOG` does.
fn filter(args: &LogArgs) -> EnvFilter {
    let environment = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let asked = args.level().map(str::to_owned).or(environment);
    asked.and_then(|text| EnvFilter::try_new(text).ok()).unwrap_or_else(|| EnvFilter::new("info"))
}

impl Level {
    /// From now on this level counts.
    pub fn set(&self, args: &LogArgs) {
        if let Err(error) = self.0.reload(filter(args)) {
            tracing::warn!(%error, "the level of the log cannot be changed");
        }
    }
}
