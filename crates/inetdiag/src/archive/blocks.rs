//! Decompression one block at a time, so that a damaged block takes nothing with it that was whole.

use std::io;

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::WriteBuf;

/// Length of a block's header, and of what the decoder asks for beyond the end of a block.
const BLOCK_HEADER_LEN: usize = 3;

/// A decoder that is never given more input than up to the end of a block.
///
/// Left to itself it decodes as many blocks in one step as there is room for; if the last of them is damaged, the step
/// fails and says nothing of those before it.
pub(super) struct BlockDecoder {
    decoder: Decoder<'static>,
    /// Bytes that the decoder asked for.
    hint: usize,
}

impl BlockDecoder {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { decoder: Decoder::new()?, hint: 0 })
    }
}

impl Operation for BlockDecoder {
    fn run<C: WriteBuf + ?Sized>(
        &mut self,
        input: &mut InBuffer<'_>,
        output: &mut OutBuffer<'_, C>,
    ) -> io::Result<usize> {
        // It asks for the rest of a block and the header of the next one; what is no block is taken in two parts.
        let wanted = match self.hint.saturating_sub(BLOCK_HEADER_LEN) {
            0 => self.hint.max(1),
            rest_of_block => rest_of_block,
        };
        let left = &input.src[input.pos()..];
        let mut part = InBuffer::around(&left[..wanted.min(left.len())]);
        self.hint = self.decoder.run(&mut part, output)?;
        input.set_pos(input.pos() + part.pos());
        Ok(self.hint)
    }

    fn reinit(&mut self) -> io::Result<()> {
        self.hint = 0;
        self.decoder.reinit()
    }

    fn finish<C: WriteBuf + ?Sized>(
        &mut self,
        output: &mut OutBuffer<'_, C>,
        finished_frame: bool,
    ) -> io::Result<usize> {
        self.decoder.finish(output, finished_frame)
    }
}
