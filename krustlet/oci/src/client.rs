//! The client: push, pull, inspect, resolve, delete.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use oci_client::client as upstream;
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use reqwest::header::HeaderValue;
use serde_json::Value;
use tokio::io::AsyncWrite;

use crate::artifact::{self, Artifact, Blob};
use crate::credentials::{Credentials, default_docker_config};
use crate::{OciError, Reference, delete, media_types};

/// What can be chosen about a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The registries that are spoken to in plain HTTP, as `host` or `host:port`, just as references name them. Every
    /// other registry must have HTTPS with a certificate that the host trusts. Default: none.
    pub insecure_registries: Vec<String>,
    /// How long a connection may take to come about. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a registry may be silent in the middle of an answer. Default: 30 s.
    pub read_timeout: Duration,
    /// The docker config file with the logins; one that is not there holds none. `None` asks as nobody. Default:
    /// [`default_docker_config`].
    pub docker_config: Option<PathBuf>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            insecure_registries: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            docker_config: default_docker_config(),
        }
    }
}

/// What an artifact is, without its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// The digest of the manifest that the reference leads to (of the index, where there is one): `sha256:…`.
    pub digest: String,
    /// The digest of the module itself: `sha256:…`.
    pub module_digest: String,
    /// The size of the module in bytes.
    pub size: u64,
    /// The media type of the layer that is the module.
    pub media_type: String,
    /// The media type of the config.
    pub config_media_type: String,
    /// The config, if it is JSON of at most 1 MB.
    pub config: Option<Value>,
}

/// An artifact that was pulled.
#[derive(Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The digest of the manifest that the reference leads to (of the index, where there is one): `sha256:…`.
    pub digest: String,
    /// The module. Its digest was verified; that it is valid WebAssembly was not.
    pub bytes: Vec<u8>,
    /// The media type of the layer that is the module.
    pub media_type: String,
}

impl fmt::Debug for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulled")
            .field("digest", &self.digest)
            .field("bytes", &self.bytes.len())
            .field("media_type", &self.media_type)
            .finish()
    }
}

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

/// A client of OCI registries (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>).
///
/// Clones share connections and tokens. Logins are read once, when the client is made. Every method may fail with
/// [`Unreachable`](OciError::Unreachable), [`Unauthorized`](OciError::Unauthorized), [`Denied`](OciError::Denied),
/// [`NotFound`](OciError::NotFound) or [`Registry`](OciError::Registry); other errors are named with each.
#[derive(Clone)]
pub struct Client {
    registry: upstream::Client,
    http: reqwest::Client,
    insecure_registries: Vec<String>,
    credentials: std::sync::Arc<Credentials>,
}

