//! One block of lines as one complete zstd frame.

use std::io;

use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

/// A block of lines becomes a frame when it has this size: larger ones compress no better, smaller ones do worse.
pub(crate) const FRAME_SIZE: usize = 256 << 10;

/// Compresses blocks of lines, reusing one context and one buffer.
pub(crate) struct FrameEncoder {
    compressor: Compressor<'static>,
    frame: Vec<u8>,
}

impl FrameEncoder {
    /// `level` is zstd's compression level.
    pub(crate) fn new(level: i32) -> io::Result<Self> {
        let mut compressor = Compressor::new(level)?;
        compressor.set_parameter(CParameter::ContentSizeFlag(false))?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self { compressor, frame: Vec::new() })
    }

    /// The frame that holds `lines`.
    pub(crate) fn encode(&mut self, lines: &[u8]) -> io::Result<&[u8]> {
        self.frame.clear();
        self.frame.reserve(compress_bound(lines.len()));
        self.compressor.compress_to_buffer(lines, &mut self.frame)?;
        Ok(&self.frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_declare_no_size_and_decode_one_after_the_other() {
        let mut encoder = FrameEncoder::new(1).expect("level exists");
        let first = encoder.encode(b"one\n").expect("compresses").to_vec();
        let second = encoder.encode(&b"two\n".repeat(20_000)).expect("compresses").to_vec();
        for frame in [&first, &second] {
            assert_eq!(zstd::zstd_safe::get_frame_content_size(frame).expect("a frame"), None);
        }
        let text = zstd::decode_all(&[first, second].concat()[..]).expect("two frames");
        assert_eq!(text.len(), 4 + 80_000);
    }
}
