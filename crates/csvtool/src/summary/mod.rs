//! `csvtool summary`: each connection on one line, and what limited it.

pub mod columns;
pub mod distribution;
pub mod events;
mod human;
pub mod peak;
pub mod sample;
pub mod table;
pub mod totals;
pub mod verdict;

use chrono::{DateTime, Utc};
use inetdiag::attribute::{INET_DIAG_CONG, INET_DIAG_INFO, INET_DIAG_SKMEMINFO};
use inetdiag::columns::Connection;
use inetdiag::{ArchivalRecord, InetDiagMsg, SkMemInfo, TcpInfo};

use crate::convert::{Give, Product};
use crate::join::Part;
use crate::pipeline::{Stopped, Weigh};
use distribution::Distribution;
use events::Events;
use peak::Peak;
use sample::Sample;
use verdict::{Path, Shares, Times, Verdict};

/// A connection that had been busy for longer when it was first seen, in microseconds, was open before: what it did until
/// then is not of the time that is looked at.
const SEEN_FROM_ITS_START: u64 = 1_000_000;

/// What the records of one connection come to.
#[derive(Debug, Clone)]
pub struct Summary {
    uuid: Option<String>,
    sequence: i64,
    /// Archives it is made of.
    pub files: u64,
    /// Records it is made of.
    pub records: u64,
    /// Time of the first record.
    pub first: DateTime<Utc>,
    /// Time of the last record.
    pub last: DateTime<Utc>,
    /// The socket as the last record has it.
    pub socket: InetDiagMsg,
    /// Whether the last record is the kernel's own last word.
    pub is_final: bool,
    /// Congestion control.
    pub cong: Option<String>,
    /// Last counters.
    pub info: Option<TcpInfo>,
    progress: Option<Progress>,
    rtt: Distribution,
    min_rtt: Option<u32>,
    cwnd: Option<(u32, u32)>,
}

/// How it went on, from the first record with counters to the last.
#[derive(Debug, Clone, Copy)]
struct Progress {
    first: Sample,
    last: Sample,
    events: Events,
    sent: Peak,
    received: Peak,
}

impl Progress {
    fn new(first: Sample) -> Self {
        let (sent, received) = (Peak::new(first.time, first.bytes_acked), Peak::new(first.time, first.bytes_received));
        Self { first, last: first, events: Events::default(), sent, received }
    }

    fn see(&mut self, sample: Sample) {
        self.events.add(Events::between(&self.last, &sample));
        self.sent.see(sample.time, sample.bytes_acked);
        self.received.see(sample.time, sample.bytes_received);
        self.last = sample;
    }

    fn join(&mut self, later: Self) {
        self.see(later.first);
        self.events.add(later.events);
        self.sent.join(later.sent);
        self.received.join(later.received);
        self.last = later.last;
    }

    /// Where the time that is looked at begins, and how many microseconds before the first sample that is.
    fn start(&self) -> (Sample, u64) {
        match self.first.busy_time {
            lead @ 0..=SEEN_FROM_ITS_START => (self.first.before(), lead),
            _ => (self.first, 0),
        }
    }

    /// All that happened in that time.
    fn events(&self) -> Events {
        let mut events = Events::between(&self.start().0, &self.first);
        events.add(self.events);
        events
    }
}

impl Summary {
    fn new(record: &ArchivalRecord, socket: InetDiagMsg, connection: &Connection) -> Self {
        let time = record.timestamp.to_utc();
        Self {
            uuid: connection.uuid().map(str::to_owned),
            sequence: connection.metadata().map_or(0, |metadata| metadata.sequence),
            files: 1,
            records: 0,
            first: time,
            last: time,
            socket,
            is_final: false,
            cong: None,
            info: None,
            progress: None,
            rtt: Distribution::default(),
            min_rtt: None,
            cwnd: None,
        }
    }

