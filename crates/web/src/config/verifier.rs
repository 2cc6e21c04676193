//! Which certificates of clients are taken.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use webpki::EndEntityCert;

/// What is asked of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verification {
    pub(super) is_required: bool,
    pub(super) is_verified: bool,
}

impl Verification {
    pub(super) const OPTIONAL_UNVERIFIED: Self = Self { is_required: false, is_verified: false };
    pub(super) const REQUIRED_UNVERIFIED: Self = Self { is_required: true, is_verified: false };
    pub(super) const OPTIONAL: Self = Self { is_required: false, is_verified: true };
    pub(super) const REQUIRED: Self = Self { is_required: true, is_verified: true };
}

/// Verifies as far as that is asked for.
#[derive(Debug)]
pub(super) struct Verifier {
    is_required: bool,
    /// By the authorities, if these are asked.
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// Names of which a certificate has to have one, as it is.
    allowed: Option<Vec<String>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    pub(super) fn new(
        verification: Verification,
        roots: RootCertStore,
        allowed: Option<&[String]>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let authorities = verification.is_verified.then(|| {
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            builder.allow_unauthenticated().build().map_err(|error| format!("client_ca: {error}"))
        });
        if let Some(bad) = allowed.into_iter().flatten().find(|name| name.is_empty() || name.contains('@')) {
            return Err(format!("{bad:?} of client_allowed_sans is neither a DNS name, a URI nor an IP address"));
        }
        let allowed = allowed.map(<[String]>::to_vec);
        let authorities = authorities.transpose()?;
        Ok(Self { is_required: verification.is_required, authorities, allowed, provider: Arc::clone(provider) })
    }
}

/// Whether a certificate has one of these names among its own. A wildcard in it is a name like others, and stands for none.
fn has_one_of(certificate: &CertificateDer<'_>, allowed: &[String]) -> Result<bool, Error> {
    let bad = |_| Error::General("the client's certificate cannot be read".to_owned());
    let names = EndEntityCert::try_from(certificate).map_err(bad)?;
    let mut own = names.valid_dns_names().chain(names.valid_uri_names());
    if own.any(|name| allowed.iter().any(|allowed| allowed == name)) {
        return Ok(true);
    }
    let parsed = ParsedCertificate::try_from(certificate)?;
    let addresses = allowed.iter().filter_map(|allowed| allowed.parse::<IpAddr>().ok());
    Ok(addresses.map(ServerName::from).any(|address| verify_server_name(&parsed, &address).is_ok()))
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.as_ref().map_or(&[], |authorities| authorities.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(authorities) = &self.authorities {
            authorities.verify_client_cert(end, between, now)?;
        }
        if let Some(allowed) = &self.allowed
            && !has_one_of(end, allowed)?
        {
            return Err(Error::General("none of the names in the client's certificate is allowed".to_owned()));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, end, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, end, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
