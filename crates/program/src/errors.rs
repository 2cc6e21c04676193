//! Errors in one line.

use clap::error::ErrorKind;

/// What clap says in several lines, without the usage.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let is_said = |line: &&str| !line.is_empty() && !line.starts_with("For more information");
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).filter(is_said);
    let joined = lines.collect::<Vec<_>>().join("; ");
    let joined = joined.trim_start_matches("error: ").replace(":; ", ": ");
    match error.kind() {
        ErrorKind::UnknownArgument => format!("{joined}; see --help"),
        _ => joined,
    }
}

/// An error with its causes, each told once: many errors name their cause themselves.
pub fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told {
        told if told.is_empty() => cause,
        told if told.contains(&cause) => told,
        told => format!("{told}: {cause}"),
    })
}
