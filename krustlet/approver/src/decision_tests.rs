//! Which request is the node's own, and what is wrong with each that is not?

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use serde_json::{Value, json};

use crate::decision::{
    Decision, Expectations, Purpose, bears_name, decide, decided, is_granted_to_stranger, printable,
};
use crate::request::Request;
use crate::testing::*;

fn decision_by(csr: &CertificateSigningRequest, expected: &Expectations) -> Decision {
    decide(csr, &Request::from_pem(&csr.spec.request.0), expected)
}

pub fn decision(csr: &CertificateSigningRequest) -> Decision {
    decision_by(csr, &expected())
}

fn refusal(purpose: Purpose, reason: &str) -> Decision {
    Decision::Refuse(Some(purpose), vec![reason.into()])
}

pub fn reasons(decision: Decision) -> Vec<String> {
    match decision {
        Decision::Refuse(_, reasons) => reasons,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn the_nodes_own_are_approved_with_their_names_in_either_order() {
    assert_eq!(decision(&client()), Decision::Approve(Purpose::Client));
    assert_eq!(decision(&serving()), Decision::Approve(Purpose::Serving));
    let names = serving_names().into_iter().rev().collect();
    let turned = serving_of(&Parts { names: Some(names), ..serving_parts() });
    assert_eq!(decision(&turned), Decision::Approve(Purpose::Serving));
}

#[test]
fn renewals_of_both_certificates_are_approved() {
    // No token is left by then, and the node is registered.
    let later = Expectations { bootstrap_username: None, node_taken: true, ..expected() };
    assert_eq!(decision_by(&renewal(), &later), Decision::Approve(Purpose::Client));
    assert_eq!(decision_by(&serving(), &later), Decision::Approve(Purpose::Serving));
}

#[test]
fn both_bounds_of_expiration_seconds_are_approved() {
    for seconds in [600, 31_622_400] {
        let csr = with(&client(), json!({ "spec": { "expirationSeconds": seconds } }));
        assert_eq!(decision(&csr), Decision::Approve(Purpose::Client), "{seconds}");
    }
}

#[test]
fn one_that_an_ended_run_approved_is_known() {
    let csr = with(&client(), conditions(&["Approved"]));
    assert_eq!(decision(&csr), Decision::ApprovedAlready(Purpose::Client));
}

#[test]
fn a_node_is_held_to_the_life_that_it_was_told_to_ask_for() {
    let told = Expectations { duration_seconds: Some(3600), ..expected() };
    for (csr, purpose) in [(client(), Purpose::Client), (serving(), Purpose::Serving), (renewal(), Purpose::Client)] {
        let asking = |seconds: Value| with(&csr, json!({ "spec": { "expirationSeconds": seconds } }));
        assert_eq!(decision_by(&asking(json!(3600)), &told), Decision::Approve(purpose));
        for (seconds, what) in [(Value::Null, "not set"), (json!(3601), "3601"), (json!(600), "600")] {
            let reason = format!("expirationSeconds is {what}, not 3600");
            assert_eq!(decision_by(&asking(seconds), &told), refusal(purpose, &reason));
        }
    }
}

#[test]
fn a_first_client_certificate_is_refused_where_another_has_the_node_already() {
    let taken = Expectations { node_taken: true, ..expected() };
    let reason = "the cluster has a Node krustlet already, which this host's agent did not register; delete it if nothing \
                  uses it";
    assert_eq!(decision_by(&client(), &taken), refusal(Purpose::Client, reason));
}

#[test]
fn nothing_of_a_strangers_is_shown_that_a_terminal_would_obey() {
    let subject = vec![(CN, "\u{1b}[2Jx\n\u{202e}evil".to_string())];
    let csr = client_of(&Parts { subject, ..client_parts() });
    let said = reasons(decision(&with(&csr, json!({ "spec": { "username": "eve\r\n" } })))).join("; ");
    assert!(said.contains("requester is eve\u{fffd}\u{fffd}, not "), "{said}");
    assert!(said.contains("subject is CN=\u{fffd}[2Jx\u{fffd}\u{fffd}evil, not "), "{said}");
    assert_eq!(printable(&"x".repeat(201)), format!("{}...", "x".repeat(197)));
    assert_eq!(printable("Zürich: 東京"), "Zürich: 東京");
}

#[test]
fn another_kind_of_key_is_refused_even_the_one_that_was_handed_over() {
    let kinds: [(&rcgen::SignatureAlgorithm, &str); 2] =
        [(&rcgen::PKCS_ECDSA_P384_SHA384, "P-384"), (&rcgen::PKCS_ED25519, "Ed25519")];
    for (kind, name) in kinds {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let expected = Expectations { client_key: Some(spki(&key)), ..expected() };
        let csr = client_of(&Parts { key: &key, ..client_parts() });
        let reason = format!("its key is {name}, not P-256");
        assert_eq!(decision_by(&csr, &expected), refusal(Purpose::Client, &reason));
    }
}

#[test]
fn everything_is_refused_until_the_agent_has_handed_its_key_over() {
    let expected = Expectations { client_key: None, serving_key: None, ..expected() };
    let reason = "the node's agent has handed over no public key";
    assert_eq!(decision_by(&client(), &expected), refusal(Purpose::Client, reason));
    assert_eq!(decision_by(&serving(), &expected), refusal(Purpose::Serving, reason));
}

#[test]
fn a_bootstrap_user_is_refused_when_no_token_of_this_node_is_known() {
    let expected = Expectations { bootstrap_username: None, ..expected() };
    let reason = "requester is system:bootstrap:abc123, not a token of this node";
    assert_eq!(decision_by(&client(), &expected), refusal(Purpose::Client, reason));
    // Nobody is no token's user either.
    let nobody = with(&client(), json!({ "spec": { "username": null } }));
    let reason = "requester is unknown, not a token of this node";
    assert_eq!(decision_by(&nobody, &expected), refusal(Purpose::Client, reason));
}

#[test]
fn everything_is_refused_of_a_node_that_was_never_launched() {
    let expected = Expectations { launched_at: None, ..expected() };
    let reason = "it was filed at 2026-01-01T00:00:11Z, before the node was launched";
    assert_eq!(decision_by(&client(), &expected), refusal(Purpose::Client, reason));
}

#[test]
fn every_check_that_failed_is_told() {
    let parts = Parts { key: &KEYS.foreign, subject: vec![(CN, "x".into())], ..client_parts() };
    let csr = with(&client_of(&parts), json!({ "spec": { "username": "eve", "usages": [] } }));
    assert_eq!(reasons(decision(&csr)).len(), 4);
}

#[test]
fn requests_that_bear_the_nodes_name_are_looked_at_whoever_filed_them() {
    let of = |csr: CertificateSigningRequest, username: &str, signer: &str| {
        with(&csr, json!({ "spec": { "username": username, "signerName": signer } }))
    };
    let x = || vec![(CN, "x".to_string())];
    let served = || serving_of(&Parts { subject: x(), ..serving_parts() });
    let (node, kubelet_serving, strange) =
        ("system:node:krustlet", "kubernetes.io/kubelet-serving", "example.com/signer");
    let second = Parts::new(&KEYS.client, "krustlet-2", None);
    let table = [
        ("the node's name in the subject", with(&client(), json!({ "spec": { "username": "eve" } })), true),
        ("filed by the node", of(served(), node, kubelet_serving), true),
        ("filed by the node for any other signer", of(served(), node, strange), true),
        ("a serving certificate of the node's name", of(served(), "eve", kubelet_serving), true),
        ("the same from another signer", of(served(), "eve", strange), false),
        ("another node's", client_of(&second), false),
    ];
    for (what, csr, bears) in table {
        let parsed = Request::from_pem(&csr.spec.request.0);
        assert_eq!(bears_name(&csr, &parsed, "krustlet"), bears, "{what}");
    }
}

#[test]
fn requests_that_are_named_as_the_agents_are_looked_at_though_nobody_can_read_them() {
    let table = [
        ("krustlet-krustlet-client-abcde", "krustlet", true),
        ("krustlet-krustlet-serving-abcde", "krustlet", true),
        ("krustlet-krustlet-client-", "krustlet", true),
        ("krustlet-krustlet-other-abcde", "krustlet", false),
        ("krustlet-krustlet2-client-abcde", "krustlet", false),
        ("krustlet-a-client-client-abcde", "a", false),
        ("krustlet-a-client-client-abcde", "a-client", true),
        ("krustlet-a-client-serving-abcde", "a", false),
    ];
    for (name, node, bears) in table {
        let csr = with(&client(), json!({ "metadata": { "name": name }, "spec": { "username": "eve" } }));
        assert_eq!(bears_name(&csr, &Err("unreadable".into()), node), bears, "{name} of {node}");
    }
}

#[test]
fn a_strangers_request_that_somebody_granted_since_the_launch_is_told_from_the_nodes_own() {
    let eve = with(&client(), json!({ "spec": { "username": "eve", "groups": ["system:authenticated"] } }));
    let granted = with(&eve, conditions(&["Approved"]));
    let early = json!({ "metadata": { "creationTimestamp": "2026-01-01T00:00:09Z" } });
    let table = [
        ("granted", granted.clone(), true),
        ("not decided", eve.clone(), false),
        ("denied", with(&eve, conditions(&["Denied"])), false),
        ("before", with(&granted, early), false),
        ("a token of the node's group, an earlier one say", with(&client(), conditions(&["Approved"])), false),
        ("the node itself, a renewal say", with(&renewal(), conditions(&["Approved"])), false),
    ];
    for (what, csr, expected_answer) in table {
        assert_eq!(is_granted_to_stranger(&csr, &expected()), expected_answer, "{what}");
    }
}

#[test]
fn a_decision_is_sent_on_the_request_as_it_was_looked_at_and_once() {
    let csr = client();
    let refused = Decision::Refuse(Some(Purpose::Client), vec!["one".into(), "two".into()]);
    let table = [
        (&refused, "Denied", "KrustletStackDenied", "It bears a node's name and is not that node's: one; two"),
        (
            &Decision::Approve(Purpose::Client),
            "Approved",
            "KrustletStackApproved",
            "Requester, subject, names, usages, signature and public key are the node's",
        ),
    ];
    for (decision, kind, reason, message) in table {
        let condition = json!({ "type": kind, "status": "True", "reason": reason, "message": message });
        let expected = with(&csr, json!({ "status": { "conditions": [condition] } }));
        let sent = decided(&csr, decision).unwrap();
        assert_eq!(sent, expected);
        assert_eq!(sent.metadata.resource_version.as_deref(), Some("1"));
        assert_eq!(decided(&sent, decision), None);
    }
}
