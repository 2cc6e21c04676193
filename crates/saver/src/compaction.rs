//! Many small frames made few large ones, before a file gets its place.
//!
//! A connection that says little has a frame of a few records every ten seconds, and each begins anew: such a file takes
//! almost twice the room that it needs. The text of a whole file compresses as well as one stream does, and that costs a
//! microsecond a record, once.

use std::io::{Read, Write};

use crate::connection::OpenFile;
use crate::frame::{FRAME_SIZE, FrameEncoder};
use crate::spool::{DiskError, Spool};

/// Frames of this size gain too little.
const LARGE_ENOUGH: u64 = 128 << 10;

/// Whether writing the file anew makes it notably smaller.
pub(crate) fn is_worth_it(file: &OpenFile) -> bool {
    file.frames > 1 && file.raw / u64::from(file.frames) < LARGE_ENOUGH
}

/// Writes a file in progress anew, in frames of full size. `block` is memory to be used. If it fails, the file is as it was.
pub(crate) fn compact(
    spool: &Spool,
    name: &str,
    file: &mut OpenFile,
    frames: &mut FrameEncoder,
    block: &mut Vec<u8>,
) -> Result<(), DiskError> {
    let Some(partial) = &mut file.partial else { return Ok(()) };
    let (len, mut count) = (partial.len, 0);
    spool.rewrite(name, partial, |old, new| {
        // Behind what counts there may be what a failed attempt left.
        let mut text = zstd::Decoder::new(old.take(len))?;
        let mut written = 0;
        block.clear();
        loop {
            let wanted = FRAME_SIZE.saturating_sub(block.len()) as u64;
            let read = text.by_ref().take(wanted.max(1)).read_to_end(block)?;
            let lines = match block.iter().rposition(|&byte| byte == b'\n') {
                Some(last) => last + 1,
                None if read == 0 => return Ok(written),
                None => continue,
            };
            let frame = frames.encode(&block[..lines])?;
            new.write_all(frame)?;
            written += frame.len() as u64;
            count += 1;
            block.drain(..lines);
        }
    })?;
    file.frames = count;
    Ok(())
}
