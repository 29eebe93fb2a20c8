//! `krustlet-approver decide`: one question on standard input, one answer on standard output, both JSON. It is how the steps of
//! a stack ask, which find and change the requests with the administrator's credential, however that is had.

use std::path::PathBuf;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use serde::{Deserialize, Serialize};

use crate::decision::{self, Decision, Purpose, printable};
use crate::folder::{Folder, Node};
use crate::kubelet::{self, Kubelet};
use crate::request::Request;

/// What is asked.
#[derive(Deserialize)]
pub struct Question {
    /// The request, as the API server has it.
    request: CertificateSigningRequest,
    #[serde(flatten)]
    of: Of,
}

/// Whose it should be: a Krustlet node's, or a kubelet's of kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Of {
    Node(OfNode),
    Kubelet(Kubelet),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfNode {
    #[serde(flatten)]
    node: Node,
    /// The node's folder.
    state_dir: PathBuf,
    /// Whether the cluster has a Node of this name that this host's agent did not register.
    node_taken: bool,
}

/// What is to be done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    verdict: Verdict,
    /// That of its signer, where it has one.
    purpose: Option<Purpose>,
    /// Why it is refused: each check that failed.
    reasons: Vec<String>,
    /// Who filed it, fit for a terminal.
    requester: String,
    /// The request as it is to be sent to its approval subresource; absent where it was decided before.
    decided: Option<CertificateSigningRequest>,
    /// Whether it is a stranger's and was granted by somebody who may, since the node was launched.
    granted_to_stranger: bool,
    /// Whether nothing is wrong with it but that the kubelet that filed it was started anew since.
    out_of_date: bool,
    /// What it is for: SubjectPublicKeyInfo, DER, in base64; absent where it cannot be read.
    public_key: Option<String>,
}

/// In a word.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// It does not bear the name: none of our business.
    NotOurs,
    Approve,
    ApprovedAlready,
    Refuse,
}

/// Decides.
///
/// # Errors
/// When a file in the node's folder cannot be read.
pub fn answer(Question { request: csr, of }: &Question) -> Result<Answer> {
    let parsed = Request::from_pem(&csr.spec.request.0);
    let mut answer = Answer {
        verdict: Verdict::NotOurs,
        purpose: None,
        reasons: vec![],
        requester: printable(csr.spec.username.as_deref().unwrap_or("nobody")),
        decided: None,
        granted_to_stranger: false,
        out_of_date: false,
        public_key: parsed.as_ref().ok().map(|request| STANDARD.encode(&request.public_key)),
    };
    let decision = match of {
        Of::Node(OfNode { node, state_dir, node_taken }) => {
            if !decision::bears_name(csr, &parsed, &node.node_name) {
                return Ok(answer);
            }
            let expected = Folder(state_dir.clone()).expectations(node, *node_taken)?;
            answer.granted_to_stranger = decision::is_granted_to_stranger(csr, &expected);
            decision::decide(csr, &parsed, &expected)
        }
        Of::Kubelet(kubelet) => {
            if !kubelet::asks_to_serve_as(csr, &parsed, &kubelet.name) {
                return Ok(answer);
            }
            let decision = kubelet::decide_for_kubelet(csr, &parsed, kubelet);
            answer.out_of_date = kubelet::is_out_of_date(&decision, kubelet);
            decision
        }
    };
    answer.decided = decision::decided(csr, &decision);
    (answer.verdict, answer.purpose, answer.reasons) = match decision {
        Decision::Approve(purpose) => (Verdict::Approve, Some(purpose), vec![]),
        Decision::ApprovedAlready(purpose) => (Verdict::ApprovedAlready, Some(purpose), vec![]),
        Decision::Refuse(purpose, reasons) => (Verdict::Refuse, purpose, reasons),
    };
    Ok(answer)
}
