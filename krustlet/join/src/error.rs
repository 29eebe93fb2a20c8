//! What keeps the node out of the cluster.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use kube::config::KubeconfigError;

use super::csr::Purpose;

/// Why the node has no credential, or no certificate for its own port.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A file of the node's.
    #[error(transparent)]
    File(#[from] io::Error),
    /// A file that was written is not there any more.
    #[error("{} vanished", .0.display())]
    Vanished(PathBuf),
    /// A file is none.
    #[error("{}: not a usable kubeconfig", .0.display())]
    NoKubeconfig(PathBuf, #[source] BadKubeconfig),
    /// The same: there is no text in it.
    #[error("{}: not a text file", .0.display())]
    NoText(PathBuf),
    /// The same: its user has no certificate.
    #[error("{}: no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// A kubeconfig cannot be used for a client.
    #[error(transparent)]
    Unusable(#[from] KubeconfigError),
    /// A client of this kubeconfig cannot be made.
    #[error("{0} cannot be used")]
    NoClient(&'static str, #[source] kube::Error),
    /// The node's kubeconfig is somebody else's, perhaps.
    #[error(
        "{}: not the kubeconfig of node {node:?}; point KUBECONFIG at the file that the agent keeps for itself \
         (it need not exist yet), never at your own{}",
        .path.display(), .whose.as_ref().map(|whose| format!(" (its certificate is of {whose:?})")).unwrap_or_default()
    )]
    NotTheNodes {
        /// The file.
        path: PathBuf,
        /// Name of the node.
        node: String,
        /// Whose it is, if that is known.
        whose: Option<String>,
        /// Why it cannot be read, if that is it.
        source: Option<Box<JoinError>>,
    },
    /// There is no bootstrap file, and it is needed.
    #[error("--bootstrap-file: {} does not exist, and the node has no valid credential without it", .0.display())]
    NoBootstrapFile(PathBuf),
    /// There is one, and it cannot be read.
    #[error("--bootstrap-file")]
    BootstrapFile(#[source] Box<JoinError>),
    /// The node has been in another cluster.
    #[error("--bootstrap-file: {} is of another cluster", .0.display())]
    OtherCluster(PathBuf),
    /// The cluster's CA.
    #[error("the cluster's CA")]
    Ca(#[source] BadCertificate),
    /// A certificate that cannot be used.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    /// The same, of this file.
    #[error("{}", .0.display())]
    CertificateFile(PathBuf, #[source] BadCertificate),
    /// No request can be made.
    #[error("{0}")]
    NoRequest(&'static str, #[source] rcgen::Error),
    /// It cannot be filed.
    #[error("cannot file the {} certificate request", .0.word())]
    NotFiled(Purpose, #[source] NotFiled),
    /// Nobody has decided in this time.
    #[error("certificate request {name} was not approved within {} s", .patience.as_secs())]
    NotApproved {
        /// Of the request.
        name: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// It is gone.
    #[error("certificate request {0} was deleted before it was approved")]
    Deleted(String),
    /// It was denied, or has failed.
    #[error("certificate request {name} was {decision}: {why}")]
    Rejected {
        /// Of the request.
        name: String,
        /// In one word.
        decision: String,
        /// In the words of who has decided.
        why: String,
    },
    /// The signer's answer is no certificate.
    #[error("certificate request {0}: the signer's answer")]
    Answer(String, #[source] BadCertificate),
    /// The signer's answer is not for what was asked.
    #[error("certificate request {0}: the signed certificate is of another key")]
    AnotherKey(String),
    /// The client certificate could not be renewed in its time, nor can the node join anew.
    #[error("the client certificate has ended, and the node cannot join again")]
    Ended(#[source] Box<JoinError>),
}

impl JoinError {
    /// Whether the API server gave no answer at all, so that nothing was refused.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::NotFiled(_, NotFiled::Unreachable(_)))
    }
}

/// What is wrong with a kubeconfig; nothing of what stands in it.
#[derive(Debug, thiserror::Error)]
pub enum BadKubeconfig {
    /// It cannot be read; where.
    #[error("it is not what a kubeconfig is{0}")]
    Syntax(String),
    /// It names none, or one that is not there.
    #[error("it has no current context")]
    NoContext,
    /// The context's cluster is not there.
    #[error("it has no cluster {0:?}")]
    NoCluster(String),
    /// The cluster has no URL.
    #[error("its cluster has no server")]
    NoServer,
    /// The cluster has no CA.
    #[error("its cluster has no certificate-authority-data")]
    NoCa,
    /// What should be base64 is none.
    #[error("a data field is not base64")]
    NotBase64(#[source] serde_json::Error),
    /// A file that it names.
    #[error("{0}")]
    File(String, #[source] io::Error),
}

/// What is wrong with a certificate, or its key.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificate {
    /// It is no PEM.
    #[error("not readable as PEM: {0:?}")]
    NotPem(rustls::pki_types::pem::Error),
    /// There is none.
    #[error("no {0} in the PEM data")]
    Missing(&'static str),
    /// It cannot be read.
    #[error("not a readable certificate")]
    Unreadable(#[source] x509_parser::nom::Err<x509_parser::error::X509Error>),
    /// It is no trust anchor.
    #[error("unusable CA certificate")]
    UnusableCa(#[source] rustls::Error),
    /// Nothing can be verified by the CA.
    #[error("the cluster's CA is unusable")]
    NoVerifier(#[source] rustls::server::VerifierBuilderError),
    /// No certificate can bear that name.
    #[error("the node name is no DNS name")]
    NoDnsName(#[source] rustls::pki_types::InvalidDnsNameError),
    /// It does not verify.
    #[error(transparent)]
    Invalid(#[from] rustls::Error),
    /// It is somebody else's.
    #[error("the certificate is of {0:?}")]
    Of(String),
    /// The reason could quote the key.
    #[error("the key is not readable")]
    NoKey,
    /// No provider of it is installed.
    #[error("no cryptography")]
    NoCryptography,
    /// The key is another one's.
    #[error("certificate and key do not belong together")]
    OtherKey(#[source] rustls::Error),
}

/// Why a request could not be filed.
#[derive(Debug, thiserror::Error)]
pub enum NotFiled {
    /// The API server gave no answer at all in this time.
    #[error("the API server was not to be reached within {} s", .0.as_secs())]
    Unreachable(Duration),
    /// It does not know who asks.
    #[error(
        "the API server does not know the credential (401): the bootstrap token or certificate may have ended or been revoked"
    )]
    Unauthorized,
    /// It has refused.
    #[error(transparent)]
    Refused(kube::Error),
}

impl From<kube::Error> for NotFiled {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 401 => Self::Unauthorized,
            error => Self::Refused(error),
        }
    }
}