    fn see(&mut self, record: &ArchivalRecord, socket: InetDiagMsg) {
        self.records += 1;
        self.last = record.timestamp.to_utc();
        self.socket = socket;
        self.is_final = record.is_final;
        let Some(info) = record.tcp_info() else { return };
        let memory = record.attributes.get(INET_DIAG_SKMEMINFO).map(SkMemInfo::decode);
        let sample = Sample::new(self.last, &info, memory.as_ref());
        match &mut self.progress {
            Some(progress) => progress.see(sample),
            None => self.progress = Some(Progress::new(sample)),
        }
        if let Some(rtt) = info.rtt().filter(|rtt| *rtt > 0) {
            self.rtt.add(rtt);
        }
        // The kernel's mark for "none yet" is the largest number.
        self.min_rtt = least(self.min_rtt, info.min_rtt().filter(|rtt| *rtt != u32::MAX));
        if let Some(cwnd) = info.snd_cwnd() {
            let (least, most) = self.cwnd.unwrap_or((cwnd, cwnd));
            self.cwnd = Some((least.min(cwnd), most.max(cwnd)));
        }
        self.info = Some(info);
        // It changes rarely, and is text.
        if let Some(cong) = record.attributes.get(INET_DIAG_CONG).map(|name| name.split(|byte| *byte == 0).next())
            && self.cong.as_deref().map(str::as_bytes) != cong
        {
            self.cong = cong.map(|name| String::from_utf8_lossy(name).into_owned());
        }
    }

    /// Microseconds from where the time that is looked at begins to the last record.
    pub fn life(&self) -> u64 {
        let seen = (self.last - self.first).num_microseconds().unwrap_or(0).max(0).cast_unsigned();
        seen + self.progress.map_or(0, |progress| progress.start().1)
    }

    /// Mean and peak of what was acknowledged, in bytes a second.
    pub fn goodput_sent(&self) -> (Option<f64>, Option<f64>) {
        self.goodput(|sample| sample.bytes_acked, |progress| progress.sent)
    }

    /// Mean and peak of what was received.
    pub fn goodput_received(&self) -> (Option<f64>, Option<f64>) {
        self.goodput(|sample| sample.bytes_received, |progress| progress.received)
    }

    fn goodput(&self, bytes: fn(&Sample) -> u64, peak: fn(&Progress) -> Peak) -> (Option<f64>, Option<f64>) {
        let life = self.life() as f64 / 1e6;
        let Some(progress) = self.progress.filter(|_| life > 0.0) else { return (None, None) };
        let mean = bytes(&progress.last).saturating_sub(bytes(&progress.start().0)) as f64 / life;
        (Some(mean), Some(peak(&progress).rate().unwrap_or(mean).max(mean)))
    }

    /// Least round-trip time, in microseconds: the kernel's own, or of those that were seen.
    pub fn rtt_min(&self) -> Option<u32> {
        self.min_rtt.or(self.rtt.min())
    }

    /// The smoothed round-trip time that so large a share of the records does not pass, in microseconds.
    pub fn rtt(&self, share: f64) -> Option<u32> {
        self.rtt.quantile(share).map(|rtt| rtt.max(self.min_rtt.unwrap_or(0)))
    }

    /// Least and largest congestion window, in segments.
    pub fn cwnd(&self) -> Option<(u32, u32)> {
        self.cwnd
    }

    /// What was sent again, of all that was sent: of bytes (Linux 4.19), or of segments.
    pub fn retransmitted(&self) -> Option<f64> {
        let info = self.info.as_ref()?;
        let of_bytes = info.bytes_retrans().zip(info.bytes_sent());
        let segments = || info.data_segs_out().or(info.segs_out()).map(u64::from);
        let (again, all) = of_bytes.or_else(|| info.total_retrans().map(u64::from).zip(segments()))?;
        (all > 0).then(|| (again as f64 / all as f64).min(1.0))
    }

    /// Segments that the peer had already (DSACK), of those sent again.
    fn in_vain(&self) -> f64 {
        let told = self.info.as_ref().and_then(|info| info.dsack_dups().zip(info.total_retrans()));
        told.filter(|(_, all)| *all > 0).map_or(0.0, |(had, all)| (f64::from(had) / f64::from(all)).min(1.0))
    }

