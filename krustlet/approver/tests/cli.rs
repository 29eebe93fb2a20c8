//! The program as the steps run it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_krustlet-approver");

/// What `decide` answers, or what it says when it fails.
fn decide(question: &str) -> Result<Value, String> {
    let mut child = Command::new(PROGRAM)
        .arg("decide")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(question.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(serde_json::from_str(&text(output.stdout)).unwrap())
    } else {
        Err(text(output.stderr))
    }
}

fn question(username: &str, of: Value) -> String {
    let request = json!({
        "metadata": { "name": "csr-1", "creationTimestamp": "2026-01-01T00:00:11Z" },
        "spec": { "request": "bm9uZQ==", "signerName": "kubernetes.io/kubelet-serving", "username": username },
    });
    let mut question = of;
    question["request"] = request;
    question.to_string()
}

#[test]
fn a_question_of_a_node_is_answered_with_what_is_to_be_sent() {
    let root = tempfile::tempdir().unwrap();
    let of = json!({ "node": {
        "nodeName": "n", "nodeIp": "10.0.0.1", "bootstrapGroup": "g", "stateDir": root.path(), "nodeTaken": false,
    } });
    let answer = decide(&question("system:node:n", of.clone())).unwrap();
    assert_eq!(answer["verdict"], "refuse");
    assert_eq!(answer["purpose"], "serving");
    assert_eq!(answer["requester"], "system:node:n");
    assert_eq!(answer["publicKey"], Value::Null);
    let reasons = answer["reasons"].as_array().unwrap();
    assert_eq!(reasons.last().unwrap(), "its request cannot be read: it is not one certificate request in PEM");
    assert_eq!(answer["decided"]["kind"], "CertificateSigningRequest");
    assert_eq!(answer["decided"]["metadata"]["name"], "csr-1");
    assert_eq!(answer["decided"]["status"]["conditions"][0]["type"], "Denied");

    let answer = decide(&question("system:node:other", of)).unwrap();
    assert_eq!((&answer["verdict"], &answer["decided"]), (&json!("not-ours"), &Value::Null));
}

#[test]
fn a_question_of_a_kubelet_is_answered_too() {
    let of = |name: &str| json!({ "kubelet": { "name": name, "address": "10.0.0.1", "clientCertificates": [] } });
    let answer = decide(&question("system:node:n", of("n"))).unwrap();
    assert_eq!((&answer["verdict"], &answer["outOfDate"]), (&json!("refuse"), &json!(false)));
    assert_eq!(decide(&question("system:node:n", of("other"))).unwrap()["verdict"], "not-ours");
}

#[test]
fn what_is_no_question_is_said_to_be_none() {
    for bad in ["", "{}", &question("u", json!({})), &question("u", json!({ "kubelet": { "name": "n" } }))] {
        let said = decide(bad).unwrap_err();
        assert!(said.starts_with("krustlet-approver: standard input: "), "{said}");
    }
}

#[test]
fn it_ends_at_a_signal_in_the_middle_of_a_request() {
    let root = tempfile::tempdir().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let put = |name: &str, value: Value| fs::write(root.path().join(name), value.to_string()).unwrap();
    put(
        "approver.json",
        json!({
            "nodeName": "n", "nodeIp": "10.0.0.1", "bootstrapGroup": "g",
            "namespace": "kube-system", "serviceAccount": "a", "tokenSeconds": 600,
        }),
    );
    // {"iat":0,"exp":9999999999}
    put(
        "approver.kubeconfig",
        json!({
            "clusters": [{ "name": "c", "cluster": { "server": format!("http://{}", server.local_addr().unwrap()) } }],
            "users": [{ "name": "u", "user": { "token": "a.eyJpYXQiOjAsImV4cCI6OTk5OTk5OTk5OX0.c" } }],
            "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
            "current-context": "x",
        }),
    );
    let mut child = Command::new(PROGRAM)
        .args(["watch", "--state-dir", root.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    put("approver.pid", json!({ "pid": child.id() }));
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.ends_with(&format!("Z approver of node n: a, process {}\n", child.id())), "{line}");
    // It has asked, and gets no answer.
    let _asked = server.accept().unwrap();
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("Z ended by a signal\n"), "{rest}");
}

#[test]
fn without_a_folder_of_a_node_it_says_what_is_missing() {
    let root = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM).args(["watch", "--state-dir", root.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.ends_with("approver.json: it is missing or damaged; launchApprover writes it\n"), "{said}");
}
