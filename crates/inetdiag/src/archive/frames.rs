//! Decompression that loses no more than what is damaged: one block at a time, and behind a damaged frame the next.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::ops::Range;

use thiserror::Error;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

pub(super) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Length of a block's header, and of what the decoder asks for beyond the end of a block.
const BLOCK_HEADER_LEN: usize = 3;
/// No block is longer, compressed or not.
const MAX_BLOCK_LEN: usize = 128 << 10;
/// Compressed bytes of a frame that are kept, to look for the next one among them: what is wrong with a frame may be the
/// length of a block, which then takes up to so much of what follows.
const KEPT_LEN: usize = 2 * MAX_BLOCK_LEN;
/// How often a byte may be given to the decoder, on average.
const MAX_DECODED: u64 = 8;
/// Bytes that are looked through at a time.
const SEARCH_LEN: usize = 64 << 10;

/// A place where a compressed file is damaged. It is read on behind it, from the next whole frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the compression is damaged near byte {at} of the file: {reason}")]
pub struct Damage {
    /// Where it was noticed, in bytes of the compressed file.
    pub at: u64,
    /// What the decoder said.
    pub reason: String,
}

/// The text of a sequence of zstd frames.
///
/// The decoder is never given more input than up to the end of a block: left to itself it decodes as many in one step as
/// there is room for, and if the last of them is damaged, the step fails and says nothing of those before it.
pub(super) struct Frames<R> {
    source: R,
    decoder: Option<Decoder<'static>>,
    /// Compressed bytes: those of a frame from `frame` on, given to the decoder up to `next`.
    bytes: Vec<u8>,
    frame: usize,
    next: usize,
    /// Bytes of the file before those.
    before: u64,
    /// Bytes that were given to the decoder, some of them more than once.
    fed: u64,
    /// Bytes that the decoder asked for.
    hint: usize,
    place: Place,
    text: Vec<u8>,
    /// What of the text has not been read yet.
    unread: Range<usize>,
    /// Text filled all the room there was: there may be more without more input.
    is_full: bool,
    /// Damage has been told, and no text has come since.
    is_told: bool,
}

const UNTIL_DROPPED: &str = "is there until this is dropped";

/// What is needed to decode, kept for the next archive that this thread reads: to make it takes longer than to read a
/// small archive.
struct Workspace {
    decoder: Decoder<'static>,
    text: Vec<u8>,
}

thread_local! {
    static SPARE: Cell<Option<Workspace>> = const { Cell::new(None) };
}

impl Workspace {
    fn take() -> io::Result<Self> {
        if let Some(spare) = SPARE.with(Cell::take) {
            return Ok(spare);
        }
        Ok(Self { decoder: Decoder::new()?, text: vec![0; MAX_BLOCK_LEN] })
    }

    fn keep(mut self) {
        if self.decoder.reinit().is_ok() {
            // A thread that ends keeps nothing.
            let _ = SPARE.try_with(|spare| spare.set(Some(self)));
        }
    }
}

impl<R> Drop for Frames<R> {
    fn drop(&mut self) {
        let text = std::mem::take(&mut self.text);
        // One that has read much may hold a large window.
        if let Some(decoder) = self.decoder.take().filter(|_| self.fed < KEPT_LEN as u64) {
            Workspace { decoder, text }.keep();
        }
    }
}

