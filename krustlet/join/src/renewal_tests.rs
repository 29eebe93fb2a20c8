use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use tokio::time::{Instant, timeout};

use super::*;
use crate::NotFiled;
use crate::testing::api::{ApiServer, BOOTSTRAPPER, Denied, Posted};
use crate::testing::{Authority, config};
use crate::{client_identity, serving_identity};

fn renewing(root: &std::path::Path, certificate_renewal_percent: u8) -> Config {
    Config { certificate_renewal_percent, ..config(root) }
}

/// The credential of the node's newest client, as the API server sees it.
async fn who(identity: &Identity) -> kube::Result<String> {
    identity.client.request_text(axum::http::Request::get("/who").body(Vec::new()).unwrap()).await
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < limit, "not within 30 s: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn both_certificates_are_renewed_again_and_again() {
    let root = tempfile::tempdir().unwrap();
    let api = ApiServer::start(root.path(), 30).await;
    let config = Config { certificate_duration_seconds: Some(600), ..renewing(root.path(), 1) };
    let identity = client_identity(&config).await.unwrap();
    let serving = serving_identity(&config, &identity).await.unwrap();
    let put = Arc::new(Mutex::new(Vec::new()));
    let server = put.clone();
    tokio::select! {
        error = keep_client(&config, &identity) => panic!("{error:?}"),
        never = keep_serving(&config, &identity, serving, move |next| {
            server.lock().unwrap().push(next.certificate.public_key_der.clone());
            Ok(())
        }) => match never {},
        () = until("three renewals", || api.posted("client").len() >= 4 && put.lock().unwrap().len() >= 3) => {}
    }
    assert_eq!(who(&identity).await.unwrap(), "system:node:n");

    let clients = api.posted("client");
    let users: Vec<&str> = clients.iter().map(|posted| posted.user.as_str()).collect();
    assert_eq!(users[..4], [BOOTSTRAPPER, "system:node:n", "system:node:n", "system:node:n"]);
    let all: Vec<_> = clients.iter().cloned().chain(api.posted("serving")).collect();
    for (at, posted) in all.iter().enumerate() {
        assert!(posted.handed_over, "{posted:?}");
        assert_eq!(posted.expiration_seconds, 600);
        assert!(all[..at].iter().all(|other| other.csr_pem != posted.csr_pem));
    }
    // Each is asked for with the certificate that the one before brought.
    for pair in clients.windows(2) {
        assert_ne!(pair[0].certificate, pair[1].certificate);
    }
    for path in [&config.kubeconfig, &config.cert_file, &config.key_file, &config.client_public_key] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    // The next start finds what was put in last.
    let next = serving_identity(&config, &identity).await.unwrap();
    assert!(put.lock().unwrap().contains(&next.certificate.public_key_der));
    assert_eq!(who(&client_identity(&config).await.unwrap()).await.unwrap(), "system:node:n");
}

#[tokio::test]
async fn a_certificate_past_its_renewal_time_is_used_at_a_start_and_renewed_at_once() {
    let root = tempfile::tempdir().unwrap();
    let api = ApiServer::start(root.path(), 30).await;
    let config = renewing(root.path(), 1);
    client_identity(&config).await.unwrap();
    fs::remove_file(&config.bootstrap_file).unwrap();
    sleep(Duration::from_secs(1)).await;
    let identity = client_identity(&config).await.unwrap();
    assert_eq!(api.posted("client").len(), 1);
    tokio::select! {
        error = keep_client(&config, &identity) => panic!("{error:?}"),
        () = until("a renewal", || api.posted("client").len() == 2) => {}
    }
}

#[tokio::test]
async fn a_node_that_has_moved_serves_with_the_pair_that_it_has_and_asks_for_another_at_once() {
    let root = tempfile::tempdir().unwrap();
    let api = ApiServer::start(root.path(), 3600).await;
    let config = config(root.path());
    let identity = client_identity(&config).await.unwrap();
    let first = serving_identity(&config, &identity).await.unwrap();
    let moved = Config { node_ip: [127, 0, 0, 2].into(), ..config };
    let serving = serving_identity(&moved, &identity).await.unwrap();
    assert_eq!(serving.certificate.public_key_der, first.certificate.public_key_der);
    assert_eq!(api.posted("serving").len(), 1);
    let put = Arc::new(Mutex::new(0));
    let server = put.clone();
    tokio::select! {
        never = keep_serving(&moved, &identity, serving, move |next| {
            assert!(!next.is_moved);
            *server.lock().unwrap() += 1;
            Ok(())
        }) => match never {},
        () = until("another one", || *put.lock().unwrap() == 1) => {}
    }
    assert_eq!(api.posted("serving").len(), 2);
    assert!(!serving_identity(&moved, &identity).await.unwrap().is_moved);
}

