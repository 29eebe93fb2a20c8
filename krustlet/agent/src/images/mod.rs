//! Modules: from the name in a pod to something that can be started.

mod policy;
mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use krustlet_oci::{Client, Reference};
use krustlet_runtime::{Engine, Module};

pub use self::policy::PullPolicy;
use self::store::Store;

/// A module that is ready to be started.
pub struct Image {
    /// Compiled.
    pub module: Module,
    /// `registry/repository@sha256:…`: what the name meant.
    pub id: String,
    /// Last part of the repository: the program's name.
    pub program: String,
    /// How it came, if it was fetched just now.
    pub fetched: Option<Fetched>,
}

/// How a module came from the registry.
pub struct Fetched {
    /// How long it took.
    pub took: Duration,
    /// Size of the module in bytes.
    pub bytes: usize,
}

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The name cannot be read.
    #[error("{0}")]
    InvalidName(String),
    /// It is not here, and `imagePullPolicy` is `Never`.
    #[error("container image {0:?} is not present with pull policy of Never")]
    NeverPull(String),
    /// The registry, in its own words; or the disk.
    #[error("{0}")]
    Pull(String),
    /// It came, but it is no module that can run here.
    #[error("{0}")]
    Unusable(String),
}

/// Fetches, keeps and compiles modules.
pub struct Images {
    client: Client,
    engine: Engine,
    store: Store,
    /// One at a time for each name: the second pod of a name waits for the first one's download.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl Images {
    /// Keeps its files below `data_dir`.
    pub fn new(client: Client, engine: Engine, data_dir: &std::path::Path) -> Self {
        Self { client, engine, store: Store::new(data_dir), turns: Mutex::default() }
    }

    /// The engine that the modules are compiled for.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Makes the module of `image` ready.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub async fn ready(&self, image: &str, declared_policy: Option<&str>) -> Result<Image, ImageError> {
        let reference: Reference = image.parse().map_err(|error| ImageError::InvalidName(format!("{error}")))?;
        let policy = PullPolicy::of(declared_policy, &reference);
        let turn = self.turn(&reference.to_string());
        let guard = turn.lock().await;
        let started = Instant::now();
        let (digest, bytes, fetched) = match self.present(&reference, policy).await? {
            Some((digest, bytes)) => (digest, bytes, None),
            None if policy == PullPolicy::Never => return Err(ImageError::NeverPull(image.into())),
            None => {
                let (digest, bytes) = self.fetch(&reference).await?;
                let fetched = Fetched { took: started.elapsed(), bytes: bytes.len() };
                (digest, bytes, Some(fetched))
            }
        };
        drop(guard);
        let engine = self.engine.clone();
        let module =
            blocking(move || engine.compile(&bytes)).await?.map_err(|error| ImageError::Unusable(error.to_string()))?;
        Ok(Image {
            module,
            id: format!("{}/{}@{digest}", reference.registry(), reference.repository()),
            program: reference.repository().rsplit('/').next().unwrap_or_default().to_string(),
            fetched,
        })
    }

    /// The module if it is here and may be taken without, or after, asking the registry what the name means.
    async fn present(
        &self,
        reference: &Reference,
        policy: PullPolicy,
    ) -> Result<Option<(String, Vec<u8>)>, ImageError> {
        let (store, name) = (self.store.clone(), reference.to_string());
        let digest = match (reference.digest(), policy) {
            (Some(digest), _) => Some(digest.to_string()),
            (None, PullPolicy::Always) => {
                let digest =
                    self.client.resolve(reference).await.map_err(|error| ImageError::Pull(error.to_string()))?;
                let (store, name, digest) = (store.clone(), name.clone(), digest);
                Some(blocking(move || store.set_name(&name, &digest).map(|()| digest)).await?.map_err(disk)?)
            }
            (None, _) => {
                let store = store.clone();
                blocking(move || store.digest_of(&name)).await?.map_err(disk)?
            }
        };
        let Some(digest) = digest else { return Ok(None) };
        blocking(move || Ok(store.load(&digest)?.map(|bytes| (digest, bytes)))).await?.map_err(disk)
    }

    async fn fetch(&self, reference: &Reference) -> Result<(String, Vec<u8>), ImageError> {
        let pulled = self.client.pull(reference).await.map_err(|error| ImageError::Pull(error.to_string()))?;
        let (store, name) = (self.store.clone(), reference.to_string());
        let keep = move || {
            store.put(&pulled.digest, &pulled.media_type, &pulled.bytes)?;
            store.set_name(&name, &pulled.digest)?;
            Ok((pulled.digest, pulled.bytes))
        };
        blocking(keep).await?.map_err(disk)
    }

    fn turn(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = turns.get(name).and_then(Weak::upgrade).unwrap_or_default();
        turns.insert(name.to_string(), Arc::downgrade(&turn));
        turn
    }
}

fn disk(error: std::io::Error) -> ImageError {
    ImageError::Pull(format!("cannot keep the module on disk: {error}"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ImageError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ImageError::Pull(format!("the work was cut short: {error}")))
}
