//! Modules: from the name in a pod to something that can be started.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod collect;
pub mod compile;
mod fetch;
mod index;
mod policy;
mod request;
mod store;
mod turns;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use krustlet_core::fair::{self, Fair};
use krustlet_core::lifecycle::not_started::{NotStarted, Reason};
use krustlet_oci::{Client, Found, OciError, Reference};
use krustlet_runtime::{Engine, Module};
use tokio::time::MissedTickBehavior;

pub use self::collect::Limits;
use self::compile::{Compiler, Wanted};
use self::index::Stored;
pub use self::index::StoredImage;
pub use self::policy::PullPolicy;
pub use self::request::PullSecret;
pub use self::request::{Request, Wait};
pub use self::store::Held;
use self::store::Store;
use self::turns::{Turns, Who};

/// How many modules are fetched at the same time; those of one namespace have all of these places but one.
const DOWNLOADS: usize = 4;

/// How many registries are asked for a manifest at the same time; by the pods of one namespace, as above.
const QUESTIONS: usize = 32;

/// How often the store is tidied up, as a kubelet does; not before that time either, as pods that were running when the agent
/// stopped may need a while to come back.
const COLLECT_EVERY: Duration = Duration::from_secs(300);

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
    /// Keeps the module from being collected: to be kept as long as there is a container of it.
    pub held: Held,
}

/// How a module came from the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// How long it took.
    pub took: Duration,
    /// Size of the module in bytes.
    pub bytes: usize,
}

/// Fetches, keeps and compiles modules. Clones are the same.
#[derive(Clone)]
pub struct Images(Arc<Inner>);

struct Inner {
    client: Client,
    engine: Engine,
    store: Store,
    compiler: Compiler,
    limits: Limits,
    turns: Turns,
    downloads: Fair,
    questions: Fair,
}

impl Images {
    /// Keeps its files below `data_dir`, within `limits`; the compiler is for the same engine. Blocking: it reads what is there.
    pub fn new(client: Client, engine: Engine, compiler: Compiler, data_dir: &Path, limits: Limits) -> Self {
        Self(Arc::new(Inner {
            client,
            engine,
            compiler,
            store: Store::open(data_dir),
            limits,
            turns: Turns::default(),
            downloads: Fair::new(DOWNLOADS),
            questions: Fair::new(QUESTIONS),
        }))
    }

    /// The engine that the modules are compiled for.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// What compiles them.
    pub fn compiler(&self) -> &Compiler {
        &self.0.compiler
    }

    /// Makes a module ready. Giving this up, by dropping it, is fine at any time.
    ///
    /// # Errors
    /// Why there is none: its name, the registry in its own words, the disk, the host that cannot or will not compile it as it takes too much
    /// of it (`CreateContainerError`), or that it is no module that can run here (`StartError`).
    pub async fn ready(&self, request: &Request<'_>) -> Result<Image, NotStarted> {
        let invalid = |error: OciError| NotStarted::new(Reason::InvalidImageName, error.to_string());
        let reference: Reference = request.name.parse().map_err(invalid)?;
        let policy = PullPolicy::of(request.policy, &reference);
        let meant = match policy {
            // Though it may be here: what the name means, and whether this pod may have it, its registry says to each pod.
            PullPolicy::Always => Some(self.0.resolve(request, &reference).await?),
            PullPolicy::IfNotPresent | PullPolicy::Never => None,
        };
        // The second pod of a name waits for the first one's download, unless it has other logins: those of the first may be many, and
        // may take long to be refused. Nor does it wait for one of another namespace, which may have to wait for its own.
        let who = request.who(&reference, policy);
        let key = match &meant {
            Some(digest) => format!("manifest {digest} {who:x?} {}", request.tenant),
            None => format!("name {reference} {who:x?} {}", request.tenant),
        };
        let work = self.0.prepare(request, &reference, policy, meant.as_deref(), who);
        match policy {
            // It asks nobody, so that there is nothing to wait for.
            PullPolicy::Never => work.await,
            PullPolicy::Always | PullPolicy::IfNotPresent => self.0.turns.take(key, who, work).await,
        }
    }

