//! Decides on what is asked for in one node's name while no `up` runs: the node's renewals are approved, all else is denied.
//! Requests of the bootstrap group are left to the step that runs as long as a token of that group is there.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use futures::TryStreamExt;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use tokio::time::{sleep, timeout};

use crate::credential::Credential;
use crate::decision::{self, Decision, printable};
use crate::folder::{Folder, Recorded, Settings};
use crate::request::Request;

/// How long one answer may take.
pub const ANSWER: Duration = Duration::from_secs(15);
/// Its launcher records it just after the start: so long it may go unrecorded.
const UNRECORDED: Duration = Duration::from_secs(10);

/// How long things take.
pub struct Pace {
    /// One watch. The list that follows it also finds what a watch may have missed.
    pub watch: Duration,
    /// Between two tries: the first, and the most that it grows to.
    pub retry: Duration,
    pub retry_most: Duration,
}

pub const USUAL_PACE: Pace =
    Pace { watch: Duration::from_secs(240), retry: Duration::from_secs(1), retry_most: Duration::from_secs(30) };

/// Why an approver ends by itself.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Another one has taken its place, or its folder has gone.
    Replaced,
    /// It has no valid credential any more.
    Expired,
}

/// The approver of one node.
pub struct Approver<Log> {
    folder: Folder,
    /// Name of the container that it is in; `None`: it is a process of the host.
    container: Option<String>,
    settings: Settings,
    credential: Credential,
    client: Client,
    log: Log,
    pace: Pace,
    begun: Instant,
    /// Names of the requests that it may not decide on, so that each is told of once.
    untouchable: BTreeSet<String>,
    /// What is wrong at the moment, so that it is told of when it begins, not each time it is met.
    trouble: Option<String>,
    renewal_trouble: Option<String>,
}

impl<Log: Fn(&str)> Approver<Log> {
    /// # Errors
    /// When the settings or the credential in the folder cannot be used.
    pub async fn new(folder: Folder, log: Log, pace: Pace) -> Result<Self> {
        let settings = folder.settings()?;
        let credential = Credential::new(folder.kubeconfig()?)?;
        let client = credential.client().await?;
        Ok(Self {
            folder,
            container: None,
            settings,
            credential,
            client,
            log,
            pace,
            begun: Instant::now(),
            untouchable: BTreeSet::new(),
            trouble: None,
            renewal_trouble: None,
        })
    }

    /// The same, in a container of that name.
    pub fn within(self, container: Option<String>) -> Self {
        Self { container, ..self }
    }

    /// Who it is, for the log.
    pub fn describe(&self) -> String {
        format!("approver of node {}: {}", self.settings.node.node_name, self.settings.service_account)
    }

    /// Runs until another approver has taken its place, or until it has no valid credential any more.
    pub async fn run(&mut self) -> End {
        let mut wait = self.pace.retry;
        loop {
            if !self.is_current() {
                return End::Replaced;
            }
            if Timestamp::now() >= self.credential.expires_at {
                return End::Expired;
            }
            self.renew_credential().await;
            match self.round().await {
                Ok(()) => wait = self.pace.retry,
                Err(error) => {
                    let message = error.to_string();
                    if self.trouble.as_ref() != Some(&message) {
                        (self.log)(&message);
                    }
                    self.trouble = Some(message);
                    wait = (wait * 2).min(self.pace.retry_most);
                }
            }
            // Also after a round that went well: a server that ends each watch at once is not to be pressed.
            sleep(wait).await;
        }
    }

    fn api(&self) -> Api<CertificateSigningRequest> {
        Api::all(self.client.clone())
    }

    /// All requests there are, then what changes.
    async fn round(&mut self) -> Result<()> {
        let api = self.api();
        let list = answered(api.list(&ListParams::default())).await?;
        let names: BTreeSet<String> = list.items.iter().map(ResourceExt::name_any).collect();
        self.untouchable.retain(|name| names.contains(name));
        for csr in &list.items {
            self.settle(csr).await?;
        }
        self.folder.note_contact()?;
        if self.trouble.take().is_some() {
            (self.log)("the API server answers again");
        }

        let version = list.metadata.resource_version.unwrap_or_default();
        let seconds = self.watch_seconds();
        let params = WatchParams::default().timeout(seconds).disable_bookmarks();
        // A connection that was lost unnoticed would else be waited on for ever.
        let end = Duration::from_secs(seconds.into()) + ANSWER;
        let watched = timeout(end, async {
            let mut changes = std::pin::pin!(answered(api.watch(&params, &version)).await?);
            // One that breaks off is the end of a watch, as any.
            while let Ok(Some(event)) = changes.try_next().await {
                match event {
                    WatchEvent::Added(csr) | WatchEvent::Modified(csr) => self.settle(&csr).await?,
                    // What it would go on from is too old, say: the next round begins anew.
                    WatchEvent::Error(_) => break,
                    WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
                }
            }
            Ok(())
        });
        watched.await.unwrap_or(Ok(()))
    }

    /// Until the credential is to be renewed at most; a renewal that is due and failed is tried again in a minute.
    fn watch_seconds(&self) -> u32 {
        let left = self.credential.renewal_time().as_second() - Timestamp::now().as_second();
        let most = if left > 0 { Duration::from_secs(left.unsigned_abs()) } else { Duration::from_secs(60) };
        u32::try_from(self.pace.watch.min(most).as_secs()).unwrap_or(u32::MAX).max(1)
    }

