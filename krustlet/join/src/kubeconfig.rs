//! Kubeconfig files: reading the bootstrap one, reading and writing the node's own.
//!
//! The format: <https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/>

use std::path::Path;
use std::time::SystemTime;

use k8s_openapi::ByteString;
use krustlet_host::files;
use kube::config::{AuthInfo, Cluster, KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde_json::Value;

use super::certificate::{self, Certificate};
use super::csr::user_name;
use super::error::{BadKubeconfig, JoinError};
use crate::Result;

/// A kubeconfig of one cluster and one user, read.
pub struct Access {
    /// The API server's URL.
    pub server: String,
    /// The CA that signed the API server's certificate, PEM.
    pub ca_pem: Vec<u8>,
    /// The user's client certificate, PEM, if that is how it authenticates.
    pub certificate_pem: Option<Vec<u8>>,
    /// Whether the file names a proxy for the API server.
    by_proxy: bool,
    /// The whole file, for the client.
    file: Kubeconfig,
}

/// Where in a text its reader has found something wrong, if it says that: ` (line 4 column 35)`.
fn place(error: &KubeconfigError) -> String {
    let told = error.to_string();
    let from = told.find("line ").unwrap_or(told.len());
    let place: String = told[from..].chars().take_while(|c| c.is_ascii_digit() || "line column".contains(*c)).collect();
    if place.is_empty() { place } else { format!(" ({})", place.trim_end()) }
}

impl Access {
    /// Reads a kubeconfig; `None` when there is no such file.
    ///
    /// # Errors
    /// When it is no kubeconfig, or names no server or CA.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let Some(text) = files::read_optional(path)? else { return Ok(None) };
        let text = String::from_utf8(text).map_err(|_| JoinError::NoText(path.into()))?;
        Self::parse(&text).map(Some).map_err(|why| JoinError::NoKubeconfig(path.into(), why))
    }

    fn parse(text: &str) -> Result<Self, BadKubeconfig> {
        // The reason would quote the lines around it, a token perhaps.
        let file = Kubeconfig::from_yaml(text).map_err(|error| BadKubeconfig::Syntax(place(&error)))?;
        let context = file.current_context.clone().unwrap_or_default();
        let context = file.contexts.iter().find(|entry| entry.name == context).and_then(|entry| entry.context.as_ref());
        let context = context.ok_or(BadKubeconfig::NoContext)?;
        let cluster =
            file.clusters.iter().find(|entry| entry.name == context.cluster).and_then(|entry| entry.cluster.as_ref());
        let cluster: &Cluster = cluster.ok_or_else(|| BadKubeconfig::NoCluster(context.cluster.clone()))?;
        let user = file.auth_infos.iter().find(|entry| Some(&entry.name) == context.user.as_ref());
        let user: Option<&AuthInfo> = user.and_then(|entry| entry.auth_info.as_ref());
        let ca =
            from_data_or_file(cluster.certificate_authority_data.as_deref(), cluster.certificate_authority.as_deref())?;
        Ok(Self {
            server: cluster.server.clone().ok_or(BadKubeconfig::NoServer)?,
            ca_pem: ca.ok_or(BadKubeconfig::NoCa)?,
            certificate_pem: match user {
                Some(user) => {
                    from_data_or_file(user.client_certificate_data.as_deref(), user.client_certificate.as_deref())?
                }
                None => None,
            },
            by_proxy: cluster.proxy_url.as_ref().is_some_and(|url| !url.is_empty()),
            file,
        })
    }

    /// The user's client certificate, its life counted from when the file at `path` was written.
    ///
    /// # Errors
    /// When there is none, or none that can be read.
    pub fn certificate(&self, path: &Path) -> Result<Certificate> {
        let pem = self.certificate_pem.as_deref().ok_or_else(|| JoinError::NoCertificate(path.into()))?;
        Ok(Certificate::from_pem(pem)?.obtained(files::modified(path)?))
    }

    /// The client's configuration.
    ///
    /// # Errors
    /// When the URL, a certificate or a key cannot be used.
    pub async fn client_config(&self) -> Result<kube::Config> {
        let mut config = kube::Config::from_custom_kubeconfig(self.file.clone(), &KubeConfigOptions::default()).await?;
        // The environment's proxy is for registries. The API server is asked without it: it reaches the node directly too.
        if !self.by_proxy {
            config.proxy_url = None;
        }
        Ok(config)
    }

    /// Whether both trust the same CA, so that they are of the same cluster.
    pub fn same_cluster(&self, other: &Self) -> bool {
        let read = |access: &Self| certificate::read_all(&access.ca_pem).ok();
        read(self).is_some() && read(self) == read(other)
    }
}

/// What a start finds in place of the node's kubeconfig.
pub enum Standing {
    /// Nothing: the node has not joined yet.
    Absent,
    /// This node's, and good.
    Usable(Box<Access>),
    /// This node's, but it has to be made anew, and why.
    Stale(String),
}

