//! Bringing the volumes of a pod up to date.

use std::collections::HashMap;

use futures::future;
use k8s_openapi::api::core::v1::{Pod, Volume};
use k8s_openapi::jiff::Timestamp;
use krustlet_api::objects::{Due, Token, TokenError, TokenRequestOf};
use krustlet_core::lifecycle::not_started::NotStarted;
use krustlet_core::references::used_volumes;
use krustlet_core::volumes::{self, Sources, TokenKey, unsupported_volume};
use tokio::time::Instant;

use super::{RETRY, Resources, lock};

impl Resources {
    /// Brings all volumes up to date, and tells what went wrong.
    pub(super) async fn set_up(&self) -> Vec<String> {
        let _turn = self.turn.lock().await;
        // Before anything is read: what changes from here on is news.
        let seen = self.pod.subscribe();
        let pod = self.pod();
        let volumes = used_volumes(&pod);
        {
            let mut kept = lock(&self.kept);
            kept.objects.clear();
            // Due at once, should this be dropped before its end.
            (kept.pod, kept.due) = (seen, Some(Instant::now()));
        }
        let all = volumes.iter().map(|volume| async {
            let result = self.set_up_volume(&pod, volume).await;
            result.err().map(|why| format!("MountVolume.SetUp failed for volume {:?} : {why}", volume.name))
        });
        let wrong: Vec<String> = future::join_all(all).await.into_iter().flatten().collect();
        lock(&self.kept).due = (!wrong.is_empty()).then(|| Instant::now() + RETRY);
        wrong
    }

    async fn set_up_volume(&self, pod: &Pod, volume: &Volume) -> Result<(), NotStarted> {
        if let Some(what) = unsupported_volume(volume) {
            return Err(NotStarted::config(format!("this WebAssembly node does not support: {what}")));
        }
        let name = volume.name.clone();
        if let Some(source) = volume.empty_dir.clone() {
            return self.on_disk(move |disk| disk.empty_dir(&name, &source)).await;
        }
        if let Some(source) = volume.host_path.clone() {
            let provision = self.provision.clone();
            return self.on_disk(move |disk| disk.host_path(&source, &provision.allowed_host_paths)).await;
        }
        let (objects, changes) = self.known(pod, &volumes::references(volume)).await;
        lock(&self.kept).objects.extend(changes);
        let objects = objects?;
        let mut tokens = HashMap::new();
        for key in volumes::token_keys(volume) {
            tokens.insert(key.clone(), self.token(pod, key).await?.text);
        }
        let sources = Sources { pod, node: &self.provision.node, objects: &objects, tokens: &tokens };
        let Some(payload) = volumes::payload(volume, &sources)? else { return Ok(()) };
        self.on_disk(move |disk| disk.fill(&name, &payload)).await
    }

    /// The token that is there, or a new one when it is due.
    async fn token(&self, pod: &Pod, key: TokenKey) -> Result<Token, TokenError> {
        let known = lock(&self.tokens).get(&key).cloned();
        if let Some(known) = known.as_ref().filter(|known| !known.due.has_come()) {
            return Ok(known.clone());
        }
        let meta = &pod.metadata;
        let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
        let wanted = TokenRequestOf {
            namespace: meta.namespace.as_deref().unwrap_or_default(),
            service_account: account.unwrap_or("default"),
            pod: meta.name.as_deref().unwrap_or_default(),
            pod_uid: meta.uid.as_deref().unwrap_or_default(),
            audience: &key.0,
            life_seconds: key.1,
        };
        let token = match (self.provision.objects.token(&wanted).await, known) {
            (Ok(new), _) => new,
            (Err(why), Some(old)) if Timestamp::now() < old.expires => {
                tracing::warn!(pod = %self, "a token could not be renewed, and is still good: {why}");
                Token { due: Due::after(RETRY), ..old }
            }
            (Err(why), _) => return Err(why),
        };
        lock(&self.tokens).insert(key, token.clone());
        Ok(token)
    }
}