    async fn settle(&mut self, csr: &CertificateSigningRequest) -> Result<()> {
        let (name, node) = (csr.name_any(), &self.settings.node);
        if !decision::is_undecided(csr)
            || self.untouchable.contains(&name)
            || decision::is_of_group(csr, &node.bootstrap_group)
        {
            return Ok(());
        }
        let parsed = Request::from_pem(&csr.spec.request.0);
        if !decision::bears_name(csr, &parsed, &node.node_name) {
            return Ok(());
        }
        let mut expected = self.folder.expectations(node, false)?;
        if let Some(host) = &self.settings.node_host {
            expected.node_ip = address_of(host).await?;
        }
        let decision = decision::decide(csr, &parsed, &expected);
        let Some(decided) = decision::decided(csr, &decision) else { return Ok(()) };
        let api = self.api();
        let shown = printable(&name);
        match put(&api, &name, &decided).await {
            Ok(()) => {}
            Err(kube::Error::Api(status)) => match status.code {
                // It was changed or deleted meanwhile, and will be seen again.
                404 | 409 => return Ok(()),
                403 => {
                    (self.log)(&format!(
                        "certificate request {shown} bears the node's name, for signer {}, on which this approver may not \
                         decide: it is left undecided",
                        printable(&csr.spec.signer_name)
                    ));
                    self.untouchable.insert(name);
                    return Ok(());
                }
                _ => return Err(told(&kube::Error::Api(status))),
            },
            Err(error) => return Err(told(&error)),
        }
        let who = format!("filed by {}", printable(csr.spec.username.as_deref().unwrap_or("nobody")));
        (self.log)(&match decision {
            Decision::Refuse(_, reasons) => {
                format!("certificate request {shown} ({who}) was denied: {}", reasons.join("; "))
            }
            Decision::Approve(purpose) | Decision::ApprovedAlready(purpose) => {
                format!("certificate request {shown} ({}, {who}) was approved", purpose.word())
            }
        });
        Ok(())
    }

    /// Its token is renewed by itself: it has the right to ask for one of its own ServiceAccount. The old one serves on.
    async fn renew_credential(&mut self) {
        if Timestamp::now() < self.credential.renewal_time() {
            return;
        }
        match self.renewed().await {
            Ok((credential, client)) => {
                (self.log)(&format!("the credential was renewed, until {}", credential.expires_at));
                (self.credential, self.client, self.renewal_trouble) = (credential, client, None);
            }
            Err(error) => {
                let message = format!("the credential could not be renewed: {error}");
                if self.renewal_trouble.as_ref() != Some(&message) {
                    (self.log)(&message);
                }
                self.renewal_trouble = Some(message);
            }
        }
    }

    async fn renewed(&self) -> Result<(Credential, Client)> {
        let Settings { namespace, service_account, token_seconds, .. } = &self.settings;
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(*token_seconds), ..TokenRequestSpec::default() };
        let body = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let params = PostParams::default();
        let answer: TokenRequest = answered(api.create_subresource("token", service_account, &params, &body)).await?;
        let token = answer.status.and_then(|status| status.token).unwrap_or_default();
        let next = self.credential.with_token(&token)?;
        let client = next.client().await?;
        self.folder.write_kubeconfig(&next.kubeconfig)?;
        Ok((next, client))
    }

    /// Whether the record names this process. Its launcher writes it just after the start, so none yet is fine.
    fn is_current(&self) -> bool {
        match self.folder.recorded() {
            Some(Recorded::Container(name)) => self.container.as_ref() == Some(&name),
            // Its supervisor is who was started.
            Some(Recorded::Process(pid)) => {
                self.container.is_none() && (pid == std::process::id() || pid == std::os::unix::process::parent_id())
            }
            None => self.begun.elapsed() < UNRECORDED,
        }
    }
}

/// IPv4 address of a container, as Docker tells it to those on the same network.
async fn address_of(host: &str) -> Result<String> {
    let found = tokio::net::lookup_host((host, 0)).await;
    let mut found = found.map_err(|error| anyhow!("the node's container {host} has no address: {error}"))?;
    let address = found.find(|address| address.is_ipv4());
    let address = address.ok_or_else(|| anyhow!("the node's container {host} has no IPv4 address"))?;
    Ok(address.ip().to_string())
}

/// Sends a decision on exactly what was looked at: the API server refuses it where that has changed since.
async fn put(
    api: &Api<CertificateSigningRequest>,
    name: &str,
    decided: &CertificateSigningRequest,
) -> kube::Result<()> {
    let params = PostParams::default();
    let sent = api.replace_subresource("approval", name, &params, decided);
    match timeout(ANSWER, sent).await {
        Ok(result) => result.map(drop),
        Err(late) => Err(kube::Error::Service(late.into())),
    }
}

/// The answer, or why there is none, in a line that names the API server.
async fn answered<T>(asked: impl Future<Output = kube::Result<T>>) -> Result<T> {
    match timeout(ANSWER, asked).await {
        Ok(result) => result.map_err(|error| told(&error)),
        Err(_) => Err(anyhow!("the API server does not answer: nothing within {} s", ANSWER.as_secs())),
    }
}

fn told(error: &kube::Error) -> anyhow::Error {
    if let kube::Error::Api(status) = error {
        let said = if status.message.is_empty() { &status.reason } else { &status.message };
        return anyhow!("the API server answered {}: {}", status.code, printable(said));
    }
    let mut text = String::from("the API server does not answer");
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(one) = cause {
        // Writing to a string cannot fail; what stands in its cause already is not said twice.
        let _ = one.source().is_none().then(|| write!(text, ": {one}"));
        cause = one.source();
    }
    anyhow!(text)
}
