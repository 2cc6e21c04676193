//! A dump compared with what `ss` printed of the same sockets.

use std::collections::{BTreeMap, BTreeSet};

use inetdiag::Snapshot;

use super::ss::{self, Difference, SsSocket};

/// While these are equal, no packet came or went between dump and text, and nobody read or wrote.
const ANCHORS: [&str; 9] =
    ["state", "recv-q", "send-q", "segs_in", "segs_out", "bytes_sent", "bytes_acked", "bytes_received", "retrans"];
/// Fields that advance with the clock while there is something to send.
const BUSY: [&str; 3] = ["busy", "rwnd_limited", "sndbuf_limited"];

/// What a comparison showed, in numbers of sockets.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// In the text of `ss`.
    pub(crate) printed: usize,
    /// Of those, in the dump too: same addresses and ports, same cookie.
    pub(crate) common: usize,
    /// Of those, every field equal, elapsed times included.
    pub(crate) equal: usize,
    /// Of those in common, every field equal but elapsed times, for dump and text are of different moments.
    pub(crate) later: usize,
    /// Of those in common, something was sent, received, read or written in between: not comparable.
    pub(crate) moved: usize,
    /// Sockets at rest that differ: decoded wrongly by either.
    pub(crate) wrong: Vec<String>,
}

impl Comparison {
    /// Sockets of which every field that can be compared was found equal.
    pub(crate) fn comparable(&self) -> usize {
        self.equal + self.later
    }
}

/// A dump's sockets by cookie and inode, with the addresses that `ss` should print of them.
fn addresses(snapshots: &[Snapshot]) -> BTreeMap<(String, String), (String, String)> {
    let ids = snapshots.iter().filter_map(|snapshot| {
        let mut fields = ss::expected_fields(snapshot);
        let (cookie, inode) = (fields.remove("sk")?, fields.remove("ino")?);
        (inode != "0").then(|| ((cookie, inode), ss::key(snapshot)))
    });
    ids.collect()
}

/// Compares each socket that `ss` printed with the closest snapshot of it; a capture may hold several dumps.
pub(crate) fn compare(snapshots: &[Snapshot], text: &str) -> Comparison {
    let sockets = ss::parse(text);
    let printed = ss::printed_fields(&sockets);
    let mut by_key: BTreeMap<_, Vec<&Snapshot>> = BTreeMap::new();
    for snapshot in snapshots {
        by_key.entry(ss::key(snapshot)).or_default().push(snapshot);
    }
    let addresses = addresses(snapshots);
    let mut result = Comparison { printed: sockets.len(), ..Comparison::default() };
    for socket in &sockets {
        let of_key = by_key.get(&(socket.local.clone(), socket.peer.clone()));
        let candidates = of_key.into_iter().flatten().filter_map(|snapshot| differences(socket, snapshot, &printed));
        let Some(closest) = candidates.min_by_key(Vec::len) else {
            // Not in the dump, unless cookie and inode say that it is, under another name.
            let id = (socket.fields["sk"].clone(), socket.fields["ino"].clone());
            if let Some(ours) = addresses.get(&id) {
                result.wrong.push(format!("{} {}: {ours:?}", socket.local, socket.peer));
            }
            continue;
        };
        result.common += 1;
        let has = |names: &[&str]| closest.iter().any(|difference| names.contains(&difference.field.as_str()));
        let is_busy = socket.fields["send-q"] != "0";
        let is_clock = |field: &str| ss::ELAPSED.contains(&field) || is_busy && BUSY.contains(&field);
        if closest.is_empty() {
            result.equal += 1;
        } else if has(&ANCHORS) {
            result.moved += 1;
        } else if closest.iter().all(|difference| is_clock(&difference.field)) {
            result.later += 1;
        } else {
            result.wrong.push(format!("{} {}: {closest:?}", socket.local, socket.peer));
        }
    }
    result
}

/// The differences, or `None` where the cookie says that it is another socket.
fn differences(socket: &SsSocket, snapshot: &Snapshot, printed: &BTreeSet<String>) -> Option<Vec<Difference>> {
    let ours = ss::expected_fields(snapshot);
    (socket.fields.get("sk") == ours.get("sk")).then(|| ss::differences(socket, &ours, printed))
}
