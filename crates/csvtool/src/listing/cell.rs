//! Values.

use std::cmp::Ordering;

use chrono::{DateTime, SecondsFormat, Utc};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// A number of things.
    Count(u64),
    /// A number that is measured, with so many digits behind the point.
    Number(f64, usize),
    /// A time, and how much of it is told.
    Time(DateTime<Utc>, SecondsFormat),
}

impl Cell {
    /// As text.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Flag(flag) => u8::from(*flag).to_string(),
            Self::Count(count) => count.to_string(),
            Self::Number(number, digits) => format!("{number:.digits$}"),
            Self::Time(time, told) => time.to_rfc3339_opts(*told, true),
        }
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(_) | Self::Time(..) => self.text().into(),
            Self::Flag(flag) => (*flag).into(),
            Self::Count(count) => (*count).into(),
            // The digits that are written, and no others.
            Self::Number(_, 0) => self.text().parse::<u64>().ok().into(),
            Self::Number(..) => self.text().parse::<f64>().ok().into(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Flag(flag) => Some(f64::from(u8::from(*flag))),
            Self::Count(count) => Some(*count as f64),
            Self::Number(number, _) => Some(*number),
            Self::Text(_) | Self::Time(..) => None,
        }
    }
}

/// Numbers from the largest on, all else from the least, and what is not known last.
pub(super) fn compare(one: Option<&Cell>, other: Option<&Cell>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => match (one.number(), other.number()) {
            (Some(one), Some(other)) => other.total_cmp(&one),
            _ => one.text().cmp(&other.text()),
        },
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}
