//! The registries of several vendors, within the test: one server with a certificate of a private authority stands for each host,
//! and a proxy leads every host to it. So `wasm-oci` runs as it does for its users: with these very names, over TLS.

mod registry;
mod vendors;

use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

pub use vendors::{AZURE_USER, JSON_KEY};

/// Every host that the server stands for.
pub const HOSTS: [&str; 7] = [
    "ghcr.io",
    "me.azurecr.io",
    "europe-docker.pkg.dev",
    "registry-1.docker.io",
    "auth.docker.io",
    "basic.example.com",
    "scopes.example.com",
];

/// What the server has and saw.
#[derive(Default)]
pub struct State {
    /// By `host/repository@digest`.
    blobs: HashMap<String, Bytes>,
    /// By `host/repository:tag` and `host/repository@digest`.
    manifests: HashMap<String, Bytes>,
    /// Actions by token: `repository:action`.
    tokens: HashMap<String, Vec<String>>,
    /// Lines such as `GET ghcr.io/v2/me/app/manifests/v1`.
    pub seen: Vec<String>,
    /// The next manifest is stored as something else than what was sent.
    pub exchange: bool,
    /// How many manifests are refused for the moment.
    pub failures: usize,
}

/// What a run of `wasm-oci` gave.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The server, and a home for `wasm-oci`.
pub struct World {
    pub folder: tempfile::TempDir,
    pub state: Arc<Mutex<State>>,
    proxy: SocketAddr,
    _runtime: Runtime,
}

pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>())
}

impl World {
    pub fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        std::fs::write(folder.path().join("ca.crt"), authority.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = HOSTS.iter().map(|&host| host.to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap().pem();

        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let (server, proxy) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (address, proxy_address) = (server.local_addr().unwrap(), proxy.local_addr().unwrap());
        for listener in [&server, &proxy] {
            listener.set_nonblocking(true).unwrap();
        }
        let app = Router::new().fallback(registry::serve).with_state(state.clone());
        runtime.spawn(async move {
            let config = RustlsConfig::from_pem(certificate.into(), key.serialize_pem().into()).await.unwrap();
            let server = axum_server::from_tcp(server).unwrap().acceptor(RustlsAcceptor::new(config));
            server.serve(app.into_make_service()).await.unwrap();
        });
        runtime.spawn(forward(proxy, address));
        let world = Self { folder, state, proxy: proxy_address, _runtime: runtime };
        std::fs::create_dir_all(world.path("docker")).unwrap();
        std::fs::create_dir_all(world.path("bin")).unwrap();
        world.module("hello.wasm", "hello");
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A module whose bytes depend on a text; its bytes.
    pub fn module(&self, file: &str, text: &str) -> Vec<u8> {
        let wasm = wat::parse_str(format!(r#"(module (func (export "_start")) (@custom "x" "{text}"))"#)).unwrap();
        std::fs::write(self.path(file), &wasm).unwrap();
        wasm
    }

    /// The docker config file.
    pub fn docker_config(&self, content: &serde_json::Value) {
        std::fs::write(self.path("docker/config.json"), content.to_string()).unwrap();
    }

    /// One login in the docker config file.
    pub fn log_in(&self, key: &str, user: &str, password: &str) {
        self.docker_config(&serde_json::json!({ "auths": { key: { "username": user, "password": password } } }));
    }

    /// A credential helper: a script on PATH.
    pub fn helper(&self, name: &str, script: &str) {
        let path = self.path(&format!("bin/docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The proxy that leads to all of the registries.
    pub fn proxy(&self) -> String {
        format!("http://{}", self.proxy)
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        self.run_with(args, "")
    }

    /// In the folder, with something on standard input.
    pub fn run_with(&self, args: &[&str], stdin: &str) -> Outcome {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wasm-oci"))
            .args(args)
            .args(["--ca-file", "ca.crt"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("DOCKER_CONFIG", self.path("docker"))
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("HTTPS_PROXY", self.proxy())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that needs no input may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Outcome { code: output.status.code().unwrap(), stdout, stderr }
    }

    /// What has to succeed; its JSON.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let outcome = self.run(&[args, &["--json"]].concat());
        assert_eq!(outcome.code, 0, "{args:?}: {}", outcome.stderr);
        serde_json::from_str(&outcome.stdout).unwrap()
    }

    /// What has to fail with exit code 1, and with all of these in its message, which holds no secret; the message.
    pub fn fails(&self, args: &[&str], words: &[&str]) -> String {
        let outcome = self.run(args);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{args:?}: {}", outcome.stderr);
        for word in words {
            assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("s3cret"), "{}", outcome.stderr);
        outcome.stderr
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }
}

/// A proxy that leads every CONNECT to one address.
async fn forward(listener: TcpListener, address: SocketAddr) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await?);
            }
            assert!(head.starts_with(b"CONNECT "), "{}", String::from_utf8_lossy(&head));
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            let mut server = tokio::net::TcpStream::connect(address).await?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}
