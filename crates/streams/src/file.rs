//! Capture files: pcap and pcapng, of either byte order and any resolution of time.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, LegacyPcapReader, PcapBlockOwned, PcapError, PcapNGReader};
use thiserror::Error;

use crate::packet::{Frame, Link};

const BUFFER_LEN: usize = 1 << 20;
/// No capture has larger blocks; a length beyond it is damage.
const LARGEST_BLOCK: usize = 16 << 20;
/// First bytes of a section header of pcapng.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const NANOSECONDS: u128 = 1_000_000_000;

/// Why a file cannot be read, or not to its end. What is before that has been read.
#[derive(Debug, Error)]
pub enum FileError {
    /// It is something else.
    #[error("neither pcap nor pcapng: tcpdump -w and dumpcap write such files")]
    NotACapture,
    /// It ends within a packet.
    #[error("cut at byte {at}: the packet there is not whole; what is before it was read")]
    Cut {
        /// Where that packet begins.
        at: u64,
    },
    /// It is damaged.
    #[error("damaged at byte {at}: what is there is no block of a capture file; what is before it was read")]
    Damaged {
        /// Where.
        at: u64,
    },
    /// It cannot be read.
    #[error("cannot read on at byte {at}: {error}")]
    Io {
        /// Where.
        at: u64,
        /// Why.
        error: io::Error,
    },
}

/// What was in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// Packets that were handed on.
    pub packets: u64,
    /// Packets of which the file does not say when they passed (simple packet blocks of pcapng); they are left out.
    pub untimed: u64,
    /// Packets of link layers that are not known.
    pub foreign: u64,
    /// The first such link layer, by its number in the list of LINKTYPE values.
    pub foreign_linktype: Option<u32>,
}

/// An interface of a capture: how its packets are to be read.
#[derive(Debug, Clone, Copy)]
struct Interface {
    linktype: u32,
    link: Option<Link>,
    /// Time units a second.
    resolution: u128,
    /// Seconds to be added.
    offset: i64,
}

