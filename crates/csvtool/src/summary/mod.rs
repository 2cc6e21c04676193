//! `csvtool summary`: each connection on one line, and what limited it.

pub mod columns;
pub mod counted;
pub mod distribution;
pub mod events;
mod human;
pub mod peak;
pub mod sample;
pub mod table;
pub mod totals;
pub mod verdict;

use chrono::{DateTime, TimeDelta, Utc};
use inetdiag::attribute::{INET_DIAG_CONG, INET_DIAG_INFO, INET_DIAG_SKMEMINFO};
use inetdiag::columns::{Connection, is_zero_time};
use inetdiag::{ArchivalRecord, InetDiagMsg, SkMemInfo, TcpInfo};

use crate::convert::{Give, Name, Product};
use crate::join::Part;
use crate::pipeline::{Stopped, Weigh};
use counted::Counted;
use distribution::Distribution;
use events::{Events, Limits};
use peak::Peak;
use sample::Sample;
use verdict::{Path, Shares, Times, Verdict};

/// In so many microseconds what was received before the first poll that saw a connection does not matter.
const LONG: u64 = 100_000;

/// What the records of one connection come to.
#[derive(Debug, Clone)]
pub struct Summary {
    uuid: Option<String>,
    sequence: i64,
    /// Archives it is made of.
    pub files: u64,
    /// Records it is made of.
    pub records: u64,
    /// Time of the first record that has one.
    pub first: Option<DateTime<Utc>>,
    /// Time of the last one.
    pub last: Option<DateTime<Utc>>,
    /// The socket as the last record has it.
    pub socket: InetDiagMsg,
    /// Whether the last record is the kernel's own last word.
    pub is_final: bool,
    /// Congestion control.
    pub cong: Option<String>,
    /// Last counters.
    pub info: Option<TcpInfo>,
    /// Nothing happened to it before its first record but what that says: else that is where it begins.
    is_from_start: bool,
    /// These are its records from the first one on.
    has_first: bool,
    counted: Option<Counted>,
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
}

impl Summary {
    fn new(record: &ArchivalRecord, socket: InetDiagMsg, connection: &Connection) -> Self {
        let time = time_of(record);
        let metadata = connection.metadata();
        // What the first poll of a recorder sees was open before. The original does not number its polls.
        let is_new = record.poll.map_or(record.is_final, |poll| poll > 1);
        let is_first = metadata.is_some_and(|metadata| {
            let begun = metadata.start_time.to_utc();
            metadata.sequence == 0 && time.is_some_and(|time| (time - begun).abs() < TimeDelta::seconds(1))
        });
        Self {
            uuid: connection.uuid().map(str::to_owned),
            sequence: metadata.map_or(0, |metadata| metadata.sequence),
            files: 1,
            records: 0,
            first: time,
            last: time,
            socket,
            is_final: false,
            cong: None,
            info: None,
            is_from_start: is_first && is_new,
            has_first: is_first,
            counted: None,
            progress: None,
            rtt: Distribution::default(),
            min_rtt: None,
            cwnd: None,
        }
    }

