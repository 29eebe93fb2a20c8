//! Which files a configMap, secret, downwardAPI or projected volume holds.
//!
//! <https://kubernetes.io/docs/concepts/storage/projected-volumes/>

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Pod, ServiceAccountTokenProjection, Volume};

use super::paths;
use crate::content::{Content, Kind, Known, find};
use crate::env::{Node, amount, container_named, field};
use crate::lifecycle::not_started::NotStarted;

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Permission bits.
    pub mode: u32,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Files by their paths inside the volume.
pub type Payload = BTreeMap<String, File>;

/// What tells one token of a pod from another: audience, and life in seconds.
pub type TokenKey = (String, i64);

/// What the files are made from.
pub struct Sources<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its node.
    pub node: &'a Node,
    /// Every object that the volume refers to.
    pub objects: &'a Known,
    /// Every token that it asks for.
    pub tokens: &'a HashMap<TokenKey, Arc<str>>,
}

/// The mode of a file when the spec names none, which happens only where no API server has filled in its default.
const OPEN_MODE: i32 = 0o644;
/// The same for what is nobody else's business.
const PRIVATE_MODE: i32 = 0o600;

/// The files of a volume; `None` if it is none that this agent fills.
///
/// # Errors
/// Something that it refers to is not there and is not optional, in the kubelet's words, or a path may not be used.
pub fn payload(volume: &Volume, sources: &Sources) -> Result<Option<Payload>, NotStarted> {
    let mut files = Payload::new();
    if let Some(from) = &volume.config_map {
        let mode = from.default_mode.unwrap_or(OPEN_MODE);
        object(&mut files, sources, Kind::ConfigMap, &from.name, from.items.as_deref(), from.optional, mode)?;
    } else if let Some(from) = &volume.secret {
        let mode = from.default_mode.unwrap_or(PRIVATE_MODE);
        let name = from.secret_name.as_deref().unwrap_or_default();
        object(&mut files, sources, Kind::Secret, name, from.items.as_deref(), from.optional, mode)?;
    } else if let Some(from) = &volume.downward_api {
        downward(&mut files, sources, from.items.as_deref(), from.default_mode.unwrap_or(OPEN_MODE))?;
    } else if let Some(projected) = &volume.projected {
        let (open, private) =
            (projected.default_mode.unwrap_or(OPEN_MODE), projected.default_mode.unwrap_or(PRIVATE_MODE));
        for source in projected.sources.iter().flatten() {
            if let Some(from) = &source.config_map {
                object(&mut files, sources, Kind::ConfigMap, &from.name, from.items.as_deref(), from.optional, open)?;
            } else if let Some(from) = &source.secret {
                object(&mut files, sources, Kind::Secret, &from.name, from.items.as_deref(), from.optional, private)?;
            } else if let Some(from) = &source.downward_api {
                downward(&mut files, sources, from.items.as_deref(), open)?;
            } else if let Some(from) = &source.service_account_token {
                let token = sources.tokens.get(&token_key(from));
                let token = token.ok_or_else(|| NotStarted::config("failed to fetch token: there is none yet"))?;
                put(&mut files, &from.path, private, token.as_bytes())?;
            } else {
                return Err(NotStarted::config("a source of this projected volume is not supported on this node"));
            }
        }
    } else {
        return Ok(None);
    }
    Ok(Some(files))
}

/// Which token a projection asks for; the API's default life is an hour.
pub fn token_key(from: &ServiceAccountTokenProjection) -> TokenKey {
    (from.audience.clone().unwrap_or_default(), from.expiration_seconds.unwrap_or(super::DEFAULT_LIFE_SECONDS))
}

/// The tokens that a volume asks for.
pub fn token_keys(volume: &Volume) -> impl Iterator<Item = TokenKey> {
    let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    sources.filter_map(|source| source.service_account_token.as_ref()).map(token_key)
}

/// The objects that a volume refers to.
pub fn references(volume: &Volume) -> Vec<(Kind, &str)> {
    let mut all = Vec::new();
    all.extend(volume.config_map.as_ref().map(|from| (Kind::ConfigMap, from.name.as_str())));
    all.extend(volume.secret.as_ref().and_then(|from| Some((Kind::Secret, from.secret_name.as_deref()?))));
    for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
        all.extend(source.config_map.as_ref().map(|from| (Kind::ConfigMap, from.name.as_str())));
        all.extend(source.secret.as_ref().map(|from| (Kind::Secret, from.name.as_str())));
    }
    all
}

fn object(
    files: &mut Payload,
    sources: &Sources,
    kind: Kind,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: i32,
) -> Result<(), NotStarted> {
    let Some(content) = find(sources.objects, kind, name, optional)? else { return Ok(()) };
    for (path, file) in select(kind, content, items.unwrap_or_default(), optional, mode)? {
        put(files, path, file.0, file.1)?;
    }
    Ok(())
}

type Selected<'a> = Vec<(&'a str, (i32, &'a [u8]))>;

/// All keys under their own names, or the chosen ones under theirs.
fn select<'a>(
    kind: Kind,
    content: &'a Content,
    items: &'a [KeyToPath],
    optional: Option<bool>,
    mode: i32,
) -> Result<Selected<'a>, NotStarted> {
    if items.is_empty() {
        return Ok(content.files().map(|(key, bytes)| (key, (mode, bytes))).collect());
    }
    let mut chosen = Selected::new();
    for item in items {
        match content.file(&item.key) {
            Some(bytes) => chosen.push((&item.path, (item.mode.unwrap_or(mode), bytes))),
            None if optional == Some(true) => {}
            None => {
                let word = if kind == Kind::Secret { "secret" } else { "config" };
                return Err(NotStarted::config(format!("references non-existent {word} key: {}", item.key)));
            }
        }
    }
    Ok(chosen)
}

fn downward(
    files: &mut Payload,
    sources: &Sources,
    items: Option<&[DownwardAPIVolumeFile]>,
    mode: i32,
) -> Result<(), NotStarted> {
    for item in items.unwrap_or_default() {
        let value = if let Some(from) = &item.field_ref {
            field(sources.pod, sources.node, &from.field_path)?
        } else if let Some(from) = &item.resource_field_ref {
            let container = container_named(sources.pod, from.container_name.as_deref().unwrap_or_default())?;
            amount(container, from, &sources.node.allocatable)?
        } else {
            return Err(NotStarted::config(format!("file {:?} refers to nothing", item.path)));
        };
        put(files, &item.path, item.mode.unwrap_or(mode), value.as_bytes())?;
    }
    Ok(())
}

fn put(files: &mut Payload, path: &str, mode: i32, bytes: &[u8]) -> Result<(), NotStarted> {
    let path = paths::in_volume(path)?;
    files.insert(path.to_string(), File { mode: mode.unsigned_abs() & 0o777, bytes: bytes.to_vec() });
    Ok(())
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
