//! One look at the kernel: a poll of both address families and the destroy events up to now.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::{LeftOut, Patience};
use chrono::Utc;
use inetdiag::{AddressFamily, InetDiagMsg};

use crate::asking::{Asking, Instead};
use crate::extended;
use crate::filter::Filter;
use crate::health::Health;
use crate::limiter::LogLimiter;
use crate::metrics::Metrics;
use crate::outlet::Outlet;
use crate::recorder::{Outcome, Recorder, Skip};
use crate::source::{
    Attributes, Delivery, DestroySource, DumpError, DumpStats, ListenerSource, LookupSource, RECEIVE_BUFFER_LEN, Whose,
};

/// How long the destroy event of a socket that no poll sees is waited for: as a rule, and if events were dropped.
const DESTROY_PATIENCE: Duration = Duration::from_secs(600);
const DESTROY_PATIENCE_IN_DOUBT: Duration = Duration::from_secs(1);
/// With `--attributes lean`, how often everything is asked for.
const WHOLE_EVERY: Duration = Duration::from_secs(1);
/// How often the kernel is asked what is listened on.
const LISTENERS_EVERY: Duration = Duration::from_secs(1);

/// Asks the kernel, listens to it, and hands on what is to be archived.
pub struct Observer {
    pub(crate) recorder: Recorder,
    pub(crate) outlet: Outlet,
    pub(crate) metrics: Metrics,
    pub(crate) limiter: LogLimiter,
    asking: Asking,
    last_whole: Option<Instant>,
    lookup: LookupSource,
    listeners: ListenerSource,
    last_listeners: Option<Instant>,
    health: Arc<Health>,
    /// Sockets of the dump under way that are not known yet, and of which it has a part only.
    unknown: Vec<Unknown>,
    destroy: Option<DestroySource>,
    buffer: Vec<u8>,
    /// When the kernel last said that it dropped destroy events.
    overrun: Option<Instant>,
}

/// A socket that a poll in part has shown, and of which everything is to be known.
struct Unknown {
    header: InetDiagMsg,
    /// Its extended statistics, which only polls have.
    values: Option<Vec<u8>>,
}

impl Observer {
    /// An observer that has not asked yet. `values` asks for those of extended statistics, if there are any. Without `destroy` it learns of ends by polls alone.
    pub fn new(
        attributes: Attributes,
        filter: Filter,
        values: Option<[u8; 12]>,
        destroy: Option<DestroySource>,
        outlet: Outlet,
        metrics: Metrics,
        health: Arc<Health>,
    ) -> Self {
        let compiled = filter.compile();
        Self {
            recorder: Recorder::new(filter, !compiled.is_whole),
            outlet,
            metrics,
            limiter: LogLimiter::default(),
            asking: Asking::new(attributes, compiled, values),
            last_whole: None,
            lookup: LookupSource::default(),
            listeners: ListenerSource::default(),
            last_listeners: None,
            health,
            unknown: Vec::new(),
            destroy,
            buffer: vec![0; RECEIVE_BUFFER_LEN],
            overrun: None,
        }
    }

