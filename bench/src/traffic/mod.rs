//! Connections with known totals.

mod bulk;
mod churn;
mod hold;
mod server;

pub(crate) use bulk::bulk;
pub(crate) use churn::{churn, payload_len};
pub(crate) use hold::hold;
pub(crate) use server::serve;

use std::io::{self, Read, Write};

/// Tells the parent, and waits until it answers.
fn ready() -> io::Result<()> {
    say("ready")?;
    io::stdin().read_exact(&mut [0])
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{text}")?;
    out.flush()
}