    /// All modules that are here, the largest first. Cheap: it is answered from memory.
    pub fn inventory(&self) -> Vec<StoredImage> {
        self.0.store.inventory()
    }

    /// Removes modules that no container has, and that were not used for too long or are too much for the [`Limits`].
    pub async fn collect(&self) {
        self.remove(self.0.limits).await;
    }

    /// Removes all modules that no container has, and their machine code, but for those that have just come: the disk is full.
    pub async fn reclaim(&self) {
        self.remove(Limits { max_bytes: 0, ..self.0.limits }).await;
        let engine = self.0.engine.clone();
        if let Err(error) = blocking(move || engine.reclaim_code()).await {
            tracing::warn!("unused machine code was not removed: {error}");
        }
    }

    async fn remove(&self, limits: Limits) {
        let store = self.0.store.clone();
        match blocking(move || store.collect(&limits, SystemTime::now())).await {
            Ok(Ok((0, _))) => {}
            Ok(Ok((modules, bytes))) => tracing::info!(modules, bytes, "unused modules were removed"),
            Ok(Err(error)) => tracing::warn!("unused modules cannot be removed: {error}"),
            Err(error) => tracing::warn!("unused modules were not removed: {error}"),
        }
    }

    /// Collects again and again, for ever.
    pub async fn keep_tidy(&self) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + COLLECT_EVERY, COLLECT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.collect().await;
        }
    }
}

/// A module of the store.
enum Loaded {
    Ready(Module),
    NotCompiled,
}

impl Inner {
    async fn question(&self, request: &Request<'_>) -> fair::Turn {
        self.questions.turn_or(request.tenant, || request.waits(Wait::Fetching)).await
    }

    async fn resolve(&self, request: &Request<'_>, reference: &Reference) -> Result<String, NotStarted> {
        let client = request.client(&self.client)?;
        let _turn = self.question(request).await;
        client.resolve(reference).await.map_err(pull)
    }

    /// `meant` is the digest that the registry gave for the name, if it was asked.
    async fn prepare(
        &self,
        request: &Request<'_>,
        reference: &Reference,
        policy: PullPolicy,
        meant: Option<&str>,
        who: Who,
    ) -> Result<Image, NotStarted> {
        // A module that turns out to be damaged counts as absent, and is looked for once more.
        for _ in 0..2 {
            let (stored, registry) = self.locate(request, reference, policy, meant).await?;
            let held = self.store.hold(&stored.blob);
            let id = format!("{}@{}", index::repository(reference), stored.digest);
            // By its registry, too: another one may say that it has this module, and be slow to send it.
            let key = format!("blob {} {} {}", stored.blob, reference.registry(), request.tenant);
            let work = async {
                let ready = self.module(request, reference, &stored, registry.as_ref()).await?;
                if ready.is_some() {
                    // Before the next one looks where it came from.
                    self.remember(reference, &stored, &request.credential()).await?;
                }
                Ok(ready)
            };
            let Some((module, fetched)) = self.turns.take(key, who, work).await? else { continue };
            let program = reference.repository().rsplit('/').next().unwrap_or_default().to_string();
            return Ok(Image { module, id, program, fetched, held });
        }
        Err(NotStarted::new(
            Reason::ErrImagePull,
            format!("the module of {reference} is damaged each time that it is read from the disk"),
        ))
    }

    /// Finds the module: here if it may be taken from here, else in the registry, of which the rest is given, if the policy
    /// allows it. From here it may be taken where the registry of this name has given it to the same credential; the digest alone, which
    /// is no secret, opens nothing.
    async fn locate(
        &self,
        request: &Request<'_>,
        reference: &Reference,
        policy: PullPolicy,
        meant: Option<&str>,
    ) -> Result<(Stored, Option<(Client, Found)>), NotStarted> {
        let here = match meant {
            // The registry has just been asked with this credential, and had this very module before.
            Some(digest) => self.store.found(reference, digest),
            None => self.store.stored(reference, &request.credential()),
        };
        match here {
            Some(stored) => Ok((stored, None)),
            None if policy == PullPolicy::Never => {
                let why = format!("Container image {:?} is not present with pull policy of Never", request.name);
                Err(NotStarted::new(Reason::ErrImageNeverPull, why))
            }
            None => {
                let client = request.client(&self.client)?;
                let pinned = meant.map(|digest| reference.by_digest(digest.into()));
                let _turn = self.question(request).await;
                let found = client.find(pinned.as_ref().unwrap_or(reference)).await.map_err(pull)?;
                let stored = Stored { digest: found.digest.clone(), blob: found.module_digest.clone() };
                Ok((stored, Some((client, found))))
            }
        }
    }

