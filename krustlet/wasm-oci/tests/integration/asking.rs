//! What the command line tells of logins and registries, and by which way it asks: the proxy, this machine, the authorities.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::World;

const UNAUTHORIZED: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[test]
fn the_logins_of_a_registry_are_told_in_words_and_their_secrets_only_when_asked_for() {
    let world = World::new();
    world.docker_config(&json!({ "auths": {
        "ghcr.io": { "username": "me", "password": "s3cret" },
        "quay.io": { "auth": "no base64" }, "gcr.io": null,
    } }));
    let file = world.path("docker/config.json").display().to_string();
    let logins = json!([{ "key": "ghcr.io", "login": format!("user \"me\" of {file}") }]);
    assert_eq!(world.json(&["login-of", "ghcr.io"]), json!({ "registry": "ghcr.io", "logins": logins }));
    let auths = json!({ "ghcr.io": { "auth": STANDARD.encode("me:s3cret") } });
    let told = world.json(&["login-of", "ghcr.io", "--secrets"]);
    assert_eq!(told, json!({ "registry": "ghcr.io", "logins": logins, "auths": auths }));
    let text = world.run(&["login-of", "ghcr.io", "--secrets"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({ "auths": auths }));

    // An entry that is damaged, or none, is told to whoever asks for its registry, and to nobody else.
    world.fails(&["login-of", "quay.io"], &["in the \"auth\" of \"quay.io\""]);
    assert_eq!(world.json(&["login-of", "gcr.io"])["logins"], json!([]));
    assert_eq!(world.run(&["login-of", "gcr.io"]).stdout, "no login for gcr.io\n");

    // A helper has the word, and its login the key that docker gives it.
    world.docker_config(&json!({ "credsStore": "store", "auths": { "docker.io": {} } }));
    world.helper("store", r#"read server; echo "{\"Username\":\"$server\",\"Secret\":\"s3cret\"}""#);
    let hub = "https://index.docker.io/v1/";
    let told = world.json(&["login-of", "docker.io", "--secrets"]);
    assert_eq!(told["auths"], json!({ hub: { "auth": STANDARD.encode(format!("{hub}:s3cret")) } }));
    assert!(world.seen().is_empty(), "no registry is asked");
}

#[test]
fn another_file_of_logins_may_be_named_and_must_be_there() {
    let world = World::new();
    world.docker_config(&json!({}));
    let config = json!({ "auths": { "basic.example.com": { "username": "me", "password": "s3cret" } } });
    std::fs::write(world.path("other.json"), config.to_string()).unwrap();
    let named = ["--registry-config", "other.json"];
    let told = world.json(&[["login-of", "basic.example.com"], named].concat());
    assert_eq!(told["logins"], json!([{ "key": "basic.example.com", "login": "user \"me\" of other.json" }]));
    world.json(&[&["push", "hello.wasm", "basic.example.com/app:v1"][..], &named].concat());
    let outcome = world.run(&["resolve", "basic.example.com/app:v1", "--registry-config", "none.json"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("none.json does not exist; `docker --config"), "{}", outcome.stderr);
}

#[test]
fn a_registry_is_one_that_answers_as_one() {
    let world = World::new();
    // What is wrong with the file of logins does not matter: nobody logs in.
    std::fs::write(world.path("docker/config.json"), "damaged").unwrap();
    for host in ["ghcr.io", "basic.example.com", "docker.io"] {
        let found = world.json(&["ping", host]);
        assert_eq!((&found["registry"], &found["serves"]), (&json!(host), &json!(true)), "{found}");
    }
    assert!(world.seen().contains(&"GET registry-1.docker.io/v2/".to_owned()));
    for none in ["ghcr.io/me", "ghcr", "https://ghcr.io"] {
        assert_eq!(world.run(&["ping", none]).code, 2, "{none}");
    }
}

#[test]
fn the_authorities_of_the_environment_are_trusted_in_the_place_of_the_hosts() {
    let world = World::new();
    let ping = |authorities: &str| {
        let output = wasm_oci(&world, &["ping", "ghcr.io"], &[("SSL_CERT_FILE", authorities)]);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(ping("ca.crt"), (0, String::new()));
    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
    std::fs::write(world.path("other.crt"), other.cert.pem()).unwrap();
    let (code, said) = ping("other.crt");
    assert!(code == 1 && said.contains("certificate"), "{said}");
}

/// Each registry of this machine is asked itself, whatever the environment says; another one is asked by the proxy.
#[test]
fn this_machine_is_never_asked_by_a_proxy() {
    let world = World::new();
    let (registry, reached) = proxy();
    let port = registry.rsplit(':').next().unwrap();
    // Nobody listens at port 9.
    let proxies = [("HTTP_PROXY", "http://127.0.0.1:9"), ("HTTPS_PROXY", "http://127.0.0.1:9")];
    let ping = |registry: &str, more: &[(&str, &str)]| {
        let output = wasm_oci(&world, &["ping", registry, "--plain-http", registry], &[&proxies, more].concat());
        output.status.code().unwrap()
    };
    for host in ["localhost", "127.0.0.1", "LOCALHOST"] {
        let registry = format!("{host}:{port}");
        for more in [&[][..], &[("NO_PROXY", "other.example.com")]] {
            assert_eq!(ping(&registry, more), 0, "{registry}");
            assert_eq!(reached.recv().unwrap(), "GET /v2/ HTTP/1.1", "{registry}");
        }
    }
    assert_eq!(ping("registry.invalid:5000", &[]), 1);
    let (proxy, asked) = proxy();
    let by_proxy = [("HTTP_PROXY", proxy.as_str())];
    assert_eq!(ping("registry.invalid:5000", &by_proxy), 0);
    assert_eq!(asked.recv().unwrap(), "GET http://registry.invalid:5000/v2/ HTTP/1.1");
    assert_eq!(ping("registry.invalid:5000", &[by_proxy[0], ("NO_PROXY", "registry.invalid:5001")]), 0);
    assert_eq!(asked.recv().unwrap(), "GET http://registry.invalid:5000/v2/ HTTP/1.1");
    for excepted in [".invalid", "registry.invalid:5000"] {
        assert_eq!(ping("registry.invalid:5000", &[by_proxy[0], ("NO_PROXY", excepted)]), 1);
        assert!(asked.try_recv().is_err(), "{excepted}");
    }
}

/// A registry, or a proxy to one, that answers each request as a registry would, and tells its first line.
fn proxy() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut head = [0; 4096];
            let read = connection.read(&mut head).unwrap();
            connection.write_all(UNAUTHORIZED).unwrap();
            let line = String::from_utf8_lossy(&head[..read]).lines().next().unwrap_or_default().to_owned();
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    (address, asked)
}

/// Runs in the world's folder with nothing in the environment but what is given, and the proxy to the world's registries.
fn wasm_oci(world: &World, args: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wasm-oci"))
        .args(args)
        .current_dir(world.folder.path())
        .env_clear()
        .env("HTTPS_PROXY", world.proxy())
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}
