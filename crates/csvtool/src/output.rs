//! What takes a table as it comes.

use std::io::{self, Write};

use crate::convert::Name;

/// Takes what is made of archives, in their order.
pub trait Sink<M> {
    /// An archive follows.
    fn begin(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Takes the next piece.
    fn take(&mut self, made: M) -> io::Result<()>;

    /// The archive of that name has ended.
    fn end(&mut self, _archive: &Name) -> io::Result<()> {
        Ok(())
    }

    /// There is no more.
    fn finish(&mut self) -> io::Result<()>;
}

/// Text as it comes, behind a header.
#[derive(Debug)]
pub struct TextTable<W> {
    header: Vec<u8>,
    out: W,
}

impl<W: Write> TextTable<W> {
    /// Writes to `out`, once there is an archive.
    pub fn new(out: W, header: Vec<u8>) -> Self {
        Self { header, out }
    }
}

impl<W: Write> Sink<Vec<u8>> for TextTable<W> {
    fn begin(&mut self) -> io::Result<()> {
        self.out.write_all(&std::mem::take(&mut self.header))
    }

    fn take(&mut self, rows: Vec<u8>) -> io::Result<()> {
        self.out.write_all(&rows)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
