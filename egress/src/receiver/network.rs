//! Connections, plain or in TLS.

use super::OpenError;
use runtime::config::TlsFiles;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where a receiver listens.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// Host name or address.
    pub(super) host: String,
    /// Port.
    pub(super) port: u16,
}

/// Bytes both ways, whatever they travel in.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// What they travel over.
    fn socket(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// TLS as the files say: who is trusted, who we are.
pub(super) fn tls(files: &TlsFiles) -> Result<TlsConnector, OpenError> {
    let wrong = |e: rustls::Error| OpenError::Tls(e.to_string());
    let mut roots = RootCertStore::empty();
    match &files.ca {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(wrong)?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let why = found.errors.first().map_or_else(|| "none are installed".to_owned(), ToString::to_string);
                return Err(OpenError::Tls(format!("the system has no certificate authorities ({why}): set `ca_file`")));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(wrong)?;
    let builder = builder.with_root_certificates(roots);
    let config = match &files.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let unreadable =
                |e: rustls::pki_types::pem::Error| OpenError::Content { path: key.clone(), why: format!("no private key in PEM ({e})") };
            let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable)?;
            builder.with_client_auth_cert(certificates(certificate)?, key).map_err(wrong)?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let content = |why: String| OpenError::Content { path: path.to_owned(), why };
    let bytes = std::fs::read(path).map_err(|error| OpenError::File { path: path.to_owned(), error })?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|e| content(format!("no PEM ({e})")))?;
    if found.is_empty() { Err(content("it holds no certificate in PEM".to_owned())) } else { Ok(found) }
}

/// Connects.
pub(super) async fn connect(address: &Address, tls: Option<&TlsConnector>) -> io::Result<Box<dyn Wire>> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(address.host.clone()).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    Ok(Box::new(tls.connect(name, stream).await?))
}