    /// Becomes readable when destroy events have arrived; `None` if nobody tells of them.
    pub fn destroy_events(&self) -> Option<BorrowedFd<'_>> {
        self.destroy.as_ref().map(AsFd::as_fd)
    }

    /// One poll of both families, and the destroy events up to now.
    pub fn poll(&mut self) {
        self.recorder.number_poll();
        let now = Instant::now();
        let in_part = self.last_whole.is_some_and(|last| now.saturating_duration_since(last) < WHOLE_EVERY);
        if !in_part {
            self.last_whole = Some(now);
        }
        self.ask_for_listeners(now);
        // Addresses and ports of those that ended may be those of others by now, which this poll sees.
        self.drain_destroy_events();
        self.dump_all(in_part);
        // Before anything looks gone: the events tell of most that is.
        self.drain_destroy_events();
        let patience = match &self.destroy {
            None => Patience::NONE,
            Some(_) => Patience {
                usual: DESTROY_PATIENCE,
                doubt_until: self.overrun.map(|at| at + DESTROY_PATIENCE_IN_DOUBT),
                in_doubt: DESTROY_PATIENCE_IN_DOUBT,
            },
        };
        let is_complete = self.asking.dumps().iter().all(|dump| dump.complete);
        for dump in self.asking.dumps().iter().filter(|dump| dump.complete) {
            for &family in families(dump.whose) {
                let vanished = self.recorder.end_poll(family, Instant::now(), patience, &mut self.outlet);
                self.metrics.vanished.inc_by(vanished);
            }
        }
        self.outlet.stamp(Utc::now());
        if is_complete {
            self.outlet.ledger().sees_all(true);
            self.health.has_polled();
            self.metrics.last_poll.set(Utc::now().timestamp_millis() as f64 / 1000.0);
            self.metrics.original.cache_count.observe(self.recorder.connections() as f64);
        }
    }

    fn ask_for_listeners(&mut self, now: Instant) {
        if self.last_listeners.is_some_and(|last| now.saturating_duration_since(last) < LISTENERS_EVERY) {
            return;
        }
        self.last_listeners = Some(now);
        match self.listeners.ports(&mut self.buffer) {
            Ok(ports) => self.outlet.ledger().set_listening(ports),
            Err(error) => self.tell(&error, "it is not known what is listened on, nor who began new connections"),
        }
    }

    /// From now on another filter counts, for the connections that are open, too.
    pub fn set_filter(&mut self, filter: Filter) {
        // What ended up to now ended under the one before.
        self.drain_destroy_events();
        let compiled = filter.compile();
        self.recorder.set_filter(filter, !compiled.is_whole, &mut self.outlet);
        if self.last_whole.is_some() {
            // What it lets in was there before: polls will show it.
            self.outlet.ledger().sees_all(false);
        }
        self.outlet.stamp(Utc::now());
        self.asking.set_filter(compiled);
    }

    fn dump_all(&mut self, in_part: bool) {
        for number in 0..self.asking.dumps().len() {
            let outcome = self.dump(number, in_part);
            if let Err(DumpError::Kernel(error)) = &outcome
                && let Some(instead) = self.asking.refused(number)
            {
                self.metrics.error("dump_kernel");
                match instead {
                    Instead::EachFamily => {
                        tracing::info!(%error, "from now on each address family is asked for by itself");
                    }
                    Instead::Unfiltered => {
                        tracing::warn!(%error, "this kernel refuses the filter: it is applied here, to all that is dumped");
                        self.recorder.filter_polls();
                    }
                    Instead::Valueless => {
                        tracing::warn!(%error, "the kernel does not give extended statistics with polls: only final records have them");
                    }
                }
                return self.dump_all(in_part);
            }
            let dump = &mut self.asking.dumps()[number];
            dump.complete = outcome.is_ok();
            dump.answered |= outcome.is_ok();
            self.tell_outcome(number, &outcome);
        }
    }

    fn dump(&mut self, number: usize, in_part: bool) -> Result<(), DumpError> {
        let left_out = self.asking.left_out();
        let dump = &mut self.asking.dumps()[number];
        let whose = dump.whose;
        families(whose).iter().for_each(|&family| self.recorder.begin_poll(family));
        let (source, request, is_whole) = dump.request(in_part);
        let left_out = if is_whole { LeftOut::NOTHING } else { left_out };
        let (begin, mut sockets) = (Instant::now(), [0u32; 2]);
        let (stats, outcome) = source.dump(request, &mut self.buffer, |message| {
            sockets[usize::from(message.header().family() == Some(AddressFamily::Inet6))] += 1;
            let outcome = self.recorder.observe(message, left_out, &mut self.outlet);
            if outcome == Outcome::Unknown {
                self.unknown.push(Unknown { header: *message.header(), values: extended::values(&message) });
            }
            count(&self.metrics, &mut self.limiter, outcome);
        });
        let took = begin.elapsed();
        for &family in families(whose) {
            let original = &self.metrics.original;
            original.syscall_time.with_label_values(&[label(family)]).observe(took.as_secs_f64());
            let sockets = sockets[usize::from(family == AddressFamily::Inet6)];
            original.connection_count.with_label_values(&[label(family)]).observe(sockets.into());
        }
        self.look_up_unknown();
        self.outlet.stamp(Utc::now());
        self.tell_malformed(stats);
        outcome
    }

    fn tell_outcome(&mut self, number: usize, outcome: &Result<(), DumpError>) {
        match outcome {
            Ok(()) => {
                for &family in families(self.asking.dumps()[number].whose) {
                    self.metrics.polls.with_label_values(&[label(family)]).inc();
                }
            }
            Err(error) => {
                self.metrics.failed_polls.inc();
                self.tell(error, "a poll failed; it is made again at the next deadline");
            }
        }
    }

    /// Asks for all of the sockets that are not known yet. One that is not answered is asked for after the next poll.
    fn look_up_unknown(&mut self) {
        let mut whole = Vec::new();
        for Unknown { header, values } in std::mem::take(&mut self.unknown) {
            let outcome = self.lookup.look_up(&header, &mut self.buffer, |message| {
                let message = match &values {
                    Some(values) => extended::with_attribute(message, values, &mut whole),
                    None => message,
                };
                let outcome = self.recorder.observe(message, LeftOut::NOTHING, &mut self.outlet);
                count(&self.metrics, &mut self.limiter, outcome);
            });
            if let Err(error) = outcome {
                self.tell(&error, "a new socket could not be asked for; it is tried again after the next poll");
            }
        }
    }

    fn tell(&mut self, error: &DumpError, what: &str) {
        self.metrics.error(error.label());
        if self.limiter.allows(error.label()) {
            tracing::warn!(%error, "{what}");
        }
    }

    fn tell_malformed(&mut self, stats: DumpStats) {
        let messages = stats.malformed;
        if messages == 0 {
            return;
        }
        self.metrics.errors.with_label_values(&["message_malformed"]).inc_by(messages as u64);
        self.metrics.original.netlink_skipped.with_label_values(&["malformed"]).inc_by(messages as u64);
        if self.limiter.allows("message_malformed") {
            tracing::warn!(messages, "messages too short to be a socket are left out");
        }
    }

    /// Ends: gives back the kernel's sockets, and hands on the rest. The workers end with it, and may need the descriptors.
    pub fn finish(self) {
        let Self { outlet, asking, lookup, destroy, .. } = self;
        drop((asking, lookup, destroy));
        outlet.finish();
    }

    /// Takes the destroy events that have arrived.
    pub fn drain_destroy_events(&mut self) {
        self.ask_for_listeners(Instant::now());
        let Some(source) = &self.destroy else { return };
        let delivery = source.drain(&mut self.buffer, |message| {
            self.metrics.destroy_events.inc();
            let outcome = self.recorder.destroyed(message, &mut self.outlet);
            count(&self.metrics, &mut self.limiter, outcome);
        });
        self.outlet.stamp(Utc::now());
        self.tell_delivery(delivery);
    }

    fn tell_delivery(&mut self, delivery: Delivery) {
        let Delivery { overruns, malformed, error, .. } = delivery;
        self.metrics.errors.with_label_values(&["destroy_malformed"]).inc_by(malformed as u64);
        self.metrics.errors.with_label_values(&["destroy_overrun"]).inc_by(overruns as u64);
        if malformed > 0 && self.limiter.allows("destroy_malformed") {
            tracing::warn!(events = malformed, "destroy events that cannot be read are left out");
        }
        if overruns > 0 {
            self.overrun = Some(Instant::now());
        }
        if overruns > 0 && self.limiter.allows("destroy_overrun") {
            tracing::warn!(
                overruns,
                "the kernel dropped destroy events: some last records lack the final counters, and some short connections are missed"
            );
        }
        if let Some(error) = error {
            self.metrics.error("destroy_receive");
            if self.limiter.allows("destroy_receive") {
                tracing::warn!(%error, "cannot receive destroy events");
            }
        }
    }
}

