//! A stream at a moment, as it is told.

use std::time::Duration;

use super::connection::Connection;
use super::counters::{Counters, Totals};
use super::delay::DelaySummary;
use super::health;
use crate::packet::Flow;

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It may go on.
    Active,
    /// Its sender has sent FIN.
    Finalized,
    /// The connection was reset, from whichever side.
    Reset,
}

impl State {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Finalized => "finalized",
            Self::Reset => "reset",
        }
    }
}

/// All that is known of a stream. What is not known is `None`, and never 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its ends.
    pub flow: Flow,
    /// Where it stands.
    pub state: State,
    /// When its first packet passed, in nanoseconds since 1970.
    pub first: u64,
    /// When its last packet passed, in nanoseconds since 1970.
    pub last: u64,
    /// From its first packet until now, or to its FIN or RST.
    pub uptime: Duration,
    /// What was counted.
    pub counters: Counters,
    /// The receive window that its sender advertised last, in bytes; without the handshake it is not known how it is scaled.
    pub window: Option<u64>,
    /// Shift of the window, if the handshake was seen; 0 if there is no scaling.
    pub window_scale: Option<u8>,
    /// How long that window was zero.
    pub zero_window_time: Duration,
    /// From data to the ACK that covers it.
    pub delay: Option<DelaySummary>,
    /// Number of the samples of it.
    pub delay_samples: u64,
    /// Payload bits in the last whole second.
    pub bitrate: Option<u64>,
    /// Payload bits in the best whole second.
    pub max_bitrate: Option<u64>,
    /// Coefficient of variation of the rate of the last 60 seconds.
    pub bitrate_variation: Option<f64>,
    /// Standard deviation of the time between the last 100 packets, in seconds.
    pub interarrival_deviation: Option<f64>,
    /// Coefficient of variation of the payload of the last 100 packets that have some.
    pub packet_size_variation: Option<f64>,
    /// From 0 to 100, which is perfect.
    pub health_score: f64,
}

impl Report {
    /// Packets a second of uptime; `None` of a moment.
    pub fn packet_rate(&self) -> Option<f64> {
        let uptime = self.uptime.as_secs_f64();
        (uptime > 0.0).then(|| self.counters.packets as f64 / uptime)
    }

    /// Mean payload bits a second of uptime; `None` of a moment.
    pub fn avg_bitrate(&self) -> Option<f64> {
        let uptime = self.uptime.as_secs_f64();
        (uptime > 0.0).then(|| self.counters.bytes as f64 * 8.0 / uptime)
    }
}

impl Connection {
    /// Its streams of which a packet was seen, as they are `now`, in nanoseconds since 1970.
    pub fn reports(&self, now: u64) -> impl Iterator<Item = Report> {
        [0, 1].into_iter().filter(|&i| self.streams[i].counters.packets > 0).map(move |i| self.report(i, now))
    }

    /// Adds what was counted of both streams.
    pub fn add_to(&self, totals: &mut Totals) {
        self.streams.iter().for_each(|stream| totals.add_stream(&stream.counters));
    }

    /// Streams of it that are active.
    pub fn active_streams(&self) -> usize {
        let is_active = |&i: &usize| self.streams[i].counters.packets > 0 && self.state(i) == State::Active;
        [0, 1].iter().filter(|i| is_active(i)).count()
    }

    fn state(&self, stream: usize) -> State {
        match (self.is_reset(), self.streams[stream].counters.fins) {
            (true, _) => State::Reset,
            (false, 0) => State::Active,
            (false, _) => State::Finalized,
        }
    }

    pub(crate) fn report(&self, stream: usize, now: u64) -> Report {
        let (this, peer) = (&self.streams[stream], &self.streams[1 - stream]);
        let [source, destination] =
            if stream == 0 { [self.key.low, self.key.high] } else { [self.key.high, self.key.low] };
        let now = now.max(this.last);
        let state = self.state(stream);
        let end = match state {
            State::Active => now,
            State::Finalized => this.ended().unwrap_or(this.last),
            State::Reset => this.ended().or(peer.ended()).unwrap_or(this.last),
        };
        let rate = this.rate.at(now.saturating_sub(this.first));
        let mut report = Report {
            flow: Flow { source, destination },
            state,
            first: this.first,
            last: this.last,
            uptime: Duration::from_nanos(end.saturating_sub(this.first)),
            counters: this.counters,
            window: this.window.bytes(this.window_scale(peer)),
            window_scale: this.window_scale(peer),
            zero_window_time: Duration::from_nanos(this.window.zero_time(if state == State::Active {
                now
            } else {
                end
            })),
            delay: this.delays.summary(),
            delay_samples: this.delays.samples,
            bitrate: rate.last(),
            max_bitrate: rate.best(),
            bitrate_variation: rate.variation(),
            interarrival_deviation: this.interarrival.deviation(),
            packet_size_variation: this.packet_size.variation(),
            health_score: 0.0,
        };
        report.health_score = health::score(&report);
        report
    }
}
