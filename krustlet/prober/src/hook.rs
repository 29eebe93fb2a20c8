//! `lifecycle.preStop`: what a container is given before it is to end.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::Container;
use krustlet_core::lifecycle::not_started::NotStarted;
use krustlet_core::serving::probes::{Action, request};
use tokio::time::sleep;

use super::ProbeError;
use super::check::{Find, check};

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// It is left alone for so long.
    Sleep(Duration),
    /// It is sent a request.
    Http(Action),
}

/// The hook of a container, which listens on ports of its `own`, if it has one.
///
/// # Errors
/// Its request cannot be sent.
pub fn pre_stop(container: &Container, own: &BTreeSet<u16>) -> Result<Option<Hook>, NotStarted> {
    let Some(hook) = container.lifecycle.as_ref().and_then(|hooks| hooks.pre_stop.as_ref()) else { return Ok(None) };
    if let Some(sleep) = &hook.sleep {
        return Ok(Some(Hook::Sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0)))));
    }
    let Some(http) = &hook.http_get else { return Ok(None) };
    let action = request(container, http, own).map_err(|fault| fault.context("lifecycle.preStop"))?;
    Ok(Some(Hook::Http(action)))
}

impl Hook {
    /// Does it, where `find` says; takes no longer than `limit`.
    ///
    /// # Errors
    /// Why the request has failed.
    pub async fn run(&self, find: impl Find, limit: Duration) -> Result<(), ProbeError> {
        match self {
            Self::Sleep(time) => sleep((*time).min(limit)).await,
            Self::Http(action) => check(action, &find, limit).await?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn hook(pre_stop: &Value) -> Result<Option<Hook>, NotStarted> {
        let ports = json!([{ "containerPort": 80, "name": "http" }]);
        let container = json!({ "name": "c", "ports": ports, "lifecycle": { "preStop": pre_stop } });
        super::pre_stop(&serde_json::from_value(container).unwrap(), &[80].into())
    }

    #[test]
    fn it_sleeps_or_asks() {
        assert_eq!(super::pre_stop(&Container::default(), &BTreeSet::new()), Ok(None));
        assert_eq!(hook(&json!({ "sleep": { "seconds": 3 } })), Ok(Some(Hook::Sleep(Duration::from_secs(3)))));
        let action = Action::Http { port: 80, path: "/bye".into(), headers: Vec::new() };
        assert_eq!(hook(&json!({ "httpGet": { "port": "http", "path": "bye" } })), Ok(Some(Hook::Http(action))));
        let fault = hook(&json!({ "httpGet": { "port": "web" } })).unwrap_err();
        assert_eq!(fault.message, "lifecycle.preStop: the container has no port of the name \"web\"");
    }

    #[tokio::test]
    async fn it_takes_no_longer_than_it_may() {
        let hook = Hook::Sleep(Duration::from_secs(3600));
        hook.run(|_| None, Duration::from_millis(1)).await.unwrap();
    }
}
