//! Joining the cluster and staying in it: TLS bootstrap of the node's two certificates, and their renewal.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/>
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod certificate;
mod connection;
mod csr;
mod error;
mod kubeconfig;
#[cfg(test)]
mod property_tests;
pub mod renewal;
mod request;
mod serving;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transport;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use krustlet_core::errors::chain;
use krustlet_host::files;
use kube::Client;
use rustls::RootCertStore;

use self::certificate::Certificate;
use self::connection::Connection;
use self::csr::{Purpose, Request};
pub use self::error::{BadCertificate, BadKubeconfig, JoinError, NotFiled};
use self::kubeconfig::{Access, Standing};
use self::request::APPROVAL_LIMIT;
use self::serving::OnDisk;
pub use self::serving::Serving;

type Result<T, E = JoinError> = std::result::Result<T, E>;

/// Who joins, and where it keeps what it gets.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the Node object.
    pub node_name: String,
    /// Address that its serving certificate bears.
    pub node_ip: IpAddr,
    /// Bootstrap kubeconfig.
    pub bootstrap_file: PathBuf,
    /// The node's own kubeconfig.
    pub kubeconfig: PathBuf,
    /// Serving certificate (PEM).
    pub cert_file: PathBuf,
    /// Key of the serving certificate (PEM).
    pub key_file: PathBuf,
    /// Where the public key of the client certificate is handed over, PEM.
    pub client_public_key: PathBuf,
    /// Where the public key of the serving certificate is handed over, PEM.
    pub serving_public_key: PathBuf,
    /// `spec.expirationSeconds` of the certificate signing requests; `None` leaves it to the signer.
    pub certificate_duration_seconds: Option<i32>,
    /// Percent of a certificate's life after which it is renewed, 1 to 95.
    pub certificate_renewal_percent: u8,
}

/// The node's credential, ready for use.
pub struct Identity {
    /// Talks to the API server as `system:node:<name>`, with whichever certificate is the newest.
    pub client: Client,
    /// The cluster's CA: signs the clients that the node's own port lets in.
    pub ca: Arc<RootCertStore>,
    /// What `client` sends its requests over.
    connection: Connection,
    /// The kubeconfig that the agent started with.
    access: Arc<Access>,
    /// The client certificate in it.
    certificate: Certificate,
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
            join(config, &bootstrap_access(config, bootstrap)?).await?
        }
    };
    identity(config, access).await
}

async fn identity(config: &Config, access: Access) -> Result<Identity> {
    let ca = certificate::trust(&access.ca_pem).map_err(JoinError::Ca)?;
    let connection = Connection::new(client(&access).await?);
    let certificate = access.certificate(&config.kubeconfig)?;
    Ok(Identity { client: connection.client(), ca, connection, access: Arc::new(access), certificate })
}

/// A client of its own for this kubeconfig of the node.
async fn client(access: &Access) -> Result<Client> {
    let client = transport::client(access.client_config().await?);
    client.map_err(|error| JoinError::NoClient("the node's kubeconfig", error))
}

fn bootstrap_access(config: &Config, read: Result<Option<Access>>) -> Result<Access> {
    let read = read.map_err(|error| JoinError::BootstrapFile(error.into()))?;
    read.ok_or_else(|| JoinError::NoBootstrapFile(config.bootstrap_file.clone()))
}

async fn join(config: &Config, bootstrap: &Access) -> Result<Access> {
    let request = hand_over(config, Purpose::Client)?;
    let client = Client::try_from(bootstrap.client_config().await?);
    let client = client.map_err(|error| JoinError::NoClient("the bootstrap file", error))?;
    tracing::info!(server = bootstrap.server, "joining as {}", csr::user_name(&config.node_name));
    let pem = loop {
        match request::obtain(&client, &request, config, APPROVAL_LIMIT).await {
            Err(error) if error.is_unreachable() => tracing::warn!("{}; trying again", chain(&error)),
            obtained => break obtained?,
        }
    };
    keep(config, bootstrap, &request, &pem)
}

/// Makes a key and a request, and hands the public key over: before the request is posted, since whoever approves it compares
/// keys.
fn hand_over(config: &Config, purpose: Purpose) -> Result<Request> {
    let request = Request::new(purpose, &config.node_name, config.node_ip)?;
    let path = match purpose {
        Purpose::Client => &config.client_public_key,
        Purpose::Serving => &config.serving_public_key,
    };
    files::write_private(path, request.public_key_pem.as_bytes())?;
    Ok(request)
}

/// Writes the node's kubeconfig: certificate and key in one file, so that they never come apart.
fn keep(config: &Config, access: &Access, request: &Request, certificate_pem: &[u8]) -> Result<Access> {
    let text = kubeconfig::render(access, &config.node_name, certificate_pem, request.key_pem.as_bytes());
    files::write_private(&config.kubeconfig, text.as_bytes())?;
    Access::read(&config.kubeconfig)?.ok_or_else(|| JoinError::Vanished(config.kubeconfig.clone()))
}

/// Gives the node's own port its certificate: the one on disk if it holds, else a new one.
///
/// # Errors
/// A request that was not granted, or files that cannot be written.
pub async fn serving_identity(config: &Config, identity: &Identity) -> Result<Serving> {
    serving::mend(config)?;
    match serving::load(config, &identity.ca)? {
        OnDisk::Good(serving) => {
            if serving.is_moved {
                tracing::info!(
                    "the node has another address than before: it asks for a serving certificate for {}",
                    config.node_ip
                );
            }
            return Ok(serving);
        }
        OnDisk::Absent => {}
        OnDisk::Unfit(why) => tracing::info!("asking for a new serving certificate: {}", chain(&why)),
    }
    loop {
        match new_serving(config, identity, APPROVAL_LIMIT).await {
            Err(error) if error.is_unreachable() => tracing::warn!("{}; trying again", chain(&error)),
            obtained => return obtained,
        }
    }
}

/// Asks for a serving certificate and puts it on disk. What is there already stays unless the new one is good.
async fn new_serving(config: &Config, identity: &Identity, patience: Duration) -> Result<Serving> {
    let request = hand_over(config, Purpose::Serving)?;
    let pem = request::obtain(&identity.client, &request, config, patience).await?;
    serving::check(config, &Certificate::from_pem(&pem)?, &identity.ca)?;
    serving::save(config, &request.key_pem, &pem)?;
    match serving::load(config, &identity.ca)? {
        OnDisk::Good(serving) => Ok(serving),
        OnDisk::Absent => Err(JoinError::Vanished(config.cert_file.clone())),
        OnDisk::Unfit(error) => Err(error),
    }
}
