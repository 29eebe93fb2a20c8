//! Reading certificates: whose they are, how long they hold, whom they were signed by.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate with less than this share of its life left is renewed at the next start: one part in ten.
const RENEWAL_SHARE: u32 = 10;

/// A leaf certificate and the chain that came with it.
#[derive(Clone)]
pub struct Certificate {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The subject's common name.
    pub common_name: String,
    /// Start and end of its validity, in seconds since 1970.
    validity: (u64, u64),
    /// SubjectPublicKeyInfo, DER.
    pub public_key_der: Vec<u8>,
}

impl Certificate {
    /// Reads PEM.
    ///
    /// # Errors
    /// When there is no certificate in it, or none that can be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        let chain = read_all(pem)?;
        let leaf = chain.first().ok_or_else(|| anyhow!("no certificate in the PEM data"))?;
        let (_, parsed) = X509Certificate::from_der(leaf).context("not a readable certificate")?;
        let common_name = parsed.subject().iter_common_name().find_map(|name| name.as_str().ok()).unwrap_or_default();
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        Ok(Self {
            common_name: common_name.to_string(),
            validity: (
                seconds(parsed.validity().not_before.timestamp()),
                seconds(parsed.validity().not_after.timestamp()),
            ),
            public_key_der: parsed.public_key().raw.to_vec(),
            chain,
        })
    }

    /// Whether it has so little time left at `now` that a new one should be asked for.
    pub fn wants_renewal(&self, now: SystemTime) -> bool {
        self.renewal_time() <= now
    }

    /// When a new one should be asked for: after nine tenths of its life.
    pub fn renewal_time(&self) -> SystemTime {
        let (start, end) = self.validity;
        let reserve = end.saturating_sub(start) / u64::from(RENEWAL_SHARE);
        UNIX_EPOCH + Duration::from_secs(end.saturating_sub(reserve))
    }

    /// Checks that the cluster's CA signed this as a client certificate and that it is valid now.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn verify_client(&self, ca: &Arc<RootCertStore>) -> Result<()> {
        let verifier = WebPkiClientVerifier::builder(ca.clone()).build().context("the cluster's CA is unusable")?;
        let (leaf, rest) = self.split()?;
        verifier.verify_client_cert(leaf, rest, UnixTime::now())?;
        Ok(())
    }

    /// Checks that the cluster's CA signed this as a serving certificate of that name and address, valid now.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn verify_serving(&self, ca: &Arc<RootCertStore>, node_name: &str, node_ip: IpAddr) -> Result<()> {
        let verifier = WebPkiServerVerifier::builder(ca.clone()).build().context("the cluster's CA is unusable")?;
        let (leaf, rest) = self.split()?;
        let name = ServerName::try_from(node_name.to_string()).context("the node name is no DNS name")?;
        for server in [name, ServerName::from(node_ip)] {
            verifier.verify_server_cert(leaf, rest, &server, &[], UnixTime::now())?;
        }
        Ok(())
    }

    fn split(&self) -> Result<(&CertificateDer<'static>, &[CertificateDer<'static>])> {
        self.chain.split_first().ok_or_else(|| anyhow!("no certificate"))
    }
}

/// The certificates of a PEM bundle as trust anchors.
///
/// # Errors
/// When there is none, or one is unusable.
pub fn trust(pem: &[u8]) -> Result<Arc<RootCertStore>> {
    let mut store = RootCertStore::empty();
    for certificate in read_all(pem)? {
        store.add(certificate).context("unusable CA certificate")?;
    }
    if store.is_empty() {
        bail!("no CA certificate in the PEM data");
    }
    Ok(Arc::new(store))
}

/// All certificates of a PEM bundle.
///
/// # Errors
/// When one cannot be decoded.
pub fn read_all(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| anyhow!("not readable as PEM: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::testing::Authority;

    #[test]
    fn a_certificate_is_renewed_in_the_last_tenth_of_its_life() {
        let ca = Authority::new();
        let leaf = Certificate::from_pem(ca.client("system:node:n", 1000).as_bytes()).unwrap();
        let start = UNIX_EPOCH + Duration::from_secs(leaf.validity.0);
        assert!(!leaf.wants_renewal(start + Duration::from_secs(899)));
        assert!(leaf.wants_renewal(start + Duration::from_secs(900)));
        assert!(leaf.wants_renewal(start + Duration::from_secs(2000)));
    }

    #[test]
    fn only_the_right_authority_and_purpose_are_accepted() {
        let (ours, other) = (Authority::new(), Authority::new());
        let client = Certificate::from_pem(ours.client("system:node:n", 1000).as_bytes()).unwrap();
        assert_eq!(client.common_name, "system:node:n");
        client.verify_client(&ours.trust()).unwrap();
        client.verify_client(&other.trust()).unwrap_err();
        client.verify_serving(&ours.trust(), "n", [10, 0, 0, 1].into()).unwrap_err();
    }

    #[test]
    fn a_serving_certificate_must_bear_the_nodes_name_and_address() {
        let ca = Authority::new();
        let serving = Certificate::from_pem(ca.serving("n", [10, 0, 0, 1].into()).as_bytes()).unwrap();
        serving.verify_serving(&ca.trust(), "n", [10, 0, 0, 1].into()).unwrap();
        serving.verify_serving(&ca.trust(), "m", [10, 0, 0, 1].into()).unwrap_err();
        serving.verify_serving(&ca.trust(), "n", [10, 0, 0, 2].into()).unwrap_err();
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(Certificate::from_pem(b"").is_err());
        assert!(Certificate::from_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
        assert!(trust(b"nothing").is_err());
    }
}
