//! Certificate and key of the node's own port, on disk: two files, and a third while they are changed.

use std::path::PathBuf;
use std::sync::Arc;

use krustlet_host::files;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::csr;
use super::error::{BadCertificate, JoinError};
use crate::{Config, Result};

/// Certificate and key of the node's own port. No `Debug`: it holds a private key.
pub struct Serving {
    /// Leaf first.
    pub certificate: Certificate,
    /// The chain with its key, which belong together.
    pub pair: Arc<CertifiedKey>,
    /// Whether it is for another address of this node, which has this one by now: it serves until there is one for this.
    pub is_moved: bool,
}

impl Serving {
    pub(super) fn new(certificate: Certificate, key: &[u8]) -> Result<Self, BadCertificate> {
        // The reason could quote the key.
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| BadCertificate::NoKey)?;
        let provider = CryptoProvider::get_default().ok_or(BadCertificate::NoCryptography)?;
        let pair = CertifiedKey::from_der(certificate.chain.clone(), key, provider);
        let pair = Arc::new(pair.map_err(BadCertificate::OtherKey)?);
        Ok(Self { pair, certificate, is_moved: false })
    }

    /// Whether this agent asked for it.
    pub fn is_own(&self, config: &Config) -> bool {
        is_own(config, &self.certificate)
    }
}

/// Both, in one file that is there from before the first of the two is replaced until after the second: whenever the agent is
/// killed, either the old pair is whole or this is.
fn next_file(config: &Config) -> PathBuf {
    config.key_file.with_added_extension("next")
}

/// The files of a pair, in the order in which they are written.
fn writes(config: &Config, key_pem: &str, certificate_pem: &[u8]) -> [(PathBuf, Vec<u8>); 3] {
    let both = [key_pem.as_bytes(), certificate_pem].concat();
    [
        (next_file(config), both),
        (config.key_file.clone(), key_pem.into()),
        (config.cert_file.clone(), certificate_pem.into()),
    ]
}

/// Writes a new pair.
///
/// # Errors
/// Any I/O error. What has been written by then is made whole by [`mend`].
pub fn save(config: &Config, key_pem: &str, certificate_pem: &[u8]) -> Result<()> {
    for (path, bytes) in writes(config, key_pem, certificate_pem) {
        files::write_private(&path, &bytes)?;
    }
    Ok(files::remove_file(&next_file(config))?)
}

/// Ends a [`save`] that was cut short.
///
/// # Errors
/// Any I/O error.
pub fn mend(config: &Config) -> Result<()> {
    let path = next_file(config);
    let Some(both) = files::read_optional(&path)? else { return Ok(()) };
    let text = String::from_utf8(both).unwrap_or_default();
    let parts = text.find("-----BEGIN CERTIFICATE").map(|at| text.split_at(at));
    let whole =
        |key: &str, certificate: &str| Serving::new(Certificate::from_pem(certificate.as_bytes())?, key.as_bytes());
    match parts.filter(|(key, certificate)| whole(key, certificate).is_ok()) {
        Some((key, certificate)) => {
            tracing::info!("putting a serving certificate in place that was obtained before the agent was stopped");
            save(config, key, certificate.as_bytes())
        }
        None => {
            tracing::warn!("{}: removed, there is no certificate with its key in it", path.display());
            Ok(files::remove_file(&path)?)
        }
    }
}

/// What there is on disk.
pub enum OnDisk {
    /// No certificate, or no key.
    Absent,
    /// A pair to serve with.
    Good(Serving),
    /// A new one is needed, and why.
    Unfit(JoinError),
}

/// Judges what is on disk.
///
/// # Errors
/// When the certificate is not one that this agent asked for and cannot be used: it is not overwritten.
pub fn load(config: &Config, ca: &Arc<RootCertStore>) -> Result<OnDisk> {
    let (certificate, key) = (files::read_optional(&config.cert_file)?, files::read_optional(&config.key_file)?);
    let (Some(pem), Some(key)) = (certificate, key) else { return Ok(OnDisk::Absent) };
    let of_file = |error| JoinError::CertificateFile(config.cert_file.clone(), error);
    let obtained = files::modified(&config.cert_file)?;
    let certificate = match Certificate::from_pem(&pem) {
        Ok(certificate) => certificate.obtained(obtained),
        Err(error) => return Ok(OnDisk::Unfit(of_file(error))),
    };
    let own = is_own(config, &certificate);
    let checked = if own { check(config, &certificate, ca) } else { Ok(()) };
    // A node that comes back with another address goes on with its pods, whether or not anybody is there to approve another one.
    let is_moved = checked.is_err() && certificate.verify_serving_name(ca, &config.node_name).is_ok();
    let checked = if is_moved { Ok(()) } else { checked };
    match checked.and_then(|()| Serving::new(certificate, &key)) {
        Ok(serving) => Ok(OnDisk::Good(Serving { is_moved, ..serving })),
        Err(error) if own => Ok(OnDisk::Unfit(of_file(error))),
        Err(error) => Err(of_file(error)),
    }
}

