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
/// spoken; `client_allowed_sans` takes DNS names, URIs and IP addresses.
#[derive(Debug, Default)]
pub struct WebConfig {
    path: Option<PathBuf>,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    settings: Arc<Settings>,
    files: Files,
}

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) rate: Rate,
}

impl WebConfig {
    /// Reads a file. An error is one line that says what is wrong in which file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let (settings, files) = read(path);
        let current = Mutex::new(Current { settings: Arc::new(settings?), files });
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
            && current.files.iter().any(|file| dated(&file.0) != *file)
        {
            let (settings, files) = read(path);
            current.files = files;
            match settings {
                Ok(settings) => {
                    tracing::info!(file = %path.display(), "the web configuration has changed");
                    current.settings = Arc::new(settings);
                }
                Err(error) => {
                    tracing::error!(%error, "the web configuration has changed, and is wrong; what it said before counts");
                }
            }
        }
        Arc::clone(&current.settings)
    }
}

/// The files that settings are from, and when these last changed.
type Files = Vec<(PathBuf, Option<SystemTime>)>;

/// The settings, and the files that they are from, or would be. Their times are taken before they are read: what changes
/// meanwhile is read again.
fn read(path: &Path) -> (Result<Settings, String>, Files) {
    let mut files = vec![dated(path)];
    let settings = read_noting(path, &mut files).map_err(|what| format!("{}: {what}", path.display()));
    (settings, files)
}

fn read_noting(path: &Path, files: &mut Files) -> Result<Settings, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let file = File::parse(&text)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let tls = file.tls_server_config.map(|tls| tls.resolve(directory));
    files.extend(tls.iter().flat_map(tls::Tls::files).map(|file| dated(&file)));
    let tls = tls.map_or(Ok(None), |tls| tls.server_config())?.map(Arc::new);
    let headers = file.http_server_config.headers()?;
    let passwords = Arc::new(Passwords::new(file.basic_auth_users)?);
    Ok(Settings { tls, headers, passwords, rate: file.rate_limit })
}

fn dated(path: &Path) -> (PathBuf, Option<SystemTime>) {
    (path.to_owned(), std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
}
