//! Joining the cluster: TLS bootstrap of the node's two certificates.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/>

pub mod certificate;
pub mod csr;
mod kubeconfig;
mod request;
#[cfg(test)]
pub mod testing;

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use kube::Client;
use rustls::RootCertStore;

use self::certificate::Certificate;
use self::csr::{Purpose, Request};
use self::kubeconfig::{Access, Standing};
use crate::config::Config;
use crate::files;

/// The node's credential, ready for use.
pub struct Identity {
    /// Talks to the API server as `system:node:<name>`.
    pub client: Client,
    /// The cluster's CA: signs the clients that the node's own port lets in.
    pub ca: Arc<RootCertStore>,
}

/// Certificate and key of the node's own port. No `Debug`: it holds a private key.
pub struct Serving {
    /// Leaf first.
    pub certificate: Certificate,
    /// Private key, PEM.
    pub key_pem: Vec<u8>,
}

/// Gives the node its credential: the one it has, or a new one by TLS bootstrap.
///
/// # Errors
/// No usable bootstrap file, a kubeconfig that is not this node's, or a request that was not granted.
pub async fn client_identity(config: &Config) -> Result<Identity> {
    let bootstrap = Access::read(&config.bootstrap_file);
    let known = bootstrap.as_ref().ok().and_then(Option::as_ref);
    let access = match kubeconfig::judge(&config.kubeconfig, &config.node_name, known)? {
        Standing::Usable(access) => *access,
        standing => {
            if let Standing::Stale(why) = &standing {
                tracing::info!("joining again: {why}");
            }
            let bootstrap = bootstrap.context("--bootstrap-file")?.ok_or_else(|| {
                anyhow!(
                    "--bootstrap-file: {} does not exist, and the node has no credential yet",
                    config.bootstrap_file.display()
                )
            })?;
            join(config, &bootstrap).await?
        }
    };
    let ca = certificate::trust(&access.ca_pem).context("the cluster's CA")?;
    let client = Client::try_from(access.client_config().await?).context("the node's kubeconfig cannot be used")?;
    Ok(Identity { client, ca })
}

async fn join(config: &Config, bootstrap: &Access) -> Result<Access> {
    let request = Request::new(Purpose::Client, &config.node_name, config.node_ip)?;
    // Before the request is posted: whoever approves it compares keys.
    files::write_private(&config.client_public_key(), request.public_key_pem.as_bytes())?;
    let client = Client::try_from(bootstrap.client_config().await?).context("the bootstrap file cannot be used")?;
    tracing::info!(server = bootstrap.server, "joining as {}", csr::user_name(&config.node_name));
    let certificate = request::obtain(&client, &request, &config.node_name).await?;
    let text = kubeconfig::render(bootstrap, &config.node_name, &certificate, request.key_pem.as_bytes());
    files::write_private(&config.kubeconfig, text.as_bytes())?;
    Access::read(&config.kubeconfig)?.ok_or_else(|| anyhow!("{} vanished", config.kubeconfig.display()))
}

/// Gives the node's own port its certificate: the one on disk if it holds, else a new one.
///
/// Renewal while the agent runs is to call this again when [`Certificate::renewal_time`] has come, and to hand the result to
/// the running server.
///
/// # Errors
/// A request that was not granted, or files that cannot be written.
pub async fn serving_identity(config: &Config, identity: &Identity) -> Result<Serving> {
    match serving_on_disk(config, &identity.ca) {
        Ok(Some(serving)) => return Ok(serving),
        Ok(None) => {}
        Err(why) => tracing::info!("asking for a new serving certificate: {why:#}"),
    }
    let request = Request::new(Purpose::Serving, &config.node_name, config.node_ip)?;
    files::write_private(&config.serving_public_key(), request.public_key_pem.as_bytes())?;
    let pem = request::obtain(&identity.client, &request, &config.node_name).await?;
    files::write_private(&config.key_file, request.key_pem.as_bytes())?;
    files::write_private(&config.cert_file, &pem)?;
    serving_on_disk(config, &identity.ca)?.ok_or_else(|| anyhow!("{} vanished", config.cert_file.display()))
}

/// The serving certificate and key on disk; `None` when there is none, an error when it will not do, and why.
fn serving_on_disk(config: &Config, ca: &Arc<RootCertStore>) -> Result<Option<Serving>> {
    let (certificate, key) = (files::read_optional(&config.cert_file)?, files::read_optional(&config.key_file)?);
    let (Some(certificate), Some(key_pem)) = (certificate, key) else { return Ok(None) };
    let certificate = Certificate::from_pem(&certificate).with_context(|| config.cert_file.display().to_string())?;
    if certificate.common_name != csr::user_name(&config.node_name) {
        // Not one that this agent asked for: somebody brought it with --cert-file, and knows why.
        return Ok(Some(Serving { certificate, key_pem }));
    }
    certificate.verify_serving(ca, &config.node_name, config.node_ip)?;
    if certificate.wants_renewal(SystemTime::now()) {
        return Err(anyhow!("the one on disk has expired or is about to"));
    }
    Ok(Some(Serving { certificate, key_pem }))
}