/// Whether this agent asked for it. Another one was brought with `--cert-file`, by somebody who knows why.
fn is_own(config: &Config, certificate: &Certificate) -> bool {
    certificate.common_name == csr::user_name(&config.node_name)
}

/// Checks that a certificate that this agent asked for is the one that it needs.
///
/// # Errors
/// Says what is wrong with it.
pub fn check(config: &Config, certificate: &Certificate, ca: &Arc<RootCertStore>) -> Result<(), BadCertificate> {
    if !is_own(config, certificate) {
        return Err(BadCertificate::Of(certificate.common_name.clone()));
    }
    certificate.verify_serving(ca, &config.node_name, config.node_ip)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::csr::{Purpose, Request};
    use crate::testing::{Authority, config};

    /// A pair as the cluster's CA signs it.
    fn pair(ca: &Authority) -> (String, String, Vec<u8>) {
        let request = Request::new(Purpose::Serving, "n", [127, 0, 0, 1].into()).unwrap();
        (request.key_pem, ca.sign_request(&request.csr_pem, 3600), request.public_key_der)
    }

    fn key_on_disk(config: &Config, ca: &Authority) -> Vec<u8> {
        match load(config, &ca.trust()).unwrap() {
            OnDisk::Good(serving) => serving.certificate.public_key_der,
            OnDisk::Absent => panic!("nothing there"),
            OnDisk::Unfit(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn a_kill_between_the_writes_leaves_one_pair_or_the_other() {
        let ca = Authority::new();
        for done in 0..=3 {
            let root = tempfile::tempdir().unwrap();
            let config = config(root.path());
            let ((old_key, old, old_public), (new_key, new, new_public)) = (pair(&ca), pair(&ca));
            save(&config, &old_key, old.as_bytes()).unwrap();
            assert_eq!(key_on_disk(&config, &ca), old_public);
            for (path, bytes) in &writes(&config, &new_key, new.as_bytes())[..done] {
                files::write_private(path, bytes).unwrap();
            }
            mend(&config).unwrap();
            assert_eq!(key_on_disk(&config, &ca), if done == 0 { old_public } else { new_public }, "after {done}");
            assert!(!next_file(&config).exists());
            for path in [&config.key_file, &config.cert_file] {
                assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
    }

    #[test]
    fn a_pair_for_another_address_of_the_node_serves_until_there_is_one_for_this() {
        let (ca, root) = (Authority::new(), tempfile::tempdir().unwrap());
        let config = config(root.path());
        let (key, certificate, _) = pair(&ca);
        save(&config, &key, certificate.as_bytes()).unwrap();
        let on_disk = |config: &Config, ca: &Authority| load(config, &ca.trust()).unwrap();
        let OnDisk::Good(serving) = on_disk(&config, &ca) else { panic!("not taken") };
        assert!(!serving.is_moved);
        let elsewhere = Config { node_ip: [127, 0, 0, 2].into(), ..config };
        let OnDisk::Good(serving) = on_disk(&elsewhere, &ca) else { panic!("not taken") };
        assert!(serving.is_moved);
        assert!(check(&elsewhere, &serving.certificate, &ca.trust()).is_err());
        assert!(matches!(on_disk(&elsewhere, &Authority::new()), OnDisk::Unfit(_)), "of another cluster");
    }

    #[test]
    fn a_pair_that_does_not_belong_together_is_noticed() {
        let (ca, root) = (Authority::new(), tempfile::tempdir().unwrap());
        let config = config(root.path());
        let ((old_key, old, old_public), (new_key, ..)) = (pair(&ca), pair(&ca));
        assert!(matches!(load(&config, &ca.trust()).unwrap(), OnDisk::Absent));
        save(&config, &old_key, old.as_bytes()).unwrap();
        files::write_private(&next_file(&config), b"half a").unwrap();
        mend(&config).unwrap();
        assert_eq!(key_on_disk(&config, &ca), old_public);
        files::write_private(&config.key_file, new_key.as_bytes()).unwrap();
        let OnDisk::Unfit(error) = load(&config, &ca.trust()).unwrap() else { panic!("taken") };
        let belong = matches!(error, JoinError::CertificateFile(_, BadCertificate::OtherKey(_)));
        assert!(belong, "{error:?}");
    }

    #[test]
    fn a_certificate_of_somebody_elses_is_used_or_refused_but_never_replaced() {
        let (ca, root) = (Authority::new(), tempfile::tempdir().unwrap());
        let config = config(root.path());
        save(&config, &ca.leaf_key_pem, ca.serving("n", config.node_ip).as_bytes()).unwrap();
        let OnDisk::Good(serving) = load(&config, &ca.trust()).unwrap() else { panic!("not taken") };
        assert!(!serving.is_own(&config));
        files::write_private(&config.key_file, pair(&ca).0.as_bytes()).unwrap();
        assert!(load(&config, &ca.trust()).is_err());
    }
}
