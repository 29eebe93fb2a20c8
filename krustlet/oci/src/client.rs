//! The client: pull, inspect, resolve. (For push and delete see `push/` and `delete.rs`.)

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWrite;
use tokio::time::timeout;

use crate::auth::credentials::{LoginFile, default_docker_config};
use crate::auth::login::{Login, Who};
use crate::auth::stored;
use crate::blob::{self, Wanted};
use crate::manifest::artifact;
use crate::manifest::{self, Found};
use crate::transport::{Place, Transport};
use crate::{Keyring, OciError, Reference};

/// The largest config that is fetched, in bytes.
const CONFIG_LIMIT: u64 = 1_000_000;

/// What can be chosen about a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The registries that are spoken to in plain HTTP, as `host` or `host:port`, just as references name them. Every
    /// other registry must have HTTPS with a certificate that the host trusts. Default: none.
    pub insecure_registries: Vec<String>,
    /// Where registries are found, as `host` or `host:port`, instead of at the name that references have for them. All else goes by
    /// that name: plain HTTP, logins, errors. No proxy is asked for them: they are near. Default: none.
    pub mirrors: BTreeMap<String, String>,
    /// How long a connection may take to come about. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a registry may be silent in the middle of an answer. Default: 30 s.
    pub read_timeout: Duration,
    /// How long one call that reads may take in all, with its pauses and repetitions. Default: 10 min, in which 100 MB
    /// come at 1.4 Mbit/s.
    pub pull_timeout: Duration,
    /// How long a push may take in all. Default: 30 min, in which 100 MB go at 0.5 Mbit/s.
    pub push_timeout: Duration,
    /// A file with the certificates of authorities, PEM, that are trusted besides the host's. It is read once. Default: none.
    pub trusted_ca_file: Option<PathBuf>,
    /// The docker config file with the logins, and with the names of the credential helpers that hold others; one that is not
    /// there holds none. It is read again when it has changed.
    /// `None` asks as nobody. Default: [`default_docker_config`].
    pub docker_config: Option<PathBuf>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            insecure_registries: Vec::new(),
            mirrors: BTreeMap::new(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            pull_timeout: Duration::from_secs(600),
            push_timeout: Duration::from_secs(1800),
            trusted_ca_file: None,
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

/// A client of OCI registries (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>).
///
/// Clones share connections and tokens. Every method asks with each login that is for the artifact in turn, until one is let
/// in: first those of [`with_keyring`](Self::with_keyring); then what the credential helper holds that the docker config file
/// names for the registry, asked for at most 30 s and kept for a minute; then those of the file itself; then with none. If none
/// is, the error is the one of the first. A client of [`as_user`](Self::as_user) asks as that user alone.
///
/// What passes by itself (a broken connection, status 429 or 5xx) is tried up to three times within a call. Every
/// method may fail with [`Unreachable`](OciError::Unreachable), [`TimedOut`](OciError::TimedOut),
/// [`Unauthorized`](OciError::Unauthorized), [`Denied`](OciError::Denied), [`NotFound`](OciError::NotFound),
/// [`Registry`](OciError::Registry), [`Credentials`](OciError::Credentials) or [`Helper`](OciError::Helper); other errors are
/// named with each.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    /// Logins of one's own, which are tried first.
    pub(crate) keyring: Option<Arc<Keyring>>,
    /// The only login, if there is one.
    pub(crate) only: Option<Arc<Login>>,
}

pub(crate) struct Shared {
    pub(crate) config: ClientConfig,
    pub(crate) transport: Transport,
    pub(crate) file: Option<LoginFile>,
}

impl Client {
    /// Makes a client; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`OciError::Credentials`] when the docker config file is there but cannot be used, [`OciError::TrustedCa`] when the
    /// file of authorities cannot, [`OciError::Setup`] when the host has no usable TLS.
    pub fn new(config: ClientConfig) -> Result<Self, OciError> {
        let file = config.docker_config.clone().map(LoginFile::new);
        if let Some(file) = &file {
            // Better now than at the first pull.
            file.current()?;
        }
        let transport = Transport::new(&config)?;
        Ok(Self { shared: Arc::new(Shared { config, transport, file }), keyring: None, only: None })
    }

    /// The same client for somebody who has logins of their own, which are tried before the docker config file's.
    pub fn with_keyring(&self, keyring: Keyring) -> Self {
        Self { keyring: Some(Arc::new(keyring)), ..self.clone() }
    }

    /// The same client for one user, as whom alone it asks. A user named `<token>` has a refresh token as password, as with
    /// credential helpers. `source` is for errors: where the two come from, such as `--username`.
    pub fn as_user(&self, user: &str, password: &str, source: &str) -> Self {
        let who = match user {
            "<token>" => Who::Identity { user: String::new(), token: password.to_owned() },
            user => Who::Basic { user: user.to_owned(), password: password.to_owned() },
        };
        Self { only: Some(Arc::new(Login::new(who, source))), ..self.clone() }
    }

