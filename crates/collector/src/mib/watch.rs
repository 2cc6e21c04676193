//! What there is to show: connections and listeners at one moment, and the connections that ended in between.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, Utc};
use estats::{Datum, Listener, Listeners, Sample, Table, Variable, flags};
use inetdiag::{InetDiagMsg, Message, TcpInfo, TcpState};
use prometheus::Registry;

use crate::asking::{Asking, Instead};
use crate::cli::{EstatsArgs, ExtendedStatistics};
use crate::extended::{Counters, Extended};
use crate::filter::{Compiled, Filter, States};
use crate::source::{Attributes, Delivery, DestroySource, DumpError, RECEIVE_BUFFER_LEN};

/// Room for the ends that come between two ticks, of some 1,300 bytes each.
const DESTROY_BUFFER: u32 = 16 << 20;

/// How much later than its end the kernel may tell of it, at which looks do not show it any more.
const PATIENCE: Duration = Duration::from_secs(5);

/// The kernel, as far as `tcp-info estats` looks at it.
pub(super) struct Watch {
    extended: Option<Extended>,
    missing: Vec<String>,
    filter: Filter,
    states: States,
    asking: Asking,
    destroy: Option<DestroySource>,
    listeners: Listeners,
    /// The listeners of the last look that pass the filter.
    shown: HashSet<u64>,
    /// Connections of the last looks: those that end are shown with the addresses that they had, and with those counters if they
    /// have lost their own.
    open: HashMap<u64, Known>,
    buffer: Vec<u8>,
}

/// A connection as a look showed it.
struct Known {
    header: InetDiagMsg,
    info: Option<TcpInfo>,
    seen: Instant,
}

/// A connection at one moment.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// What the kernel knows the socket by.
    pub(super) cookie: u64,
    /// Its addresses.
    pub(super) header: InetDiagMsg,
    /// What its variables are made of.
    pub(super) sample: Sample,
    /// When.
    pub(super) time: DateTime<Utc>,
    /// The socket is no more.
    pub(super) has_ended: bool,
}

impl Connection {
    /// Whether the programs count from the connection's beginning; `None` if they do not count.
    pub(super) fn is_partial(&self) -> Option<bool> {
        self.sample.value.as_ref().map(|value| value.has(flags::PARTIAL))
    }

    /// What is known of a table, in its order.
    pub(super) fn variables(&self, table: Table) -> impl Iterator<Item = (&'static Variable, Datum)> {
        let of_table = estats::variables().filter(move |variable| variable.table == table);
        of_table.filter_map(|variable| Some((variable, variable.of(&self.sample)?)))
    }

    /// Milliseconds since something came or went.
    fn idle(&self) -> Option<u32> {
        self.sample.info.as_ref()?.last_activity()
    }

    /// The state, as the kernel names it.
    pub(super) fn state(&self) -> &'static str {
        let state = if self.has_ended { Some(TcpState::Close) } else { self.header.state() };
        state.map_or("unknown", TcpState::name)
    }
}

/// One look.
#[derive(Debug)]
pub(super) struct Look<'a> {
    /// When.
    pub(super) time: DateTime<Utc>,
    /// The open connections that pass the filter: those first that were active last.
    pub(super) connections: Vec<Connection>,
    /// The listeners, by address.
    pub(super) listeners: Vec<&'a Listener>,
}

impl Watch {
    /// Loads the programs and opens what is needed. Where something is missing, it goes without, and says so.
    pub(super) fn start(args: &EstatsArgs) -> anyhow::Result<Self> {
        let asked = if args.full { ExtendedStatistics::Full } else { ExtendedStatistics::On };
        let counters = Counters::new(&Registry::new()).context("cannot make the counters")?;
        let (extended, hooks) = Extended::start(asked, counters);
        let is_whole = |status: &str| matches!(status, "active" | "not asked for");
        let missing = hooks.iter().filter(|(_, status)| !is_whole(status));
        let missing = missing.map(|(hook, status)| format!("{hook}: {status}")).collect();
        let destroy = DestroySource::open(DESTROY_BUFFER)
            .inspect_err(|error| {
                tracing::warn!(%error, "cannot listen for destroy events: connections between two looks are not seen");
            })
            .ok();
        let filter = args.filters.filter().map_err(anyhow::Error::msg)?;
        let states = filter.compile().states;
        // All sockets are needed to tell which connections are whose listener's.
        let everything = Compiled { program: Vec::new(), states: States::EVERY, is_whole: true };
        let values = extended.as_ref().map(Extended::request);
        Ok(Self {
            asking: Asking::new(Attributes::FULL, everything, values),
            extended,
            missing,
            filter,
            states,
            destroy,
            listeners: Listeners::default(),
            shown: HashSet::new(),
            open: HashMap::new(),
            buffer: vec![0; RECEIVE_BUFFER_LEN],
        })
    }

