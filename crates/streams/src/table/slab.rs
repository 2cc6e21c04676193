//! Connections by number. They are never moved: more of them are another piece of memory.

use crate::analysis::Connection;

/// Connections in one piece of memory.
const CHUNK: usize = 256;

/// Connections that are there, and room for more.
#[derive(Debug, Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Option<Connection>>>,
    free: Vec<u32>,
    len: usize,
}

impl Slab {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Numbers that are given out lie below this.
    pub(super) fn end(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    pub(super) fn insert(&mut self, connection: Connection) -> u32 {
        self.len += 1;
        if let Some(number) = self.free.pop() {
            if let Some(place) = self.place(number) {
                *place = Some(connection);
            }
            return number;
        }
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(last) = self.chunks.last_mut() {
            last.push(Some(connection));
        }
        (self.end() - 1) as u32
    }

    pub(super) fn get(&self, number: u32) -> Option<&Connection> {
        self.chunks.get(number as usize / CHUNK)?.get(number as usize % CHUNK)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Connection> {
        self.place(number)?.as_mut()
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Connection> {
        let removed = self.place(number)?.take()?;
        self.len -= 1;
        self.free.push(number);
        Some(removed)
    }

    fn place(&mut self, number: u32) -> Option<&mut Option<Connection>> {
        self.chunks.get_mut(number as usize / CHUNK)?.get_mut(number as usize % CHUNK)
    }
}
