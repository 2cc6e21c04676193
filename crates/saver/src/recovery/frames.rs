//! The sound frames of a file in whatever state, those behind damage included.
//!
//! The file is read as a stream, and no more is kept of it than a window and a line, whatever it decodes to.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use inetdiag::ArchiveReader;
use zstd::Decoder;

use crate::frame::FRAME_SIZE;

/// What each frame begins with, as a number whose highest byte comes first.
const MAGIC: u32 = 0x28B5_2FFD;
/// In the byte behind the magic number: the frame ends with a checksum.
const HAS_CHECKSUM: u8 = 0b100;
/// Windows of 8 MiB; the recorder's own frames need 512 KiB.
const WINDOW_LOG_MAX: u32 = 23;
/// What looks like a frame behind damage is decoded up to here, four times what the recorder puts into one. Else a small
/// file could hold thousands of beginnings that each decode to gigabytes before they turn out to be none.
const TEXT_BEHIND_DAMAGE: u64 = 4 * FRAME_SIZE as u64;
/// Bytes read or decoded from one question whether to go on to the next.
const ASKED_EVERY: u64 = 256 << 10;
const BUFFER_LEN: usize = 64 << 10;

/// Why a file was not read to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The daemon is to end.
    NotNow,
    /// The disk, or what is on it.
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A frame that is sound: decodable, checksum included, and ending with a line.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Whether its first line is a header line.
    pub(super) has_header: bool,
    pub(super) first_record: Option<FirstRecord>,
}

impl Frame {
    pub(super) fn len(&self) -> u64 {
        self.end - self.start
    }
}

/// What is asked of the first record of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstRecord {
    pub(super) day: NaiveDate,
    pub(super) cookie: u64,
    pub(super) frame_start: u64,
}

/// Reads one frame after the other.
pub(super) struct Frames<'a> {
    source: Source<'a>,
    behind_damage: bool,
}

impl<'a> Frames<'a> {
    pub(super) fn open(path: &Path, go_on: &'a dyn Fn() -> bool) -> io::Result<Self> {
        let file = BufReader::with_capacity(BUFFER_LEN, File::open(path)?);
        Ok(Self { source: Source { file, at: 0, unasked: 0, go_on, stop: None }, behind_damage: false })
    }

    /// The next sound frame. Where there is none, it is searched for.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Stop> {
        let mut start = self.source.at;
        loop {
            if let Some(frame) = self.frame_at(start)? {
                return Ok(Some(frame));
            }
            self.behind_damage = true;
            self.source.go_to(start + 1)?;
            match self.source.find_magic() {
                Ok(Some(found)) => start = found,
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.source.why(error)),
            }
        }
    }

    /// Copies a frame just as it is.
    pub(super) fn copy(&mut self, frame: &Frame, to: &mut File) -> Result<(), Stop> {
        self.source.go_to(frame.start)?;
        match io::copy(&mut self.source.by_ref().take(frame.len()), to) {
            Ok(copied) if copied == frame.len() => Ok(()),
            Ok(_) => Err(Stop::Failed(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(self.source.why(error)),
        }
    }

    fn frame_at(&mut self, start: u64) -> Result<Option<Frame>, Stop> {
        if !self.source.has_frame_header(start)? {
            return Ok(None);
        }
        self.source.go_to(start)?;
        let limit = if self.behind_damage { TEXT_BEHIND_DAMAGE } else { u64::MAX };
        let mut text = Text::new(&mut self.source, limit)?;
        let mut frame = Frame { start, end: start, has_header: false, first_record: None };
        let lines = ArchiveReader::new(BufReader::with_capacity(BUFFER_LEN, &mut text));
        for (number, line) in lines.enumerate() {
            let Ok(line) = line else { continue };
            frame.has_header |= number == 0 && line.metadata.is_some();
            if let Some(header) = line.raw_idm {
                let day = DateTime::<Utc>::from(line.timestamp).date_naive();
                frame.first_record = Some(FirstRecord { day, cookie: header.id.cookie(), frame_start: start });
                break;
            }
        }
        let is_sound = text.ends_soundly();
        if let Some(stop) = self.source.stop.take() {
            return Err(stop);
        }
        frame.end = self.source.at;
        Ok(is_sound.then_some(frame))
    }
}

/// The text of one frame.
struct Text<'a, 'b> {
    decoder: Decoder<'static, &'b mut Source<'a>>,
    /// How much more there may be.
    left: u64,
    last: Option<u8>,
    has_failed: bool,
}

impl<'a, 'b> Text<'a, 'b> {
    fn new(source: &'b mut Source<'a>, limit: u64) -> io::Result<Self> {
        let mut decoder = Decoder::with_buffer(source)?.single_frame();
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(Self { decoder, left: limit, last: None, has_failed: false })
    }

    /// Decodes what is left.
    fn ends_soundly(mut self) -> bool {
        io::copy(&mut self, &mut io::sink()).is_ok() && !self.has_failed && self.last == Some(b'\n')
    }

    fn decode(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.decoder.read(out)?;
        self.decoder.get_mut().count(len)?;
        self.left = self.left.checked_sub(len as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.last = out[..len].last().copied().or(self.last);
        Ok(len)
    }
}

impl Read for Text<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // A decoder that has failed must not be asked again.
        if self.has_failed {
            return Ok(0);
        }
        self.decode(out).inspect_err(|_| self.has_failed = true)
    }
}

