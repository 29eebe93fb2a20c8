//! Who is at the other end of a connection, as its client certificate says.

use std::fmt::Write;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsAcceptor;
use futures::FutureExt;
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tower::Layer;
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME, Oid};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::connections::{Client, Connections, Counted};

/// The attribute of a subject that Kubernetes reads a user's uid from: 1.3.6.1.4.1.57683.2.
const UID: [u64; 8] = [1, 3, 6, 1, 4, 1, 57683, 2];

/// The user that a certificate names.
///
/// <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates>
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The common name.
    pub user: String,
    /// The uid, if there is one.
    pub uid: Option<String>,
    /// The organizations, and `system:authenticated`.
    pub groups: Vec<String>,
    /// Tells this certificate from another of the same user: `X509SHA256=…`.
    pub credential_id: String,
    /// When the certificate ends, in seconds since 1970.
    end: u64,
}

impl Peer {
    /// Reads a certificate (DER); `None` when it names nobody, or not clearly.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let values = |oid: &Oid| -> Option<Vec<String>> {
            let found = certificate.subject().iter_by_oid(oid);
            found.map(|attribute| attribute.as_str().ok().map(str::to_string)).collect()
        };
        // The last one, as the API server has it.
        let user = values(&OID_X509_COMMON_NAME)?.pop().filter(|name| !name.is_empty())?;
        let mut uids = values(&Oid::from(&UID).ok()?)?;
        if uids.len() > 1 || uids.iter().any(String::is_empty) {
            return None;
        }
        let mut groups = values(&OID_X509_ORGANIZATION_NAME)?;
        groups.push("system:authenticated".into());
        let digest = Sha256::digest(der).iter().fold(String::from("X509SHA256="), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        let end = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
        Some(Self { user, uid: uids.pop(), groups, credential_id: digest, end })
    }

    /// Whether the certificate still holds at `now`: a connection may outlive it.
    pub fn holds(&self, now: SystemTime) -> bool {
        now < UNIX_EPOCH + Duration::from_secs(self.end)
    }
}

/// Lets every request know its connection's peer, as an extension `Option<Peer>`; `None` when the client showed no certificate.
#[derive(Clone, Debug)]
pub struct PeerAcceptor {
    /// Does the handshake, and verifies the certificate if there is one.
    pub tls: RustlsAcceptor,
    /// Bounds how many there are.
    pub connections: Connections,
}

impl<S: Send + 'static> Accept<TcpStream, S> for PeerAcceptor {
    type Stream = Counted<<RustlsAcceptor as Accept<TcpStream, S>>::Stream>;
    type Service = AddExtension<S, Option<Peer>>;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let (accepted, mut stranger) = (self.tls.accept(stream, service), self.connections.arrive());
        async move {
            let (stream, service) = tokio::select! {
                accepted = accepted => accepted?,
                () = stranger.must_go() => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            let certificates = stream.get_ref().1.peer_certificates();
            let peer = certificates.and_then(<[_]>::first).and_then(|leaf| Peer::read(leaf));
            let client = match peer {
                Some(_) => Client::Known(stranger.introduce()?),
                None => Client::Stranger(stranger),
            };
            Ok((Counted { stream, client }, Extension(peer).layer(service)))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};

    use super::*;

    fn der(names: &[(DnType, DnValue)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in names {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn text(text: &str) -> DnValue {
        DnValue::Utf8String(text.into())
    }

    fn uid() -> DnType {
        DnType::CustomDnType(UID.to_vec())
    }

    #[test]
    fn name_groups_and_uid_come_from_the_subject() {
        krustlet_api::install_crypto();
        let bytes = der(&[
            (DnType::CommonName, text("kube-apiserver-kubelet-client")),
            (DnType::OrganizationName, text("kubeadm:cluster-admins")),
            (uid(), text("7")),
        ]);
        let peer = Peer::read(&bytes).unwrap();
        assert_eq!(peer.user, "kube-apiserver-kubelet-client");
        assert_eq!(peer.groups, ["kubeadm:cluster-admins", "system:authenticated"]);
        assert_eq!(peer.uid.as_deref(), Some("7"));
        assert!(peer.credential_id.starts_with("X509SHA256=") && peer.credential_id.len() == 11 + 64);
        assert!(peer.holds(UNIX_EPOCH + Duration::from_secs(peer.end - 1)));
        assert!(!peer.holds(UNIX_EPOCH + Duration::from_secs(peer.end)));
    }

    #[test]
    fn who_is_not_named_clearly_is_nobody() {
        krustlet_api::install_crypto();
        for names in [
            vec![],
            vec![(DnType::OrganizationName, text("system:masters"))],
            vec![(DnType::CommonName, text(""))],
            vec![(DnType::CommonName, text("a")), (uid(), text(""))],
        ] {
            assert_eq!(Peer::read(&der(&names)), None, "{names:?}");
        }
        assert_eq!(Peer::read(b"no certificate"), None);
    }
}
