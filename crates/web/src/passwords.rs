//! Who may ask: names and passwords, as bcrypt hashes.
//!
//! A hash takes tens of milliseconds to compute. So one is computed at a time, and what came of the last ones is known.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Right ones that are known, and wrong ones.
const MOST_KNOWN: usize = 100;
/// Clients that may wait for a hash of theirs.
const MOST_WAITING: usize = 32;
/// Of no password. It is compared with where the name is unknown, so that it takes as long.
const HASH_OF_NOBODY: &str = "$2b$10$HBN7qZQoUV88hP8bwzUuWe5nlPoyyiDarn7pZk.FpP9B0OV5WRLfi";

type Digest = [u8; SHA256_OUTPUT_LEN];

/// Hashes by name.
#[derive(Debug)]
pub(crate) struct Passwords {
    hashes: BTreeMap<String, String>,
    known: Mutex<Known>,
    /// One hash is computed at a time.
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// What came of the last ones, by SHA-256 of what the client sent. Wrong ones do not drive out right ones.
#[derive(Debug, Default)]
struct Known {
    right: HashSet<Digest>,
    wrong: HashSet<Digest>,
}

/// Whether a client is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Granted,
    Refused,
    /// Too many wait to be told.
    Busy,
}

impl Default for Passwords {
    fn default() -> Self {
        let (turn, waiting) = (Arc::new(Semaphore::new(1)), AtomicUsize::new(0));
        Self { hashes: BTreeMap::new(), known: Mutex::default(), turn, waiting }
    }
}

impl Passwords {
    /// An error names a user whose hash is none of bcrypt.
    pub(crate) fn new(hashes: BTreeMap<String, String>) -> Result<Self, String> {
        for (user, hash) in &hashes {
            hash.parse::<bcrypt::HashParts>().map_err(|_| format!("the password of {user:?} is no bcrypt hash"))?;
        }
        Ok(Self { hashes, ..Self::default() })
    }

    /// Whether nobody needs one.
    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether this is the value of an `Authorization` header that lets in. At once if it is known; else when it is its
    /// turn. Nobody waits for a client that has gone.
    pub(crate) async fn admit(self: &Arc<Self>, authorization: Vec<u8>) -> Admission {
        let mut sent = Digest::default();
        sent.copy_from_slice(digest(&SHA256, &authorization).as_ref());
        if let Some(admission) = self.known().of(&sent) {
            return admission;
        }
        let Some(_place) = Place::take(&self.waiting) else { return Admission::Busy };
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return Admission::Busy };
        if let Some(admission) = self.known().of(&sent) {
            return admission;
        }
        let this = Arc::clone(self);
        let compute = move || {
            let is_right = this.is_right(&authorization).unwrap_or(false);
            this.known().insert(sent, is_right);
            // The turn ends when the work does, whether or not somebody still waits for it.
            drop(turn);
            if is_right { Admission::Granted } else { Admission::Refused }
        };
        spawn_blocking(compute).await.unwrap_or(Admission::Refused)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_right(&self, authorization: &[u8]) -> Option<bool> {
        let (scheme, encoded) = std::str::from_utf8(authorization).ok()?.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = STANDARD.decode(encoded.trim()).ok()?;
        let at = decoded.iter().position(|&byte| byte == b':')?;
        let hash = std::str::from_utf8(&decoded[..at]).ok().and_then(|user| self.hashes.get(user));
        let is_right = bcrypt::verify(&decoded[at + 1..], hash.map_or(HASH_OF_NOBODY, String::as_str)).ok()?;
        Some(is_right && hash.is_some())
    }
}

impl Known {
    fn of(&self, sent: &Digest) -> Option<Admission> {
        if self.right.contains(sent) {
            return Some(Admission::Granted);
        }
        self.wrong.contains(sent).then_some(Admission::Refused)
    }

    fn insert(&mut self, sent: Digest, is_right: bool) {
        let set = if is_right { &mut self.right } else { &mut self.wrong };
        if set.len() >= MOST_KNOWN {
            set.clear();
        }
        set.insert(sent);
    }
}

/// A place among those that wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < MOST_WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords() -> Arc<Passwords> {
        let hash = |password: &str| bcrypt::hash(password, 4).expect("hashes");
        let users = [("alice", hash("wonder:land")), ("bob", hash("").replace("$2b$", "$2y$"))];
        Arc::new(Passwords::new(users.map(|(user, hash)| (user.to_owned(), hash)).into()).expect("hashes"))
    }

    fn basic(text: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(text)).into_bytes()
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
    }

    #[test]
    fn who_has_the_password_is_let_in_each_time() {
        let passwords = passwords();
        let admit = |sent: Vec<u8>| run(passwords.admit(sent)) == Admission::Granted;
        for _ in 0..2 {
            assert!(admit(basic("alice:wonder:land")) && admit(basic("bob:")));
            for wrong in ["alice:", "alice:wonder", "bob:x", "eve:wonder:land", ":", ""] {
                assert!(!admit(basic(wrong)), "{wrong}");
            }
        }
        for wrong in [&b"Basic"[..], b"Basic ", b"Basic !", b"Bearer x", b"\xff\xfe", b""] {
            assert!(!admit(wrong.to_vec()), "{wrong:?}");
        }
        (0..200).for_each(|number| assert!(!admit(format!("Basic {number}").into_bytes())));
        let known = passwords.known();
        assert!(known.wrong.len() <= MOST_KNOWN && known.right.len() == 2, "wrong ones drive out no right ones");
    }

    #[test]
    fn who_is_known_waits_for_nobody_and_not_too_many_others_wait() {
        let passwords = passwords();
        run(async {
            assert_eq!(passwords.admit(basic("alice:wonder:land")).await, Admission::Granted);
            let turn = passwords.turn.acquire().await.expect("is open");
            let mut waiting: Vec<_> =
                (0..MOST_WAITING).map(|n| Box::pin(passwords.admit(basic(&format!("eve:{n}"))))).collect();
            for wait in &mut waiting {
                let polled = std::future::poll_fn(|context| std::task::Poll::Ready(wait.as_mut().poll(context)));
                assert!(polled.await.is_pending());
            }
            assert_eq!(passwords.admit(basic("eve:x")).await, Admission::Busy);
            assert_eq!(passwords.admit(basic("alice:wonder:land")).await, Admission::Granted);
            drop((turn, waiting));
            assert_eq!(passwords.admit(basic("eve:x")).await, Admission::Refused, "those that have gone wait no more");
        });
    }

    #[test]
    fn what_is_no_hash_is_refused_and_the_one_of_nobody_is_one() {
        let refused = Passwords::new([("eve".to_owned(), "secret".to_owned())].into()).expect_err("no hash");
        assert!(refused.contains("eve") && !refused.contains("secret"), "{refused}");
        assert!(HASH_OF_NOBODY.parse::<bcrypt::HashParts>().is_ok());
    }
}
