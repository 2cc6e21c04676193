//! How much memory a ring takes.

use std::time::Duration;

use libc::TPACKET_ALIGNMENT;

use super::sys::RingShape;

/// More is a slip of the hand.
const MAX_RING: u64 = 4 << 30;
/// The kernel takes no smaller frames: what it writes before each has to fit.
const MIN_FRAME: u32 = 128;
const MAX_RETIRE: Duration = Duration::from_secs(60);

/// How much memory a ring takes, and how long the kernel may keep packets to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOptions {
    /// Bytes of a block. Blocks are what kernel and program give each other.
    pub block_size: u32,
    /// Blocks of the ring.
    pub blocks: u32,
    /// Bytes of a frame. The kernel only checks it: it packs packets as closely as they fit.
    pub frame_size: u32,
    /// A block that is not full is given to the program after this time, in whole milliseconds.
    pub retire: Duration,
}

impl Default for RingOptions {
    /// 32 MiB.
    fn default() -> Self {
        Self { block_size: 256 << 10, blocks: 128, frame_size: 2048, retire: Duration::from_millis(100) }
    }
}

/// Options that do not make a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Not made of pages.
    #[error("the block size is {0} bytes, but must be a multiple of the page size of {1}")]
    BlockSize(u32, u32),
    /// Not made of what the kernel aligns to.
    #[error("the frame size is {0} bytes, but must be a multiple of {TPACKET_ALIGNMENT}, {MIN_FRAME} or more")]
    FrameSize(u32),
    /// Not made of frames.
    #[error("the block size is {block_size} bytes, but must be a multiple of the frame size of {frame_size}")]
    Frames {
        /// Bytes of a block.
        block_size: u32,
        /// Bytes of a frame.
        frame_size: u32,
    },
    /// No blocks.
    #[error("a ring needs at least one block")]
    NoBlocks,
    /// Absurdly large.
    #[error("{blocks} blocks of {block_size} bytes are more than 4 GiB; ask for fewer or smaller blocks")]
    TooLarge {
        /// Blocks that were asked for.
        blocks: u32,
        /// Bytes of each.
        block_size: u32,
    },
    /// Out of range.
    #[error("blocks are to be given up after {0:?}, but this must be from 1 ms to 60 s")]
    Retire(Duration),
}

impl RingOptions {
    /// Whether they make a ring, as far as that can be told without the kernel.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.shape().map(drop)
    }

    /// What the kernel is to be asked for.
    pub(super) fn shape(&self) -> Result<RingShape, OptionsError> {
        let &Self { block_size, blocks, frame_size, retire } = self;
        let page_size = rustix::param::page_size() as u32;
        if block_size == 0 || !block_size.is_multiple_of(page_size) {
            return Err(OptionsError::BlockSize(block_size, page_size));
        }
        if frame_size < MIN_FRAME || !(frame_size as usize).is_multiple_of(TPACKET_ALIGNMENT) {
            return Err(OptionsError::FrameSize(frame_size));
        }
        if !block_size.is_multiple_of(frame_size) {
            return Err(OptionsError::Frames { block_size, frame_size });
        }
        if blocks == 0 {
            return Err(OptionsError::NoBlocks);
        }
        if u64::from(block_size) * u64::from(blocks) > MAX_RING {
            return Err(OptionsError::TooLarge { blocks, block_size });
        }
        if retire < Duration::from_millis(1) || retire > MAX_RETIRE {
            return Err(OptionsError::Retire(retire));
        }
        Ok(RingShape { block_size, blocks, frame_size, retire_ms: retire.as_millis() as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_make_no_ring_are_refused_with_the_reason() {
        let good = RingOptions::default();
        assert!(good.shape().is_ok());
        let small =
            RingOptions { block_size: 4096, blocks: 1, frame_size: MIN_FRAME, retire: Duration::from_millis(1) };
        assert!(small.shape().is_ok());
        assert!(RingOptions { block_size: 1 << 30, blocks: 4, ..good }.shape().is_ok());
        for (options, reason) in [
            (RingOptions { block_size: 0, ..good }, "the block size is 0 bytes"),
            (RingOptions { block_size: 6144, ..good }, "multiple of the page size of 4096"),
            (RingOptions { frame_size: 0, ..good }, "the frame size is 0 bytes"),
            (RingOptions { frame_size: 112, ..good }, "128 or more"),
            (RingOptions { frame_size: 2056, ..good }, "multiple of 16"),
            (RingOptions { frame_size: 1536, ..good }, "multiple of the frame size of 1536"),
            (RingOptions { blocks: 0, ..good }, "at least one block"),
            (RingOptions { block_size: 1 << 30, blocks: 5, ..good }, "more than 4 GiB"),
            (RingOptions { blocks: u32::MAX, ..good }, "fewer or smaller blocks"),
            (RingOptions { retire: Duration::from_micros(999), ..good }, "from 1 ms"),
            (RingOptions { retire: Duration::from_secs(61), ..good }, "to 60 s"),
        ] {
            let error = options.shape().expect_err("makes no ring").to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
