//! The files of one connection joined, whatever the order they come in, in memory that does not grow with their number.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use inetdiag::is_archive_name;

use crate::convert::Name;
use crate::inputs::{self, Input};

/// What one file tells of a connection.
pub trait Part {
    /// The connection; `None` if the file does not say.
    fn uuid(&self) -> Option<&str>;
    /// Number of the file among those of the connection.
    fn sequence(&self) -> i64;
    /// Adds what a later file tells.
    fn join(&mut self, later: Self);
    /// Whether it tells more than another copy of the same file.
    fn is_more_than(&self, other: &Self) -> bool;
}

/// How many files there are of each connection, known by their names.
///
/// Most connections have one. Of those nothing is kept.
#[derive(Debug, Default)]
pub struct Names {
    hasher: RandomState,
    /// By connection.
    files: HashMap<u64, u32>,
    /// Standard input has no names.
    is_stream: bool,
}

impl Names {
    /// Looks at the names of all files that these paths name, and of members of tar files; not into them.
    pub fn of(paths: &[PathBuf]) -> Self {
        let hasher = RandomState::new();
        let mut hashes = Vec::new();
        let is_stream = each_name(paths, &mut |uuid| hashes.push(hasher.hash_one(uuid)));
        hashes.sort_unstable();
        let several = hashes.chunk_by(|one, other| one == other).filter(|files| files.len() > 1);
        let files = several.map(|files| (files[0], files.len() as u32)).collect();
        Self { hasher, files, is_stream }
    }

    /// Files of the connection; `None` if that cannot be known.
    fn files(&self, uuid: &str) -> Option<u32> {
        let counted = || self.files.get(&self.hasher.hash_one(uuid)).copied();
        (!self.is_stream).then(|| counted().unwrap_or(1))
    }
}

/// Hands on the connection in each name, and says whether there may be files without.
fn each_name(paths: &[PathBuf], visit: &mut dyn FnMut(&str)) -> bool {
    let mut is_stream = false;
    let mut name = |path: &Path| {
        if let Some((uuid, _)) = parts_of(path) {
            visit(uuid);
        }
    };
    // Nothing ends it early; what cannot be read is told when it is to be read.
    let _ = inputs::find(paths, |found| {
        match found {
            // It may be a tar file by its bytes: its members are not known yet.
            Ok(Input::File(path)) if !is_archive_name(&path) => is_stream = true,
            Ok(Input::File(path)) => name(&path),
            Ok(Input::Tar(path)) if path.is_file() => inputs::members(&path, &mut name),
            // What can be read once is not read for its names.
            Ok(Input::Tar(_) | Input::Stdin) => is_stream = true,
            Err(_) => {}
        }
        Ok::<_, ()>(())
    });
    is_stream
}

/// UUID and number in the name of an archive.
fn parts_of(path: &Path) -> Option<(&str, u64)> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".jsonl.zst").or_else(|| name.strip_suffix(".jsonl"))?;
    let (uuid, sequence) = stem.rsplit_once('.')?;
    Some((uuid, sequence.parse().ok()?))
}

/// What files of a connection have told.
struct Held<T> {
    /// Where it came first, for the order of what is left in the end.
    number: u64,
    /// Files that have come, and the last of them.
    files: u32,
    file: u64,
    /// By first SEQ: last SEQ, and what the files from the one to the other tell together.
    parts: BTreeMap<i64, (i64, T)>,
}

impl<T: Part> Held<T> {
    /// Adds what a file tells; what another of the same SEQ has told already is not told twice.
    fn add(&mut self, part: T) {
        let sequence = part.sequence();
        let before = self.parts.range_mut(..=sequence).next_back();
        let first = match before {
            // Of a copy that is damaged the whole one is wanted, if nothing has been added yet.
            Some((first, (last, copy))) if *last >= sequence => {
                if first == last && part.is_more_than(copy) {
                    *copy = part;
                }
                return;
            }
            Some((first, (last, whole))) if last.checked_add(1) == Some(sequence) => {
                whole.join(part);
                *last = sequence;
                *first
            }
            _ => {
                self.parts.insert(sequence, (sequence, part));
                sequence
            }
        };
        if let Some(next) = sequence.checked_add(1)
            && let Some((end, later)) = self.parts.remove(&next)
            && let Some((last, whole)) = self.parts.get_mut(&first)
        {
            whole.join(later);
            *last = end;
        }
    }

    fn joined(self) -> Option<T> {
        let mut parts = self.parts.into_values().map(|(_, part)| part);
        let first = parts.next()?;
        Some(parts.fold(first, |mut whole, part| {
            whole.join(part);
            whole
        }))
    }
}

/// Joins parts to connections.
pub struct Joiner<T> {
    names: Names,
    held: HashMap<String, Held<T>>,
    /// Connections that the file under way told of, in its order.
    here: Vec<String>,
    without_uuid: Vec<T>,
    file: u64,
    count: u64,
}

impl<T: Part> Joiner<T> {
    /// Of files with these names.
    pub fn new(names: Names) -> Self {
        Self { names, held: HashMap::new(), here: Vec::new(), without_uuid: Vec::new(), file: 1, count: 0 }
    }