    /// The status with which a registry (`host` or `host:port`) answers at `/v2/`: 200 or 401, if it is one.
    pub async fn ping(&self, registry: &str) -> Result<u16, OciError> {
        let reference = stored::any_of(registry)?;
        let asked = self.shared.transport.ping(&reference);
        let status = self.limited(&reference, asked).await?;
        Ok(status.as_u16())
    }

    /// The digest of the manifest that a reference leads to now.
    ///
    /// # Errors
    ///
    /// [`OciError::DigestMismatch`] when the reference has another one.
    pub async fn resolve(&self, reference: &Reference) -> Result<String, OciError> {
        let transport = &self.shared.transport;
        let ask = |login| async move { manifest::resolve(transport, &Place { reference, login: &login }).await };
        self.limited(reference, self.in_turn(reference, ask)).await
    }

    /// Finds the module behind a reference, without fetching it.
    ///
    /// # Errors
    ///
    /// [`OciError::NotAnArtifact`] when it holds no module, or several; [`OciError::TooLarge`];
    /// [`OciError::DigestMismatch`].
    pub async fn find(&self, reference: &Reference) -> Result<Found, OciError> {
        let found = self.limited(reference, self.located(reference)).await?;
        artifact::check_size(found.size)?;
        Ok(found)
    }

    /// Fetches a module that was found, and writes it piece by piece: its size is checked before and while it comes, its digest
    /// at the end. On an error what was written is of no use.
    ///
    /// # Errors
    ///
    /// [`OciError::DigestMismatch`]; [`OciError::Write`] when `out` failed.
    pub async fn fetch(
        &self,
        reference: &Reference,
        found: &Found,
        out: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), OciError> {
        let what = format!("the module of {reference}");
        let wanted = Wanted { what: &what, digest: &found.module_digest, size: found.size };
        let place = Place { reference, login: &found.login };
        let work = blob::fetch(&self.shared.transport, &place, &wanted, out);
        self.limited(reference, work).await.map_err(|error| error.asked_as(&found.login))?;
        tracing::debug!(%reference, digest = found.digest, size = found.size, "pulled");
        Ok(())
    }

    /// Fetches a module in either format of [`media_types`](crate::media_types), piece by piece, and verifies the digests of
    /// manifest and module: [`find`](Self::find) and [`fetch`](Self::fetch) in one.
    ///
    /// # Errors
    ///
    /// Those of both.
    pub async fn pull_to(&self, reference: &Reference, out: &mut (impl AsyncWrite + Unpin)) -> Result<Found, OciError> {
        let found = self.find(reference).await?;
        self.fetch(reference, &found, out).await?;
        Ok(found)
    }

    /// Fetches a module into memory.
    ///
    /// # Errors
    ///
    /// Those of [`pull_to`](Self::pull_to).
    pub async fn pull(&self, reference: &Reference) -> Result<Pulled, OciError> {
        let mut bytes = Vec::new();
        let found = self.pull_to(reference, &mut bytes).await?;
        Ok(Pulled { digest: found.digest, bytes, media_type: found.media_type })
    }

    /// What is behind a reference, without fetching the module.
    ///
    /// # Errors
    ///
    /// [`OciError::NotAnArtifact`] when it holds no module, or several.
    pub async fn inspect(&self, reference: &Reference) -> Result<Inspected, OciError> {
        let found = self.limited(reference, self.located(reference)).await?;
        Ok(Inspected {
            config: self.limited(reference, self.config(reference, &found)).await?,
            digest: found.digest,
            module_digest: found.module_digest,
            size: found.size,
            media_type: found.media_type,
            config_media_type: found.config.media_type,
        })
    }

    async fn located(&self, reference: &Reference) -> Result<Found, OciError> {
        let transport = &self.shared.transport;
        let ask = |login| async move { manifest::find(transport, &Place { reference, login: &login }).await };
        self.in_turn(reference, ask).await
    }

    /// The config, if it is JSON of a sensible size. It is no part of what runs: an odd one does not make the module unreadable.
    async fn config(&self, reference: &Reference, found: &Found) -> Result<Option<Value>, OciError> {
        let (digest, size) = (found.config.digest.as_str(), u64::try_from(found.config.size).unwrap_or(u64::MAX));
        if size > CONFIG_LIMIT || !crate::reference::is_digest(digest) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let wanted = Wanted { what: "the config", digest, size };
        let place = Place { reference, login: &found.login };
        match blob::fetch(&self.shared.transport, &place, &wanted, &mut bytes).await {
            Ok(()) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(OciError::NotFound { .. } | OciError::Registry { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn limited<T>(
        &self,
        reference: &Reference,
        work: impl Future<Output = Result<T, OciError>>,
    ) -> Result<T, OciError> {
        self.limited_by(self.shared.config.pull_timeout, reference, work).await
    }

    pub(crate) async fn limited_by<T>(
        &self,
        limit: Duration,
        reference: &Reference,
        work: impl Future<Output = Result<T, OciError>>,
    ) -> Result<T, OciError> {
        timeout(limit, work).await.unwrap_or_else(|_| {
            Err(OciError::TimedOut {
                registry: reference.registry().to_owned(),
                reference: reference.to_string(),
                seconds: limit.as_secs(),
            })
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
