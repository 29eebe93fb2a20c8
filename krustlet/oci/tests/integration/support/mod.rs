//! A registry of the tests' own, within their process: it serves what it is given, asks for logins, and fails on command.
#![allow(dead_code, reason = "each test program uses a part of it")]

mod answers;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};

/// A running registry.
pub struct Registry {
    /// `127.0.0.1:port`.
    pub host: String,
    state: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    host: String,
    /// By `repository:tag` and `repository@digest`.
    manifests: HashMap<String, (String, Bytes)>,
    blobs: HashMap<String, Bytes>,
    scheme: Scheme,
    /// User and password.
    accounts: HashMap<String, String>,
    /// Repositories that only one user may read.
    private: HashMap<String, String>,
    faults: Vec<(String, Fault)>,
    /// What a HEAD of `repository:tag` is answered with, whatever is there.
    pretended: HashMap<String, String>,
    redirect_blobs_to: Option<String>,
    without_ranges: bool,
    without_digest_header: bool,
    blob_delay: Duration,
    now: usize,
    most: usize,
    seen: Vec<Seen>,
}

/// How the registry asks who is there.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Scheme {
    #[default]
    Basic,
    Bearer,
}

/// What goes wrong, once each, at the next request whose path contains a text.
#[derive(Clone)]
pub enum Fault {
    /// A status, `Retry-After`, a body.
    Status(u16, Option<&'static str>, &'static str),
    /// The connection breaks after so many bytes of the body.
    Cut(usize),
    /// The body ends, in good order, after so many bytes; the header says so, too.
    Short(usize),
    /// The same without a header that says so.
    ShortUnannounced(usize),
    /// Another body.
    Instead(Vec<u8>),
    /// The body comes byte by byte, with such pauses.
    Drip(Duration),
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
    pub range: Option<String>,
}

pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>())
}

/// A module that does nothing, made another one by a text, and larger by `padding` bytes.
pub fn module(text: &str, padding: usize) -> Vec<u8> {
    let mut wasm =
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0\x0a\x04\x01\x02\0\x0b".to_vec();
    let mut rest = 1 + text.len() + padding + 1;
    wasm.push(0);
    while rest > 127 {
        wasm.push((rest & 127) as u8 | 128);
        rest >>= 7;
    }
    wasm.push(rest as u8);
    wasm.extend([1, b'x']);
    wasm.extend(text.bytes());
    wasm.extend((0..padding).map(|i| (i % 251) as u8));
    wasm
}

impl Registry {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(Inner { host: host.clone(), ..Inner::default() }));
        let app = Router::new().fallback(answers::serve).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { host, state }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.state.lock().unwrap())
    }

    /// Stores a manifest under its digest, which is returned, and under a tag.
    pub fn manifest(&self, repository: &str, tag: &str, media_type: &str, manifest: &serde_json::Value) -> String {
        let bytes = Bytes::from(manifest.to_string());
        let digest = sha256(&bytes);
        self.with(|inner| {
            for name in [format!("{repository}:{tag}"), format!("{repository}@{digest}")] {
                inner.manifests.insert(name, (media_type.to_owned(), bytes.clone()));
            }
        });
        digest
    }

    pub fn blob(&self, bytes: Vec<u8>) -> String {
        let digest = sha256(&bytes);
        self.with(|inner| inner.blobs.insert(digest.clone(), bytes.into()));
        digest
    }

    /// A module in the agreed format; the digest of its manifest.
    pub fn push(&self, repository: &str, tag: &str, wasm: Vec<u8>) -> String {
        self.push_as(repository, tag, wasm, "application/vnd.wasm.config.v0+json", "application/wasm")
    }

    pub fn push_as(&self, repository: &str, tag: &str, wasm: Vec<u8>, config_type: &str, layer_type: &str) -> String {
        let size = wasm.len();
        let (layer, config) = (self.blob(wasm), self.blob(b"{}".to_vec()));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": config_type, "digest": config, "size": 2 },
            "layers": [{ "mediaType": layer_type, "digest": layer, "size": size }],
        });
        self.manifest(repository, tag, "application/vnd.oci.image.manifest.v1+json", &manifest)
    }

    /// An index with an entry for each system and architecture; its digest.
    pub fn push_index(&self, repository: &str, tag: &str, entries: &[(&str, &str, &str)]) -> String {
        let entry = |(os, architecture, digest): &(&str, &str, &str)| {
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1,
                "platform": { "os": os, "architecture": architecture },
            })
        };
        let entries: Vec<_> = entries.iter().map(entry).collect();
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": entries });
        self.manifest(repository, tag, media_type, &index)
    }

    /// Makes a repository one that only this user may read.
    pub fn guard(&self, scheme: Scheme, repository: &str, user: &str, password: &str) {
        self.with(|inner| {
            inner.scheme = scheme;
            inner.accounts.insert(user.into(), password.into());
            inner.private.insert(repository.into(), user.into());
        });
    }

    pub fn fail(&self, path: &str, fault: Fault) {
        self.with(|inner| inner.faults.push((path.into(), fault)));
    }

    /// Says that a tag leads to this digest, whether or not there is such a manifest.
    pub fn pretend(&self, repository: &str, tag: &str, digest: &str) {
        self.with(|inner| inner.pretended.insert(format!("{repository}:{tag}"), digest.to_owned()));
    }

    pub fn forget_blob(&self, digest: &str) {
        self.with(|inner| inner.blobs.remove(digest));
    }

    pub fn remove_tag(&self, repository: &str, tag: &str) {
        self.with(|inner| inner.manifests.remove(&format!("{repository}:{tag}")));
    }

    pub fn redirect_blobs_to(&self, host: &str) {
        self.with(|inner| inner.redirect_blobs_to = Some(host.into()));
    }

    pub fn know_no_ranges(&self) {
        self.with(|inner| inner.without_ranges = true);
    }

    pub fn send_no_digest_header(&self) {
        self.with(|inner| inner.without_digest_header = true);
    }

    pub fn delay_blobs(&self, delay: Duration) {
        self.with(|inner| inner.blob_delay = delay);
    }

    /// The most blobs that were asked for at the same time.
    pub fn most_at_once(&self) -> usize {
        self.with(|inner| inner.most)
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        self.with(|inner| std::mem::take(&mut inner.seen))
    }

    /// The same, as `GET manifests/v1`; without the repository.
    pub fn asked(&self) -> Vec<String> {
        let short = |seen: Seen| match seen.path.split_once("/manifests/") {
            Some((_, reference)) => format!("{} manifests/{reference}", seen.method),
            None if seen.path.contains("/blobs/") => format!("{} blob", seen.method),
            None => format!("{} {}", seen.method, seen.path),
        };
        self.seen().into_iter().map(short).collect()
    }
}
