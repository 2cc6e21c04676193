//! How much is logged, and in which form.

use clap::{ArgAction, Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use program::values::parse_bool;

/// Options of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// What is logged: error, warn, info, debug or trace; or levels by module, as in RUST_LOG [default: RUST_LOG, or info]
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    log_level: Option<String>,

    /// Form of the log on standard error
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub log_format: LogFormat,

    /// Log everything, as --log-level trace does
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = parse_bool, action = ArgAction::Set)]
    trace: bool,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

impl LogArgs {
    /// Takes the level of others, and no more.
    pub fn set_level_of(&mut self, other: &Self) {
        (self.log_level, self.trace) = (other.log_level.clone(), other.trace);
    }

    /// Does not log everything, for the level was chosen after that.
    pub(super) fn forget_trace(&mut self) {
        self.trace = false;
    }

    /// The level that is asked for.
    pub fn level(&self) -> Option<&str> {
        if self.trace { Some("trace") } else { self.log_level.as_deref() }
    }
}

fn parse_level(text: &str) -> Result<String, String> {
    let is_known = |level: &str| ["error", "warn", "info", "debug", "trace", "off"].contains(&level);
    // By itself, any word would be the name of a module.
    let is_part = |part: &str| part.contains('=') || is_known(&part.trim().to_ascii_lowercase());
    if text.split(',').all(is_part) && EnvFilter::try_new(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err("must be error, warn, info, debug, trace, or levels by module such as info,saver=debug".to_owned())
}
