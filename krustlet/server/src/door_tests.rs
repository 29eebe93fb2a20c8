//! The port as clients find it: over TCP and TLS, with certificates of this and of other authorities.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::{Json, Router};
use k8s_openapi::api::core::v1::Pod;
use krustlet_join::testing::Authority;
use krustlet_logs::Progress;
use krustlet_pods::{ContainerView, PodView};
use krustlet_runtime::{LogSink, Stream};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

pub const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];
pub const API_SERVER: &str = "kube-apiserver-kubelet-client";

/// What is asked of the API server, and what it answers: who may use which subresources.
#[derive(Default)]
struct Rules {
    allowed: Vec<(&'static str, &'static str)>,
    down: bool,
    asked: Vec<Value>,
}

pub struct Port {
    pub ca: Authority,
    address: SocketAddr,
    server: Server,
    site: Site,
    rules: Arc<Mutex<Rules>>,
    root: tempfile::TempDir,
}

impl Port {
    fn open(allowed: &[(&'static str, &'static str)]) -> Self {
        Self::within(Limits::here(), allowed)
    }

    pub fn within(limits: Limits, allowed: &[(&'static str, &'static str)]) -> Self {
        let (ca, root) = (Authority::new(), tempfile::tempdir().unwrap());
        let site = Site::empty("n", root.path());
        let rules = Arc::new(Mutex::new(Rules { allowed: allowed.to_vec(), ..Rules::default() }));
        let held = rules.clone();
        let api = Router::new().route(
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            axum::routing::post(move |body: Bytes| async move { answer(&held, &body) }),
        );
        let door = Door { ca: ca.trust(), client: Client::new(api, "default"), limits };
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let server = start(listener, &ca.pair(), door, site.clone()).unwrap();
        Self { ca, address, server, site, rules, root }
    }

