//! What was recorded, in a few words, at the end.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::metrics::Metrics;

/// What one run recorded and lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    output: PathBuf,
    duration: Duration,
    connections: u64,
    files: u64,
    records: u64,
    bytes: u64,
    records_lost: u64,
    overruns: u64,
    attributes_dropped: u64,
    failed_polls: u64,
    polls: u64,
    undecided: u64,
    lasts_lost: u64,
}

impl Summary {
    pub(crate) fn new(metrics: &Metrics, output: PathBuf, duration: Duration, lasts_lost: u64) -> Self {
        let archive = &metrics.archive;
        Self {
            output,
            duration,
            connections: archive.connections.get(),
            files: archive.files.get(),
            records: archive.records_written.get(),
            bytes: archive.file_bytes.get(),
            records_lost: saver::Counters::sum(&archive.records_lost),
            overruns: metrics.errors.with_label_values(&["destroy_overrun"]).get(),
            attributes_dropped: archive.attributes_dropped.get(),
            failed_polls: metrics.failed_polls.get(),
            polls: saver::Counters::sum(&metrics.polls),
            undecided: metrics.undecided.get(),
            lasts_lost,
        }
    }

    /// Whether records were taken that are not in the archive, or not one poll of many succeeded.
    pub fn has_failed(&self) -> bool {
        self.records_lost > 0 || (self.failed_polls > 0 && self.polls == 0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, files, records, bytes, .. } = self;
        let (seconds, output) = (self.duration.as_secs_f64(), self.output.display());
        write!(f, "recorded {connections} connections in {seconds:.1} s: ")?;
        write!(f, "{records} records in {files} files, {bytes} bytes, under {output}; ")?;
        let troubles = [
            (self.records_lost, "records lost"),
            (self.overruns, "times the kernel dropped destroy events"),
            (self.attributes_dropped, "attributes left out"),
            (self.failed_polls, "polls failed"),
            (self.undecided, "aborted connections left out, whose ends do not say what the filter asks for"),
            (self.lasts_lost, "last values of extended statistics lost"),
        ];
        let mut told = troubles.into_iter().filter(|(count, _)| *count > 0).peekable();
        if told.peek().is_none() {
            return f.write_str("nothing was lost");
        }
        let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
        f.write_str(&told.join(", "))
    }
}
