//! TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, RootCertStore, ServerConfig, SupportedProtocolVersion};
use serde::Deserialize;

use super::verifier::{Verification, Verifier};

/// Section `tls_server_config`. An empty value is none.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tls {
    cert: String,
    key: String,
    client_ca: String,
    cert_file: PathBuf,
    key_file: PathBuf,
    client_ca_file: PathBuf,
    client_auth_type: String,
    client_allowed_sans: Option<Vec<String>>,
    min_version: String,
    max_version: String,
    cipher_suites: Vec<String>,
    /// Taken, and of no effect: the server's preference counts.
    #[serde(rename = "prefer_server_cipher_suites")]
    _prefer_server_cipher_suites: bool,
    curve_preferences: Vec<String>,
}

impl Tls {
    /// The same with paths below the directory of the file that names them.
    pub(super) fn resolve(mut self, directory: &Path) -> Self {
        for path in [&mut self.cert_file, &mut self.key_file, &mut self.client_ca_file] {
            if !path.as_os_str().is_empty() {
                *path = directory.join(&path);
            }
        }
        self
    }

    /// Files that it names.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let all = [&self.cert_file, &self.key_file, &self.client_ca_file];
        all.into_iter().filter(|path| !path.as_os_str().is_empty()).cloned().collect()
    }

    /// What it says, in the form of the library; `None` if it says nothing.
    pub(super) fn server_config(&self) -> Result<Option<ServerConfig>, String> {
        if self.files().is_empty()
            && [&self.cert, &self.key, &self.client_ca, &self.client_auth_type].iter().all(|text| text.is_empty())
        {
            return Ok(None);
        }
        let certificates =
            certificates(&pem("cert", &self.cert, &self.cert_file)?).map_err(|error| format!("cert: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(&pem("key", &self.key, &self.key_file)?)
            .map_err(|error| format!("key: {error}"))?;
        let provider = Arc::new(self.provider()?);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions()?)
            .map_err(|error| format!("versions and ciphers leave nothing to speak: {error}"))?;
        let builder = match self.verifier(&provider)? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
        };
        let mut config =
            builder.with_single_cert(certificates, key).map_err(|error| format!("certificate and key: {error}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(config))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Option<Verifier>, String> {
        let has_ca = !self.client_ca.is_empty() || !self.client_ca_file.as_os_str().is_empty();
        let verification = match self.client_auth_type.as_str() {
            "" | "NoClientCert" if has_ca => {
                return Err("a client_ca is of use with a client_auth_type only".to_owned());
            }
            "" | "NoClientCert" if self.client_allowed_sans.is_none() => return Ok(None),
            "" | "NoClientCert" => return Err(SANS_NEED_A_CERTIFICATE.to_owned()),
            "RequestClientCert" => Verification::OPTIONAL_UNVERIFIED,
            "RequireAnyClientCert" | "RequireClientCert" => Verification::REQUIRED_UNVERIFIED,
            "VerifyClientCertIfGiven" => Verification::OPTIONAL,
            "RequireAndVerifyClientCert" => Verification::REQUIRED,
            other => return Err(format!("{other:?} is no client_auth_type")),
        };
        if self.client_allowed_sans.is_some() && !verification.is_required {
            return Err(SANS_NEED_A_CERTIFICATE.to_owned());
        }
        let mut roots = RootCertStore::empty();
        if verification.is_verified {
            for certificate in certificates(&pem("client_ca", &self.client_ca, &self.client_ca_file)?)
                .map_err(|error| format!("client_ca: {error}"))?
            {
                roots.add(certificate).map_err(|error| format!("client_ca: {error}"))?;
            }
        }
        Verifier::new(verification, roots, self.client_allowed_sans.as_deref(), provider).map(Some)
    }

    fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
        let number = |text: &str, default| match text {
            "" => Ok(default),
            "TLS10" => Ok(10),
            "TLS11" => Ok(11),
            "TLS12" => Ok(12),
            "TLS13" => Ok(13),
            other => Err(format!("{other:?} is no version of TLS")),
        };
        let range = number(&self.min_version, 12)?..=number(&self.max_version, 13)?;
        let known = [(12, &TLS12), (13, &TLS13)].into_iter().filter(|(number, _)| range.contains(number));
        let versions: Vec<_> = known.map(|(_, version)| version).collect();
        if versions.is_empty() {
            Err("min_version and max_version leave neither TLS12 nor TLS13".to_owned())
        } else {
            Ok(versions)
        }
    }

    /// The algorithms. Ciphers of TLS 1.3 cannot be chosen; of the others, and of curves, those that are not known here are
    /// left out.
    fn provider(&self) -> Result<CryptoProvider, String> {
        let mut provider = ring::default_provider();
        if !self.cipher_suites.is_empty() {
            if let Some(bad) = self.cipher_suites.iter().find(|name| !name.starts_with("TLS_")) {
                return Err(format!("{bad:?} is no cipher"));
            }
            let known: Vec<_> = provider.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
            for name in self.cipher_suites.iter().filter(|name| !known.contains(name)) {
                tracing::warn!(name, "a cipher of cipher_suites is not known here, and left out");
            }
            provider.cipher_suites.retain(|suite| {
                let name = format!("{:?}", suite.suite());
                suite.tls13().is_some() || self.cipher_suites.contains(&name)
            });
        }
        if !self.curve_preferences.is_empty() {
            let groups = self.curve_preferences.iter().map(|name| match name.as_str() {
                "X25519" => Ok(NamedGroup::X25519),
                "CurveP256" => Ok(NamedGroup::secp256r1),
                "CurveP384" => Ok(NamedGroup::secp384r1),
                "CurveP521" => Ok(NamedGroup::secp521r1),
                other => Err(format!("{other:?} is no curve")),
            });
            let groups: Vec<_> = groups.collect::<Result<_, _>>()?;
            let known = std::mem::take(&mut provider.kx_groups);
            provider.kx_groups =
                groups.iter().filter_map(|&name| known.iter().find(|group| group.name() == name).copied()).collect();
        }
        Ok(provider)
    }
}

const SANS_NEED_A_CERTIFICATE: &str =
    "client_allowed_sans needs the client_auth_type RequireAnyClientCert or RequireAndVerifyClientCert";

/// The text that is given, or that of the file.
fn pem(name: &str, text: &str, file: &Path) -> Result<Vec<u8>, String> {
    if file.as_os_str().is_empty() {
        return if text.is_empty() {
            Err(format!("one of {name} and {name}_file is missing"))
        } else {
            Ok(text.into())
        };
    }
    std::fs::read(file).map_err(|error| format!("{name}_file {}: {error}", file.display()))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if found.is_empty() { Err("there is no certificate".to_owned()) } else { Ok(found) }
}
