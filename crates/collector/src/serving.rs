//! Serving metrics: beside the recording, or alone.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use anyhow::Context;
use prometheus::Registry;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use web::{Address, Counters, Server, WebConfig};

use crate::cli::{Cli, Listen};
use crate::health::Health;
use crate::metrics::{errors, register_host};
use crate::pages::Pages;
use program::stop::Stop;

/// Where metrics are served unless it is said where.
const DEFAULT_ADDRESS: &str = "127.0.0.1:9991";

/// Serves what is registered, as long as the server is there. `None` if that is not wanted; or if nobody said where, and
/// the usual place is taken.
pub fn serve(cli: &Cli, registry: &Registry, health: &Arc<Health>) -> anyhow::Result<Option<Server>> {
    let config = read_config(cli)?;
    let (address, is_chosen) = match &cli.listen_address {
        Some(Listen::Off) => return Ok(None),
        Some(Listen::At(address)) => (address.clone(), true),
        None => (DEFAULT_ADDRESS.parse::<Address>().map_err(anyhow::Error::msg)?, false),
    };
    let started = start(&address, config, registry, health);
    match started {
        Ok(server) => Ok(Some(server)),
        Err(error) if !is_chosen && !cli.metrics_only => {
            tracing::warn!(%address, %error, "metrics are not served: choose where by --prometheusx.listen-address");
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("cannot serve metrics on {address}")),
    }
}

fn read_config(cli: &Cli) -> anyhow::Result<WebConfig> {
    match &cli.web_config {
        None => Ok(WebConfig::default()),
        Some(path) => WebConfig::read(path).map_err(anyhow::Error::msg).context("--web.config.file"),
    }
}

fn start(address: &Address, config: WebConfig, registry: &Registry, health: &Arc<Health>) -> io::Result<Server> {
    let counters = Counters::new("tcpinfo", registry).map_err(io::Error::other)?;
    let scheme = if config.has_tls() { "https" } else { "http" };
    let server = Server::start(address.bind()?, config, Pages::new(registry.clone(), Arc::clone(health)), counters)?;
    tracing::info!(address = %server.address(), scheme, "metrics are served");
    Ok(server)
}

/// Serves metrics until told to stop, and records nothing.
pub fn run(cli: &Cli, stop: &Stop) -> anyhow::Result<()> {
    let registry = Registry::new();
    let errors = errors(&registry).context("cannot make the metrics")?;
    register_host(&registry, &errors).context("cannot make the metrics")?;
    let server = serve(cli, &registry, &Arc::new(Health::new(None)))?;
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN)], None) {
            Err(Errno::INTR) => {}
            outcome => {
                drop(server);
                return outcome.map(drop).context("cannot wait for the order to stop");
            }
        }
    }
}