    /// A connection that shows this certificate (PEM), whose key is that of all leaves of `signer`.
    pub async fn connect(
        &self,
        shown: Option<(&str, &Authority)>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> io::Result<TlsStream<TcpStream>> {
        let builder = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(self.ca.trust());
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some((pem, signer)) => {
                let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_slice(signer.leaf_key_pem.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let tcp = TcpStream::connect(self.address).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(ServerName::from(self.address.ip()), tcp).await
    }

    pub async fn as_user(&self, user: &str, seconds: u64) -> TlsStream<TcpStream> {
        self.connect(Some((&self.ca.client(user, seconds), &self.ca)), BOTH).await.unwrap()
    }

    fn asked(&self) -> Vec<Value> {
        self.rules.lock().unwrap().asked.clone()
    }
}

fn answer(rules: &Mutex<Rules>, body: &[u8]) -> (StatusCode, Json<Value>) {
    let mut review: Value = serde_json::from_slice(body).unwrap();
    let mut rules = rules.lock().unwrap();
    rules.asked.push(review["spec"].clone());
    if rules.down {
        let status =
            json!({ "kind": "Status", "status": "Failure", "code": 500, "message": "etcd is away", "reason": "" });
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(status));
    }
    let spec = &review["spec"];
    let asked = (spec["user"].as_str().unwrap(), spec["resourceAttributes"]["subresource"].as_str().unwrap());
    let allowed = rules.allowed.contains(&asked);
    review["status"] = json!({ "allowed": allowed });
    (StatusCode::CREATED, Json(review))
}

/// One request; its status and body. The connection stays open.
pub async fn ask(connection: &mut TlsStream<TcpStream>, line: &str) -> io::Result<(u16, String)> {
    connection.write_all(format!("{line} HTTP/1.1\r\nhost: n\r\n\r\n").as_bytes()).await?;
    let mut text = Vec::new();
    loop {
        if let Some(at) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(text[..at].to_vec()).unwrap().to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if text.len() - at - 4 >= length.unwrap_or("0").parse::<usize>().unwrap() {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return Ok((status, String::from_utf8(text.split_off(at + 4)).unwrap()));
            }
        }
        if connection.read_buf(&mut text).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

pub fn got(status: u16, body: &str) -> (u16, String) {
    (status, body.into())
}

#[tokio::test]
async fn only_who_belongs_gets_in() {
    let port = Port::open(&[(API_SERVER, "proxy"), (API_SERVER, "healthz")]);
    let other = Authority::new();
    let ended = port.ca.client(API_SERVER, 0);
    // Times in certificates are whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for version in BOTH {
        let versions = &[*version];
        let mut nobody = port.connect(None, versions).await.unwrap();
        for line in ["GET /healthz", "GET /none", "POST /exec/n/p/c"] {
            assert_eq!(ask(&mut nobody, line).await.unwrap(), got(401, "Unauthorized"), "{version:?} {line}");
        }
        assert_eq!(port.asked().len(), 0);

        let refused = [
            ("another authority's", other.client(API_SERVER, 1000), &other),
            ("a serving certificate", port.ca.serving("n", port.address.ip()), &port.ca),
            ("an ended one", ended.clone(), &port.ca),
        ];
        for (what, pem, signer) in refused {
            // With TLS 1.3 a client learns of it when it reads for the first time.
            let answer = match port.connect(Some((&pem, signer)), versions).await {
                Ok(mut connection) => ask(&mut connection, "GET /healthz").await,
                Err(error) => Err(error),
            };
            let error = answer.expect_err(what);
            let alert = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
            assert!(matches!(alert, Some(rustls::Error::AlertReceived(_))), "{version:?} {what}: {error:?}");
        }
        assert_eq!(port.asked().len(), 0);
    }
    for version in BOTH {
        let pem = port.ca.client(API_SERVER, 1000);
        let mut served = port.connect(Some((&pem, &port.ca)), &[*version]).await.unwrap();
        assert_eq!(ask(&mut served, "GET /healthz").await.unwrap(), got(200, "ok"));
    }
    let mut node = port.as_user("system:node:m", 1000).await;
    let text = |subresources: &str| {
        format!("Forbidden (user=system:node:m, verb=get, resource=nodes, subresource(s)=[{subresources}])\n")
    };
    for (line, subresources) in [
        ("GET /pods", "pods proxy"),
        ("GET /healthz", "healthz proxy"),
        ("GET /metrics", "metrics"),
        ("GET /containerLogs/n/p/c", "proxy"),
        ("GET /none", "proxy"),
    ] {
        assert_eq!(ask(&mut node, line).await.unwrap(), got(403, &text(subresources)), "{line}");
    }
}

#[tokio::test]
async fn the_api_server_is_asked_about_the_user_the_verb_and_this_node() {
    let port = Port::open(&[("somebody", "proxy")]);
    let pem = port.ca.client_of("somebody", &["team", "system:masters"], 1000).pem();
    let mut connection = port.connect(Some((&pem, &port.ca)), BOTH).await.unwrap();
    assert_eq!(ask(&mut connection, "GET /pods").await.unwrap().0, 200);
    let asked = port.asked();
    assert_eq!(asked[0]["user"], "somebody");
    assert_eq!(asked[0]["groups"], json!(["team", "system:masters", "system:authenticated"]));
    assert!(asked[0]["extra"]["authentication.kubernetes.io/credential-id"][0].as_str().unwrap().starts_with("X509"));
    let attributes = |verb: &str, subresource: &str| json!({ "name": "n", "resource": "nodes", "subresource": subresource, "verb": verb, "version": "v1" });
    assert_eq!(asked[0]["resourceAttributes"], attributes("get", "pods"));
    assert_eq!(asked[1]["resourceAttributes"], attributes("get", "proxy"));
    // Remembered, also for the same certificate's next connection.
    let mut again = port.connect(Some((&pem, &port.ca)), BOTH).await.unwrap();
    assert_eq!(ask(&mut again, "GET /containerLogs/n/p/c").await.unwrap().0, 404);
    assert_eq!(port.asked().len(), 2);
    assert_eq!(ask(&mut again, "POST /exec/n/p/c").await.unwrap().0, 501);
    assert_eq!(port.asked()[2]["resourceAttributes"], attributes("create", "proxy"));
    assert_eq!(ask(&mut again, "DELETE /stats/summary").await.unwrap().0, 403);
    assert_eq!(port.asked()[3]["resourceAttributes"], attributes("delete", "stats"));
}

#[tokio::test]
async fn nobody_is_served_while_the_api_server_gives_no_answer() {
    let port = Port::open(&[(API_SERVER, "metrics")]);
    let mut connection = port.as_user(API_SERVER, 1000).await;
    port.rules.lock().unwrap().down = true;
    let text = format!("Authorization error (user={API_SERVER}, verb=get, resource=nodes, subresource=metrics)");
    assert_eq!(ask(&mut connection, "GET /metrics").await.unwrap(), got(500, &text));
    port.rules.lock().unwrap().down = false;
    assert_eq!(ask(&mut connection, "GET /metrics").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_certificate_that_ends_ends_the_permission_of_its_open_connection() {
    let port = Port::open(&[(API_SERVER, "healthz")]);
    let mut connection = port.as_user(API_SERVER, 2).await;
    assert_eq!(ask(&mut connection, "GET /healthz").await.unwrap().0, 200);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(ask(&mut connection, "GET /healthz").await.unwrap(), got(401, "Unauthorized"));
}

#[tokio::test]
async fn a_followed_log_goes_on_when_the_serving_certificate_is_renewed() {
    let port = Port::open(&[(API_SERVER, "proxy"), (API_SERVER, "healthz")]);
    let pod: Pod = serde_json::from_value(json!({ "metadata": { "name": "p", "namespace": "n" } })).unwrap();
    let dir = port.root.path().join("n_p_u");
    let container = ContainerView {
        name: "c".into(),
        init: false,
        progress: Some(Progress { attempt: 0, ended: false, finished: false }),
        ended: false,
        waiting: None,
        started_at: None,
        guest: None,
        answering: None,
    };
    let log = port.site.logs.create(&dir.join("c"), 0).unwrap();
    port.site.directory.set(
        "n",
        "p",
        PodView { uid: "u".into(), dir, pod: Arc::new(pod), containers: vec![container] },
    );
    let shown = |connection: &TlsStream<TcpStream>| connection.get_ref().1.peer_certificates().unwrap()[0].clone();

    let mut follower = port.as_user(API_SERVER, 1000).await;
    let before = shown(&follower);
    follower.write_all(b"GET /containerLogs/n/p/c?follow=true HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = Vec::new();
    for round in 0..3 {
        log.write(Stream::Stdout, format!("line {round}\n").as_bytes()).unwrap();
        while !text.ends_with(format!("line {round}\n").as_bytes()) {
            assert!(follower.read_buf(&mut text).await.unwrap() > 0, "{}", String::from_utf8_lossy(&text));
        }
        let renewed = port.ca.pair();
        port.server.renew(&renewed).unwrap();
        let mut next = port.as_user(API_SERVER, 1000).await;
        assert_eq!(shown(&next), renewed.certificate.chain[0]);
        assert_ne!(shown(&next), before);
        assert_eq!(ask(&mut next, "GET /healthz").await.unwrap().0, 200);
    }
    port.site.directory.remove("n", "p", "u");
    // The end of the answer, whether or not TLS is told goodbye.
    let _ = follower.read_to_end(&mut text).await;
    assert!(String::from_utf8(text).unwrap().ends_with("line 0\nline 1\nline 2\n"));
}