fn count(metrics: &Metrics, limiter: &mut LogLimiter, outcome: Outcome) {
    match outcome {
        Outcome::Changed(change) => metrics.change(change),
        Outcome::Skipped(Skip::Family) => metrics.original.netlink_skipped.with_label_values(&["family"]).inc(),
        Outcome::Skipped(Skip::NoCookie) => {
            metrics.error("no_cookie");
            metrics.original.netlink_skipped.with_label_values(&["no_cookie"]).inc();
            if limiter.allows("no_cookie") {
                tracing::warn!("sockets without a cookie are left out: there is nothing to know them by");
            }
        }
        Outcome::Skipped(Skip::Undecided) => {
            metrics.undecided.inc();
            if limiter.allows("undecided") {
                tracing::warn!(
                    "connections that were aborted here are left out: their ends do not say what the filter asks for"
                );
            }
        }
        Outcome::Unchanged | Outcome::Unknown | Outcome::Final | Outcome::EndWithoutRecord | Outcome::Skipped(_) => {}
    }
}

fn families(whose: Whose) -> &'static [AddressFamily] {
    match whose {
        Whose::Everybody => &AddressFamily::ALL,
        Whose::Family(AddressFamily::Inet) => &[AddressFamily::Inet],
        Whose::Family(AddressFamily::Inet6) => &[AddressFamily::Inet6],
    }
}

