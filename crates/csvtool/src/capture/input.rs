//! What is read: captures as they are, or compressed.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A file, or `-` for standard input, as it is called in messages.
pub fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// Opens it, and unpacks it if its first bytes say that it is compressed by gzip or zstd. `None`: it is empty.
pub fn open(path: &Path) -> io::Result<Option<Box<dyn Read>>> {
    if path == Path::new("-") { unpacked(io::stdin().lock()) } else { unpacked(File::open(path)?) }
}

fn unpacked(mut source: impl Read + 'static) -> io::Result<Option<Box<dyn Read>>> {
    let mut start = Vec::with_capacity(ZSTD.len());
    source.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start)?;
    let (is_gzip, is_zstd, is_empty) = (start.starts_with(&GZIP), start == ZSTD, start.is_empty());
    let whole = BufReader::new(Cursor::new(start).chain(source));
    Ok(match (is_gzip, is_zstd) {
        _ if is_empty => None,
        (true, _) => Some(Box::new(MultiGzDecoder::new(whole))),
        (_, true) => Some(Box::new(zstd::Decoder::with_buffer(whole)?)),
        _ => Some(Box::new(whole)),
    })
}
