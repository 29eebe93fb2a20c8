//! The approver's own credential: a token of its ServiceAccount, in a kubeconfig that kubectl reads too.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::Value;

/// A credential. No `Debug`: it holds a secret.
pub struct Credential {
    /// The kubeconfig, in JSON.
    pub kubeconfig: Value,
    issued_at: Timestamp,
    /// When the token ends.
    pub expires_at: Timestamp,
}

/// What a ServiceAccount's token says of its own life, in seconds since 1970.
#[derive(Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
}

impl Credential {
    /// # Errors
    /// When its token tells no end of its life. It is not quoted.
    pub fn new(kubeconfig: Value) -> Result<Self> {
        let claims = claims(kubeconfig["users"][0]["user"]["token"].as_str().unwrap_or_default());
        let life = claims.and_then(|Claims { iat, exp }| {
            Some((Timestamp::from_second(iat).ok()?, Timestamp::from_second(exp).ok()?))
        });
        let (issued_at, expires_at) =
            life.context("the approver's token is no ServiceAccount token with a life of its own")?;
        Ok(Self { kubeconfig, issued_at, expires_at })
    }

    /// The same with another token.
    ///
    /// # Errors
    /// As [`Credential::new`].
    pub fn with_token(&self, token: &str) -> Result<Self> {
        let mut kubeconfig = self.kubeconfig.clone();
        kubeconfig["users"][0]["user"]["token"] = token.into();
        Self::new(kubeconfig)
    }

    /// When half of its life is over: as much is left for a cluster that does not answer just then.
    pub fn renewal_time(&self) -> Timestamp {
        let half = (self.expires_at.as_second() - self.issued_at.as_second()) / 2;
        Timestamp::from_second(self.issued_at.as_second() + half).unwrap_or(self.issued_at)
    }

    /// # Errors
    /// When the kubeconfig is none.
    pub async fn client(&self) -> Result<Client> {
        // The reason could quote the token.
        let kubeconfig: Kubeconfig = serde_json::from_value(self.kubeconfig.clone())
            .map_err(|_| anyhow::anyhow!("the approver's kubeconfig is none"))?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        // As the node does: the environment's proxy is for registries.
        config.proxy_url = None;
        config.connect_timeout = Some(crate::watch::ANSWER);
        // Whoever asks waits and tries again in its own way, and says why.
        config.default_retry = false;
        Ok(Client::try_from(config)?)
    }
}

fn claims(token: &str) -> Option<Claims> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::token;

    fn with(token: &str) -> Result<Credential> {
        Credential::new(json!({ "users": [{ "user": { "token": token } }] }))
    }

    #[test]
    fn a_token_is_renewed_at_half_of_its_life_and_none_is_taken_without_one() {
        let credential = with(&token("t", 1_000, 3_000)).unwrap();
        assert_eq!(credential.renewal_time().as_second(), 2_000);
        assert_eq!(credential.expires_at.as_second(), 3_000);
        for bad in ["", "a.b.c", "a.e30.c"] {
            let error = with(bad).err().map(|error| error.to_string());
            assert_eq!(
                error.as_deref(),
                Some("the approver's token is no ServiceAccount token with a life of its own")
            );
        }
    }

    #[test]
    fn another_token_changes_nothing_else() {
        let first = Credential::new(json!({ "clusters": ["c"], "users": [{ "user": { "token": token("a", 1, 2) } }] }));
        let next = token("b", 3, 4);
        let second = first.unwrap().with_token(&next).unwrap();
        assert_eq!(second.kubeconfig, json!({ "clusters": ["c"], "users": [{ "user": { "token": next } }] }));
    }
}
