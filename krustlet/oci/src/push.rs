//! Pushing, by oci-client.

use oci_client::client as upstream;
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use reqwest::header::HeaderValue;

use crate::artifact::{Artifact, Blob};
use crate::client::Client;
use crate::keyring::Login;
use crate::{ClientConfig, OciError, Reference, media_types};

/// An artifact that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the manifest: `sha256:…`. The same module always has the same.
    pub digest: String,
    /// The name by which just this artifact can be pulled: `registry/repository@sha256:…`.
    pub reference_with_digest: Reference,
    /// Whether the tag led to this artifact before, so that nothing was sent.
    pub already_present: bool,
}

impl Client {
    /// Stores a module in the agreed format under the reference's tag, with the docker config file's first login.
    ///
    /// Idempotent: if the tag leads to just this artifact, nothing is sent; blobs that are there are not sent again. It is
    /// verified afterwards that the tag leads to what was pushed.
    ///
    /// # Errors
    ///
    /// [`OciError::NotAModule`] and [`OciError::TooLarge`], before anything is sent; [`OciError::Reference`] when there is no
    /// tag; [`OciError::DigestMismatch`] when the reference has a digest that is not the artifact's, or when the tag
    /// leads elsewhere afterwards.
    pub async fn push(&self, reference: &Reference, wasm: Vec<u8>) -> Result<Pushed, OciError> {
        let tagged = reference.by_tag().ok_or_else(|| OciError::Reference {
            given: reference.to_string(),
            problem: "a push needs a tag".into(),
        })?;
        let Artifact { module, config, manifest } = Artifact::new(wasm)?;
        if let Some(expected) = reference.digest() {
            same_digest("the artifact of this module", expected, &manifest.digest)?;
        }
        let pushed = |already_present| Pushed {
            digest: manifest.digest.clone(),
            reference_with_digest: reference.by_digest(manifest.digest.clone()),
            already_present,
        };
        match self.resolve(&tagged).await {
            Ok(digest) if digest == manifest.digest => return Ok(pushed(true)),
            Ok(_) | Err(OciError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let name = tagged.to_client();
        let upstream = upstream(&self.shared.config)?;
        upstream.store_auth_if_needed(name.resolve_registry(), &auth(self.own_login(&tagged)?)).await;
        let failed = |error: OciDistributionError| OciError::from_client(error, &tagged);
        for Blob { bytes, digest } in [module, config] {
            if !upstream.blob_exists(&name, &digest).await.map_err(failed)? {
                upstream.push_blob(&name, bytes, &digest).await.map_err(failed)?;
            }
        }
        let media_type = HeaderValue::from_static(media_types::MANIFEST);
        upstream.push_manifest_raw(&name, manifest.bytes.clone(), media_type).await.map_err(failed)?;
        same_digest(&tagged.to_string(), &manifest.digest, &self.resolve(&tagged).await?)?;
        tracing::debug!(reference = %tagged, digest = manifest.digest, "pushed");
        Ok(pushed(false))
    }
}

/// Made for each push: a node never pushes, and need not keep the connections and certificates of another client.
fn upstream(config: &ClientConfig) -> Result<upstream::Client, OciError> {
    upstream::Client::try_from(upstream::ClientConfig {
        protocol: upstream::ClientProtocol::HttpsExcept(config.insecure_registries.clone()),
        connect_timeout: Some(config.connect_timeout),
        read_timeout: Some(config.read_timeout),
        // One request for a blob, which every registry takes; chunks are where registries differ.
        use_monolithic_push: true,
        user_agent: concat!("krustlet-oci/", env!("CARGO_PKG_VERSION")),
        ..upstream::ClientConfig::default()
    })
    .map_err(|error| OciError::Setup(error.to_string()))
}

fn auth(login: Login) -> RegistryAuth {
    match login {
        Login::Anonymous => RegistryAuth::Anonymous,
        Login::Basic { user, password } => RegistryAuth::Basic(user, password),
        Login::Token(token) => RegistryAuth::Bearer(token),
    }
}

fn same_digest(what: &str, expected: &str, actual: &str) -> Result<(), OciError> {
    match expected == actual {
        true => Ok(()),
        false => Err(OciError::DigestMismatch {
            what: what.to_owned(),
            expected: expected.to_owned(),
            actual: actual.to_owned(),
        }),
    }
}
