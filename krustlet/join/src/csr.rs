//! What the node asks to have signed: key, certificate signing request, and the Kubernetes object around it.
//!
//! The signers and what they demand:
//! <https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers>

use std::net::IpAddr;

use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec};
use kube::api::ObjectMeta;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

use super::error::JoinError;
use crate::Result;

/// Which of the node's two certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The node's credential at the API server.
    Client,
    /// The certificate of the node's own HTTPS port.
    Serving,
}

impl Purpose {
    /// The word for it in object names, file names and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Serving => "serving",
        }
    }

    fn signer(self) -> &'static str {
        match self {
            Self::Client => "kubernetes.io/kube-apiserver-client-kubelet",
            Self::Serving => "kubernetes.io/kubelet-serving",
        }
    }

    fn usages(self) -> [&'static str; 2] {
        match self {
            Self::Client => ["digital signature", "client auth"],
            Self::Serving => ["digital signature", "server auth"],
        }
    }
}

/// The user name of a node, which is also the common name of both its certificates.
pub fn user_name(node_name: &str) -> String {
    format!("system:node:{node_name}")
}

/// A fresh ECDSA P-256 key and a request that bears its public half. No `Debug`: it holds a private key.
pub struct Request {
    /// What the certificate is for.
    pub purpose: Purpose,
    /// Private key, PKCS #8 PEM.
    pub key_pem: String,
    /// Public key, SubjectPublicKeyInfo PEM.
    pub public_key_pem: String,
    /// Public key, SubjectPublicKeyInfo DER.
    pub public_key_der: Vec<u8>,
    /// PKCS #10 request, PEM.
    pub csr_pem: String,
}

impl Request {
    /// Makes the key and signs the request with it.
    ///
    /// # Errors
    /// When the key cannot be made, or the node name cannot stand in a certificate.
    pub fn new(purpose: Purpose, node_name: &str, node_ip: IpAddr) -> Result<Self> {
        let cannot = |what| move |error| JoinError::NoRequest(what, error);
        let key = KeyPair::generate().map_err(cannot("cannot make a private key"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        params.distinguished_name.push(DnType::CommonName, user_name(node_name));
        if purpose == Purpose::Serving {
            let name = node_name.try_into().map_err(cannot("the node name is no DNS name"))?;
            params.subject_alt_names = vec![SanType::DnsName(name), SanType::IpAddress(node_ip)];
        }
        let csr = params.serialize_request(&key).map_err(cannot("cannot sign the certificate request"))?;
        Ok(Self {
            purpose,
            csr_pem: csr.pem().map_err(cannot("cannot write the certificate request"))?,
            public_key_pem: key.public_key_pem(),
            public_key_der: rcgen::PublicKeyData::subject_public_key_info(&key),
            key_pem: key.serialize_pem(),
        })
    }

    /// The object to post. Its name is left to the API server, so that nobody can take it beforehand. `duration_seconds` is the
    /// life to ask for, at least 600; without it the signer decides.
    pub fn object(&self, node_name: &str, duration_seconds: Option<i32>) -> CertificateSigningRequest {
        CertificateSigningRequest {
            metadata: ObjectMeta {
                generate_name: Some(format!("krustlet-{node_name}-{}-", self.purpose.word())),
                ..ObjectMeta::default()
            },
            spec: CertificateSigningRequestSpec {
                request: ByteString(self.csr_pem.clone().into_bytes()),
                signer_name: self.purpose.signer().to_string(),
                expiration_seconds: duration_seconds,
                usages: Some(self.purpose.usages().map(str::to_string).to_vec()),
                ..CertificateSigningRequestSpec::default()
            },
            status: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::extensions::{GeneralName, ParsedExtension};
    use x509_parser::pem::parse_x509_pem;
    use x509_parser::prelude::FromDer;

    struct Parsed {
        subject: String,
        dns: Vec<String>,
        ips: Vec<Vec<u8>>,
        other_extensions: usize,
        spki: Vec<u8>,
    }

    fn parse(request: &Request) -> Parsed {
        let (_, pem) = parse_x509_pem(request.csr_pem.as_bytes()).unwrap();
        let (_, csr) = X509CertificationRequest::from_der(&pem.contents).unwrap();
        let info = &csr.certification_request_info;
        let mut parsed = Parsed {
            subject: info.subject.to_string(),
            dns: vec![],
            ips: vec![],
            other_extensions: 0,
            spki: info.subject_pki.raw.to_vec(),
        };
        for extension in csr.requested_extensions().into_iter().flatten() {
            let ParsedExtension::SubjectAlternativeName(names) = extension else {
                parsed.other_extensions += 1;
                continue;
            };
            for name in &names.general_names {
                match name {
                    GeneralName::DNSName(dns) => parsed.dns.push((*dns).to_string()),
                    GeneralName::IPAddress(ip) => parsed.ips.push(ip.to_vec()),
                    other => panic!("unexpected name {other:?}"),
                }
            }
        }
        parsed
    }

    #[test]
    fn client_request_names_the_node_and_nothing_else() {
        let request = Request::new(Purpose::Client, "krustlet", [10, 0, 0, 1].into()).unwrap();
        let parsed = parse(&request);
        assert_eq!(parsed.subject, "O=system:nodes, CN=system:node:krustlet");
        assert_eq!((parsed.dns.len(), parsed.ips.len(), parsed.other_extensions), (0, 0, 0));
        let object = request.object("krustlet", None);
        assert_eq!(object.spec.expiration_seconds, None);
        assert_eq!(object.metadata.generate_name.as_deref(), Some("krustlet-krustlet-client-"));
        assert_eq!(object.metadata.name, None);
        assert_eq!(object.spec.signer_name, "kubernetes.io/kube-apiserver-client-kubelet");
        assert_eq!(object.spec.usages.unwrap(), ["digital signature", "client auth"]);
    }

    #[test]
    fn serving_request_names_the_node_and_its_address() {
        let request = Request::new(Purpose::Serving, "krustlet", [10, 0, 0, 1].into()).unwrap();
        let parsed = parse(&request);
        assert_eq!(parsed.subject, "O=system:nodes, CN=system:node:krustlet");
        assert_eq!(parsed.dns, ["krustlet"]);
        assert_eq!(parsed.ips, [vec![10, 0, 0, 1]]);
        assert_eq!(parsed.other_extensions, 0);
        let object = request.object("krustlet", Some(600));
        assert_eq!(object.spec.expiration_seconds, Some(600));
        assert_eq!(object.metadata.generate_name.as_deref(), Some("krustlet-krustlet-serving-"));
        assert_eq!(object.spec.signer_name, "kubernetes.io/kubelet-serving");
        assert_eq!(object.spec.usages.unwrap(), ["digital signature", "server auth"]);
    }

    #[test]
    fn the_public_key_handed_over_is_the_requests() {
        let request = Request::new(Purpose::Client, "krustlet", [10, 0, 0, 1].into()).unwrap();
        let (_, pem) = parse_x509_pem(request.public_key_pem.as_bytes()).unwrap();
        assert_eq!(pem.label, "PUBLIC KEY");
        assert_eq!(pem.contents, parse(&request).spki);
        assert_eq!(pem.contents, request.public_key_der);
        assert!(request.key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
    }

    #[test]
    fn keys_are_never_used_twice() {
        let make = || Request::new(Purpose::Client, "n", [10, 0, 0, 1].into()).unwrap();
        assert_ne!(make().public_key_pem, make().public_key_pem);
    }
}
