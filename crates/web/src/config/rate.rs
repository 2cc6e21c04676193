//! How many requests are answered, by a token bucket.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer};

/// One request each `interval`, and up to `burst` of them at once if there were none before. Without an interval, all.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rate {
    #[serde(deserialize_with = "duration")]
    interval: Duration,
    burst: u32,
    #[serde(skip)]
    bucket: Mutex<Option<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rate {
    /// Takes a token, if there is one.
    pub(crate) fn takes_one_more(&self) -> bool {
        self.takes_one_more_at(Instant::now())
    }

    fn takes_one_more_at(&self, now: Instant) -> bool {
        if self.interval.is_zero() {
            return true;
        }
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let most = f64::from(self.burst);
        let Bucket { tokens, at } = bucket.take().unwrap_or(Bucket { tokens: most, at: now });
        let tokens = (tokens + now.saturating_duration_since(at).div_duration_f64(self.interval)).min(most);
        let is_one = tokens >= 1.0;
        *bucket = Some(Bucket { tokens: if is_one { tokens - 1.0 } else { tokens }, at: now });
        is_one
    }
}

/// As Go writes it: `1s`, `500ms`, `1m30s`; or 0.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(&text)
        .map_err(|error| serde::de::Error::custom(format!("{text:?} is no duration: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_taken_and_then_one_each_interval() {
        let rate = Rate { interval: Duration::from_secs(1), burst: 2, bucket: Mutex::default() };
        let start = Instant::now();
        let taken = [0, 0, 0, 500, 1000, 1100, 9000, 9000, 9000];
        let taken = taken.map(|ms| rate.takes_one_more_at(start + Duration::from_millis(ms)));
        assert_eq!(taken, [true, true, false, false, true, false, true, true, false]);
        let unlimited = Rate::default();
        assert!((0..100).all(|_| unlimited.takes_one_more_at(start)));
    }
}
