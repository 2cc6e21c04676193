//! TLS and passwords, by the file of the exporter-toolkit.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use web::WebConfig;

use crate::support::{Answer, Served};

/// Of `secret`.
const USERS: &str = "basic_auth_users:\n  anna: $2b$04$H0WIJ59CX.JifImq3hEjN.MNAWVMYjnfQfwTTmhRIcQDJzH0.7qVK\n";

/// An authority, and certificates of it: `<name>.pem` and `<name>.key` for each name, and `ca.pem`.
fn certificates(dir: &Path, names: &[&str]) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
    fs::write(dir.join("ca.pem"), authority.pem()).expect("writes");
    for name in names {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![(*name).to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        fs::write(dir.join(format!("{name}.pem")), certificate.pem()).expect("writes");
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).expect("writes");
    }
}

fn config(dir: &Path, text: &str) -> WebConfig {
    let path = dir.join("web.yml");
    fs::write(&path, text).expect("writes");
    WebConfig::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// Asks over TLS, with a certificate of that name; the answer's status is 0 if none came.
fn get(served: &Served, dir: &Path, name: Option<&str>, headers: &str) -> Answer {
    let mut roots = RootCertStore::empty();
    let pem = |file: &str| fs::read(dir.join(file)).expect("reads");
    roots.add(CertificateDer::from_pem_slice(&pem("ca.pem")).expect("a certificate")).expect("an authority");
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let client = match name {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let certificate = CertificateDer::from_pem_slice(&pem(&format!("{name}.pem"))).expect("a certificate");
            let key = PrivateKeyDer::from_pem_slice(&pem(&format!("{name}.key"))).expect("a key");
            builder.with_client_auth_cert(vec![certificate], key).expect("a certificate")
        }
    };
    let server = "server".try_into().expect("a name");
    let connection = ClientConnection::new(Arc::new(client), server).expect("a connection");
    let mut stream = StreamOwned::new(connection, served.connect());
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes());
    Answer::read(stream)
}

#[test]
fn pages_are_sent_over_tls_to_those_who_have_the_password() {
    let dir = tempfile::tempdir().expect("a directory");
    certificates(dir.path(), &["server"]);
    let text = "tls_server_config: {cert_file: server.pem, key_file: server.key}\nhttp_server_config: {headers: {X-Frame-Options: deny}}\n";
    let served = Served::new(config(dir.path(), &format!("{text}{USERS}")));
    let right = get(&served, dir.path(), None, "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n");
    assert_eq!((right.status, &*right.body), (200, &b"<p>hello"[..]));
    assert!(right.head.contains("x-frame-options: deny"), "{}", right.head);
    let wrong = get(&served, dir.path(), None, "Authorization: Basic YW5uYTp4\r\n");
    assert!(wrong.status == 401 && wrong.head.contains("www-authenticate: basic"), "{}", wrong.head);
    assert_eq!(get(&served, dir.path(), None, "").status, 401);
    assert_eq!(served.get("/", "").status, 0, "not without TLS");
}

#[test]
fn certificates_of_clients_are_asked_for_as_far_as_the_file_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let stranger = tempfile::tempdir().expect("a directory");
    certificates(stranger.path(), &["stranger"]);
    certificates(dir.path(), &["server", "anna", "*.example"]);
    for file in ["stranger.pem", "stranger.key"] {
        fs::copy(stranger.path().join(file), dir.path().join(file)).expect("copies");
    }
    let base = "cert_file: server.pem, key_file: server.key";
    let ca = "client_ca_file: ca.pem";
    for (line, admitted) in [
        ("client_auth_type: NoClientCert".to_owned(), [true, true, true, true]),
        ("client_auth_type: RequestClientCert".to_owned(), [true, true, true, true]),
        ("client_auth_type: RequireAnyClientCert".to_owned(), [false, true, true, true]),
        (format!("client_auth_type: VerifyClientCertIfGiven, {ca}"), [true, true, true, false]),
        (format!("client_auth_type: RequireAndVerifyClientCert, {ca}"), [false, true, true, false]),
        (
            format!("client_auth_type: RequireAndVerifyClientCert, {ca}, client_allowed_sans: [anna]"),
            [false, true, false, false],
        ),
        (
            format!("client_auth_type: RequireAndVerifyClientCert, {ca}, client_allowed_sans: [a.example, anna]"),
            [false, true, false, false],
        ),
    ] {
        let served = Served::new(config(dir.path(), &format!("tls_server_config: {{{base}, {line}}}\n")));
        let clients = [None, Some("anna"), Some("*.example"), Some("stranger")];
        let seen = clients.map(|name| get(&served, dir.path(), name, "").status == 200);
        assert_eq!(seen, admitted, "{line}");
    }
}

