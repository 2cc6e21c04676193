//! What changed since the last snapshot of a socket.
//!
//! 1. Each poll of a source (one address family of one network namespace) is a cycle: [`Cache::begin_poll`], one
//!    [`Cache::update`] per socket, [`Cache::end_poll`].
//! 2. `update` compares the message with the one kept for the same cookie, by the [change rule](Change), and keeps the
//!    new one if it differs. An unchanged socket costs some seven `memcmp`s: nothing is allocated, nothing copied.
//!    The kernel dumps in one order, so each entry remembers its follower, and hardly any has to be searched for.
//!    A poll may ask for less than all ([`LeftOut`]): what it left out is kept from an earlier one, and compared when it
//!    is asked for again.
//! 3. `end_poll` yields the sockets that are gone. It is only called for a poll that was complete: a failed,
//!    interrupted or truncated dump ends with the next `begin_poll`, and nothing looks vanished because of it.
//! 4. A destroy event takes its socket out with [`Cache::remove`].
//!
//! Pure: no I/O, no threads, and time comes in as a value.

mod cache;
mod change;
mod slots;

pub use cache::{Cache, Gone, Patience};
pub use change::{Change, LeftOut, change_between};

#[cfg(test)]
mod tests;
