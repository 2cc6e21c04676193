//! How addresses are made unknowable.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::anonymize::{Anonymizer, Method, OwnAddresses};

/// Options of anonymisation.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Anonymisation")]
pub struct AnonymizeArgs {
    /// How addresses are changed before anything leaves memory; those of this host's own interfaces never are
    #[arg(long = "anonymize.ip", alias = "anonymize-ip", value_name = "METHOD", default_value = "none")]
    anonymize_ip: Choice,

    /// File with the key for cryptopan: 32 bytes, or 64 hexadecimal digits
    #[arg(long = "anonymize.key", alias = "anonymize-key", value_name = "FILE")]
    anonymize_key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Not at all
    #[default]
    None,
    /// IPv4 addresses to their first three bytes, IPv6 ones to their first six
    Netblock,
    /// To others, the same each time; those that share a prefix go on to share it (Crypto-PAn)
    Cryptopan,
}

impl AnonymizeArgs {
    /// Whether there is a key if one is needed, and else none: whoever gives one wants it used.
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.anonymize_ip, &self.anonymize_key) {
            (Choice::Cryptopan, None) => Err("--anonymize.ip cryptopan needs a key: --anonymize.key FILE".to_owned()),
            (Choice::None | Choice::Netblock, Some(_)) => {
                Err("--anonymize.key is of use with --anonymize.ip cryptopan only".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Takes no key, for the method was chosen after it was given.
    pub(super) fn forget_key(&mut self) {
        if self.anonymize_ip != Choice::Cryptopan {
            self.anonymize_key = None;
        }
    }

    /// The method, with the key that the file has.
    pub(super) fn method(&self) -> Result<Method, String> {
        self.check()?;
        match (self.anonymize_ip, &self.anonymize_key) {
            (Choice::Cryptopan, Some(key)) => Method::crypto_pan(key),
            (Choice::Netblock, _) => Ok(Method::Netblock),
            _ => Ok(Method::None),
        }
    }

    /// What changes addresses. It knows those of this host from now on.
    pub fn anonymizer(&self) -> anyhow::Result<Anonymizer> {
        let own = match self.anonymize_ip {
            Choice::None => OwnAddresses::default(),
            _ => {
                OwnAddresses::watch().context("cannot list the addresses of this host, which are not to be changed")?
            }
        };
        Ok(Anonymizer::new(self.method().map_err(anyhow::Error::msg)?, own))
    }
}
