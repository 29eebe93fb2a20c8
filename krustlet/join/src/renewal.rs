//! Renewal of both certificates while the agent runs.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use krustlet_core::errors::chain;
use tokio::time::sleep;

use super::certificate::Certificate;
use super::csr::{Purpose, user_name};
use super::error::{BadCertificate, JoinError};
use super::kubeconfig::Access;
use super::request::{self, APPROVAL_LIMIT};
use super::{Identity, Serving};
use crate::{Config, Result};

/// The wall clock may be set, and a machine may sleep: it is looked at this often.
const LOOK: Duration = Duration::from_secs(60);
/// No certificate is renewed sooner than this after the one before, whatever life the signer gives.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// The pause after a first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(10);
/// The longest pause between two tries.
const LAST_RETRY: Duration = Duration::from_secs(10 * 60);
/// The least time that a request is given, however near the end is.
const LEAST_PATIENCE: Duration = Duration::from_secs(30);

/// When the next certificate is to be asked for.
struct Schedule {
    percent: u8,
    failures: u32,
    /// Nothing is asked for before.
    pause_until: SystemTime,
    /// Another one is needed now, whatever life this one has left.
    at_once: bool,
}

impl Schedule {
    fn new(percent: u8) -> Self {
        Self { percent, failures: 0, pause_until: UNIX_EPOCH, at_once: false }
    }

    fn due(&self, certificate: &Certificate) -> SystemTime {
        if self.at_once { self.pause_until } else { certificate.renewal_time(self.percent).max(self.pause_until) }
    }

    async fn wait(&self, certificate: &Certificate) {
        loop {
            let now = SystemTime::now();
            match self.due(certificate).duration_since(now) {
                Ok(left) if !left.is_zero() => sleep(left.min(LOOK)).await,
                _ => return,
            }
        }
    }

    fn renewed(&mut self, purpose: Purpose, certificate: &Certificate) {
        (self.failures, self.pause_until) = (0, SystemTime::now() + LEAST_PAUSE);
        let seconds = left(certificate, SystemTime::now()).as_secs();
        tracing::info!("the {} certificate was renewed; the new one ends in {seconds} s", purpose.word());
    }

    fn failed(&mut self, purpose: Purpose, certificate: &Certificate, error: &(dyn Error + 'static)) {
        let now = SystemTime::now();
        let pause = retry_pause(self.failures, left(certificate, now));
        (self.failures, self.pause_until) = (self.failures.saturating_add(1), now + pause);
        let (word, pause, error) = (purpose.word(), pause.as_secs(), chain(error));
        let state = match left(certificate, now).as_secs() {
            0 => "has ended".into(),
            seconds => format!("ends in {seconds} s"),
        };
        match certificate.is_near_end(now) {
            true => {
                tracing::error!("the {word} certificate {state} and was not renewed, next try in {pause} s: {error}")
            }
            false => {
                tracing::warn!("the {word} certificate {state} and was not renewed, next try in {pause} s: {error}")
            }
        }
    }
}

fn left(certificate: &Certificate, now: SystemTime) -> Duration {
    certificate.end().duration_since(now).unwrap_or_default()
}

/// How long to wait after a failure, so many others before it. The end, if it is still to come (`left` is not zero), is a time to
/// act: from then on it may be done in another way.
fn retry_pause(failures: u32, left: Duration) -> Duration {
    let pause = FIRST_RETRY.saturating_mul(2u32.saturating_pow(failures)).min(LAST_RETRY);
    if left.is_zero() { pause } else { pause.min(left) }
}

/// How long a request may take when the certificate has so much time left: there shall be time for another.
fn patience(left: Duration) -> Duration {
    (left / 2).clamp(LEAST_PATIENCE, APPROVAL_LIMIT)
}

/// Keeps the client certificate valid: asks for a new one as the node itself, and joins anew with the bootstrap file if it has
/// ended all the same. Ends only with an error.
pub async fn keep_client(config: &Config, identity: &Identity) -> JoinError {
    let mut schedule = Schedule::new(config.certificate_renewal_percent);
    let (mut access, mut certificate) = (identity.access.clone(), identity.certificate.clone());
    loop {
        schedule.wait(&certificate).await;
        let ended = certificate.end() <= SystemTime::now();
        let obtained = match ended {
            false => renew_client(config, identity, &access, &certificate).await,
            true => join_again(config, &access).await,
        };
        let taken = match obtained {
            Ok(next) => take(config, identity, next).await,
            Err(error) if ended && !error.is_unreachable() => return JoinError::Ended(error.into()),
            Err(error) => Err(error),
        };
        match taken {
            Ok((next, renewed)) => {
                (access, certificate) = (next.into(), renewed);
                schedule.renewed(Purpose::Client, &certificate);
            }
            Err(error) => schedule.failed(Purpose::Client, &certificate, &error),
        }
    }
}

async fn renew_client(
    config: &Config,
    identity: &Identity,
    access: &Access,
    certificate: &Certificate,
) -> Result<Access> {
    let left = left(certificate, SystemTime::now());
    let request = super::hand_over(config, Purpose::Client)?;
    // Without a valid certificate there is no answer to wait for.
    let pem = request::obtain(&identity.client, &request, config, patience(left).min(left)).await?;
    let next = Certificate::from_pem(&pem)?;
    if next.common_name != user_name(&config.node_name) {
        return Err(BadCertificate::Of(next.common_name).into());
    }
    next.verify_client(&identity.ca)?;
    super::keep(config, access, &request, &pem)
}

async fn join_again(config: &Config, access: &Access) -> Result<Access> {
    tracing::warn!("joining again: the client certificate has ended");
    let bootstrap = super::bootstrap_access(config, Access::read(&config.bootstrap_file))?;
    if !bootstrap.same_cluster(access) {
        return Err(JoinError::OtherCluster(config.bootstrap_file.clone()));
    }
    super::join(config, &bootstrap).await
}

async fn take(config: &Config, identity: &Identity, access: Access) -> Result<(Access, Certificate)> {
    let certificate = access.certificate(&config.kubeconfig)?;
    identity.connection.replace(super::client(&access).await?);
    Ok((access, certificate))
}

/// Keeps the serving certificate valid. `put` puts a new one into the running server.
pub async fn keep_serving(
    config: &Config,
    identity: &Identity,
    mut serving: Serving,
    put: impl Fn(&Serving) -> Result<(), Box<dyn Error + Send + Sync>>,
) -> Infallible {
    if !serving.is_own(config) {
        tracing::info!(
            "{}: not one that this agent asked for, so that it will not renew it",
            config.cert_file.display()
        );
        return pending().await;
    }
    let mut schedule = Schedule::new(config.certificate_renewal_percent);
    loop {
        schedule.at_once = serving.is_moved;
        schedule.wait(&serving.certificate).await;
        let patience = patience(left(&serving.certificate, SystemTime::now()));
        let renewed = super::new_serving(config, identity, patience).await.map_err(Into::into);
        match renewed.and_then(|next| put(&next).map(|()| next)) {
            Ok(next) => {
                serving = next;
                schedule.renewed(Purpose::Serving, &serving.certificate);
            }
            Err(error) => schedule.failed(Purpose::Serving, &serving.certificate, &*error),
        }
    }
}

#[cfg(test)]
#[path = "renewal_tests.rs"]
mod tests;