    /// The compiled module: from memory, from the store, or from the registry. `None` if it was to be in the store and is not.
    async fn module(
        &self,
        request: &Request<'_>,
        reference: &Reference,
        stored: &Stored,
        registry: Option<&(Client, Found)>,
    ) -> Result<Option<(Module, Option<Fetched>)>, NotStarted> {
        if registry.is_none() || self.store.came_from(reference.registry(), &stored.blob) {
            // What is in memory was verified when it was compiled: a hundred pods of one module read and hash it once.
            if let Some(module) = self.engine.cached(&stored.blob) {
                return Ok(Some((module, None)));
            }
            if let Some(module) = self.compiled(request, &stored.blob).await? {
                return Ok(Some((module, None)));
            }
        }
        let Some((client, found)) = registry else { return Ok(None) };
        let started = Instant::now();
        self.fetch(request, client, reference, found).await?;
        // Also if it turns out to be no module: it need not come again for that.
        self.remember(reference, stored, &request.credential()).await?;
        let fetched = Fetched { took: started.elapsed(), bytes: usize::try_from(found.size).unwrap_or(usize::MAX) };
        Ok(self.compiled(request, &stored.blob).await?.map(|module| (module, Some(fetched))))
    }

    async fn remember(&self, reference: &Reference, stored: &Stored, credential: &str) -> Result<(), NotStarted> {
        let (store, reference, stored, credential) =
            (self.store.clone(), reference.clone(), stored.clone(), credential.to_owned());
        blocking(move || store.remember(&reference, &stored, &credential)).await?.map_err(disk)
    }

    /// Reads, verifies and compiles a module of the store.
    async fn compiled(&self, request: &Request<'_>, blob: &str) -> Result<Option<Module>, NotStarted> {
        match self.load(blob).await? {
            Some(Loaded::Ready(module)) => return Ok(Some(module)),
            Some(Loaded::NotCompiled) => {}
            None => return Ok(None),
        }
        let file = self.store.path(blob).map_err(disk)?;
        let wanted = Wanted { tenant: request.tenant, file: &file, digest: blob };
        if let Some(module) = self.compiler.compile(wanted, || request.waits(Wait::Compiling)).await? {
            return Ok(Some(module));
        }
        match self.load(blob).await? {
            Some(Loaded::Ready(module)) => Ok(Some(module)),
            Some(Loaded::NotCompiled) => Err(NotStarted::host("its machine code has gone from the disk")),
            None => Ok(None),
        }
    }

    async fn load(&self, blob: &str) -> Result<Option<Loaded>, NotStarted> {
        let (store, engine, blob) = (self.store.clone(), self.engine.clone(), blob.to_string());
        let work = move || {
            let Some(bytes) = store.load(&blob).map_err(disk)? else { return Ok(None) };
            let module = engine.load(&bytes).map_err(compile::unusable)?;
            Ok(Some(module.map_or(Loaded::NotCompiled, Loaded::Ready)))
        };
        blocking(work).await?
    }
}

fn pull(error: OciError) -> NotStarted {
    match error {
        OciError::Write(error) => disk(error),
        error => NotStarted::new(Reason::ErrImagePull, error.to_string()),
    }
}

fn disk(error: std::io::Error) -> NotStarted {
    NotStarted::new(Reason::ErrImagePull, format!("cannot keep the module on disk: {error}"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, NotStarted> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| NotStarted::new(Reason::ErrImagePull, format!("the work was cut short: {error}")))
}

#[cfg(test)]
mod tests;
