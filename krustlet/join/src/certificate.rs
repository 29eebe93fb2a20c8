//! Reading certificates: whose they are, how long they hold, whom they were signed by.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::BadCertificate;

type Result<T> = std::result::Result<T, BadCertificate>;

/// Up to so many percent of its life earlier than asked for is a certificate renewed, so that nodes that were started together
/// do not all ask at once.
const JITTER_PERCENT: u64 = 5;
/// Who asks for a smaller share than this wants to see renewals, and soon: no jitter then.
const LEAST_PERCENT_WITH_JITTER: u8 = 50;

/// A leaf certificate and the chain that came with it.
#[derive(Clone)]
pub struct Certificate {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The subject's common name.
    pub common_name: String,
    /// Start and end of its life, in seconds since 1970.
    life: (u64, u64),
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
        let leaf = chain.first().ok_or(BadCertificate::Missing("certificate"))?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(BadCertificate::Unreadable)?;
        let common_name = parsed.subject().iter_common_name().find_map(|name| name.as_str().ok()).unwrap_or_default();
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        Ok(Self {
            common_name: common_name.to_string(),
            life: (seconds(parsed.validity().not_before.timestamp()), seconds(parsed.validity().not_after.timestamp())),
            public_key_der: parsed.public_key().raw.to_vec(),
            chain,
        })
    }

    /// The same, its life counted from the time when it was obtained: signers date the start back by minutes, which can be half
    /// of a short life.
    pub fn obtained(mut self, at: SystemTime) -> Self {
        let at = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.life.0 = self.life.0.max(at).min(self.life.1);
        self
    }

    /// From when on it is not valid any more.
    pub fn end(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.life.1)
    }

    /// Whether less than a tenth of its life is left at `now`.
    pub fn is_near_end(&self, now: SystemTime) -> bool {
        let (start, end) = self.life;
        self.end() <= now + Duration::from_secs(end.saturating_sub(start) / 10)
    }

    /// When a new one should be asked for: after `percent` of its life, or a little earlier. It is the same time whenever it is
    /// asked for, since the jitter comes from the key.
    pub fn renewal_time(&self, percent: u8) -> SystemTime {
        let (start, end) = self.life;
        let length = end.saturating_sub(start);
        let jitter = match percent < LEAST_PERCENT_WITH_JITTER {
            true => 0,
            false => {
                let draw = self.public_key_der.iter().rev().take(2).fold(0, |draw, byte| draw << 8 | u64::from(*byte));
                length.saturating_mul(JITTER_PERCENT).saturating_mul(draw) / (100 << 16)
            }
        };
        UNIX_EPOCH + Duration::from_secs((start + length.saturating_mul(percent.into()) / 100).saturating_sub(jitter))
    }

    /// Checks that the cluster's CA signed this as a client certificate and that it is valid now.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn verify_client(&self, ca: &Arc<RootCertStore>) -> Result<()> {
        let verifier = WebPkiClientVerifier::builder(ca.clone()).build().map_err(BadCertificate::NoVerifier)?;
        let (leaf, rest) = self.split()?;
        verifier.verify_client_cert(leaf, rest, UnixTime::now())?;
        Ok(())
    }

    /// Checks that the cluster's CA signed this as a serving certificate of that name and address, valid now.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn verify_serving(&self, ca: &Arc<RootCertStore>, node_name: &str, node_ip: IpAddr) -> Result<()> {
        self.verify_serving_name(ca, node_name)?;
        self.verify_server(ca, &ServerName::from(node_ip))
    }

    /// The same, whatever address it bears.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn verify_serving_name(&self, ca: &Arc<RootCertStore>, node_name: &str) -> Result<()> {
        let name = ServerName::try_from(node_name.to_string()).map_err(BadCertificate::NoDnsName)?;
        self.verify_server(ca, &name)
    }

    fn verify_server(&self, ca: &Arc<RootCertStore>, server: &ServerName) -> Result<()> {
        let verifier = WebPkiServerVerifier::builder(ca.clone()).build().map_err(BadCertificate::NoVerifier)?;
        let (leaf, rest) = self.split()?;
        verifier.verify_server_cert(leaf, rest, server, &[], UnixTime::now())?;
        Ok(())
    }

    fn split(&self) -> Result<(&CertificateDer<'static>, &[CertificateDer<'static>])> {
        self.chain.split_first().ok_or(BadCertificate::Missing("certificate"))
    }
}

/// The certificates of a PEM bundle as trust anchors.
///
/// # Errors
/// When there is none, or one is unusable.
pub fn trust(pem: &[u8]) -> Result<Arc<RootCertStore>> {
    let mut store = RootCertStore::empty();
    for certificate in read_all(pem)? {
        store.add(certificate).map_err(BadCertificate::UnusableCa)?;
    }
    if store.is_empty() {
        return Err(BadCertificate::Missing("CA certificate"));
    }
    Ok(Arc::new(store))
}

/// All certificates of a PEM bundle.
///
/// # Errors
/// When one cannot be decoded.
pub fn read_all(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem).collect::<std::result::Result<_, _>>().map_err(BadCertificate::NotPem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Authority;

    #[test]
    fn a_certificate_is_renewed_after_its_share_of_life() {
        // (life, percent, last bytes of the key, seconds after the start)
        let table = [
            (1000, 80, [0, 0], 800),
            (1000, 80, [0xff, 0xff], 751),
            (1000, 80, [0, 0x80], 775),
            (1000, 95, [0, 0], 950),
            (1000, 50, [0xff, 0xff], 451),
            (1000, 49, [0xff, 0xff], 490),
            (600, 10, [0xff, 0xff], 60),
            (600, 1, [0xff, 0xff], 6),
            (31_536_000, 80, [0xff, 0xff], 23_652_025),
            (0, 80, [0xff, 0xff], 0),
        ];
        let ca = Authority::new();
        let leaf = Certificate::from_pem(ca.client("system:node:n", 1000).as_bytes()).unwrap();
        for (life, percent, key, wanted) in table {
            let start = 1_700_000_000;
            let leaf = Certificate {
                life: (start, start + life),
                public_key_der: [7, 7, key[0], key[1]].to_vec(),
                ..leaf.clone()
            };
            let due = leaf.renewal_time(percent).duration_since(UNIX_EPOCH).unwrap().as_secs() - start;
            assert_eq!(due, wanted, "{percent} % of {life} s");
        }
    }

    #[test]
    fn life_is_counted_from_when_the_certificate_was_obtained() {
        let ca = Authority::new();
        let leaf = Certificate::from_pem(ca.client("system:node:n", 1000).as_bytes()).unwrap();
        let (start, end) = leaf.life;
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
        for (obtained, wanted) in [(start - 9, start), (start, start), (start + 300, start + 300), (end + 9, end)] {
            assert_eq!(leaf.clone().obtained(at(obtained)).life, (wanted, end));
        }
        assert_eq!(leaf.clone().obtained(at(start + 300)).renewal_time(10), at(start + 370));
        assert!(!leaf.is_near_end(at(end - 101)) && leaf.is_near_end(at(end - 100)) && leaf.is_near_end(at(end + 1)));
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