#[tokio::test]
async fn a_node_whose_renewals_are_denied_joins_again_in_the_end() {
    let root = tempfile::tempdir().unwrap();
    let api = ApiServer::start(root.path(), 3).await;
    api.deny(Denied::Nodes);
    let config = renewing(root.path(), 40);
    let identity = client_identity(&config).await.unwrap();
    let (joined, joins) =
        (Instant::now(), |posted: &[Posted]| posted.iter().filter(|one| one.user == BOOTSTRAPPER).count());
    let back = async {
        until("joined again", || joins(&api.posted("client")) == 2).await;
        // The first certificate has ended by then, so that an answer is to the second.
        while who(&identity).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        error = keep_client(&config, &identity) => panic!("{error:?}"),
        () = back => {}
    }
    // At the end, not after the pause that follows a failure.
    assert!(joined.elapsed() < FIRST_RETRY / 2, "{:?}", joined.elapsed());
    let users: Vec<String> = api.posted("client").into_iter().map(|posted| posted.user).collect();
    assert_eq!(users, [BOOTSTRAPPER, "system:node:n", BOOTSTRAPPER]);
}

#[tokio::test]
async fn a_node_that_may_not_come_back_says_so() {
    for keep_bootstrap_file in [true, false] {
        let root = tempfile::tempdir().unwrap();
        let api = ApiServer::start(root.path(), 2).await;
        let config = config(root.path());
        let identity = client_identity(&config).await.unwrap();
        api.deny(Denied::Everybody);
        if !keep_bootstrap_file {
            fs::remove_file(&config.bootstrap_file).unwrap();
        }
        let error = timeout(Duration::from_secs(20), keep_client(&config, &identity)).await.unwrap();
        let (message, why) = (chain(&error), if keep_bootstrap_file { "was denied" } else { "--bootstrap-file" });
        assert!(message.contains("the client certificate has ended") && message.contains(why), "{message}");
    }
}

#[test]
fn when_the_next_one_is_asked_for() {
    let ca = Authority::new();
    let certificate = Certificate::from_pem(ca.client("system:node:n", 1000).as_bytes()).unwrap();
    let before_end = |seconds: u64| certificate.end() - Duration::from_secs(seconds);
    // (percent, pause until, due), times as seconds before the end
    for (percent, pause, due) in [(40, 1000, 600), (40, 550, 550), (1, 995, 990), (1, 0, 0)] {
        let schedule = Schedule { pause_until: before_end(pause), ..Schedule::new(percent) };
        assert_eq!(schedule.due(&certificate), before_end(due), "{percent} {pause}");
    }
}

#[test]
fn pauses_grow_and_patience_shrinks() {
    // (failures before, seconds left, pause)
    for (failures, left, pause) in [
        (0, 5000, 10),
        (1, 5000, 20),
        (2, 5000, 40),
        (5, 5000, 320),
        (6, 5000, 600),
        (40, 5000, 600),
        (6, 90, 90),
        (6, 0, 600),
    ] {
        assert_eq!(retry_pause(failures, Duration::from_secs(left)).as_secs(), pause, "{failures} {left}");
    }
    let patience = [31_536_000, 1800, 120, 60, 1, 0].map(|left| patience(Duration::from_secs(left)).as_secs());
    assert_eq!(patience, [900, 900, 60, 30, 30, 30]);
}

#[test]
fn an_api_server_out_of_reach_has_refused_nothing() {
    let filing = |why| JoinError::NotFiled(Purpose::Client, why);
    let unreachable = filing(NotFiled::Unreachable(Duration::from_secs(900)));
    assert!(unreachable.is_unreachable());
    assert_eq!(
        chain(&unreachable),
        "cannot file the client certificate request: the API server was not to be reached within 900 s"
    );
    assert!(!filing(NotFiled::Unauthorized).is_unreachable());
}
