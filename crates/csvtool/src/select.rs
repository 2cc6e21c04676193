//! Which records become rows.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use inetdiag::{ArchivalRecord, TcpState};
use ipnet::IpNet;
use program::ports::Ports;

/// What is asked of a record. The default is nothing; of each list that is not empty it has to meet one.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Of which connection it is.
    pub uuids: Vec<String>,
    /// Not before this time.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// Networks in which either end is.
    pub hosts: Vec<IpNet>,
    /// Ports of either end.
    pub ports: Ports,
    /// States.
    pub states: Vec<TcpState>,
}

impl Selection {
    /// Whether a record of the connection with this UUID is wanted; one without a socket is not, if anything is asked of it.
    pub fn accepts(&self, record: &ArchivalRecord, uuid: Option<&str>) -> bool {
        let in_time = self.since.is_none_or(|since| record.timestamp >= since)
            && self.until.is_none_or(|until| record.timestamp < until);
        let is_wanted = self.uuids.is_empty() || self.uuids.iter().any(|wanted| Some(wanted.as_str()) == uuid);
        in_time && is_wanted && self.accepts_socket(record)
    }

    fn accepts_socket(&self, record: &ArchivalRecord) -> bool {
        if self.hosts.is_empty() && self.ports.is_empty() && self.states.is_empty() {
            return true;
        }
        let Some(idm) = &record.raw_idm else { return false };
        let (addresses, ports) = ([idm.src(), idm.dst()], [idm.id.idiag_sport.get(), idm.id.idiag_dport.get()]);
        self.accepts_ends(addresses, ports)
            && (self.states.is_empty() || idm.state().is_some_and(|state| self.states.contains(&state)))
    }

    /// Whether either end is one that is wanted.
    pub fn accepts_ends(&self, addresses: [IpAddr; 2], ports: [u16; 2]) -> bool {
        let has_host = |net: &IpNet| addresses.iter().any(|address| net.contains(&address.to_canonical()));
        (self.hosts.is_empty() || self.hosts.iter().any(has_host))
            && (self.ports.is_empty() || ports.iter().any(|&port| self.ports.contains(port)))
    }
}

/// A time: RFC 3339, or without an offset in UTC, down to the day or to the minute.
pub fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    let local = |format| NaiveDateTime::parse_from_str(text, format).map(|time| time.and_utc());
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .or_else(|_| local("%Y-%m-%dT%H:%M:%S%.f"))
        .or_else(|_| local("%Y-%m-%d %H:%M:%S%.f"))
        .or_else(|_| local("%Y-%m-%dT%H:%M"))
        .or_else(|_| {
            NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|date| date.and_time(Default::default()).and_utc())
        })
        .map_err(|_| {
            "must be a time such as 2026-01-02, 2026-01-02T03:04 or 2026-01-02T03:04:05Z, in UTC if it does not say"
                .to_owned()
        })
}

/// An address or a network of either family.
pub fn parse_host(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    address.or_else(|_| text.parse()).map_err(|_| "must be an address or a network such as 192.0.2.0/24".to_owned())
}

/// A state as `ss` or the kernel writes it, such as `established` or `FIN_WAIT2`; or its number.
pub fn parse_state(text: &str) -> Result<TcpState, String> {
    const NAMES: [(&str, TcpState); 13] = [
        ("established", TcpState::Established),
        ("estab", TcpState::Established),
        ("synsent", TcpState::SynSent),
        ("synrecv", TcpState::SynRecv),
        ("finwait1", TcpState::FinWait1),
        ("finwait2", TcpState::FinWait2),
        ("timewait", TcpState::TimeWait),
        ("close", TcpState::Close),
        ("closed", TcpState::Close),
        ("closewait", TcpState::CloseWait),
        ("lastack", TcpState::LastAck),
        ("listen", TcpState::Listen),
        ("closing", TcpState::Closing),
    ];
    let text = text.trim();
    let plain: String = text.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect();
    let named = NAMES.iter().find(|(name, _)| *name == plain).map(|&(_, state)| state);
    let numbered = || text.parse().ok().and_then(TcpState::from_number);
    named.or_else(numbered).ok_or_else(|| "must be a state such as established or close-wait".to_owned())
}

