//! How far it is, on standard error.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

const STYLE: &str = "{bar:30} {bytes} of {total_bytes}, {msg} archives, {bytes_per_sec}, {eta} left";

/// Bytes read of what there is to read, and archives.
#[derive(Debug, Default)]
pub struct Progress {
    read: AtomicU64,
    archives: AtomicU64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows nothing.
    pub fn hidden() -> Self {
        Self::default()
    }

    /// Shows a bar. How much there is to read is found out meanwhile: `sizes` says it of one input after the other.
    pub fn shown(sizes: impl FnOnce(&dyn Fn(u64)) + Send + 'static) -> Self {
        let style = ProgressStyle::with_template(STYLE).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style.progress_chars("=> "));
        let total = bar.clone();
        // It ends with the program, however much is left.
        thread::spawn(move || sizes(&|size| total.inc_length(size)));
        Self { bar: Some(bar), ..Self::default() }
    }

    /// A source of which the bytes count.
    pub fn counting<R: Read>(&self, source: R) -> Counting<'_, R> {
        Counting { source, read: &self.read }
    }

    /// Another archive was begun.
    pub fn begin(&self) {
        self.archives.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows how far it is.
    pub fn show(&self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.read.load(Ordering::Relaxed));
            bar.set_message(self.archives.load(Ordering::Relaxed).to_string());
        }
    }

    /// Shows it no more.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A source of which the bytes count.
#[derive(Debug)]
pub struct Counting<'a, R> {
    source: R,
    read: &'a AtomicU64,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_counts() {
        let progress = Progress::hidden();
        io::copy(&mut progress.counting(&b"12345"[..]), &mut io::sink()).expect("memory is read");
        progress.show();
        progress.end();
        assert_eq!(progress.read.load(Ordering::Relaxed), 5);
    }
}
