//! What the command line refuses, by exit code and message, before anything is sent.

use std::process::{Command, Stdio};

/// Exit code, standard output, standard error.
fn wasm_oci(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_wasm-oci"))
        .args(args)
        .env("DOCKER_CONFIG", "/nowhere")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn each_refusal_has_its_exit_code_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (good, text, component) = (path("good.wasm"), path("text.wasm"), path("component.wasm"));
    std::fs::write(&good, wat::parse_str(r#"(module (func (export "_start")))"#).unwrap()).unwrap();
    std::fs::write(&text, "#!/bin/sh\n").unwrap();
    let whole = wat::parse_str(r#"(component (import "a" (func)))"#).unwrap();
    std::fs::write(&component, &whole[..whole.len() - 1]).unwrap();
    // Taken and given back: nobody listens there now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (host, name) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{port}/x:v1"));
    let untagged = format!("{host}/x@sha256:{}", "0".repeat(64));

    let cases: [(&[&str], i32, &str); 14] = [
        (&["push", &text, &name], 2, "text.wasm is not a WebAssembly module"),
        (&["push", &component, &name], 2, "component.wasm is a damaged WebAssembly module"),
        (&["push", &path("none.wasm"), &name], 2, "none.wasm: No such file"),
        (&["push", &good, "Bad/Name"], 2, "must be in lower case"),
        (&["push", &good, &untagged], 2, "a push needs a tag"),
        (&["pull", &name], 2, "--output <FILE>"),
        (&["resolve", &name, "--username", "me"], 2, "--username wants --password-stdin"),
        (&["resolve", &name, "--password-stdin"], 2, "--password-stdin wants --username"),
        (&["resolve", &name, "--username", "me", "--password-stdin"], 2, "there is no password on standard input"),
        (&["resolve", &name, "--password", "x"], 2, "unexpected argument '--password'"),
        (&["resolve", &name, "--ca-file", &text], 2, "text.wasm cannot be used: it holds no certificate"),
        (&["push", &good, &name, "--format", "docker"], 2, "[possible values: wasm, wasm-to-oci]"),
        (&["push", &good, &name, "--plain-http", &host], 1, "cannot be reached"),
        (&["inspect", &name, "--plain-http", &host], 1, "Connection refused"),
    ];
    for (args, code, expected) in cases {
        let (actual, stdout, stderr) = wasm_oci(args);
        assert_eq!((actual, stdout.as_str()), (code, ""), "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}