impl Client {
    /// Makes a client; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`OciError::Credentials`] when the docker config file is there but cannot be used, [`OciError::Setup`] when the host
    /// has no usable TLS.
    pub fn new(config: ClientConfig) -> Result<Self, OciError> {
        let setup = |error: &dyn fmt::Display| OciError::Setup(error.to_string());
        let credentials = match &config.docker_config {
            Some(path) => Credentials::read(path)?,
            None => Credentials::default(),
        };
        let http = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.read_timeout)
            .build()
            .map_err(|error| setup(&error))?;
        let registry = upstream::Client::try_from(upstream::ClientConfig {
            protocol: upstream::ClientProtocol::HttpsExcept(config.insecure_registries.clone()),
            connect_timeout: Some(config.connect_timeout),
            read_timeout: Some(config.read_timeout),
            platform_resolver: Some(Box::new(artifact::wasm_platform)),
            // One request for a blob, which every registry takes; chunks are where registries differ.
            use_monolithic_push: true,
            user_agent: concat!("krustlet-oci/", env!("CARGO_PKG_VERSION")),
            ..upstream::ClientConfig::default()
        })
        .map_err(|error| setup(&error))?;
        Ok(Self {
            registry,
            http,
            insecure_registries: config.insecure_registries,
            credentials: std::sync::Arc::new(credentials),
        })
    }

    /// The digest of the manifest that a reference leads to now.
    pub async fn resolve(&self, reference: &Reference) -> Result<String, OciError> {
        let name = reference.to_client();
        let result = self.registry.fetch_manifest_digest(&name, &self.login(reference)).await;
        result.map_err(|error| OciError::from_client(error, reference))
    }

    /// What is behind a reference, without fetching the module.
    ///
    /// # Errors
    ///
    /// [`OciError::NotAnArtifact`] when it holds no module, or several.
    pub async fn inspect(&self, reference: &Reference) -> Result<Inspected, OciError> {
        let found = self.manifest(reference).await?;
        let (manifest, _) = &found;
        let config = &manifest.config;
        let limit = usize::try_from(config.size).unwrap_or(usize::MAX).min(1_000_000);
        let config = match self.blob(reference, &config.digest, limit).await {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            // The config is no part of what runs: an odd one does not make the module unreadable.
            Err(OciError::NotFound { .. } | OciError::Registry { .. }) => None,
            Err(error) => return Err(error),
        };
        let inspected = inspected(reference, &found)?;
        Ok(Inspected { config, ..inspected })
    }

    /// Fetches a module in either format of [`media_types`] and verifies the digests of manifest and module.
    ///
    /// # Errors
    ///
    /// [`OciError::NotAnArtifact`] when it holds no module, or several; [`OciError::TooLarge`], before anything is fetched;
    /// [`OciError::DigestMismatch`].
    pub async fn pull(&self, reference: &Reference) -> Result<Pulled, OciError> {
        let found = inspected(reference, &self.manifest(reference).await?)?;
        artifact::check_size(found.size)?;
        let limit = usize::try_from(found.size).unwrap_or(usize::MAX);
        let bytes = self.blob(reference, &found.module_digest, limit).await?;
        let actual = artifact::sha256(&bytes);
        if actual != found.module_digest {
            return Err(OciError::DigestMismatch {
                what: format!("the module of {reference}"),
                expected: found.module_digest,
                actual,
            });
        }
        tracing::debug!(%reference, digest = found.digest, size = bytes.len(), "pulled");
        Ok(Pulled { digest: found.digest, bytes, media_type: found.media_type })
    }

    /// Stores a module in the agreed format under the reference's tag.
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
        self.push_blob(&tagged, module).await?;
        self.push_blob(&tagged, config).await?;
        let media_type = HeaderValue::from_static(media_types::MANIFEST);
        self.registry
            .push_manifest_raw(&tagged.to_client(), manifest.bytes.clone(), media_type)
            .await
            .map_err(|error| OciError::from_client(error, &tagged))?;
        same_digest(&tagged.to_string(), &manifest.digest, &self.resolve(&tagged).await?)?;
        tracing::debug!(reference = %tagged, digest = manifest.digest, "pushed");
        Ok(pushed(false))
    }

    /// Deletes the manifest that a reference leads to, and with it every tag of that manifest. The blobs go when the
    /// registry collects its garbage.
    ///
    /// # Errors
    ///
    /// [`OciError::DeleteRefused`] when the registry does not delete.
    pub async fn delete(&self, reference: &Reference) -> Result<(), OciError> {
        // Many registries delete by digest only.
        let pinned = reference.by_digest(self.resolve(reference).await?);
        let insecure = self.insecure_registries.iter().any(|name| name == reference.registry());
        delete::manifest(&self.http, &pinned, insecure, &self.login(reference)).await
    }

    fn login(&self, reference: &Reference) -> RegistryAuth {
        self.credentials.for_registry(reference.registry())
    }

    async fn manifest(&self, reference: &Reference) -> Result<Found, OciError> {
        let (name, login) = (reference.to_client(), self.login(reference));
        let result = self.registry.pull_image_manifest_and_list_digest(&name, &login).await;
        let (manifest, digest, index) = result.map_err(|error| OciError::from_client(error, reference))?;
        Ok((manifest, index.unwrap_or(digest)))
    }

    /// A blob of at most `limit` bytes, verified against its digest.
    async fn blob(&self, reference: &Reference, digest: &str, limit: usize) -> Result<Vec<u8>, OciError> {
        let mut sink = Capped { bytes: Vec::new(), limit };
        // By digest alone: a descriptor may carry addresses of its own, to which we have no reason to go.
        let result = self.registry.pull_blob(&reference.to_client(), digest, &mut sink).await;
        match result {
            Ok(()) => Ok(sink.bytes),
            Err(error) => Err(OciError::from_client(error, reference)),
        }
    }

    async fn push_blob(&self, reference: &Reference, blob: Blob) -> Result<(), OciError> {
        let name = reference.to_client();
        let failed = |error: OciDistributionError| OciError::from_client(error, reference);
        if self.registry.blob_exists(&name, &blob.digest).await.map_err(failed)? {
            return Ok(());
        }
        let result = self.registry.push_blob(&name, blob.bytes, &blob.digest).await;
        result.map(|_| ()).map_err(failed)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("insecure_registries", &self.insecure_registries).finish_non_exhaustive()
    }
}

/// A manifest and the digest that its reference leads to.
type Found = (oci_client::manifest::OciImageManifest, String);

fn inspected(reference: &Reference, (manifest, digest): &Found) -> Result<Inspected, OciError> {
    let layer = artifact::module_layer(manifest, reference)?;
    let size = u64::try_from(layer.size)
        .map_err(|_| OciError::not_an_artifact(reference, "its module has a negative size"))?;
    Ok(Inspected {
        digest: digest.clone(),
        module_digest: layer.digest.clone(),
        size,
        media_type: layer.media_type.clone(),
        config_media_type: manifest.config.media_type.clone(),
        config: None,
    })
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

/// Collects a blob, and stops a registry that sends more than it announced.
struct Capped {
    bytes: Vec<u8>,
    limit: usize,
}

impl AsyncWrite for Capped {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.bytes.len() + bytes.len() > self.limit {
            let message = format!("it sends more than the {} bytes that it announced", self.limit);
            return Poll::Ready(Err(io::Error::other(message)));
        }
        self.bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
