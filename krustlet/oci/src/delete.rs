//! Deleting a manifest, which oci-client has no call for.

use reqwest::{Method, StatusCode};

use crate::OciError;
use crate::error::said;
use crate::transport::{self, Ask, Place, Transport};

/// Deletes a manifest by its digest
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#deleting-manifests>).
pub(crate) async fn manifest(transport: &Transport, pinned: &Place<'_>) -> Result<(), OciError> {
    let reference = pinned.reference;
    let path = format!("manifests/{}", reference.digest().unwrap_or_default());
    let answer = transport.ask(pinned, &Ask::new(Method::DELETE, path)).await?;
    let status = answer.status();
    let refused =
        |body: &str| OciError::DeleteRefused { reference: reference.to_string(), message: said(status.as_u16(), body) };
    if status.is_success() {
        return Ok(());
    }
    let body = transport::words(answer).await;
    Err(match status {
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => refused(&body),
        _ if body.contains("UNSUPPORTED") => refused(&body),
        status => OciError::from_status(status.as_u16(), &body, reference),
    })
}