    /// The hooks that are not active although they were asked for, and why.
    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Looks at all sockets.
    pub(super) fn look(&mut self) -> Result<Look<'_>, DumpError> {
        let time = Utc::now();
        let mut connections = self.dump(time)?;
        connections.sort_by_key(|connection| (connection.idle(), connection.cookie));
        let now = Instant::now();
        let known = |it: &Connection| Known { header: it.header, info: it.sample.info, seen: now };
        self.open.extend(connections.iter().map(|it| (it.cookie, known(it))));
        self.open.retain(|_, known| now.saturating_duration_since(known.seen) < PATIENCE);
        let shown = |listener: &&Listener| self.shown.contains(&listener.header.id.cookie());
        let mut listeners: Vec<_> = self.listeners.finish().filter(shown).collect();
        listeners.sort_by_key(|listener| (listener.header.id.idiag_sport.get(), listener.header.src()));
        Ok(Look { time, connections, listeners })
    }

    fn dump(&mut self, time: DateTime<Utc>) -> Result<Vec<Connection>, DumpError> {
        let nanoseconds = nanoseconds(time);
        'again: loop {
            let mut connections = Vec::new();
            self.listeners.begin();
            self.shown.clear();
            for number in 0..self.asking.dumps().len() {
                let (source, request, _) = self.asking.dumps()[number].request(false);
                let (_, outcome) = source.dump(request, &mut self.buffer, |message| {
                    self.listeners.visit(&message, nanoseconds.unwrap_or_default());
                    let state = message.header().state();
                    if state == Some(TcpState::Listen) && self.filter.accepts(message) {
                        self.shown.insert(message.cookie());
                    }
                    let is_polled = state.is_some_and(|state| self.states.contain(state));
                    if is_polled && self.filter.accepts(message) {
                        connections.push(Connection {
                            cookie: message.cookie(),
                            header: *message.header(),
                            sample: Sample::of_message(&message, nanoseconds),
                            time,
                            has_ended: false,
                        });
                    }
                });
                if let Err(DumpError::Kernel(error)) = &outcome
                    && let Some(instead) = self.asking.refused(number)
                {
                    if instead == Instead::Valueless {
                        tracing::warn!(%error, "the kernel does not give extended statistics with polls");
                    }
                    continue 'again;
                }
                outcome?;
                self.asking.dumps()[number].answered = true;
            }
            return Ok(connections);
        }
    }

    /// Takes in the connections that have ended since the last call, with their last values.
    pub(super) fn ends(&mut self, mut show: impl FnMut(&Connection) -> io::Result<()>) -> io::Result<()> {
        let now = Instant::now();
        if let Some(extended) = self.extended.as_mut().filter(|extended| extended.drain_again_at() <= now) {
            extended.drain(now);
        }
        let Some(source) = &self.destroy else { return Ok(()) };
        let (filter, open) = (&self.filter, &mut self.open);
        let mut extended = self.extended.as_mut();
        let time = Utc::now();
        let mut outcome = Ok(());
        let delivery = source.drain(&mut self.buffer, |message| {
            let known = open.remove(&message.cookie());
            if outcome.is_err() || (known.is_none() && filter.accepts_at_end(message) != Some(true)) {
                return;
            }
            let end = |message: Message<'_>| {
                let mut sample = Sample::of_message(&message, nanoseconds(time));
                let header = known.as_ref().map_or(*message.header(), |known| known.header);
                sample.info = sample.info.or(known.as_ref().and_then(|known| known.info));
                Connection { cookie: message.cookie(), header, sample, time, has_ended: true }
            };
            let connection = match &mut extended {
                Some(extended) => end(extended.complete(message)),
                None => end(message),
            };
            // What never had a peer, such as a listener, was no connection.
            if connection.header.id.idiag_dport.get() != 0 || connection.sample.value.is_some() {
                outcome = show(&connection);
            }
        });
        tell(&delivery);
        outcome
    }
}

fn tell(delivery: &Delivery) {
    if delivery.overruns > 0 {
        tracing::warn!(overruns = delivery.overruns, "the kernel dropped destroy events: some connections are missed");
    }
    if delivery.malformed > 0 {
        tracing::warn!(events = delivery.malformed, "destroy events that cannot be read are left out");
    }
    if let Some(error) = &delivery.error {
        tracing::warn!(%error, "cannot receive destroy events");
    }
}

fn nanoseconds(time: DateTime<Utc>) -> Option<u64> {
    time.timestamp_nanos_opt()?.try_into().ok()
}
