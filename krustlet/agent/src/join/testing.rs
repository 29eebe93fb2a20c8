//! A certificate authority for tests.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::RootCertStore;

/// Signs certificates as a cluster's CA does.
pub struct Authority {
    /// The CA certificate, PEM.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// The key of every leaf, PEM.
    pub leaf_key_pem: String,
    leaf_key: KeyPair,
}

impl Authority {
    /// A new CA with a new key.
    pub fn new() -> Self {
        crate::install_crypto();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let leaf_key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key), leaf_key_pem: leaf_key.serialize_pem(), leaf_key }
    }

    /// This CA as the only trust anchor.
    pub fn trust(&self) -> Arc<RootCertStore> {
        super::certificate::trust(self.pem.as_bytes()).unwrap()
    }

    /// A client certificate, PEM, valid from now on for so many seconds.
    pub fn client(&self, common_name: &str, seconds: u64) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, seconds)
    }

    /// A serving certificate, PEM, valid for an hour.
    pub fn serving(&self, name: &str, ip: IpAddr) -> String {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap()), SanType::IpAddress(ip)];
        self.sign(params, 3600)
    }

    fn sign(&self, mut params: CertificateParams, seconds: u64) -> String {
        let now = SystemTime::now();
        params.not_before = now.into();
        params.not_after = (now + Duration::from_secs(seconds)).into();
        params.signed_by(&self.leaf_key, &self.issuer).unwrap().pem()
    }
}
