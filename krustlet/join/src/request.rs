//! Filing a certificate signing request and waiting for its answer.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use krustlet_api::patience::persist;
use kube::api::{Api, PostParams};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use tokio::time::{Instant, sleep, timeout_at};

use super::certificate::Certificate;
use super::csr::Request;
use super::error::{JoinError, NotFiled};
use crate::{Config, Result};

/// How long a request may wait for approval at most, everything included.
pub const APPROVAL_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long until the request is read again when no watch brings news (a bootstrap token allows none) and it has waited so long:
/// a twentieth of that, from 250 ms to 2 s. An approval by a running program comes within the first second or two.
fn poll_after(waited: Duration) -> Duration {
    (waited / 20).clamp(Duration::from_millis(250), Duration::from_secs(2))
}

/// Posts the request and returns the signed certificate, PEM. `patience` is how long all of this may take.
///
/// # Errors
/// Denied, failed, not decided in time, or refused by the API server; the request's name is in the message.
pub async fn obtain(client: &Client, request: &Request, config: &Config, patience: Duration) -> Result<Vec<u8>> {
    let word = request.purpose.word();
    let limit = Instant::now() + patience;
    let api: Api<CertificateSigningRequest> = Api::all(client.clone());
    let object = request.object(&config.node_name, config.certificate_duration_seconds);
    let post = persist("file the certificate request", async || api.create(&PostParams::default(), &object).await);
    let filed = timeout_at(limit, post).await.map_err(|_| NotFiled::Unreachable(patience));
    let filed = filed.and_then(|filed| filed.map_err(NotFiled::from));
    let filed = filed.map_err(|error| JoinError::NotFiled(request.purpose, error))?;
    let name = filed.name_any();
    tracing::info!(csr = name, "waiting for approval of the {word} certificate: kubectl certificate approve {name}");
    let pem = timeout_at(limit, decision(&api, &name))
        .await
        .map_err(|_| JoinError::NotApproved { name: name.clone(), patience })??;
    let certificate = Certificate::from_pem(&pem).map_err(|error| JoinError::Answer(name.clone(), error))?;
    if certificate.public_key_der != request.public_key_der {
        return Err(JoinError::AnotherKey(name));
    }
    tracing::info!(csr = name, "the {word} certificate was signed");
    Ok(pem)
}

/// Waits for the decision. The watch only makes it quicker: reading the one object is all the right that is needed.
async fn decision(api: &Api<CertificateSigningRequest>, name: &str) -> Result<Vec<u8>> {
    let mut news = pin!(watcher(api.clone(), watcher::Config::default().fields(&format!("metadata.name={name}"))));
    let mut watching = true;
    let begun = Instant::now();
    loop {
        match api.get(name).await {
            Ok(csr) => {
                if let Some(pem) = verdict(&csr)? {
                    return Ok(pem);
                }
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {
                return Err(JoinError::Deleted(name.into()));
            }
            Err(error) => tracing::warn!(csr = name, "cannot read the certificate request, trying again: {error}"),
        }
        tokio::select! {
            event = news.next(), if watching => watching = matches!(event, Some(Ok(_))),
            () = sleep(poll_after(begun.elapsed())) => {}
        }
    }
}

/// The certificate if it is there, `None` if there is no decision yet.
///
/// # Errors
/// Denied or failed, with the reason given.
fn verdict(csr: &CertificateSigningRequest) -> Result<Option<Vec<u8>>> {
    let Some(status) = &csr.status else { return Ok(None) };
    for condition in status.conditions.iter().flatten() {
        if condition.type_ == "Denied" || condition.type_ == "Failed" {
            let reason = condition.reason.as_deref().unwrap_or("no reason given");
            let why = format!("{reason} {}", condition.message.as_deref().unwrap_or_default());
            return Err(JoinError::Rejected { name: csr.name_any(), decision: condition.type_.to_lowercase(), why });
        }
    }
    Ok(status.certificate.as_ref().map(|certificate| certificate.0.clone()).filter(|pem| !pem.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csr(status: serde_json::Value) -> CertificateSigningRequest {
        serde_json::from_value(serde_json::json!({
            "metadata": { "name": "krustlet-n-client-abc" },
            "spec": { "request": "", "signerName": "s" },
            "status": status
        }))
        .unwrap()
    }

    #[test]
    fn a_request_is_read_less_often_the_longer_it_waits() {
        let table = [(0, 250), (5_000, 250), (10_000, 500), (40_000, 2_000), (600_000, 2_000)];
        for (waited, expected) in table {
            assert_eq!(poll_after(Duration::from_millis(waited)), Duration::from_millis(expected), "after {waited} ms");
        }
    }

    #[test]
    fn a_request_is_pending_until_the_certificate_is_there() {
        assert_eq!(verdict(&csr(serde_json::json!({}))).unwrap(), None);
        let approved = serde_json::json!({ "conditions": [{ "type": "Approved", "status": "True" }] });
        assert_eq!(verdict(&csr(approved)).unwrap(), None);
        let signed =
            serde_json::json!({ "conditions": [{ "type": "Approved", "status": "True" }], "certificate": "YWJj" });
        assert_eq!(verdict(&csr(signed)).unwrap().unwrap(), b"abc");
    }

    #[test]
    fn denied_and_failed_end_the_wait_with_the_reason() {
        for kind in ["Denied", "Failed"] {
            let status = serde_json::json!({ "conditions": [{ "type": kind, "status": "True", "reason": "NotOurs", "message": "wrong key" }] });
            let message = verdict(&csr(status)).unwrap_err().to_string();
            assert!(message.contains("krustlet-n-client-abc") && message.contains("NotOurs wrong key"), "{message}");
        }
    }
}