/// How many rows are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// All but each so many-th.
    Records(u64),
    /// Those that follow the last one sooner.
    Time(Duration),
}

impl std::str::FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "must be a number of records such as 10, or a time such as 1s".to_owned();
        let every = match text.parse() {
            Ok(records) => Self::Records(records),
            Err(_) => Self::Time(humantime::parse_duration(text).map_err(|_| bad())?),
        };
        if matches!(every, Self::Records(0) | Self::Time(Duration::ZERO)) { Err(bad()) } else { Ok(every) }
    }
}

/// Leaves out records of one connection, and never the first.
#[derive(Debug, Default)]
pub struct Thinning {
    every: Option<Every>,
    since_last: u64,
    last: Option<DateTime<Utc>>,
}

impl Thinning {
    /// Leaves out that much; `None`: nothing.
    pub fn new(every: Option<Every>) -> Self {
        Self { every, ..Self::default() }
    }

    /// Another connection begins.
    pub fn restart(&mut self) {
        (self.since_last, self.last) = (0, None);
    }

    /// Whether the next record, of that time, is kept.
    pub fn keeps(&mut self, time: DateTime<Utc>) -> bool {
        let keeps = match (self.every, self.last) {
            (None, _) | (_, None) => true,
            (Some(Every::Records(every)), _) => self.since_last + 1 >= every,
            // A clock that went back begins anew.
            (Some(Every::Time(every)), Some(last)) => {
                (time - last).to_std().is_ok_and(|passed| passed >= every) || time < last
            }
        };
        if keeps {
            (self.since_last, self.last) = (0, Some(time));
        } else {
            self.since_last += 1;
        }
        keeps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_may_be_short_and_are_of_utc_then() {
        let at = |text: &str| parse_time(text).expect(text).to_rfc3339();
        assert_eq!(at("2026-01-02"), "2026-01-02T00:00:00+00:00");
        assert_eq!(at("2026-01-02T03:04"), "2026-01-02T03:04:00+00:00");
        assert_eq!(at("2026-01-02 03:04:05.5"), "2026-01-02T03:04:05.500+00:00");
        assert_eq!(at("2026-01-02T03:04:05+01:00"), "2026-01-02T02:04:05+00:00");
        assert!(["", "yesterday", "2026-13-01", "2026-01-02T"].iter().all(|bad| parse_time(bad).is_err()));
    }

    #[test]
    fn hosts_and_states_are_taken_in_every_form() {
        assert_eq!(parse_host("::ffff:192.0.2.1").expect("an address").to_string(), "192.0.2.1/32");
        assert_eq!(parse_host("2001:db8::/32").expect("a network").to_string(), "2001:db8::/32");
        assert!(parse_host("host").is_err() && parse_host("192.0.2.0/33").is_err());
        for name in ["FIN_WAIT2", "fin-wait-2", "5"] {
            assert_eq!(parse_state(name), Ok(TcpState::FinWait2), "{name}");
        }
        assert!(parse_state("open").is_err() && parse_state("99").is_err());
    }

    #[test]
    fn each_tenth_or_each_second_is_kept_from_the_first_on() {
        let at = |ms: i64| DateTime::from_timestamp_millis(ms).expect("a time");
        let kept = |every: &str, times: &[i64]| {
            let mut thinning = Thinning::new(Some(every.parse().expect(every)));
            times.iter().copied().filter(|&ms| thinning.keeps(at(ms))).collect::<Vec<_>>()
        };
        assert_eq!(kept("3", &[0, 1, 2, 3, 4, 5, 6]), [0, 3, 6]);
        assert_eq!(kept("1", &[0, 1]), [0, 1]);
        assert_eq!(kept("1s", &[0, 999, 1000, 1500, 5000, 5001]), [0, 1000, 5000]);
        assert_eq!(kept("1s", &[5000, 100, 200, 1100]), [5000, 100, 1100], "a clock that went back");
        assert!(["0", "0s", "x", "-1"].iter().all(|bad| bad.parse::<Every>().is_err()));
    }
}