/// Where in the sequence it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Between,
    Inside,
    /// Behind damage: the next frame is to be found.
    Lost,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(source: R) -> io::Result<Self> {
        let Workspace { decoder, text } = Workspace::take()?;
        Ok(Self {
            source,
            decoder: Some(decoder),
            bytes: Vec::new(),
            frame: 0,
            next: 0,
            before: 0,
            fed: 0,
            hint: 0,
            place: Place::Between,
            text,
            unread: 0..0,
            is_full: false,
            is_told: false,
        })
    }

    /// Makes more text; none at the end of the file.
    fn decode(&mut self) -> io::Result<()> {
        while self.unread.is_empty() {
            if self.place == Place::Lost && !self.find_frame()? {
                return Ok(());
            }
            let fed = if self.is_full { 0 } else { self.feed()? };
            let outcome = match (fed, self.place) {
                (0, Place::Between) if !self.is_full => return Ok(()),
                (0, Place::Inside) if !self.is_full => Err(io::Error::other("it ends inside a frame")),
                _ => self.step(fed),
            };
            if let Err(error) = outcome {
                self.lose(&error)?;
            }
        }
        self.is_told = false;
        Ok(())
    }

    /// Takes what there is up to the end of a block, and returns how many bytes that are.
    fn feed(&mut self) -> io::Result<usize> {
        self.forget();
        // The decoder asks for the rest of a block and the header of the next one; what is no block is taken in two parts.
        let wanted = match self.hint.saturating_sub(BLOCK_HEADER_LEN) {
            0 => self.hint.max(1),
            // A frame that is to be skipped may say that it has 4 GiB.
            rest_of_block => rest_of_block.min(MAX_BLOCK_LEN),
        };
        let missing = (self.next + wanted).saturating_sub(self.bytes.len());
        if missing > 0 {
            self.source.by_ref().take(missing as u64).read_to_end(&mut self.bytes)?;
        }
        Ok(wanted.min(self.bytes.len() - self.next))
    }

    /// Decodes the next `len` bytes.
    fn step(&mut self, len: usize) -> io::Result<()> {
        let mut input = InBuffer::around(&self.bytes[self.next..self.next + len]);
        let mut output = OutBuffer::around(&mut self.text[..]);
        self.fed += len as u64;
        let decoder = self.decoder.as_mut().expect(UNTIL_DROPPED);
        self.hint = decoder.run(&mut input, &mut output)?;
        self.next += input.pos();
        self.unread = 0..output.pos();
        self.is_full = self.unread.len() == self.text.len();
        self.place = Place::Inside;
        if self.hint == 0 {
            decoder.reinit()?;
            (self.place, self.frame, self.is_full) = (Place::Between, self.next, false);
        }
        Ok(())
    }

    /// Takes note of damage. The error tells of it, once until there is text again.
    fn lose(&mut self, error: &io::Error) -> io::Result<()> {
        let damage = Damage { at: self.before + self.next as u64, reason: error.to_string() };
        // The next frame is looked for in this one, too; unless its bytes are made to be decoded again and again.
        let given = self.before + self.bytes.len() as u64;
        if self.fed < MAX_DECODED * given {
            self.next = (self.frame + 1).min(self.bytes.len());
        }
        (self.place, self.hint, self.is_full) = (Place::Lost, 0, false);
        self.decoder.as_mut().expect(UNTIL_DROPPED).reinit()?;
        let is_news = !std::mem::replace(&mut self.is_told, true);
        if is_news { Err(io::Error::new(io::ErrorKind::InvalidData, damage)) } else { Ok(()) }
    }

    /// Goes to where the next frame seems to begin, and says whether there is one.
    fn find_frame(&mut self) -> io::Result<bool> {
        loop {
            let found = self.bytes[self.next..].windows(ZSTD_MAGIC.len()).position(|bytes| bytes == ZSTD_MAGIC);
            // The last bytes may be the beginning of a magic number.
            let none = self.bytes.len().saturating_sub(ZSTD_MAGIC.len() - 1).max(self.next);
            self.next = found.map_or(none, |found| self.next + found);
            self.frame = self.next;
            if found.is_some() {
                self.place = Place::Inside;
                return Ok(true);
            }
            self.forget();
            if self.source.by_ref().take(SEARCH_LEN as u64).read_to_end(&mut self.bytes)? == 0 {
                return Ok(false);
            }
        }
    }

    /// Drops bytes that are not needed any more, many at a time.
    fn forget(&mut self) {
        self.frame = self.frame.max(self.next.saturating_sub(KEPT_LEN));
        if self.frame >= KEPT_LEN {
            self.bytes.drain(..self.frame);
            self.before += self.frame as u64;
            self.next -= self.frame;
            self.frame = 0;
        }
    }
}

impl<R: BufRead> BufRead for Frames<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.unread.is_empty() {
            self.decode()?;
        }
        Ok(&self.text[self.unread.clone()])
    }

    fn consume(&mut self, amount: usize) {
        self.unread.start = (self.unread.start + amount).min(self.unread.end);
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}
