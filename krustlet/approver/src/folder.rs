//! A node's folder on this host: what its agent hands over by file, and what its approver keeps there.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::jiff::Timestamp;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::decision::Expectations;

/// What is known of a node before any request is looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub node_name: String,
    /// IPv4 address that the serving certificate names.
    pub node_ip: String,
    /// Group of the node's bootstrap token.
    pub bootstrap_group: String,
    /// Life that the node was told to ask for, in seconds; `None`: it leaves that to the signer.
    pub certificate_duration_seconds: Option<i32>,
}

/// `approver.json`: what an approver decides by, and who it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    #[serde(flatten)]
    pub node: Node,
    /// Namespace and name of its ServiceAccount.
    pub namespace: String,
    pub service_account: String,
    /// Life of its tokens, in seconds.
    pub token_seconds: i64,
    /// Name of the agent's container, where it is in one: its address is what Docker says now, for each start may bring another one,
    /// and `node_ip` is what it was. `None`: `node_ip` holds.
    pub node_host: Option<String>,
}

/// What of `agent.pid` matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Launch {
    launched_at: i64,
    bootstrap_file: PathBuf,
}

/// What of `approver.pid` matters here.
#[derive(Deserialize)]
struct Running {
    pid: u32,
    container: Option<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
}

/// Who is recorded as a node's approver.
#[derive(Debug, PartialEq, Eq)]
pub enum Recorded {
    /// A process of this host.
    Process(u32),
    /// What runs in the container of that name, where processes have other ids than outside.
    Container(String),
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What the node's requests must be, as it is known at this moment: the agent hands a key over just before it files a
    /// request.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn expectations(&self, node: &Node, node_taken: bool) -> Result<Expectations> {
        let launch: Option<Launch> = json(&self.at("agent.pid"))?;
        let token = launch.as_ref().map(|launch| token_id(&launch.bootstrap_file)).transpose()?.flatten();
        Ok(Expectations {
            node_name: node.node_name.clone(),
            node_ip: node.node_ip.clone(),
            bootstrap_group: node.bootstrap_group.clone(),
            bootstrap_username: token.map(|id| format!("system:bootstrap:{id}")),
            client_key: public_key(&self.at("data/keys/client.pub"))?,
            serving_key: public_key(&self.at("data/keys/serving.pub"))?,
            launched_at: launch.map(|launch| launch.launched_at),
            duration_seconds: node.certificate_duration_seconds,
            node_taken,
        })
    }

    /// # Errors
    /// When it is not there or not readable.
    pub fn settings(&self) -> Result<Settings> {
        let path = self.at("approver.json");
        json(&path)?.with_context(|| format!("{}: it is missing or damaged; launchApprover writes it", path.display()))
    }

    /// The approver's credential, as a kubeconfig in JSON.
    ///
    /// # Errors
    /// When it is not there or no JSON. The text is not quoted.
    pub fn kubeconfig(&self) -> Result<Value> {
        let path = self.at("approver.kubeconfig");
        json(&path)?.with_context(|| format!("{}: it is missing or damaged; launchApprover writes it", path.display()))
    }

    /// Writes the credential in one step, mode 0600.
    ///
    /// # Errors
    /// Any I/O error; the old one is there then.
    pub fn write_kubeconfig(&self, kubeconfig: &Value) -> Result<()> {
        self.write("approver.kubeconfig", &format!("{kubeconfig:#}\n"))
    }

    /// Notes that the API server was heard from now.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn note_contact(&self) -> Result<()> {
        self.write("approver.contact", &format!("{:.3}\n", Timestamp::now()))
    }

    /// Who is recorded as the node's approver; `None`: nobody is.
    pub fn recorded(&self) -> Option<Recorded> {
        let running = json::<Running>(&self.at("approver.pid")).ok().flatten()?;
        Some(running.container.map_or(Recorded::Process(running.pid), |container| Recorded::Container(container.name)))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.at(name);
        let written = (|| {
            // Mode 0600 from the first byte.
            let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|failed| failed.error)
        })();
        written.map(drop).with_context(|| path.display().to_string())
    }
}

/// The file's text; `None` when there is no such file.
fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// What a file of ours holds; `None` when there is none, or it is damaged: it was written in one step, so by somebody else.
fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    Ok(read(path)?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn public_key(path: &Path) -> Result<Option<Vec<u8>>> {
    let pem = read(path)?;
    Ok(pem.and_then(|pem| SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok()).map(|key| key.to_vec()))
}

/// The id of the token in a node's bootstrap kubeconfig: `abc123` of `abc123.0123456789abcdef`.
fn token_id(bootstrap_file: &Path) -> Result<Option<String>> {
    let kubeconfig: Value = json(bootstrap_file)?.unwrap_or_default();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap_or_default();
    let is_part = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit())
    };
    let parts = token.split_once('.').filter(|(id, secret)| is_part(id, 6) && is_part(secret, 16));
    Ok(parts.map(|(id, _)| id.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;
    use crate::testing::{expected, node, put_agent};

    #[test]
    fn what_an_agent_left_is_what_its_requests_must_be() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder(root.path().into());
        let nothing = folder.expectations(&node(), true).unwrap();
        assert_eq!((nothing.launched_at, nothing.client_key, nothing.bootstrap_username), (None, None, None));
        assert!(nothing.node_taken);

        put_agent(&folder);
        let known = folder.expectations(&node(), false).unwrap();
        let expected = expected();
        assert_eq!(known.launched_at, expected.launched_at);
        assert_eq!((known.client_key, known.serving_key), (expected.client_key, expected.serving_key));
        assert_eq!(known.bootstrap_username.as_deref(), Some("system:bootstrap:abc123"));
    }

    #[test]
    fn only_a_bootstrap_token_makes_a_bootstrap_user() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("bootstrap.kubeconfig");
        let table = [
            ("abc123.0123456789abcdef", Some("abc123")),
            ("abc123.0123456789abcdeF", None),
            ("abc12.0123456789abcdef", None),
            ("abc123", None),
            ("", None),
        ];
        for (token, id) in table {
            fs::write(&file, json!({ "users": [{ "user": { "token": token } }] }).to_string()).unwrap();
            assert_eq!(token_id(&file).unwrap().as_deref(), id, "{token}");
        }
        fs::write(&file, "users: x").unwrap();
        assert_eq!(token_id(&file).unwrap(), None);
    }

    #[test]
    fn what_is_written_is_private_and_whole() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder(root.path().into());
        for _ in 0..2 {
            folder.note_contact().unwrap();
            folder.write_kubeconfig(&json!({ "kind": "Config" })).unwrap();
        }
        assert_eq!(folder.kubeconfig().unwrap(), json!({ "kind": "Config" }));
        let files: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(files.len(), 2);
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_is_missing_is_named_with_who_writes_it() {
        let root = tempfile::tempdir().unwrap();
        let message = Folder(root.path().into()).settings().unwrap_err().to_string();
        assert!(message.ends_with("approver.json: it is missing or damaged; launchApprover writes it"), "{message}");
    }
}
