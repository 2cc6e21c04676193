//! TLS, passwords and headers, by the file of Prometheus' exporter-toolkit.

mod file;
mod rate;
mod tls;
mod verifier;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use hyper::header::{HeaderName, HeaderValue};
use rustls::ServerConfig;

use crate::passwords::Passwords;
use file::File;
use rate::Rate;

/// How a server is secured. The default is not at all.
///
/// The format is the one of `--web.config.file` in the programs of Prometheus: sections `tls_server_config`,
/// `http_server_config`, `basic_auth_users` and `rate_limit`. The file, and those that it names, are looked at for each
/// connection; what changed counts at once, unless it is wrong: then what was right before goes on.
///
/// Differences: TLS 1.0 and 1.1, ciphers without forward secrecy and the curve P-521 do not exist here; HTTP/2 is not
/// spoken; `client_allowed_sans` takes DNS names and IP addresses.
#[derive(Debug, Default)]
pub struct WebConfig {
    path: Option<PathBuf>,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    settings: Arc<Settings>,
    /// Files that they are from, and when these last changed.
    files: Vec<(PathBuf, Option<SystemTime>)>,
}

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) passwords: Passwords,
    pub(crate) rate: Rate,
}

impl WebConfig {
    /// Reads a file. An error is one line that says what is wrong in which file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let (settings, others) = read(path)?;
        let current = Mutex::new(Current { settings: Arc::new(settings), files: dated(path, others) });
        Ok(Self { path: Some(path.to_owned()), current })
    }

    /// Whether clients have to speak TLS.
    pub fn has_tls(&self) -> bool {
        self.settings().tls.is_some()
    }

    /// What counts now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.path
            && current.files.iter().any(|(file, changed)| changed_at(file) != *changed)
        {
            let files = current.files.iter().map(|(file, _)| file.clone()).skip(1).collect();
            match read(path) {
                Ok((settings, others)) => {
                    tracing::info!(file = %path.display(), "the web configuration has changed");
                    *current = Current { settings: Arc::new(settings), files: dated(path, others) };
                }
                Err(error) => {
                    tracing::error!(%error, "the web configuration has changed, and is wrong; what it said before counts");
                    current.files = dated(path, files);
                }
            }
        }
        Arc::clone(&current.settings)
    }
}

/// The settings, and the further files that they are from.
fn read(path: &Path) -> Result<(Settings, Vec<PathBuf>), String> {
    let problem = |what: String| format!("{}: {what}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
    let file = File::parse(&text).map_err(problem)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let tls = file.tls_server_config.map(|tls| tls.resolve(directory));
    let others = tls.as_ref().map(tls::Tls::files).unwrap_or_default();
    let tls = tls.and_then(|tls| tls.server_config().transpose()).transpose().map_err(problem)?;
    let headers = file.http_server_config.headers().map_err(problem)?;
    let passwords = Passwords::new(file.basic_auth_users).map_err(problem)?;
    Ok((Settings { tls: tls.map(Arc::new), headers, passwords, rate: file.rate_limit }, others))
}

fn dated(path: &Path, others: Vec<PathBuf>) -> Vec<(PathBuf, Option<SystemTime>)> {
    let all = std::iter::once(path.to_owned()).chain(others);
    all.map(|file| (file.clone(), changed_at(&file))).collect()
}

fn changed_at(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}
