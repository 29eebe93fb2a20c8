//! From a name to the module that it means: manifests and indexes
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>).

pub(crate) mod artifact;
pub(crate) mod component;
pub(crate) mod document;
pub mod media_types;
pub(crate) mod metadata;

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::auth::login::Login;
use crate::manifest::document::{Descriptor, ImageIndex, ImageManifest};
use crate::reference::is_digest;
use crate::transport::{self, Ask, Place, Transport};
use crate::{OciError, Reference};

/// Every form of a manifest that is understood.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json";

/// The largest manifest, in bytes: what the specification wants every registry to take, and no more.
const MANIFEST_LIMIT: usize = 4 << 20;

/// Where a registry names the digest of what it sends.
pub(crate) const DIGEST_HEADER: &str = "docker-content-digest";

/// A module in a registry, found but not yet fetched.
#[derive(Clone, Debug)]
pub struct Found {
    /// The digest of the manifest that the reference leads to (of the index, where there is one): `sha256:…`.
    pub digest: String,
    /// The digest of the module itself: `sha256:…`.
    pub module_digest: String,
    /// The size of the module in bytes, as it is announced; at most [`MAX_MODULE_BYTES`](crate::MAX_MODULE_BYTES).
    pub size: u64,
    /// The media type of the layer that is the module.
    pub media_type: String,
    pub(crate) config: Descriptor,
    /// As whom it was found.
    pub(crate) login: Login,
}

/// The digest of the manifest that a reference leads to now.
pub(crate) async fn resolve(transport: &Transport, place: &Place<'_>) -> Result<String, OciError> {
    let ask = Ask { accept: Some(ACCEPT), ..Ask::new(Method::HEAD, path(place.reference)) };
    let answer = transport.ask(place, &ask).await?;
    let digest = answer.headers().get(DIGEST_HEADER).and_then(|value| value.to_str().ok());
    match digest {
        Some(digest) if answer.status().is_success() && is_digest(digest) => {
            same_digest(place.reference, digest)?;
            Ok(digest.to_owned())
        }
        // The answer to a HEAD has no words, and not every registry has this header: a GET brings both.
        _ => Ok(fetch(transport, place).await?.1),
    }
}

/// Finds the module, through an index if there is one.
pub(crate) async fn find(transport: &Transport, place: &Place<'_>) -> Result<Found, OciError> {
    let reference = place.reference;
    let (bytes, digest) = fetch(transport, place).await?;
    let manifest = match parse(&bytes, reference)? {
        Parsed::Image(manifest) => manifest,
        Parsed::Index(index) => {
            let entry = artifact::wasm_entry(&index.manifests, reference)?;
            if !is_digest(&entry.digest) {
                let found = format!("its index names {:?}, which is no SHA-256 digest", entry.digest);
                return Err(OciError::not_an_artifact(reference, &found));
            }
            let pinned = reference.by_digest(entry.digest.clone());
            let (bytes, _) = fetch(transport, &Place { reference: &pinned, ..*place }).await?;
            match parse(&bytes, reference)? {
                Parsed::Image(manifest) => manifest,
                Parsed::Index(_) => {
                    let found = "the entry of its index is an index again, and only one is followed";
                    return Err(OciError::not_an_artifact(reference, found));
                }
            }
        }
    };
    let layer = artifact::module_layer(&manifest, reference)?;
    let size = u64::try_from(layer.size)
        .map_err(|_| OciError::not_an_artifact(reference, "its module has a negative size"))?;
    if !is_digest(&layer.digest) {
        let found = format!("its module has the digest {:?}, which is not a SHA-256 one", layer.digest);
        return Err(OciError::not_an_artifact(reference, &found));
    }
    Ok(Found {
        digest,
        module_digest: layer.digest.clone(),
        size,
        media_type: layer.media_type.clone(),
        config: manifest.config.clone(),
        login: place.login.clone(),
    })
}

/// Of the manifest that a reference names, by its digest if it has one.
pub(crate) fn path(reference: &Reference) -> String {
    format!("manifests/{}", reference.digest().or(reference.tag()).unwrap_or_default())
}

