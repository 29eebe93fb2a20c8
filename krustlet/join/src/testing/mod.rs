//! A certificate authority for tests, and what they need around it.
#![allow(clippy::unwrap_used, clippy::new_without_default)]

#[cfg(test)]
pub(crate) mod api;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::RootCertStore;

use super::csr::{Purpose, Request};
use super::{Serving, certificate};

/// Of node `n` at 127.0.0.1, with all its files below `root`, and a bootstrap file `root/bootstrap`.
#[cfg(test)]
pub fn config(root: &std::path::Path) -> super::Config {
    let data = |name: &str| root.join("data").join(name);
    super::Config {
        node_name: "n".into(),
        node_ip: [127, 0, 0, 1].into(),
        bootstrap_file: root.join("bootstrap"),
        kubeconfig: data("config/kubeconfig"),
        cert_file: data("config/krustlet.crt"),
        key_file: data("config/krustlet.key"),
        client_public_key: data("keys/client.pub"),
        serving_public_key: data("keys/serving.pub"),
        certificate_duration_seconds: None,
        certificate_renewal_percent: 80,
    }
}

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
        krustlet_api::install_crypto();
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
        certificate::trust(self.pem.as_bytes()).unwrap()
    }

    /// A client certificate, PEM, valid from now on for so many seconds.
    pub fn client(&self, common_name: &str, seconds: u64) -> String {
        self.client_of(common_name, &[], seconds).pem()
    }

    /// The same of somebody in some organizations, DER.
    pub fn client_der(&self, common_name: &str, organizations: &[&str], seconds: u64) -> Vec<u8> {
        self.client_of(common_name, organizations, seconds).der().to_vec()
    }

    /// The same as it is.
    pub fn client_of(&self, common_name: &str, organizations: &[&str], seconds: u64) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        // A name holds one value of each type here; its object identifier passes for another type.
        let types = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
        assert!(organizations.len() <= types.len());
        for (organization, type_) in organizations.iter().zip(types) {
            params.distinguished_name.push(type_, *organization);
        }
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, seconds)
    }

    /// What a request (PEM) asks for, signed, PEM: a serving certificate if it has names, else a client certificate.
    pub fn sign_request(&self, csr_pem: &str, seconds: u64) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem).unwrap();
        request.params.extended_key_usages = vec![match request.params.subject_alt_names.is_empty() {
            true => ExtendedKeyUsagePurpose::ClientAuth,
            false => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        limit(&mut request.params, seconds);
        request.signed_by(&self.issuer).unwrap().pem()
    }

    /// A new pair for the port of node `n` at 127.0.0.1.
    pub fn pair(&self) -> Serving {
        let request = Request::new(Purpose::Serving, "n", [127, 0, 0, 1].into()).unwrap();
        let pem = self.sign_request(&request.csr_pem, 3600);
        Serving::new(certificate::Certificate::from_pem(pem.as_bytes()).unwrap(), request.key_pem.as_bytes()).unwrap()
    }

    /// A serving certificate, PEM, valid for an hour.
    pub fn serving(&self, name: &str, ip: IpAddr) -> String {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap()), SanType::IpAddress(ip)];
        self.sign(params, 3600).pem()
    }

    fn sign(&self, mut params: CertificateParams, seconds: u64) -> Certificate {
        limit(&mut params, seconds);
        params.signed_by(&self.leaf_key, &self.issuer).unwrap()
    }
}

fn limit(params: &mut CertificateParams, seconds: u64) {
    let now = SystemTime::now();
    params.not_before = now.into();
    params.not_after = (now + Duration::from_secs(seconds)).into();
}
