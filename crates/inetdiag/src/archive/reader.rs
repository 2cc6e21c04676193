//! Reading a file of lines, whatever state it is in.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use thiserror::Error;

use super::frames::{Damage, Frames, ZSTD_MAGIC};
use super::line::{self, Wanted};
use super::record::ArchivalRecord;

/// Longest line that is read, in bytes; a longer one is skipped with an error, so that no input takes memory without bound.
pub const MAX_READ_LINE_LEN: usize = 1 << 20;

/// A text may begin with it.
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const READ_BUFFER_LEN: usize = 64 << 10;

/// Something in an archive that could not be read.
#[derive(Debug, Error)]
#[error("line {line} at byte {offset}: {fault}")]
pub struct ReadError {
    /// Number of the line, from 1.
    pub line: u64,
    /// Where the line starts, in bytes of decompressed text.
    pub offset: u64,
    /// What is wrong.
    pub fault: ReadFault,
}

/// What can be wrong with an archive. After [`ReadFault::Io`] there is nothing more to read; after the others reading goes on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadFault {
    /// The line is not the JSON of a record, or a value in it is not what it should be.
    #[error("not a record: {}", with_column_only(.0))]
    Malformed(serde_json::Error),
    /// The text ends inside the line: the file was cut.
    #[error("the file ends inside this line, after {len} bytes")]
    Cut {
        /// Bytes of the line that are there.
        len: usize,
    },
    /// The line is longer than [`MAX_READ_LINE_LEN`].
    #[error("longer than {MAX_READ_LINE_LEN} bytes, skipped")]
    TooLong,
    /// The compression is damaged: text is missing behind the beginning of this line. Reading goes on with the next
    /// frame that is whole; archives of this recorder have one for each 64 KiB of text at most, those of the Go original
    /// have one alone.
    #[error("{0}")]
    Damaged(Damage),
    /// The source could not be read.
    #[error("cannot read on: {0}")]
    Io(io::Error),
}

/// JSON errors name a line, too; as each line is parsed by itself, that is always 1 and would only mislead.
fn with_column_only(error: &serde_json::Error) -> String {
    error.to_string().replacen(" at line 1 column ", " at column ", 1)
}

/// Reads records from decompressed JSONL text.
///
/// As an iterator it yields one `Result` per line, the header line included. A bad line is an error value and the
/// iteration goes on behind it, behind damaged compression at the next frame that is whole; it ends after an I/O error, for there
/// is nothing behind it. Memory is bounded by the longest line
/// and, for a compressed file, by the window its frames ask for: 512 KiB at most in archives of this recorder, never over 128 MiB.
#[derive(Debug)]
pub struct ArchiveReader<R> {
    input: R,
    text: Vec<u8>,
    offset: u64,
    line: u64,
    wanted: Wanted,
    ended: bool,
}

/// Opens an archive: zstd or plain text, told by its first bytes and not by its name.
pub fn open(path: impl AsRef<Path>) -> io::Result<ArchiveReader<Box<dyn BufRead + Send>>> {
    ArchiveReader::sniff(File::open(path)?)
}

impl ArchiveReader<Box<dyn BufRead + Send>> {
    /// Reads zstd or plain text, told by the first bytes, from any source: a file, standard input, a member of a tar.
    pub fn sniff(source: impl Read + Send + 'static) -> io::Result<Self> {
        let (is_zstd, source) = peek(source)?;
        Ok(Self::new(if is_zstd { Box::new(Frames::new(source)?) } else { Box::new(source) }))
    }
}

impl<'a> ArchiveReader<Box<dyn BufRead + 'a>> {
    /// The same from a source that is borrowed, or belongs to one thread.
    pub fn sniff_local(source: impl Read + 'a) -> io::Result<Self> {
        let (is_zstd, source) = peek(source)?;
        Ok(Self::new(if is_zstd { Box::new(Frames::new(source)?) } else { Box::new(source) }))
    }
}