/// The bytes of the file.
struct Source<'a> {
    file: BufReader<File>,
    /// Where the next byte is.
    at: u64,
    /// Bytes since `go_on` was asked.
    unasked: u64,
    go_on: &'a dyn Fn() -> bool,
    /// Why it gives no more bytes. What decodes them would take that for damage.
    stop: Option<Stop>,
}

impl Source<'_> {
    fn go_to(&mut self, at: u64) -> io::Result<()> {
        self.file.seek_relative(at.wrapping_sub(self.at).cast_signed())?;
        self.at = at;
        Ok(())
    }

    fn has_frame_header(&self, at: u64) -> io::Result<bool> {
        let mut start = [0; 5];
        match self.file.get_ref().read_exact_at(&mut start, at) {
            Ok(()) => Ok(start.starts_with(&MAGIC.to_be_bytes()) && start[4] & HAS_CHECKSUM != 0),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where the next magic number is.
    fn find_magic(&mut self) -> io::Result<Option<u64>> {
        let mut last_four = 0;
        loop {
            let at = self.at;
            let bytes = self.fill_buf()?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let ends_magic = |&byte: &u8| {
                last_four = last_four << 8 | u32::from(byte);
                last_four == MAGIC
            };
            if let Some(last) = bytes.iter().position(ends_magic) {
                return Ok(Some(at + last as u64 + 1 - size_of_val(&MAGIC) as u64));
            }
            let len = bytes.len();
            self.consume(len);
        }
    }

    /// Counts work, and asks whether to go on when it was enough.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.unasked += bytes as u64;
        if self.unasked >= ASKED_EVERY {
            if !(self.go_on)() {
                self.stop = Some(Stop::NotNow);
                return Err(io::Error::other("the daemon is to end"));
            }
            self.unasked = 0;
        }
        Ok(())
    }

    /// The cause of an error that came out of reading.
    fn why(&mut self, error: io::Error) -> Stop {
        self.stop.take().unwrap_or(Stop::Failed(error))
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.count(0)?;
        self.file.fill_buf().map_err(|error| {
            let kind = error.kind();
            self.stop = Some(Stop::Failed(error));
            kind.into()
        })
    }

    fn consume(&mut self, len: usize) {
        self.file.consume(len);
        self.at += len as u64;
        self.unasked += len as u64;
    }
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(out)?;
        self.consume(len);
        Ok(len)
    }
}
