//! Deleting a tag, or a manifest with all of its tags
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#deleting-tags>).

use reqwest::{Method, StatusCode};

use crate::client::Client;
use crate::error::said;
use crate::transport::{self, Ask, Place, Transport};
use crate::{OciError, Reference, manifest, tags};

/// What was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// The digest of the manifest that the reference led to: `sha256:…`.
    pub digest: String,
    /// Whether the manifest went, too: it was asked for, or the registry deletes no tags and nothing else led there (or deletes
    /// a tag's manifest whatever else leads there).
    pub manifest: bool,
}

/// How a registry answered.
enum Answer {
    Done,
    /// It does not do this; with its words.
    Unsupported(String),
}

impl Client {
    /// Deletes a tag and leaves its manifest under its digest and its other tags. Many registries delete manifests alone: there
    /// the manifest goes, if no other tag of the repository leads to it, directly or through an index. (A tag that is put there
    /// just between the look and the deletion goes with it: registries have no way to make one of both.)
    ///
    /// A reference with a digest, too, is deleted only if the tag leads to that digest; one without a tag names a manifest, see
    /// [`delete_manifest`](Self::delete_manifest).
    ///
    /// # Errors
    ///
    /// [`OciError::NotFound`]; [`OciError::DigestMismatch`]; [`OciError::TagShared`] when the registry deletes no tags and the
    /// manifest is in use elsewhere; [`OciError::DeleteRefused`] when the registry deletes nothing.
    pub async fn delete(&self, reference: &Reference) -> Result<Deleted, OciError> {
        let Some(tagged) = &reference.by_tag() else { return self.delete_manifest(reference).await };
        let digest = &self.resolve(tagged).await?;
        if let Some(expected) = reference.digest() {
            manifest::same(&format!("the manifest that {tagged} leads to"), expected, digest)?;
        }
        let transport = &self.shared.transport;
        let ask = |login| async move { tag(transport, &Place { reference: tagged, login: &login }, digest).await };
        let manifest = self.limited(tagged, self.in_turn(tagged, ask)).await?;
        Ok(Deleted { digest: digest.clone(), manifest })
    }

    /// Deletes the manifest that a reference leads to, and with it every tag of that manifest. The blobs go when the
    /// registry collects its garbage.
    ///
    /// # Errors
    ///
    /// [`OciError::NotFound`]; [`OciError::DigestMismatch`] when the reference has tag and digest, and the tag leads elsewhere;
    /// [`OciError::DeleteRefused`] when the registry does not delete.
    pub async fn delete_manifest(&self, reference: &Reference) -> Result<Deleted, OciError> {
        let digest = match &reference.by_tag() {
            Some(tagged) => self.resolve(tagged).await?,
            None => self.resolve(reference).await?,
        };
        if let Some(expected) = reference.digest() {
            manifest::same(&format!("the manifest that {reference} leads to"), expected, &digest)?;
        }
        // Many registries delete by digest only.
        let pinned = &reference.by_digest(digest.clone());
        let transport = &self.shared.transport;
        let ask = |login| async move { by_digest(transport, &Place { reference: pinned, login: &login }).await };
        self.limited(reference, self.in_turn(pinned, ask)).await?;
        Ok(Deleted { digest, manifest: true })
    }
}

/// Whether the manifest had to go, too.
async fn tag(transport: &Transport, tagged: &Place<'_>, digest: &str) -> Result<bool, OciError> {
    let pinned = tagged.reference.by_digest(digest.to_owned());
    let words = match ask(transport, tagged).await? {
        Answer::Done => {
            match manifest::resolve(transport, tagged).await {
                Err(OciError::NotFound { .. }) => {}
                Err(error) => return Err(error),
                // Moved by somebody else, in the moment since.
                Ok(now) if now != digest => {}
                Ok(_) => {
                    let problem = "it says that the tag is deleted, and still has it";
                    return Err(OciError::registry(tagged.reference, problem));
                }
            }
            // What a registry makes of a tag's deletion is its own: say what it was.
            return match manifest::resolve(transport, &Place { reference: &pinned, ..*tagged }).await {
                Ok(_) => Ok(false),
                Err(OciError::NotFound { .. }) => Ok(true),
                Err(error) => Err(error),
            };
        }
        Answer::Unsupported(words) => words,
    };
    let others = tags::others(transport, tagged, digest).await?;
    if !others.is_empty() {
        let reference = tagged.reference.to_string();
        return Err(OciError::TagShared { reference, message: words, others: others.join(", ") });
    }
    by_digest(transport, &Place { reference: &pinned, ..*tagged }).await?;
    Ok(true)
}

async fn by_digest(transport: &Transport, pinned: &Place<'_>) -> Result<(), OciError> {
    match ask(transport, pinned).await? {
        Answer::Done => Ok(()),
        Answer::Unsupported(message) => {
            Err(OciError::DeleteRefused { reference: pinned.reference.to_string(), message })
        }
    }
}

async fn ask(transport: &Transport, place: &Place<'_>) -> Result<Answer, OciError> {
    let answer = transport.ask(place, &Ask::new(Method::DELETE, manifest::path(place.reference))).await?;
    let status = answer.status();
    if status.is_success() {
        return Ok(Answer::Done);
    }
    let body = transport::words(answer).await;
    match is_unsupported(status, &body, place.reference.digest().is_none()) {
        true => Ok(Answer::Unsupported(said(status.as_u16(), &body))),
        false => Err(OciError::from_status(status.as_u16(), &body, place.reference)),
    }
}

/// Whether a registry refuses the kind of request, and not this one. What is asked for a tag and wants a digest is refused in
/// several ways.
fn is_unsupported(status: StatusCode, body: &str, is_tag: bool) -> bool {
    match status {
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => true,
        StatusCode::BAD_REQUEST if is_tag => true,
        _ => body.contains("UNSUPPORTED") || is_tag && body.contains("DIGEST_INVALID"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_never_does_is_told_from_what_it_refuses_now() {
        let table = [
            (405, "", true, true),
            (405, "", false, true),
            (501, "", true, true),
            (400, "", true, true),
            (400, "", false, false),
            (400, r#"{"errors":[{"code":"UNSUPPORTED"}]}"#, false, true),
            (404, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#, true, true),
            (404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#, true, false),
            (403, r#"{"errors":[{"code":"DENIED"}]}"#, true, false),
            (403, r#"{"errors":[{"code":"UNSUPPORTED"}]}"#, false, true),
        ];
        for (status, body, is_tag, expected) in table {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_unsupported(status, body, is_tag), expected, "{status} {body} {is_tag}");
        }
    }
}
