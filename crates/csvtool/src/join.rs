//! The files of one connection joined, whatever the order they come in, in memory that does not grow with their number.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use crate::inputs::{self, Input};

/// What one file tells of a connection.
pub trait Part {
    /// The connection; `None` if the file does not say.
    fn uuid(&self) -> Option<&str>;
    /// Number of the file among those of the connection.
    fn sequence(&self) -> i64;
    /// Adds what a later file tells.
    fn join(&mut self, later: Self);
}

/// How many files there are of the connections that have several, known by their names.
///
/// Most connections have one. Of those only a hash is looked up, and nothing is kept.
#[derive(Debug, Default)]
pub struct Names {
    hasher: RandomState,
    /// By connection: its files that are not the first.
    later: HashMap<u64, u64>,
}

impl Names {
    /// Looks at the names of all files that these paths name, not into them.
    pub fn of(paths: &[PathBuf]) -> Self {
        let mut this = Self::default();
        // Nothing ends it early.
        let _ = inputs::find(paths, |found| {
            if let Ok(Input::File(path)) = found
                && let Some((uuid, 1..)) = parts_of(&path)
            {
                *this.later.entry(this.hasher.hash_one(uuid)).or_default() += 1;
            }
            Ok::<_, ()>(())
        });
        this
    }

    fn later(&self, uuid: &str) -> Option<u64> {
        self.later.get(&self.hasher.hash_one(uuid)).copied()
    }
}

/// UUID and number in the name of an archive.
fn parts_of(path: &Path) -> Option<(&str, u64)> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".jsonl.zst").or_else(|| name.strip_suffix(".jsonl"))?;
    let (uuid, sequence) = stem.rsplit_once('.')?;
    Some((uuid, sequence.parse().ok()?))
}

/// The files of a connection that have come.
struct Held<T> {
    /// Where it came first, for the order of what is left in the end.
    number: u64,
    parts: Vec<T>,
}

/// Joins parts to connections.
pub struct Joiner<T> {
    names: Names,
    held: HashMap<String, Held<T>>,
    /// Connections that the file under way told of, in its order.
    here: Vec<String>,
    without_uuid: Vec<T>,
    count: u64,
}

impl<T: Part> Joiner<T> {
    /// Of files with these names.
    pub fn new(names: Names) -> Self {
        Self { names, held: HashMap::new(), here: Vec::new(), without_uuid: Vec::new(), count: 0 }
    }

    /// Takes a part that the file under way tells.
    pub fn take(&mut self, part: T) {
        let Some(uuid) = part.uuid() else {
            self.without_uuid.push(part);
            return;
        };
        if !self.here.iter().any(|here| here == uuid) {
            self.here.push(uuid.to_owned());
        }
        self.count += 1;
        let new = || Held { number: self.count, parts: Vec::new() };
        self.held.entry(uuid.to_owned()).or_insert_with(new).parts.push(part);
    }

    /// The file of this name has ended: hands on the connections of which no other file is left.
    ///
    /// By their names it is known of the files below a directory. An archive from elsewhere, as a member of a tar file, may
    /// have others; what it tells is held to the end.
    pub fn end(&mut self, archive: &str) -> Vec<T> {
        let mut whole = std::mem::take(&mut self.without_uuid);
        let named = parts_of(Path::new(archive)).map(|(uuid, _)| uuid.to_owned());
        for uuid in std::mem::take(&mut self.here) {
            let is_of_tree = !archive.contains(": ") && named.as_deref() == Some(&uuid);
            let missing = match self.names.later(&uuid) {
                _ if !is_of_tree => true,
                None => false,
                Some(later) => self.held.get(&uuid).is_some_and(|held| held.parts.len() as u64 <= later),
            };
            if !missing {
                whole.extend(self.held.remove(&uuid).and_then(joined));
            }
        }
        whole
    }

    /// There is no other file: hands on what is left, in the order it came.
    pub fn finish(&mut self) -> impl Iterator<Item = T> + use<T> {
        let left: BTreeMap<u64, Held<T>> = self.held.drain().map(|(_, held)| (held.number, held)).collect();
        left.into_values().filter_map(joined)
    }
}

fn joined<T: Part>(held: Held<T>) -> Option<T> {
    let mut parts = held.parts;
    parts.sort_by_key(Part::sequence);
    let mut parts = parts.into_iter();
    let first = parts.next()?;
    Some(parts.fold(first, |mut whole, part| {
        whole.join(part);
        whole
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Text(Option<&'static str>, i64, String);

    impl Part for Text {
        fn uuid(&self) -> Option<&str> {
            self.0
        }

        fn sequence(&self) -> i64 {
            self.1
        }

        fn join(&mut self, later: Self) {
            self.2 += &later.2;
        }
    }

    fn text(uuid: &'static str, sequence: i64) -> Text {
        Text(Some(uuid), sequence, sequence.to_string())
    }

    #[test]
    fn files_of_a_connection_are_joined_in_their_order_and_handed_on_with_the_last() {
        let directory = tempfile::tempdir().expect("a directory");
        let names = ["a.00000", "b.00000", "b.00001", "b.00003", "c.00002"];
        names.iter().for_each(|name| fs::write(directory.path().join(format!("{name}.jsonl")), "").expect("writes"));
        let mut joiner = Joiner::new(Names::of(&[directory.path().to_owned()]));
        let mut given = |uuid, sequence| {
            joiner.take(text(uuid, sequence));
            let given = joiner.end(&format!("x/{uuid}.{sequence:05}.jsonl"));
            given.into_iter().map(|text| text.2).collect::<Vec<_>>()
        };
        assert_eq!(given("a", 0), ["0"]);
        assert!(given("b", 3).is_empty() && given("b", 0).is_empty());
        assert_eq!(given("b", 1), ["013"]);
        // Its first file is not there; that it does not come is known in the end.
        assert!(given("c", 2).is_empty());
        assert_eq!(joiner.finish().map(|text| text.2).collect::<Vec<_>>(), ["2"]);
    }

    #[test]
    fn what_may_have_other_files_is_held_to_the_end_in_the_order_it_came() {
        let mut joiner = Joiner::new(Names::default());
        for (uuid, sequence) in [("z", 1), ("a", 0), ("z", 0)] {
            joiner.take(text(uuid, sequence));
            assert!(joiner.end(&format!("day.tgz: {uuid}.{sequence:05}.jsonl.zst")).is_empty());
        }
        joiner.take(Text(None, 0, "?".to_owned()));
        assert_eq!(joiner.end("standard input"), [Text(None, 0, "?".to_owned())]);
        assert_eq!(joiner.finish().map(|text| text.2).collect::<Vec<_>>(), ["01", "0"]);
    }
}
