//! The memory of a ring, which kernel and program share: each block belongs to one of them at a time.

use std::ffi::c_void;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{tpacket_block_desc, tpacket_hdr_v1};

/// Where a block has the word that says whose it is.
const STATUS: usize = offset_of!(tpacket_block_desc, hdr) + offset_of!(tpacket_hdr_v1, block_status);

/// The blocks of a ring, one behind the other.
#[derive(Debug)]
pub(in crate::capture) struct RingMemory {
    start: NonNull<u8>,
    block_size: usize,
    blocks: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and nothing else points to it.
unsafe impl Send for RingMemory {}

impl RingMemory {
    /// Maps the ring that the socket has. The memory stays valid when the socket is closed.
    pub(in crate::capture) fn map(socket: BorrowedFd<'_>, block_size: usize, blocks: usize) -> io::Result<Self> {
        assert!(block_size > STATUS && block_size.is_multiple_of(align_of::<AtomicU32>()), "options are checked");
        let len = block_size.checked_mul(blocks).ok_or(io::ErrorKind::InvalidInput)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory that is in use.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, protection, libc::MAP_SHARED, socket.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, block_size, blocks })
    }

    pub(in crate::capture) fn blocks(&self) -> usize {
        self.blocks
    }

    /// The bytes of a block, if it is ours. It stays ours until it is released, which cannot happen while the bytes
    /// are borrowed.
    pub(in crate::capture) fn block(&self, index: usize) -> Option<&[u8]> {
        // Acquire: what the kernel wrote into the block before it gave it to us is seen.
        if self.status(index).load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the block lies in the mapping, which lives as long as `self`, and is initialised by the kernel. The
        // kernel writes to no block that is ours, and we change only the status, with `&mut self`.
        Some(unsafe { slice::from_raw_parts(self.at(index).as_ptr(), self.block_size) })
    }

    /// Gives a block back to the kernel.
    pub(in crate::capture) fn release(&mut self, index: usize) {
        // Release: we have read what we wanted before the kernel writes to it again.
        self.status(index).store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }

    fn status(&self, index: usize) -> &AtomicU32 {
        // SAFETY: the word is inside the block (checked when mapping) and aligned, because blocks consist of pages.
        // The kernel, which may write it at the same time, writes it as a whole.
        unsafe { AtomicU32::from_ptr(self.at(index).add(STATUS).as_ptr().cast()) }
    }

    fn at(&self, index: usize) -> NonNull<u8> {
        assert!(index < self.blocks, "a block of this ring");
        // SAFETY: blocks 0 to `blocks` - 1 lie in the mapping.
        unsafe { self.start.add(index * self.block_size) }
    }
}

impl Drop for RingMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, has this length, and nothing borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast::<c_void>(), self.block_size * self.blocks) };
    }
}
