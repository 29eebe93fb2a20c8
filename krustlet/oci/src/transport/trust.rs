//! A private authority's certificates.

use std::path::Path;

use reqwest::{Certificate, Client};

use crate::OciError;

/// The largest file of certificates, in bytes. All the authorities of a system have some 200 000.
const LIMIT: u64 = 4 << 20;

/// Makes sure that a file holds the certificates of authorities, as [`ClientConfig::trusted_ca_file`] wants it: PEM, at least
/// one.
///
/// # Errors
///
/// [`OciError::TrustedCa`], which says what is wrong.
///
/// [`ClientConfig::trusted_ca_file`]: crate::ClientConfig::trusted_ca_file
pub fn check_ca_file(path: &Path) -> Result<(), OciError> {
    certificates(path).map(|_| ())
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<Certificate>, OciError> {
    let problem = |problem: String| OciError::TrustedCa { path: path.display().to_string(), problem };
    let metadata = std::fs::metadata(path).map_err(|error| problem(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > LIMIT {
        return Err(problem(format!("it is no file of at most {LIMIT} bytes")));
    }
    let content = std::fs::read(path).map_err(|error| problem(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&content).map_err(|_| problem("it is not PEM".into()))?;
    if found.is_empty() {
        return Err(problem("it holds no certificate (-----BEGIN CERTIFICATE-----)".into()));
    }
    // What is between the lines is looked at only when a client is made of it.
    Client::builder()
        .tls_certs_only(found.iter().cloned())
        .build()
        .map_err(|_| problem("a certificate in it is damaged".into()))?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_pem_with_a_certificate_or_it_is_refused_by_what_it_is() {
        let certificate = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap();
        let good = certificate.cert.pem();
        let key = certificate.signing_key.serialize_pem();
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        let table = [
            (good.clone(), None),
            (format!("# ours\n{good}{good}"), None),
            (String::new(), Some("it holds no certificate")),
            (key, Some("it holds no certificate")),
            ("hello".to_owned(), Some("it holds no certificate")),
            (damaged.to_owned(), Some("a certificate in it is damaged")),
        ];
        for (content, expected) in table {
            std::fs::write(&path, &content).unwrap();
            let problem = check_ca_file(&path).err().map(|error| error.to_string());
            match (&problem, expected) {
                (None, None) => {}
                (Some(problem), Some(expected)) => {
                    assert!(problem.contains(expected) && problem.contains("ca.crt"), "{problem}");
                }
                _ => panic!("{content}: {problem:?}"),
            }
        }
        for path in [folder.path().join("none"), folder.path().to_owned()] {
            assert!(matches!(check_ca_file(&path), Err(OciError::TrustedCa { .. })));
        }
    }
}