    /// Takes a part that the file under way tells.
    pub fn take(&mut self, part: T) {
        let Some(uuid) = part.uuid().map(str::to_owned) else {
            self.without_uuid.push(part);
            return;
        };
        self.count += 1;
        let new = || Held { number: self.count, files: 0, file: 0, parts: BTreeMap::new() };
        let held = self.held.entry(uuid.clone()).or_insert_with(new);
        if held.file != self.file {
            held.file = self.file;
            held.files += 1;
            self.here.push(uuid);
        }
        held.add(part);
    }

    /// The file of this name has ended: hands on the connections of which no other file is left. A connection that does not
    /// have the name of the file may have others; what is told of it is held to the end.
    pub fn end(&mut self, archive: &Name) -> Vec<T> {
        self.file += 1;
        let mut whole = std::mem::take(&mut self.without_uuid);
        let named = parts_of(Path::new(&archive.path)).map(|(uuid, _)| uuid);
        for uuid in std::mem::take(&mut self.here) {
            let files = self.names.files(&uuid).filter(|_| named == Some(&uuid));
            let is_whole = |held: &Held<T>| files.is_some_and(|files| held.files >= files);
            if self.held.get(&uuid).is_some_and(is_whole) {
                whole.extend(self.held.remove(&uuid).and_then(Held::joined));
            }
        }
        whole
    }

    /// There is no other file: hands on what is left, in the order it came.
    pub fn finish(&mut self) -> impl Iterator<Item = T> + use<T> {
        let left: BTreeMap<u64, Held<T>> = self.held.drain().map(|(_, held)| (held.number, held)).collect();
        left.into_values().filter_map(Held::joined)
    }
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

        fn is_more_than(&self, other: &Self) -> bool {
            self.2.len() > other.2.len()
        }
    }

    fn text(uuid: &'static str, sequence: i64) -> Text {
        Text(Some(uuid), sequence, sequence.to_string())
    }

    /// What is told when files of these names come in this order, and in the end.
    fn told(names: Names, files: &[(&'static str, i64)]) -> (Vec<String>, Vec<String>) {
        let mut joiner = Joiner::new(names);
        let mut whole = Vec::new();
        for (uuid, sequence) in files {
            joiner.take(text(uuid, *sequence));
            whole.extend(joiner.end(&Name::file(format!("x/{uuid}.{sequence:05}.jsonl"))));
        }
        let texts =
            |parts: Vec<Text>| parts.into_iter().map(|text| text.0.unwrap_or("?").to_owned() + &text.2).collect();
        (texts(whole), texts(joiner.finish().collect()))
    }

    #[test]
    fn files_of_a_connection_are_joined_in_their_order_and_handed_on_with_the_last() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = [("a", 0), ("b", 3), ("b", 0), ("c", 7), ("b", 1), ("d", 1), ("d", 2)];
        let write = |(uuid, sequence): &(&str, i64)| {
            fs::write(directory.path().join(format!("{uuid}.{sequence:05}.jsonl")), "").expect("writes");
        };
        files.iter().for_each(write);
        let names = || Names::of(&[directory.path().to_owned()]);
        let whole = ["a0", "c7", "b013", "d12"].map(str::to_owned).to_vec();
        assert_eq!(told(names(), &files), (whole, vec![]));
        // One that cannot be read is missed in the end.
        assert_eq!(told(names(), &[("b", 0), ("b", 3), ("a", 0)]), (vec!["a0".to_owned()], vec!["b03".to_owned()]));
    }

    #[test]
    fn a_file_that_is_named_twice_counts_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.00000.jsonl");
        fs::write(&file, "").expect("writes");
        let copy = directory.path().join("copy");
        fs::create_dir(&copy).expect("is made");
        for paths in [vec![file.clone(), file.clone()], vec![directory.path().to_owned(), file.clone()]] {
            assert_eq!(told(Names::of(&paths), &[("a", 0), ("a", 0)]), (vec!["a0".to_owned()], vec![]));
        }
        fs::copy(&file, copy.join("a.00000.jsonl")).expect("copies");
        let within = Names::of(&[directory.path().to_owned()]);
        assert_eq!(told(within, &[("a", 0), ("a", 0)]), (vec!["a0".to_owned()], vec![]));
        assert_eq!(told(Names::default(), &[("a", i64::MAX)]).0.len(), 1);
    }

    #[test]
    fn what_may_have_other_files_is_held_to_the_end_in_the_order_it_came() {
        let stream = || Names::of(&[PathBuf::from("-")]);
        let files = [("z", 1), ("a", 0), ("z", 0)];
        assert_eq!(told(stream(), &files), (vec![], ["z01", "a0"].map(str::to_owned).to_vec()));
        let mut joiner = Joiner::new(stream());
        joiner.take(Text(None, 0, "?".to_owned()));
        assert_eq!(joiner.end(&Name::file("standard input")), [Text(None, 0, "?".to_owned())]);
    }
}
