//! Sending blobs and manifests
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push>).

use std::sync::Arc;

use reqwest::header::LOCATION;
use reqwest::{Method, Response, StatusCode};

use crate::OciError;
use crate::auth::scope::Right;
use crate::manifest::artifact::Blob;
use crate::manifest::media_types;
use crate::manifest::{self, DIGEST_HEADER};
use crate::reference::is_digest;
use crate::transport::retry::{self, Failure};
use crate::transport::{self, Ask, Payload, Place, Target, Transport};

/// Sends a blob, unless the registry has it.
///
/// In one request, which every registry takes; chunks are where registries differ. An upload that was interrupted leaves
/// nothing that a later one would need: it begins anew.
pub(crate) async fn blob(transport: &Transport, place: &Place<'_>, blob: &Blob) -> Result<(), OciError> {
    let head = Ask { right: Right::Write, ..Ask::new(Method::HEAD, format!("blobs/{}", blob.digest)) };
    if transport.ask(place, &head).await?.status().is_success() {
        return Ok(());
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let failure = match once(transport, place, blob).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        let Some(pause) = retry::pause(failure.again, tries) else { return Err(failure.error) };
        tracing::debug!(reference = %place.reference, "sending again in {pause:?}: {}", failure.error);
        tokio::time::sleep(pause).await;
    }
}

async fn once(transport: &Transport, place: &Place<'_>, blob: &Blob) -> Result<(), Failure> {
    let start = Ask { right: Right::Write, ..Ask::new(Method::POST, "blobs/uploads/".into()) };
    let answer = transport.once(place, &start).await?;
    if !answer.status().is_success() {
        return Err(Failure::last(refusal(answer, place).await));
    }
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(location) = location else {
        return Err(Failure::last(OciError::registry(place.reference, "it does not say where a blob is to be sent")));
    };
    let mut address = Transport::follow(&answer, location, place.reference)?;
    address.query_pairs_mut().append_pair("digest", &blob.digest);
    let put = Ask {
        target: Target::Address(address),
        right: Right::Write,
        payload: Some(Payload { media_type: "application/octet-stream", bytes: blob.bytes.clone() }),
        ..Ask::new(Method::PUT, String::new())
    };
    let answer = transport.once(place, &put).await?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(Failure::last(refusal(answer, place).await)),
    }
}

/// Stores a manifest under the place's tag.
pub(crate) async fn manifest(transport: &Transport, tagged: &Place<'_>, manifest: &Blob) -> Result<(), OciError> {
    let put = Ask {
        right: Right::Write,
        payload: Some(Payload { media_type: media_types::MANIFEST, bytes: Arc::clone(&manifest.bytes) }),
        ..Ask::new(Method::PUT, manifest::path(tagged.reference))
    };
    let answer = transport.ask(tagged, &put).await?;
    if !answer.status().is_success() {
        return Err(refusal(answer, tagged).await);
    }
    let digest = answer.headers().get(DIGEST_HEADER).and_then(|value| value.to_str().ok());
    match digest.filter(|digest| is_digest(digest)) {
        Some(actual) => {
            manifest::same(&format!("what the registry stored as {}", tagged.reference), &manifest.digest, actual)
        }
        None => Ok(()),
    }
}

/// Why a registry takes nothing.
async fn refusal(answer: Response, place: &Place<'_>) -> OciError {
    match answer.status() {
        StatusCode::NOT_FOUND => {
            let words = transport::words(answer).await;
            OciError::no_repository(place.reference, &crate::error::said(404, &words))
        }
        _ => transport::refusal(answer, place.reference).await,
    }
}
