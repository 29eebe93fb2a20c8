use std::sync::Arc;

use axum::serve;
use k8s_openapi::api::core::v1::Pod;
use krustlet_logs::Progress;
use krustlet_pods::{ContainerView, PodView};
use krustlet_runtime::{LogSink, Stream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// The routes on a port, without TLS, and the site behind them.
struct Node {
    address: std::net::SocketAddr,
    site: Site,
    root: tempfile::TempDir,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Node {
    async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let site = Site::empty("wasm", root.path());
        let usages = Usages::new(site.directory.clone(), site.data_dir.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(site.clone(), usages);
        tokio::spawn(async move { serve(listener, router).await.unwrap() });
        Self { address, site, root }
    }

    /// Puts pod `n/p` there, with a container `c`.
    fn set(&self, progress: Option<Progress>, waiting: Option<&str>) {
        let container = |name: &str, init| ContainerView {
            name: name.into(),
            init,
            progress,
            ended: false,
            waiting: waiting.map(Into::into),
            started_at: None,
            guest: None,
            answering: None,
        };
        let pod: Pod = serde_json::from_value(json!({ "metadata": { "name": "p", "namespace": "n" } })).unwrap();
        let dir = self.root.path().join("n_p_u");
        let view = PodView {
            uid: "u".into(),
            dir,
            pod: Arc::new(pod),
            containers: vec![container("i", true), container("c", false)],
        };
        self.site.directory.set("n", "p", view);
    }

    fn print(&self, attempt: u32, text: &str) {
        let log = self.site.logs.create(&self.root.path().join("n_p_u/c"), attempt).unwrap();
        log.write(Stream::Stdout, text.as_bytes()).unwrap();
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    /// In HTTP/1.0, whose answers come in one piece.
    async fn ask(&self, method: &str, path: &str) -> Answer {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(format!("{method} {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.into() }
    }
}

const RUNNING: Option<Progress> = Some(Progress { attempt: 0, ended: false, finished: false });
const AGAIN: Option<Progress> = Some(Progress { attempt: 1, ended: false, finished: false });
const FAILED: Option<Progress> = Some(Progress { attempt: 2, ended: true, finished: true });

#[tokio::test]
async fn every_path_has_its_answer() {
    let node = Node::start().await;
    let table = [
        ("GET", "/healthz", 200, "ok"),
        ("HEAD", "/healthz", 200, ""),
        ("GET", "/metrics", 200, "kubelet_running_pods 0"),
        ("GET", "/metrics", 200, "krustlet_compile_jobs_total{result=\"over_limit\"} 0"),
        ("GET", "/metrics", 200, "kubelet_evictions{eviction_signal=\"memory.available\"} 0"),
        ("GET", "/metrics", 200, "krustlet_program_memory_bytes{state=\"used\"} 0"),
        ("GET", "/metrics/resource", 200, "scrape_error 0"),
        ("GET", "/stats/summary", 200, "\"nodeName\":\"wasm\""),
        ("GET", "/pods", 200, "\"PodList\""),
        ("GET", "/containerLogs/n/p/c", 404, "not on this node"),
        ("POST", "/exec/n/p/c?command=ls", 501, "nothing to run a command in"),
        ("GET", "/attach/n/p/c", 501, "kubectl logs -f"),
        ("POST", "/portForward/n/p", 404, "not on this node"),
        ("POST", "/portForward/n", 404, "namespace and a pod"),
        ("POST", "/run/n/p/c", 501, "only program"),
        ("GET", "/", 404, "/containerLogs"),
        ("GET", "/metrics/cadvisor", 404, "/metrics/resource"),
        ("POST", "/metrics", 405, "GET"),
        ("DELETE", "/pods", 405, "DELETE"),
        ("POST", "/containerLogs/n/p/c", 405, "GET"),
    ];
    for (method, path, status, part) in table {
        let answer = node.ask(method, path).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert!(answer.body.contains(part), "{method} {path}: {}", answer.body);
    }
}

#[tokio::test]
async fn types_of_content() {
    let node = Node::start().await;
    for (path, wanted) in [
        ("/metrics", "content-type: text/plain; version=0.0.4"),
        ("/metrics/resource", "content-type: text/plain; version=0.0.4"),
        ("/stats/summary", "content-type: application/json"),
        ("/pods", "content-type: application/json"),
    ] {
        let answer = node.get(path).await;
        assert!(answer.head.lines().any(|line| line == wanted), "{path}: {}", answer.head);
    }
    assert!(node.ask("POST", "/pods").await.head.contains("allow: get,head"));
}

#[tokio::test]
async fn a_summary_without_file_systems() {
    let node = Node::start().await;
    for (query, there) in [("", true), ("?only_cpu_and_memory=true", false), ("?only_cpu_and_memory=false", true)] {
        let body = node.get(&format!("/stats/summary{query}")).await.body;
        let summary: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(summary["node"].get("fs").is_some(), there, "{query}");
        assert!(summary["node"]["memory"]["workingSetBytes"].as_u64().unwrap() > 0);
    }
}

#[tokio::test]
async fn logs_by_the_state_of_the_container() {
    let node = Node::start().await;
    let log = "/containerLogs/n/p/c";
    let table = [
        (None, Some("ContainerCreating"), "", 400, "waiting to start: ContainerCreating"),
        (None, Some("ErrImagePull"), "?follow=true", 400, "image can't be pulled"),
        (None, None, "?previous=true", 400, "previous terminated container \"c\" in pod \"p\" not found"),
        (RUNNING, None, "?limitBytes=5", 200, "first"),
        (RUNNING, None, "?limitBytes=0", 400, "limitBytes"),
        (RUNNING, None, "?previous=true", 400, "previous terminated container \"c\" in pod \"p\" not found"),
        (AGAIN, None, "", 200, "second\n"),
        (AGAIN, None, "?previous=true&follow=true", 200, "first\n"),
        // The third could not even be started: the second is the last that ran.
        (FAILED, None, "?tailLines=1&follow=true", 200, "second\n"),
        (FAILED, None, "?previous=true&timestamps=true", 200, "Z second\n"),
        (FAILED, None, "?sinceTime=2100-01-01T00:00:00Z", 200, ""),
        (FAILED, None, "?sinceSeconds=5&sinceTime=2100-01-01T00:00:00Z", 400, "at most one"),
    ];
    node.print(0, "first\n");
    node.print(1, "second\n");
    for (progress, waiting, query, status, part) in table {
        node.set(progress, waiting);
        let answer = node.get(&format!("{log}{query}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
        assert!(answer.body.ends_with(part) || status != 200 && answer.body.contains(part), "{query}: {}", answer.body);
    }
    let answer = node.get("/containerLogs/n/p/other").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (404, "container \"other\" is not in pod \"p\", which has: i (init), c")
    );
}

#[tokio::test]
async fn following_goes_on_when_the_container_is_started_again() {
    let node = Node::start().await;
    node.print(0, "first\n");
    node.set(Some(Progress { attempt: 0, ended: true, finished: false }), Some("CrashLoopBackOff"));
    let mut connection = TcpStream::connect(node.address).await.unwrap();
    connection.write_all(b"GET /containerLogs/n/p/c?follow=true HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"first\n") {
        connection.read_buf(&mut text).await.unwrap();
    }
    node.print(1, "second\n");
    node.set(AGAIN, None);
    while !text.ends_with(b"second\n") {
        assert!(connection.read_buf(&mut text).await.unwrap() > 0, "{}", String::from_utf8_lossy(&text));
    }
    node.site.directory.remove("n", "p", "u");
    assert_eq!(connection.read_to_end(&mut text).await.unwrap(), 0);
}