/// Judges the node's kubeconfig. `bootstrap` is the bootstrap kubeconfig, if there is one.
///
/// # Errors
/// When the file is there and is not this node's: overwriting it would take a credential from somebody.
pub fn judge(path: &Path, node_name: &str, bootstrap: Option<&Access>) -> Result<Standing> {
    let foreign = |whose, why: Option<JoinError>| {
        let (path, node) = (path.to_path_buf(), node_name.to_owned());
        JoinError::NotTheNodes { path, node, whose, source: why.map(Box::new) }
    };
    let access = Access::read(path).map_err(|error| foreign(None, Some(error)))?;
    let Some(access) = access else { return Ok(Standing::Absent) };
    let pem = access.certificate_pem.as_ref().ok_or_else(|| foreign(None, None))?;
    let own = Certificate::from_pem(pem).map_err(|error| foreign(None, Some(error.into())))?;
    if own.common_name != user_name(node_name) {
        return Err(foreign(Some(own.common_name), None));
    }
    if bootstrap.is_some_and(|bootstrap| !bootstrap.same_cluster(&access)) {
        return Ok(Standing::Stale("the bootstrap file is of another cluster".into()));
    }
    if own.end() <= SystemTime::now() {
        return Ok(Standing::Stale("the client certificate has ended".into()));
    }
    if let Err(error) = own.verify_client(&certificate::trust(&access.ca_pem)?) {
        return Ok(Standing::Stale(format!("the client certificate does not verify: {error}")));
    }
    Ok(Standing::Usable(Box::new(access)))
}

/// The node's kubeconfig as text: YAML, credentials embedded.
pub fn render(access: &Access, node_name: &str, certificate_pem: &[u8], key_pem: &[u8]) -> String {
    // A JSON string is a YAML string, whatever is in it.
    let quoted = |text: &str| Value::from(text).to_string();
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: node\nclusters:\n- name: cluster\n  cluster:\n    server: {server}\n    \
         certificate-authority-data: {ca}\nusers:\n- name: node\n  user:\n    client-certificate-data: {certificate}\n    \
         client-key-data: {key}\ncontexts:\n- name: node\n  context:\n    cluster: cluster\n    user: node\n# The credential of {user}, \
         written by krustlet-wasi.\n",
        server = quoted(&access.server),
        ca = base64(&access.ca_pem),
        certificate = base64(certificate_pem),
        key = base64(key_pem),
        user = user_name(node_name),
    )
}

fn from_data_or_file(data: Option<&str>, path: Option<&str>) -> Result<Option<Vec<u8>>, BadKubeconfig> {
    match (data, path) {
        (Some(data), _) => {
            let bytes: ByteString = serde_json::from_value(Value::from(data)).map_err(BadKubeconfig::NotBase64)?;
            Ok(Some(bytes.0))
        }
        (None, Some(path)) => std::fs::read(path).map(Some).map_err(|error| BadKubeconfig::File(path.into(), error)),
        (None, None) => Ok(None),
    }
}

fn base64(bytes: &[u8]) -> String {
    // Kubernetes' own byte string knows base64, which spares a dependency.
    match serde_json::to_value(ByteString(bytes.to_vec())) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Authority;
    use krustlet_core::errors::chain;

    fn bootstrap(ca: &Authority) -> Access {
        let text = format!(
            "{{\"clusters\":[{{\"name\":\"c\",\"cluster\":{{\"server\":\"https://1.2.3.4:6443\",\"certificate-authority-data\":\"{}\"}}}}],\
             \"users\":[{{\"name\":\"u\",\"user\":{{\"token\":\"t\"}}}}],\
             \"contexts\":[{{\"name\":\"x\",\"context\":{{\"cluster\":\"c\",\"user\":\"u\"}}}}],\"current-context\":\"x\"}}",
            base64(ca.pem.as_bytes())
        );
        Access::parse(&text).unwrap()
    }

    fn written(ca: &Authority, name: &str, seconds: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let certificate = ca.client(&user_name(name), seconds);
        let text = render(&bootstrap(ca), name, certificate.as_bytes(), ca.leaf_key_pem.as_bytes());
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn what_is_written_can_be_read() {
        let ca = Authority::new();
        let file = written(&ca, "n", 1000);
        let Standing::Usable(access) = judge(file.path(), "n", Some(&bootstrap(&ca))).unwrap() else { panic!() };
        assert_eq!(access.server, "https://1.2.3.4:6443");
        assert_eq!(access.ca_pem, ca.pem.as_bytes());
    }

    #[test]
    fn no_file_means_not_joined() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(judge(&root.path().join("none"), "n", None).unwrap(), Standing::Absent));
    }

    #[test]
    fn another_nodes_file_and_a_users_file_are_never_overwritten() {
        let ca = Authority::new();
        let file = written(&ca, "other", 1000);
        let message = chain(&judge(file.path(), "n", None).err().unwrap());
        assert!(message.contains("system:node:other"), "{message}");
        std::fs::write(file.path(), "apiVersion: v1\nkind: Config\n").unwrap();
        assert!(judge(file.path(), "n", None).is_err());
    }

    #[test]
    fn an_expired_certificate_or_another_cluster_is_stale() {
        let (ca, other) = (Authority::new(), Authority::new());
        let expired = written(&ca, "n", 0);
        assert!(matches!(judge(expired.path(), "n", None).unwrap(), Standing::Stale(_)));
        let elsewhere = written(&ca, "n", 1000);
        assert!(matches!(judge(elsewhere.path(), "n", Some(&bootstrap(&other))).unwrap(), Standing::Stale(_)));
    }
}
