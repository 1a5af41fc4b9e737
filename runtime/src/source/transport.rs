//! Connections to network cameras, plain or by TLS.

use std::sync::Arc;

use hyper::Uri;
use hyper::http::uri::Scheme;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A connection, whatever it goes by.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Connects to the host of `address`; by TLS for `https`, with the certificates that the system trusts, or those
/// that `SSL_CERT_FILE` names. Problems are one line, which does not name the host.
pub(super) async fn connect(address: &Uri) -> Result<Box<dyn Connection>, String> {
    let host = address.host().unwrap_or_default();
    // An IPv6 address stands in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let secure = address.scheme() == Some(&Scheme::HTTPS);
    let port = address.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(|error| error.to_string())?;
    if !secure {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| "its name can't be in a certificate")?;
    let stream = TlsConnector::from(tls()?).connect(name, stream).await;
    match stream {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(format!(
            "{error}; SSL_CERT_FILE may name a certificate to trust"
        )),
    }
}

fn tls() -> Result<Arc<ClientConfig>, String> {
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    let config = config.with_root_certificates(trusted).with_no_client_auth();
    Ok(Arc::new(config))
}
