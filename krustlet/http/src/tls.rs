//! Which servers are trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

use crate::HttpError;

/// Why a file of certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the certificate authorities in {path:?} cannot be used: {reason}")]
pub struct CaFileError {
    path: PathBuf,
    reason: String,
}

/// The authorities that are trusted: the host's, and those of a file.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    extra: Vec<CertificateDer<'static>>,
    /// Made at the first request to an `https` origin: the host's authorities are a few hundred kilobytes, and most nodes
    /// run guests that never ask.
    config: OnceCell<Arc<ClientConfig>>,
}

impl Trust {
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, CaFileError> {
        let extra = match ca_file {
            None => Vec::new(),
            Some(path) => read(path).map_err(|reason| CaFileError { path: path.to_owned(), reason })?,
        };
        Ok(Self { extra, config: OnceCell::new() })
    }

    pub(crate) async fn config(&self) -> Result<Arc<ClientConfig>, HttpError> {
        let config = self.config.get_or_try_init(|| async {
            let extra = self.extra.clone();
            let config = tokio::task::spawn_blocking(move || config(extra)).await;
            config.unwrap_or_else(|error| Err(error.to_string())).map(Arc::new).map_err(HttpError::Tls)
        });
        config.await.cloned()
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| format!("{error}; give a file of certificates in PEM"))?;
    if certificates.is_empty() {
        return Err("it holds no certificate; give a file of certificates in PEM".into());
    }
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        roots
            .add(certificate.clone())
            .map_err(|error| format!("certificate {} in it is not valid: {error}", index + 1))?;
    }
    Ok(certificates)
}

fn config(extra: Vec<CertificateDer<'static>>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!("some of the host's certificate authorities cannot be read: {error}");
    }
    // Those of a host are of all ages, and one that is not understood harms nobody; those of the file have been checked.
    roots.add_parsable_certificates(native.certs);
    roots.add_parsable_certificates(extra);
    if roots.is_empty() {
        tracing::warn!("this host has no certificate authorities, so that no https server is trusted");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A session's ticket would tell a server that two guests are on one node.
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_no_authority_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let cases = [
            (folder.path().join("absent.pem"), "No such file"),
            (file("empty.pem", ""), "it holds no certificate"),
            (file("text.pem", "hello"), "it holds no certificate"),
            (
                file("broken.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"),
                "certificates in PEM",
            ),
            (
                file("no-certificate.pem", "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"),
                "certificate 1 in it is not valid",
            ),
        ];
        for (path, expected) in cases {
            let error = Trust::new(Some(&path)).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