    fn see(&mut self, record: &ArchivalRecord, socket: InetDiagMsg) {
        self.records += 1;
        self.last = time_of(record).or(self.last);
        self.first = self.first.or(self.last);
        self.socket = socket;
        self.is_final = record.is_final;
        self.counted = Counted::of(record).or(self.counted);
        let Some(info) = record.tcp_info().filter(|_| !socket.is_cleared()) else { return };
        let memory = record.attributes.get(INET_DIAG_SKMEMINFO).map(SkMemInfo::decode);
        let sample = Sample::new(self.last.unwrap_or_default(), &info, memory.as_ref());
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

    /// What was counted from the beginning on, if these are all records.
    fn counted(&self) -> Option<Counted> {
        self.counted.filter(|_| self.has_first)
    }

    /// When it began, where that was counted.
    pub fn begun(&self) -> Option<DateTime<Utc>> {
        Some(self.counted()?.start.min(self.first?))
    }

    /// Microseconds from its beginning to its last segment, where both were counted; to the last record, if the beginning is
    /// known. Else from its first record; and as much before as it had been busy already, if it began then.
    pub fn life(&self) -> u64 {
        if let Some(lasted) = self.counted().and_then(|counted| counted.lasted) {
            return lasted;
        }
        let begun = self.begun();
        let seen = begun.or(self.first).zip(self.last).and_then(|(first, last)| (last - first).num_microseconds());
        let lead = self.progress.filter(|_| self.is_from_start && begun.is_none());
        let lead = lead.map_or(0, |progress| progress.first.busy_time);
        seen.unwrap_or(0).max(0).cast_unsigned().saturating_add(lead)
    }

    /// The counters where that time begins.
    fn start(&self) -> Option<Sample> {
        let first = self.progress?.first;
        Some(if self.is_from_start || self.begun().is_some() { first.before() } else { first })
    }

    /// All that happened in that time.
    fn events(&self) -> Option<Events> {
        let progress = self.progress?;
        let mut events = Events::between(&self.start()?, &progress.first);
        events.add(progress.events);
        Some(events)
    }

    /// Mean and peak of what was acknowledged, in bytes a second.
    pub fn goodput_sent(&self) -> (Option<f64>, Option<f64>) {
        let start = self.start().map_or(0, |start| start.bytes_acked);
        self.goodput(start, |sample| sample.bytes_acked, |progress| progress.sent)
    }

    /// Mean and peak of what was received.
    pub fn goodput_received(&self) -> (Option<f64>, Option<f64>) {
        // It is not known for how long it came in before the first record.
        let first = if self.life() >= LONG { self.start() } else { self.progress.map(|progress| progress.first) };
        let start = first.map_or(0, |first| first.bytes_received);
        self.goodput(start, |sample| sample.bytes_received, |progress| progress.received)
    }

    fn goodput(
        &self,
        start: u64,
        bytes: fn(&Sample) -> u64,
        peak: fn(&Progress) -> Peak,
    ) -> (Option<f64>, Option<f64>) {
        let life = self.life() as f64 / 1e6;
        let Some(progress) = self.progress.filter(|_| life > 0.0) else { return (None, None) };
        let mean = bytes(&progress.last).saturating_sub(start) as f64 / life;
        (Some(mean), Some(peak(&progress).rate().unwrap_or(mean).max(mean)))
    }

    /// Least round-trip time, in microseconds: the kernel's own, or of those that were seen.
    pub fn rtt_min(&self) -> Option<u32> {
        least(self.min_rtt, self.counted().and_then(|counted| counted.min_rtt)).or(self.rtt.min())
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

    /// Retransmission timeouts and episodes of loss, as they were counted, or as far as polls saw them.
    pub fn losses(&self) -> Option<(u64, u64)> {
        let (counted, seen) = (self.counted(), self.events());
        let rtos = counted.map(|counted| counted.rtos).or(seen.map(|seen| seen.rtos))?;
        let episodes = counted.and_then(|counted| counted.loss_episodes);
        Some((rtos, episodes.or(seen.map(|seen| seen.loss_episodes))?))
    }

    /// Shares of its life; `None` if there are no counters of it (Linux 4.10), or it was refused.
    pub fn shares(&self) -> Option<Shares> {
        let progress = self.progress?;
        self.info.as_ref()?.busy_time()?;
        let start = self.start()?;
        let passed = |counter: fn(&Sample) -> u64| counter(&progress.last).saturating_sub(counter(&start));
        // Until it was established it waited for the path. If it never was, and nothing was sent again, it was refused.
        let handshake = match self.counted() {
            Some(counted) => counted.handshake,
            None => self.was_established().then_some(0),
        };
        let handshake = match handshake {
            Some(handshake) => handshake,
            None if self.losses().is_some_and(|(rtos, _)| rtos > 0) => self.life(),
            None => return None,
        };
        // A final record alone shows the end and no moment before it: all there is then is what the kernel counted.
        let limits = if self.records > 1 { self.events()?.limits() } else { Limits::default() };
        Shares::new(&Times {
            life: self.life(),
            busy: passed(|sample| sample.busy_time).saturating_add(handshake),
            rwnd_limited: passed(|sample| sample.rwnd_limited),
            sndbuf_limited: passed(|sample| sample.sndbuf_limited),
            limits,
        })
    }

    /// Whether anything of it came back: a handshake is a round-trip time, unless its SYN was sent twice.
    fn was_established(&self) -> bool {
        let has_moved = |last: Sample| last.bytes_acked > 0 || last.bytes_received > 0;
        self.rtt.min().is_some() || self.progress.is_some_and(|progress| has_moved(progress.last))
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

/// Its time; `None` if it has none.
fn time_of(record: &ArchivalRecord) -> Option<DateTime<Utc>> {
    (!is_zero_time(&record.timestamp)).then(|| record.timestamp.to_utc())
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

    fn is_more_than(&self, other: &Self) -> bool {
        self.records > other.records
    }

    fn join(&mut self, later: Self) {
        self.files += later.files;
        self.records += later.records;
        self.first = self.first.or(later.first);
        self.last = later.last.or(self.last);
        (self.socket, self.is_final) = (later.socket, later.is_final);
        self.counted = later.counted.or(self.counted);
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

impl Summaries {
    fn hand_on(&mut self, give: Give<'_, Box<Summary>>) -> Result<(), Stopped> {
        self.summary.take().map_or(Ok(()), give)
    }
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
            summary.socket.id.cookie() == socket.id.cookie()
                && summary.uuid.as_deref() == connection.uuid()
                && connection.metadata().is_none_or(|metadata| metadata.sequence == summary.sequence)
        });
        if !is_same {
            self.hand_on(give)?;
        }
        let summary = self.summary.get_or_insert_with(|| Box::new(Summary::new(record, socket, connection)));
        summary.see(record, socket);
        Ok(true)
    }

    fn end(&mut self, _archive: &Name, _text: u64, give: Give<'_, Box<Summary>>) -> Result<(), Stopped> {
        self.hand_on(give)
    }

    fn attributes(&self) -> Option<&'static [u16]> {
        Some(&[INET_DIAG_INFO, INET_DIAG_CONG, INET_DIAG_SKMEMINFO])
    }
}
