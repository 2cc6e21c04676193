//! Who may ask: names and passwords, as bcrypt hashes.
//!
//! A hash takes tens of milliseconds to compute. So one is computed at a time, and what came of the last ones is known.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

/// Outcomes that are known.
const MOST_KNOWN: usize = 100;
/// Of no password. It is compared with where the name is unknown, so that it takes as long.
const HASH_OF_NOBODY: &str = "$2b$10$RGjp3ndw/xDqdEdaiI90xeN/iU22OPKjQvZAGXD4Q0SqVgqEXZ/Om";

/// Hashes by name.
#[derive(Debug, Default)]
pub(crate) struct Passwords {
    hashes: BTreeMap<String, String>,
    /// By SHA-256 of what the client sent.
    known: Mutex<HashMap<[u8; SHA256_OUTPUT_LEN], bool>>,
}

impl Passwords {
    /// An error names a user whose hash is none of bcrypt.
    pub(crate) fn new(hashes: BTreeMap<String, String>) -> Result<Self, String> {
        for (user, hash) in &hashes {
            hash.parse::<bcrypt::HashParts>().map_err(|_| format!("the password of {user:?} is no bcrypt hash"))?;
        }
        Ok(Self { hashes, known: Mutex::default() })
    }

    /// Whether nobody needs one.
    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether this is the value of an `Authorization` header that lets in. May take a while.
    pub(crate) fn admit(&self, authorization: &[u8]) -> bool {
        let mut sent = [0; SHA256_OUTPUT_LEN];
        sent.copy_from_slice(digest(&SHA256, authorization).as_ref());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&outcome) = known.get(&sent) {
            return outcome;
        }
        let outcome = self.is_right(authorization).unwrap_or(false);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(sent, outcome);
        outcome
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

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords() -> Passwords {
        let hash = |password: &str| bcrypt::hash(password, 4).expect("hashes");
        let users = [("alice", hash("wonder:land")), ("bob", hash("").replace("$2b$", "$2y$"))];
        Passwords::new(users.map(|(user, hash)| (user.to_owned(), hash)).into()).expect("hashes")
    }

    fn basic(text: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(text)).into_bytes()
    }

    #[test]
    fn who_has_the_password_is_let_in_each_time() {
        let passwords = passwords();
        for _ in 0..2 {
            assert!(passwords.admit(&basic("alice:wonder:land")));
            assert!(passwords.admit(&basic("bob:")));
            for wrong in ["alice:", "alice:wonder", "bob:x", "eve:wonder:land", ":", ""] {
                assert!(!passwords.admit(&basic(wrong)), "{wrong}");
            }
        }
        for wrong in [&b"Basic"[..], b"Basic ", b"Basic !", b"Bearer x", b"\xff\xfe", b""] {
            assert!(!passwords.admit(wrong), "{wrong:?}");
        }
        (0..200).for_each(|number| assert!(!passwords.admit(format!("Basic {number}").as_bytes())));
        assert!(passwords.known.lock().expect("no panic").len() <= MOST_KNOWN);
    }

    #[test]
    fn what_is_no_hash_is_refused_and_the_one_of_nobody_is_one() {
        let refused = Passwords::new([("eve".to_owned(), "secret".to_owned())].into()).expect_err("no hash");
        assert!(refused.contains("eve") && !refused.contains("secret"), "{refused}");
        assert!(HASH_OF_NOBODY.parse::<bcrypt::HashParts>().is_ok());
    }
}
