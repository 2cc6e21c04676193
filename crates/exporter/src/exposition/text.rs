//! Writing families of samples.

use std::io::{self, Write};

/// Type of the text.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// So much is held back, and then given away in one piece.
const PIECE: usize = 32 << 10;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It never falls.
    Counter,
    /// It may.
    Gauge,
}

/// Value of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A number of things.
    Whole(u64),
    /// A measure.
    Real(f64),
}

/// Text that grows family by family. It is written in pieces, through one buffer.
pub struct Text<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    digits: itoa::Buffer,
    name: String,
    outcome: io::Result<()>,
}

impl<'a> Text<'a> {
    /// Written to `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        let buffer = Vec::with_capacity(PIECE + 1024);
        Self { out, buffer, digits: itoa::Buffer::new(), name: String::new(), outcome: Ok(()) }
    }

    /// Begins a family; the samples that follow are of it. `help` is one line without backslashes.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
            self.buffer.extend_from_slice(part.as_bytes());
        }
        self.name.clear();
        self.name.push_str(name);
    }

    /// A sample of this family. `labels` are as [`Labels`](super::Labels) has them, or empty. What is no number is left out.
    pub fn sample(&mut self, labels: &str, value: Value) {
        if matches!(value, Value::Real(number) if !number.is_finite()) {
            return;
        }
        self.buffer.extend_from_slice(self.name.as_bytes());
        self.buffer.extend_from_slice(labels.as_bytes());
        self.buffer.push(b' ');
        match value {
            Value::Whole(number) => self.buffer.extend_from_slice(self.digits.format(number).as_bytes()),
            // Writing to memory does not fail.
            Value::Real(number) => drop(write!(self.buffer, "{number}")),
        }
        self.buffer.push(b'\n');
        if self.buffer.len() >= PIECE {
            self.flush();
        }
    }

    /// Families that others have written.
    pub fn append(&mut self, families: &str) {
        self.buffer.extend_from_slice(families.as_bytes());
    }

    /// Writes what is left, and says whether all was written.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush();
        self.outcome
    }

    fn flush(&mut self) {
        if self.outcome.is_ok() {
            self.outcome = self.out.write_all(&self.buffer);
        }
        self.buffer.clear();
    }
}
