//! Pushing: what is sent, in which order, and how it is made sure of.

pub(crate) mod upload;

use crate::client::Client;
use crate::manifest;
use crate::manifest::artifact::{Artifact, Format};
use crate::transport::{Place, Transport};
use crate::{OciError, Reference};

/// An artifact that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the manifest: `sha256:…`. The same module always has the same in the same format.
    pub digest: String,
    /// The digest of the module itself: `sha256:…`.
    pub module_digest: String,
    /// The name by which just this artifact can be pulled: `registry/repository@sha256:…`.
    pub reference_with_digest: Reference,
    /// Whether the tag led to this artifact before, so that nothing was sent.
    pub already_present: bool,
}

impl Client {
    /// Stores a module under the reference's tag.
    ///
    /// Idempotent: if the tag leads to just this artifact, nothing is sent; blobs that are there are not sent again. So one that
    /// was interrupted at any point can be repeated: the manifest and with it the tag come last. It is verified afterwards, by
    /// tag and by digest, that the registry has what was pushed.
    ///
    /// # Errors
    ///
    /// [`OciError::NotAModule`] and [`OciError::TooLarge`], before anything is sent; [`OciError::Reference`] when there is no
    /// tag; [`OciError::NoRepository`] when the registry wants the repository made first; [`OciError::DigestMismatch`] when the
    /// reference has a digest that is not the artifact's, or when the registry has something else afterwards.
    pub async fn push(&self, reference: &Reference, wasm: Vec<u8>, format: Format) -> Result<Pushed, OciError> {
        let tagged = &reference.by_tag().ok_or_else(|| OciError::Reference {
            given: reference.to_string(),
            problem: "a push needs a tag".into(),
        })?;
        let artifact = &Artifact::new(wasm, format)?;
        if let Some(expected) = reference.digest() {
            manifest::same("the artifact of this module", expected, &artifact.manifest.digest)?;
        }
        let transport = &self.shared.transport;
        let ask = |login| async move { push(transport, &Place { reference: tagged, login: &login }, artifact).await };
        let already_present =
            self.limited_by(self.shared.config.push_timeout, tagged, self.in_turn(tagged, ask)).await?;
        let digest = artifact.manifest.digest.clone();
        tracing::debug!(reference = %tagged, digest, already_present, "pushed");
        Ok(Pushed {
            reference_with_digest: reference.by_digest(digest.clone()),
            module_digest: artifact.module.digest.clone(),
            digest,
            already_present,
        })
    }
}

/// Whether it was there already.
async fn push(transport: &Transport, tagged: &Place<'_>, artifact: &Artifact) -> Result<bool, OciError> {
    let digest = &artifact.manifest.digest;
    match manifest::resolve(transport, tagged).await {
        Ok(found) if found == *digest => return Ok(true),
        // Of a repository that a push will make, some registries say that nobody may read it.
        Ok(_) | Err(OciError::NotFound { .. } | OciError::Unauthorized { .. } | OciError::Denied { .. }) => {}
        Err(error) => return Err(error),
    }
    for blob in [&artifact.module, &artifact.config] {
        upload::blob(transport, tagged, blob).await?;
    }
    upload::manifest(transport, tagged, &artifact.manifest).await?;
    let pinned = tagged.reference.by_digest(digest.clone());
    for reference in [tagged.reference, &pinned] {
        let (_, actual) = manifest::fetch(transport, &Place { reference, ..*tagged }).await?;
        manifest::same(&format!("what the registry has as {reference}"), digest, &actual)?;
    }
    Ok(false)
}
