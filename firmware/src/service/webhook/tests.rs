use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use super::*;

/// Test case 2 of RFC 4231.
#[test]
fn a_body_is_signed_as_receivers_check_it() {
    assert_eq!(
        signature("Jefe", "what do ya want for nothing?"),
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[test]
fn only_what_may_pass_is_tried_again() {
    let passing = [500, 502, 503, 429, 408];
    let lasting = [301, 400, 401, 404, 413];
    let is_passing = |code| is_passing(StatusCode::from_u16(code).unwrap());
    assert!(passing.into_iter().all(is_passing));
    assert!(!lasting.into_iter().any(is_passing));
}

/// What openssl is to put into a certificate that vouches for itself alone.
const CERTIFICATE: &str = "
    [req]
    prompt = no
    distinguished_name = name
    x509_extensions = extensions
    [name]
    CN = receiver
    [extensions]
    subjectAltName = IP:127.0.0.1
    basicConstraints = CA:FALSE
";

/// A certificate of 127.0.0.1 and its key, made in `folder`; `None` without openssl.
fn certificate(folder: &Path) -> Option<(Vec<u8>, PrivateKeyDer<'static>)> {
    let file = |name| folder.join(name);
    std::fs::write(file("openssl.cnf"), CERTIFICATE).unwrap();
    let (key, certificate) = (file("key.pem"), file("certificate.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-config"])
        .arg(file("openssl.cnf"))
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    if made.is_err() {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "needs openssl"
        );
        eprintln!("skipped: needs openssl");
        return None;
    }
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    Some((std::fs::read(certificate).unwrap(), key))
}

/// Answers 204 to every request, and gives the port.
fn receive(pem: &[u8], key: PrivateKeyDer<'static>) -> u16 {
    let chain = vec![CertificateDer::from_pem_slice(pem).unwrap()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = BufReader::new(Stream::new(&mut connection, &mut socket));
            let mut line = String::new();
            while !matches!(stream.read_line(&mut line), Ok(0) | Err(_)) {
                if line == "\r\n" {
                    let answer = b"HTTP/1.1 204 -\r\nConnection: close\r\n\r\n";
                    stream.get_mut().write_all(answer).unwrap();
                    break;
                }
                line.clear();
            }
        }
    });
    port
}

#[test]
fn an_encrypted_receiver_must_be_vouched_for() {
    let folder = tempfile::tempdir().unwrap();
    let Some((pem, key)) = certificate(folder.path()) else {
        return;
    };
    let other = certificate(folder.path()).unwrap().0;
    let port = receive(&pem, key);
    let post = |authority: Vec<u8>| {
        let options = WebhookOptions {
            address: format!("https://127.0.0.1:{port}/events").parse().unwrap(),
            secret: None,
            token: None,
            authority: Some(authority),
        };
        let posting = Posting {
            agent: agent(&options).unwrap(),
            options,
            stopped: Arc::default(),
            away: false,
        };
        posting.post("{}")
    };
    let taken = post(pem).map_err(|failure| failure.cause);
    assert_eq!(taken, Ok(()));
    let failure = post(other).expect_err("a stranger");
    assert!(failure.cause.contains("certificate"), "{}", failure.cause);
}