fn label(family: AddressFamily) -> &'static str {
    match family {
        AddressFamily::Inet => "ipv4",
        AddressFamily::Inet6 => "ipv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::States;
    use crate::outbox::Outbox;
    use crate::source::DumpRequest;

    fn observer() -> Observer {
        let metrics = Metrics::new().expect("the names are valid");
        let (outbox, _) = Outbox::new(1, metrics.stalls.clone(), Arc::default(), None, None);
        let outlet = Outlet::new(outbox, None, metrics.ledger());
        Observer::new(Attributes::FULL, Filter::default(), None, None, outlet, metrics, Arc::new(Health::new(None)))
    }

    /// What the kernel does not do to order.
    #[test]
    fn each_loss_of_a_source_is_counted_under_its_own_name() {
        let mut observer = observer();
        let error = Some(std::io::Error::from_raw_os_error(5));
        observer.tell_delivery(Delivery { events: 0, overruns: 2, malformed: 3, error });
        observer.tell_malformed(DumpStats { sockets: 9, malformed: 4 });
        let receive = DumpError::Receive(std::io::Error::from_raw_os_error(5));
        observer.tell(&receive, "a poll failed");
        count(&observer.metrics, &mut observer.limiter, Outcome::Skipped(Skip::NoCookie));
        let counted = |kind| observer.metrics.errors.with_label_values(&[kind]).get();
        let expected = [
            ("destroy_overrun", 2),
            ("destroy_malformed", 3),
            ("destroy_receive", 1),
            ("message_malformed", 4),
            ("dump_receive", 1),
            ("no_cookie", 1),
        ];
        assert_eq!(expected.map(|(kind, _)| (kind, counted(kind))), expected);
        assert!(observer.overrun.is_some(), "from now on a missing event is doubted");
    }

    /// A request with a filter that is none.
    fn refused() -> DumpRequest {
        DumpRequest::connections(Whose::Everybody, Attributes::FULL.whole(), States::ALL, &[1, 4, 200, 0])
    }

    /// As on a kernel that does not know the request for both.
    #[test]
    fn where_both_families_cannot_be_asked_for_at_once_each_is_by_itself() {
        let mut observer = observer();
        observer.asking.dumps()[0].set_whole(refused());
        observer.poll();
        assert_eq!(observer.asking.dumps().len(), 2);
        assert!(observer.asking.dumps().iter().all(|dump| dump.complete));
        assert_eq!((observer.metrics.failed_polls.get(), saver::Counters::sum(&observer.metrics.polls)), (0, 2));
        assert_eq!(observer.metrics.errors.with_label_values(&["dump_kernel"]).get(), 1);
    }

    #[test]
    fn an_error_of_a_kernel_that_has_answered_before_is_a_failed_poll() {
        let mut observer = observer();
        observer.poll();
        let whole = observer.asking.dumps()[0].set_whole(refused());
        observer.poll();
        observer.asking.dumps()[0].set_whole(whole);
        observer.poll();
        assert_eq!((observer.asking.dumps().len(), observer.metrics.failed_polls.get()), (1, 1));
        assert!(observer.asking.dumps()[0].complete);
    }
}
