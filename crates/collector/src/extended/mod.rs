//! Extended statistics (RFC 4898): BPF programs that count with each socket, beside the recording.
//!
//! Polls bring the value of each socket along with the rest. The last value comes through a ring of its own when the socket
//! closes, which is before its destroy event: so it is there when the final record is made, and goes with it.

mod counters;
mod lasts;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use estats::{Estats, HookStatus, LoadError, Options, Status};
use inetdiag::Message;
use inetdiag::attribute::INET_DIAG_SK_BPF_STORAGES;

pub use counters::Counters;
use lasts::Lasts;
use netlink_packet_core::{DefaultNla, Emitable};
use prometheus::IntCounter;
use rustix::thread::CapabilitySet;

use crate::cli::ExtendedStatistics;
use crate::host::give_up;

/// The ring holds the last values of some 15,000 sockets: so often it is emptied at least.
const DRAIN_EVERY: Duration = Duration::from_millis(50);

/// The programs, and the last values of sockets whose destroy event has not come.
pub struct Extended {
    programs: Estats,
    lasts: Lasts,
    drained: Instant,
    lost: u64,
    counters: Counters,
    /// A message, made longer.
    buffer: Vec<u8>,
}

impl Extended {
    /// Loads the programs, and says of each hook what became of it, here and in the log. Where they cannot be loaded, there are
    /// none: whoever asked goes on without.
    pub fn start(asked: ExtendedStatistics, counters: Counters) -> (Option<Self>, BTreeMap<String, String>) {
        let gauges = counters.clone();
        let options = Options { full: asked == ExtendedStatistics::Full };
        let (extended, statuses) = match Self::load(options, counters) {
            Ok((extended, statuses)) => {
                if let Err(error) = give_up(CapabilitySet::PERFMON) {
                    tracing::warn!(%error, "CAP_PERFMON, which is of no more use, cannot be given up");
                }
                (Some(extended), statuses)
            }
            Err(error) => {
                tracing::warn!("without extended statistics: {error}");
                (None, error.hooks(options))
            }
        };
        for status in statuses.iter().filter(|it| it.status != Status::NotAskedFor) {
            gauges.hook(status);
        }
        (extended, statuses.iter().map(|it| (it.hook.name().to_owned(), it.status.to_string())).collect())
    }

    /// Loads the programs, and takes in the sockets that are open.
    fn load(options: Options, counters: Counters) -> Result<(Self, Vec<HookStatus>), LoadError> {
        let (mut programs, statuses) = Estats::load(options)?;
        for status in &statuses {
            tracing::info!("extended statistics: {status}");
        }
        match programs.adopt() {
            Ok(sockets) => tracing::info!(sockets, "extended statistics of these sockets are from now on only"),
            Err(error) => {
                tracing::warn!(%error, "sockets that are open have no extended statistics");
            }
        }
        let (lasts, drained) = (Lasts::default(), Instant::now());
        Ok((Self { programs, lasts, drained, lost: 0, counters, buffer: Vec::new() }, statuses))
    }

    /// What a dump has to ask for, behind its request, to get values.
    pub fn request(&self) -> [u8; 12] {
        estats::request::storages(self.programs.map_fd())
    }

    /// Counts last values that are lost.
    pub fn lost(&self) -> IntCounter {
        self.counters.lost.clone()
    }

    /// When to [`drain`](Self::drain) again at the latest.
    pub fn drain_again_at(&self) -> Instant {
        self.drained + DRAIN_EVERY
    }

    /// Takes the last values of sockets that have closed since the last call, and forgets those that nobody asks for.
    pub fn drain(&mut self, now: Instant) {
        self.drained = now;
        self.take_lasts(now);
        self.counters.unmatched.inc_by(self.lasts.forget_old(now));
        match self.programs.lost() {
            Ok(lost) => {
                let new = lost.saturating_sub(std::mem::replace(&mut self.lost, lost));
                self.counters.lost.inc_by(new);
                if new > 0 {
                    tracing::error!(lost = new, "last values of extended statistics are lost: the ring was full");
                }
            }
            Err(error) => tracing::warn!(%error, "it is not known whether last values were lost"),
        }
    }

    /// The message of a destroy event with the last value of its socket, as a poll would have it; as it is, if there is none.
    pub fn complete<'m>(&'m mut self, message: Message<'m>) -> Message<'m> {
        // The value was there before the event.
        self.take_lasts(Instant::now());
        let Some(value) = self.lasts.take(message.cookie()) else { return message };
        with_attribute(message, &storage(&value), &mut self.buffer)
    }

    fn take_lasts(&mut self, now: Instant) {
        let (lasts, counters) = (&mut self.lasts, &self.counters);
        self.programs.drain(|last| {
            counters.last(last.value().as_ref());
            counters.unmatched.inc_by(lasts.put(last.cookie, last.bytes, now));
        });
    }
}

impl fmt::Debug for Extended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extended").field("programs", &self.programs).field("lasts", &self.lasts).finish_non_exhaustive()
    }
}

/// The values that a message has, as an attribute. What the kernel says of a single socket has none: who asks for one after
/// a poll keeps them from there.
pub fn values(message: &Message<'_>) -> Option<Vec<u8>> {
    let values = message.attribute(INET_DIAG_SK_BPF_STORAGES)?;
    Some(attribute(INET_DIAG_SK_BPF_STORAGES, values.payload))
}

/// The message with this attribute behind it, made in `buffer`.
pub fn with_attribute<'m>(message: Message<'m>, attribute: &[u8], buffer: &'m mut Vec<u8>) -> Message<'m> {
    buffer.clear();
    buffer.extend_from_slice(message.as_bytes());
    buffer.extend_from_slice(attribute);
    Message::new(buffer).unwrap_or(message)
}

/// `INET_DIAG_SK_BPF_STORAGES` with one value, as the kernel has it, but of no map.
fn storage(value: &[u8]) -> Vec<u8> {
    const STORAGE: u16 = 1;
    const MAP_ID: u16 = 2;
    const MAP_VALUE: u16 = 3;
    let fields = [attribute(MAP_ID, &[0; 4]), attribute(MAP_VALUE, value)].concat();
    attribute(INET_DIAG_SK_BPF_STORAGES, &attribute(STORAGE, &fields))
}

/// A netlink attribute.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let attribute = DefaultNla::new(kind, payload.to_vec());
    let mut bytes = vec![0; attribute.buffer_len()];
    attribute.emit(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use inetdiag::{InetDiagMsg, Snapshot};
    use zerocopy::{FromZeros, IntoBytes};

    use super::*;

    #[test]
    fn a_storage_is_what_a_poll_would_have() {
        let mut bytes = InetDiagMsg::new_zeroed().as_bytes().to_vec();
        bytes.extend_from_slice(&storage(&[7; 13]));
        let snapshot = Snapshot::of_message(Message::new(&bytes).expect("a message"));
        let [storage] = &snapshot.sk_bpf_storages[..] else { panic!("{snapshot:?}") };
        assert_eq!((storage.map_id, &storage.value[..]), (0, &[7; 13][..]));
        assert_eq!((snapshot.malformed, bytes.len() % 4), (vec![], 0));
    }
}
