//! The decision on what kind's own kubelets ask for: their serving certificates.

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::decision::{Decision, Expectations, Purpose, decide, filed_at, printable, user_name};
use crate::der::Fault;
use crate::request::Request;

/// A node of a kind cluster, and the kubelet that runs there.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kubelet {
    /// Name of the node.
    pub name: String,
    /// IPv4 address on the cluster's network.
    pub address: String,
    /// Certificates (PEM) by which the API server knows it.
    pub client_certificates: Vec<String>,
    /// Start of its process, in milliseconds since 1970; `None`: none runs.
    pub started_at: Option<i64>,
}

/// Key of a requester's `extra` in which the API server (1.32 and later) says by which very credential it knew the requester.
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";
/// The time that a request bears is cut off to whole seconds.
const PRECISION_MILLISECONDS: i64 = 1000;

/// Whether it is such a node's request for a serving certificate, rightly or not.
pub fn asks_to_serve_as(csr: &CertificateSigningRequest, parsed: &Result<Request, Fault>, name: &str) -> bool {
    let user = user_name(name);
    let in_subject = |request: &Request| request.subject.contains(&("CN".into(), user.clone()));
    csr.spec.signer_name == Purpose::Serving.signer()
        && (csr.spec.username.as_ref() == Some(&user) || parsed.as_ref().is_ok_and(in_subject))
}

/// Decides on a kubelet's request for a serving certificate. All is checked as for a Krustlet node, but for the key: a kubelet
/// keeps that in memory until it has its certificate, and hands nothing over. In its place stand the credential that the
/// request was filed with, which must be one that lies in the node's own container (whoever has its key is root there), and the
/// time: the kubelet that runs must have been there already, for one that was started since has made another key.
pub fn decide_for_kubelet(
    csr: &CertificateSigningRequest,
    parsed: &Result<Request, Fault>,
    kubelet: &Kubelet,
) -> Decision {
    let expected = Expectations {
        node_name: kubelet.name.clone(),
        // kind gives its kubelets their IPv4 address as --node-ip: on a network that has IPv6 too, they name no other.
        node_ip: kubelet.address.clone(),
        serving_key: parsed.as_ref().ok().map(|request| request.public_key.clone()),
        launched_at: kubelet.started_at,
        // No kubelet of kind's joins by a token of ours, a client certificate is none of our business, the life is the
        // signer's, and a Node of this name is what it should be.
        ..Expectations::default()
    };
    let decision = decide(csr, parsed, &expected);
    let (purpose, mut reasons) = match &decision {
        Decision::Refuse(purpose, reasons) => (*purpose, reasons.clone()),
        Decision::Approve(purpose) | Decision::ApprovedAlready(purpose) => (Some(*purpose), vec![]),
    };
    let given = csr.spec.extra.as_ref().and_then(|extra| extra.get(CREDENTIAL_ID)).map_or(&[][..], Vec::as_slice);
    if !matches!(given, [one] if kubelet.client_certificates.iter().any(|own| credential_of(own).as_ref() == Some(one)))
    {
        let shown = if given.is_empty() { "unknown".into() } else { printable(&given.join(", ")) };
        reasons.push(format!(
            "it was filed with credential {shown}, not with one that the kubelet of {} holds",
            kubelet.name
        ));
    }
    let was_there = |(started, filed): (i64, i64)| filed + PRECISION_MILLISECONDS > started;
    if !kubelet.started_at.zip(filed_at(csr)).is_some_and(was_there) {
        reasons.push(started_since(&kubelet.name));
    }
    if reasons.is_empty() { decision } else { Decision::Refuse(purpose, reasons) }
}

/// Whether nothing is wrong with it but that its kubelet has gone, which the node's own kubelet filed by its credential: the one
/// that runs now has another key, and files a request of its own. Each creation of a cluster has such a request, for kubeadm
/// restarts the kubelet.
pub fn is_out_of_date(decision: &Decision, kubelet: &Kubelet) -> bool {
    matches!(decision, Decision::Refuse(_, reasons) if *reasons == [started_since(&kubelet.name)])
}

fn started_since(name: &str) -> String {
    format!("the kubelet that runs on {name} was started after it was filed")
}

/// What `CREDENTIAL_ID` says of a client certificate (PEM); `None`: it is none.
pub fn credential_of(certificate: &str) -> Option<String> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
    Some(format!("X509SHA256={:x}", Sha256::digest(&der)))
}