/// Reads a capture, and hands on each packet.
pub fn read(input: impl Read, mut take: impl FnMut(&Frame<'_>)) -> (FileCounts, Result<(), FileError>) {
    let mut counts = FileCounts::default();
    let outcome = read_blocks(input, &mut counts, &mut take);
    (counts, outcome)
}

fn read_blocks(
    mut input: impl Read,
    counts: &mut FileCounts,
    take: &mut impl FnMut(&Frame<'_>),
) -> Result<(), FileError> {
    let mut start = Vec::with_capacity(PCAPNG.len());
    let first_read = input.by_ref().take(PCAPNG.len() as u64).read_to_end(&mut start);
    first_read.map_err(|error| FileError::Io { at: 0, error })?;
    let is_pcapng = start == PCAPNG;
    let error = Rc::default();
    let input = Input { input: io::Cursor::new(start).chain(input), error: Rc::clone(&error) };
    let io_error = |at| FileError::Io { at, error: error.take().unwrap_or_else(|| io::Error::other("unknown")) };
    let first = |error| match error {
        PcapError::ReadError => io_error(0),
        _ => FileError::NotACapture,
    };
    if is_pcapng {
        walk(PcapNGReader::new(BUFFER_LEN, input).map_err(first)?, io_error, counts, take)
    } else {
        walk(LegacyPcapReader::new(BUFFER_LEN, input).map_err(first)?, io_error, counts, take)
    }
}

/// What the parser needs to go on.
enum Want {
    More,
    Room,
}

fn walk(
    mut reader: impl PcapReaderIterator,
    io_error: impl Fn(u64) -> FileError,
    counts: &mut FileCounts,
    take: &mut impl FnMut(&Frame<'_>),
) -> Result<(), FileError> {
    let mut interfaces = Vec::new();
    let mut capacity = BUFFER_LEN;
    loop {
        let at = reader.consumed() as u64;
        let want = match reader.next() {
            Ok((len, block)) => {
                handle(&block, &mut interfaces, counts, take);
                reader.consume(len);
                continue;
            }
            Err(PcapError::Eof) => return Ok(()),
            Err(PcapError::Incomplete(_)) => Want::More,
            Err(PcapError::BufferTooSmall) if capacity < LARGEST_BLOCK => Want::Room,
            Err(PcapError::UnexpectedEof) => return Err(FileError::Cut { at }),
            Err(_) => return Err(FileError::Damaged { at }),
        };
        match want {
            Want::More if reader.reader_exhausted() => return Err(FileError::Cut { at }),
            Want::More => {}
            Want::Room => {
                capacity *= 2;
                reader.grow(capacity);
            }
        }
        reader.refill().map_err(|_| io_error(at))?;
    }
}

fn handle(
    block: &PcapBlockOwned<'_>,
    interfaces: &mut Vec<Interface>,
    counts: &mut FileCounts,
    take: &mut impl FnMut(&Frame<'_>),
) {
    let mut packet = |number: u32, interface: Option<&Interface>, time: u64, bytes: &[u8], wire_len: u32| {
        let link = interface.and_then(|interface| interface.link);
        let Some(link) = link else {
            counts.foreign += 1;
            counts.foreign_linktype = counts.foreign_linktype.or(interface.map(|interface| interface.linktype));
            return;
        };
        counts.packets += 1;
        take(&Frame { link, time, bytes, wire_len, gso_size: None, interface: number });
    };
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            let resolution = if header.is_nanosecond_precision() { NANOSECONDS } else { 1_000_000 };
            interfaces.push(Interface::new(header.network.0 as u32 & 0xffff, resolution, 0));
        }
        PcapBlockOwned::Legacy(block) => {
            let interface = interfaces.first();
            let time = interface.map_or(0, |interface| {
                interface.time(u128::from(block.ts_sec) * interface.resolution + u128::from(block.ts_usec))
            });
            packet(0, interface, time, block.data, block.origlen);
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => interfaces.clear(),
        PcapBlockOwned::NG(Block::InterfaceDescription(block)) => {
            // The highest bit says whether the unit is a power of 2 or of 10.
            let exponent = u32::from(block.if_tsresol & 0x7f);
            let base: u128 = if block.if_tsresol & 0x80 == 0 { 10 } else { 2 };
            let resolution = base.checked_pow(exponent).unwrap_or(u128::MAX);
            interfaces.push(Interface::new(block.linktype.0 as u32, resolution, block.if_tsoffset));
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
            let interface = interfaces.get(block.if_id as usize);
            let units = u128::from(block.ts_high) << 32 | u128::from(block.ts_low);
            let time = interface.map_or(0, |interface| interface.time(units));
            packet(block.if_id, interface, time, block.packet_data(), block.origlen);
        }
        // Without a time there is no delay, no rate, and no telling a late packet from one that was sent again.
        PcapBlockOwned::NG(Block::SimplePacket(_)) => counts.untimed += 1,
        PcapBlockOwned::NG(_) => {}
    }
}

impl Interface {
    fn new(linktype: u32, resolution: u128, offset: i64) -> Self {
        Self { linktype, link: Link::from_linktype(linktype), resolution, offset }
    }

    /// Nanoseconds since 1970 of a time in the units of the interface.
    fn time(&self, units: u128) -> u64 {
        let seconds = units / self.resolution;
        let rest = (units % self.resolution).checked_mul(NANOSECONDS).map_or(0, |rest| rest / self.resolution);
        let nanoseconds = (seconds * NANOSECONDS + rest) as i128 + i128::from(self.offset) * NANOSECONDS as i128;
        u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX)
    }
}

/// What the parser reads from: it keeps the error that the parser does not hand on, and fills buffers whole, for the parser
/// wants the first header in one piece.
struct Input<R> {
    input: R,
    error: Rc<RefCell<Option<io::Error>>>,
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut len = 0;
        while len < buffer.len() {
            match self.input.read(&mut buffer[len..]) {
                Ok(0) => break,
                Ok(some) => len += some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What came before it is handed on first.
                Err(_) if len > 0 => break,
                Err(error) => {
                    let kind = error.kind();
                    *self.error.borrow_mut() = Some(error);
                    return Err(kind.into());
                }
            }
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests;