/// Whether a source is zstd, and all of it.
fn peek<R: Read>(source: R) -> io::Result<(bool, impl BufRead + use<R>)> {
    let mut source = BufReader::with_capacity(READ_BUFFER_LEN, source);
    // A pipe may deliver less than four bytes at first: read them before looking.
    let mut magic = Vec::with_capacity(ZSTD_MAGIC.len());
    source.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut magic)?;
    // Parallel compressors begin with a skippable frame, whose magic number has four bits to choose from.
    let is_skippable = matches!(magic[..], [0x50..=0x5f, 0x2a, 0x4d, 0x18]);
    // A file cut inside the magic number is a cut zstd file, too.
    let is_cut = !magic.is_empty() && ZSTD_MAGIC.starts_with(&magic);
    let mut start = magic;
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    let mut is_zstd = is_skippable || is_cut;
    if !is_zstd && !start.iter().all(is_text) {
        // Its first bytes are damaged: what it is, the next ones say.
        source.by_ref().take(READ_BUFFER_LEN as u64).read_to_end(&mut start)?;
        is_zstd = start.iter().filter(|byte| is_text(byte)).count() < start.len() / 4 * 3;
    }
    if start.starts_with(BYTE_ORDER_MARK) {
        start.drain(..BYTE_ORDER_MARK.len());
    }
    Ok((is_zstd, io::Cursor::new(start).chain(source)))
}

impl<R: BufRead> ArchiveReader<R> {
    /// Reads decompressed text from `input`.
    pub fn new(input: R) -> Self {
        Self { input, text: Vec::new(), offset: 0, line: 0, wanted: Wanted::All, ended: false }
    }

    /// Decodes only the attributes of these numbers, up to 63; all others are absent from the records, and
    /// take no time but to be passed over.
    ///
    /// ```
    /// use inetdiag::attribute::INET_DIAG_INFO;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/archives/loopback.00000.jsonl.zst");
    /// for record in inetdiag::open(path)?.only(&[INET_DIAG_INFO]) {
    ///     if let Some(cwnd) = record?.tcp_info().and_then(|info| info.snd_cwnd()) {
    ///         println!("{cwnd}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn only(self, attributes: &[u16]) -> Self {
        let bit = |&kind: &u16| 1u64.checked_shl(kind.into()).unwrap_or(0);
        let wanted = Wanted::Only(attributes.iter().map(bit).fold(0, |bits, bit| bits | bit));
        Self { wanted, ..self }
    }

    /// Bytes of decompressed text read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn fault_of(&mut self, error: io::Error) -> ReadFault {
        match error.downcast::<Damage>() {
            Ok(damage) => ReadFault::Damaged(damage),
            Err(error) => {
                self.ended = true;
                ReadFault::Io(error)
            }
        }
    }

    /// Reads the next line into `record`, reusing its memory; `None` at the end. After an error `record` must not be used.
    pub fn read(&mut self, record: &mut ArchivalRecord) -> Option<Result<(), ReadError>> {
        loop {
            if self.ended {
                return None;
            }
            let (offset, line) = (self.offset, self.line + 1);
            let fail = |fault| Some(Err(ReadError { line, offset, fault }));
            self.text.clear();
            // One byte more than is allowed, to tell a line of just that length from a longer one.
            let outcome = self.input.by_ref().take(MAX_READ_LINE_LEN as u64 + 1).read_until(b'\n', &mut self.text);
            self.offset += self.text.len() as u64;
            self.line = line;
            if let Err(error) = outcome {
                return fail(self.fault_of(error));
            }
            let whole = self.text.last() == Some(&b'\n');
            if !whole && self.text.len() > MAX_READ_LINE_LEN {
                return match self.input.skip_until(b'\n') {
                    Ok(skipped) => {
                        self.offset += skipped as u64;
                        fail(ReadFault::TooLong)
                    }
                    Err(error) => fail(self.fault_of(error)),
                };
            }
            if !whole {
                self.ended = true;
            }
            let text = self.text.trim_ascii();
            if text.is_empty() {
                continue;
            }
            return match line::parse(text, self.wanted, record) {
                Ok(()) => Some(Ok(())),
                Err(error) if !whole && error.is_eof() => fail(ReadFault::Cut { len: self.text.len() }),
                Err(error) => fail(ReadFault::Malformed(error)),
            };
        }
    }
}

impl<R: BufRead> Iterator for ArchiveReader<R> {
    type Item = Result<ArchivalRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = ArchivalRecord::default();
        Some(self.read(&mut record)?.map(|()| record))
    }
}