    /// Retransmission timeouts and episodes of loss, over its whole life as far as it was seen.
    pub fn losses(&self) -> Option<(u64, u64)> {
        let events = self.progress?.events();
        Some((events.rtos, events.loss_episodes))
    }

    /// Shares of its life; `None` if there are no counters of it (Linux 4.10).
    pub fn shares(&self) -> Option<Shares> {
        let progress = self.progress?;
        self.info.as_ref()?.busy_time()?;
        let (start, _) = progress.start();
        let passed = |counter: fn(&Sample) -> u64| counter(&progress.last).saturating_sub(counter(&start));
        Shares::new(&Times {
            life: self.life(),
            busy: passed(|sample| sample.busy_time),
            rwnd_limited: passed(|sample| sample.rwnd_limited),
            sndbuf_limited: passed(|sample| sample.sndbuf_limited),
            limits: progress.events().limits(),
        })
    }

    /// What limited it.
    pub fn verdict(&self) -> Option<Verdict> {
        let path = Path {
            retransmitted: self.retransmitted().unwrap_or(0.0),
            in_vain: self.in_vain(),
            rtos: self.losses().map_or(0, |(rtos, _)| rtos),
            marked: self.info.as_ref().and_then(TcpInfo::delivered_ce).unwrap_or(0).into(),
            rtt_min: self.rtt_min().unwrap_or(0),
            rtt_median: self.rtt(0.5).unwrap_or(0),
        };
        self.shares().map(|shares| Verdict::of(&shares, &path))
    }
}

fn least(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.into_iter().chain(other).min()
}

impl Part for Summary {
    fn uuid(&self) -> Option<&str> {
        self.uuid.as_deref()
    }

    fn sequence(&self) -> i64 {
        self.sequence
    }

    fn join(&mut self, later: Self) {
        self.files += later.files;
        self.records += later.records;
        (self.last, self.socket, self.is_final) = (later.last, later.socket, later.is_final);
        self.cong = later.cong.or(self.cong.take());
        self.info = later.info.or(self.info);
        self.progress = match (self.progress, later.progress) {
            (Some(mut progress), Some(later)) => {
                progress.join(later);
                Some(progress)
            }
            (progress, later) => progress.or(later),
        };
        self.rtt.join(later.rtt);
        self.min_rtt = least(self.min_rtt, later.min_rtt);
        self.cwnd = match (self.cwnd, later.cwnd) {
            (Some((least, most)), Some((low, high))) => Some((least.min(low), most.max(high))),
            (cwnd, later) => cwnd.or(later),
        };
    }
}

impl Weigh for Box<Summary> {
    fn weight(&self) -> usize {
        // With the round-trip times of most.
        size_of::<Summary>() + 1024
    }
}

/// Makes summaries of archives.
#[derive(Debug, Default)]
pub struct Summaries {
    summary: Option<Box<Summary>>,
}

impl Product for Summaries {
    type Made = Box<Summary>;

    fn record(
        &mut self,
        record: &mut ArchivalRecord,
        connection: &Connection,
        give: Give<'_, Box<Summary>>,
    ) -> Result<bool, Stopped> {
        let Some(socket) = record.raw_idm else { return Ok(false) };
        let is_same = self.summary.as_ref().is_some_and(|summary| {
            summary.socket.id.cookie() == socket.id.cookie() && summary.uuid.as_deref() == connection.uuid()
        });
        if !is_same {
            self.finish(give)?;
        }
        let summary = self.summary.get_or_insert_with(|| Box::new(Summary::new(record, socket, connection)));
        summary.see(record, socket);
        Ok(true)
    }

    fn end(&mut self, _archive: &str, _text: u64, give: Give<'_, Box<Summary>>) -> Result<(), Stopped> {
        self.finish(give)
    }

    fn finish(&mut self, give: Give<'_, Box<Summary>>) -> Result<(), Stopped> {
        self.summary.take().map_or(Ok(()), give)
    }

    fn attributes(&self) -> Option<&'static [u16]> {
        Some(&[INET_DIAG_INFO, INET_DIAG_CONG, INET_DIAG_SKMEMINFO])
    }
}