#[test]
fn what_changes_counts_at_once_unless_it_is_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    let served = Served::new(config(dir.path(), USERS));
    let path = dir.path().join("web.yml");
    // In the same moment a file may change without a change of its time.
    let change = |text: &str, seconds: u64| {
        fs::write(&path, text).expect("writes");
        let file = fs::File::options().write(true).open(&path).expect("opens");
        file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(seconds)).expect("a time");
    };
    assert_eq!(served.get("/", "").status, 401);
    change("basic_auth_users: 7\n", 10);
    assert_eq!(served.get("/", "").status, 401, "what is wrong does not open the door");
    change("", 20);
    assert_eq!(served.get("/", "").status, 200);
    // Of what it names, some may come later.
    change("tls_server_config: {cert_file: server.pem, key_file: server.key}\n", 25);
    assert_eq!(served.get("/", "").status, 200, "there is none yet");
    certificates(dir.path(), &["server"]);
    assert_eq!(served.get("/", "").status, 0);
    assert_eq!(get(&served, dir.path(), None, "").status, 200);
    change("rate_limit: {interval: 1h, burst: 2}\n", 30);
    assert_eq!([(); 3].map(|()| served.get("/", "").status), [200, 200, 429]);
}

#[test]
fn what_cannot_be_is_one_line_that_names_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    certificates(dir.path(), &["server", "other"]);
    let base = "cert_file: server.pem, key_file: server.key";
    let path = dir.path().join("web.yml");
    for (text, expected) in [
        ("tls_server_config: {cert_file: server.pem}", "one of key and key_file is missing"),
        ("tls_server_config: {cert_file: none.pem, key_file: server.key}", "none.pem"),
        ("tls_server_config: {cert_file: server.key, key_file: server.key}", "no certificate"),
        ("tls_server_config: {cert_file: server.pem, key_file: other.key}", "certificate and key"),
        (&format!("tls_server_config: {{{base}, client_auth_type: Some}}"), "Some"),
        (&format!("tls_server_config: {{{base}, client_ca_file: ca.pem}}"), "client_auth_type"),
        (&format!("tls_server_config: {{{base}, client_auth_type: RequireAndVerifyClientCert}}"), "client_ca"),
        (
            &format!("tls_server_config: {{{base}, client_auth_type: RequestClientCert, client_allowed_sans: [a]}}"),
            "client_allowed_sans",
        ),
        (&format!("tls_server_config: {{{base}, max_version: TLS11}}"), "TLS12"),
        (&format!("tls_server_config: {{{base}, min_version: SSL3}}"), "SSL3"),
        (&format!("tls_server_config: {{{base}, cipher_suites: [x]}}"), "cipher"),
        (
            &format!(
                "tls_server_config: {{{base}, max_version: TLS12, cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]}}"
            ),
            "nothing to speak",
        ),
        (&format!("tls_server_config: {{{base}, curve_preferences: [x]}}"), "curve"),
        ("basic_auth_users: {a: b}", "bcrypt"),
    ] {
        fs::write(&path, text).expect("writes");
        let error = WebConfig::read(&path).err().unwrap_or_else(|| panic!("{text} is taken"));
        assert!(error.contains(expected) && error.contains("web.yml") && !error.contains('\n'), "{error}");
    }
    assert!(WebConfig::read(&dir.path().join("none.yml")).is_err());
    let chosen = "min_version: TLS12, max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], curve_preferences: [CurveP384]";
    let served = Served::new(config(dir.path(), &format!("tls_server_config: {{{base}, {chosen}}}")));
    assert_eq!(get(&served, dir.path(), None, "").status, 200);
}