/// The bytes of a manifest and their digest, which is the one that was asked for, if one was.
pub(crate) async fn fetch(transport: &Transport, place: &Place<'_>) -> Result<(Vec<u8>, String), OciError> {
    let reference = place.reference;
    let ask = Ask { accept: Some(ACCEPT), ..Ask::new(Method::GET, path(reference)) };
    let answer = transport.get(place, &ask).await?;
    let body = transport::body(answer, MANIFEST_LIMIT).await.map_err(|error| OciError::from_http(error, reference))?;
    let bytes = body.ok_or_else(|| {
        OciError::not_an_artifact(reference, &format!("its manifest has more than {MANIFEST_LIMIT} bytes"))
    })?;
    let digest = artifact::sha256(&bytes);
    same_digest(reference, &digest)?;
    Ok((bytes, digest))
}

fn same_digest(reference: &Reference, actual: &str) -> Result<(), OciError> {
    reference.digest().map_or(Ok(()), |expected| same(&format!("the manifest of {reference}"), expected, actual))
}

pub(crate) fn same(what: &str, expected: &str, actual: &str) -> Result<(), OciError> {
    match expected == actual {
        true => Ok(()),
        false => Err(OciError::DigestMismatch {
            what: what.to_owned(),
            expected: expected.to_owned(),
            actual: actual.to_owned(),
        }),
    }
}

/// Whether a reference leads to a manifest, directly or through an index.
pub(crate) async fn leads_to(transport: &Transport, place: &Place<'_>, digest: &str) -> Result<bool, OciError> {
    let (bytes, own) = fetch(transport, place).await?;
    let index = serde_json::from_slice::<ImageIndex>(&bytes);
    Ok(own == digest || index.is_ok_and(|index| index.manifests.iter().any(|entry| entry.digest == digest)))
}

#[derive(Debug)]
enum Parsed {
    Image(ImageManifest),
    Index(ImageIndex),
}

/// By what a manifest and an index can be told apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    schema_version: Option<i64>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

fn parse(bytes: &[u8], reference: &Reference) -> Result<Parsed, OciError> {
    let not = |found: &str| OciError::not_an_artifact(reference, found);
    let unreadable = |error: serde_json::Error| not(&format!("its manifest cannot be read: {error}"));
    let kind: Kind = serde_json::from_slice(bytes).map_err(unreadable)?;
    match kind {
        Kind { schema_version: Some(2), manifests: Some(_), layers: None } => {
            serde_json::from_slice(bytes).map(Parsed::Index).map_err(unreadable)
        }
        Kind { schema_version: Some(2), manifests: None, layers: Some(_) } => {
            serde_json::from_slice(bytes).map(Parsed::Image).map_err(unreadable)
        }
        // One digest must not mean two things (CVE-2021-41190).
        Kind { manifests: Some(_), layers: Some(_), .. } => Err(not("its manifest is an index, too")),
        Kind { schema_version: Some(2), .. } => Err(not("its manifest has no layers")),
        _ => Err(not("its manifest is not of schema version 2")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_one_thing_or_the_other() {
        let reference: Reference = "r.io/a:v1".parse().unwrap();
        let config = r#""config":{"mediaType":"a","digest":"b","size":1}"#;
        let image = format!(r#"{{"schemaVersion":2,{config},"layers":[]}}"#);
        assert!(matches!(parse(image.as_bytes(), &reference), Ok(Parsed::Image(_))));
        assert!(matches!(parse(br#"{"schemaVersion":2,"manifests":[]}"#, &reference), Ok(Parsed::Index(_))));
        let table = [
            (format!(r#"{{"schemaVersion":2,{config},"layers":[],"manifests":[]}}"#), "its manifest is an index, too"),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(), "not of schema version 2"),
            (r#"{"schemaVersion":2}"#.to_owned(), "has no layers"),
            (r#"{"schemaVersion":2,"layers":[]}"#.to_owned(), "cannot be read: missing field `config`"),
            ("<html>".to_owned(), "cannot be read"),
        ];
        for (manifest, expected) in table {
            let error = parse(manifest.as_bytes(), &reference).unwrap_err().to_string();
            assert!(error.starts_with("r.io/a:v1 is not a WebAssembly artifact: "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
