//! What is wrong with each request that is the node's own in all but one thing?

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use serde_json::{Value, json};

use crate::decision_tests::{decision, reasons};
use crate::testing::*;

/// Joined by "; ": the whole text, how it begins, or what is in it.
enum Said {
    All(&'static str),
    Start(&'static str),
    Part(&'static str),
}
use Said::{All, Part, Start};

#[test]
fn what_is_wrong_in_one_thing_is_refused_for_it() {
    let spec = |csr: CertificateSigningRequest, spec: Value| with(&csr, json!({ "spec": spec }));
    let filed =
        |csr: CertificateSigningRequest, at: Value| with(&csr, json!({ "metadata": { "creationTimestamp": at } }));
    let of_subject = |subject: &[(&'static str, &str)]| {
        let subject = subject.iter().map(|(id, value)| (*id, (*value).to_string())).collect();
        client_of(&Parts { subject, ..client_parts() })
    };
    let (nodes, us) = ((O, "system:nodes"), (CN, "system:node:krustlet"));
    let named = |names: Vec<Name>| serving_of(&Parts { names: Some(names), ..serving_parts() });
    let also = |name: Name| named([serving_names(), vec![name]].concat());
    let more = |subject: (&'static str, &str)| {
        let mut parts = client_parts();
        parts.subject.push((subject.0, subject.1.into()));
        parts
    };
    let token_groups = client().spec.groups.unwrap();
    let too_many = [token_groups.clone(), vec!["system:masters".to_string()]].concat();
    let kubeadm = ["system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token", "system:authenticated"];
    let other = json!({ "username": "system:node:other" });
    let foreign = Parts { key: &KEYS.foreign, ..client_parts() };
    let early = json!("2025-12-31T23:59:00Z");

    let table: Vec<(&str, CertificateSigningRequest, Said)> = vec![
        (
            "another signer",
            spec(client(), json!({ "signerName": "kubernetes.io/kube-apiserver-client" })),
            All(
                "signer is kubernetes.io/kube-apiserver-client, not one of kubernetes.io/kube-apiserver-client-kubelet, kubernetes.io/kubelet-serving",
            ),
        ),
        (
            "the client's request to the serving signer",
            spec(client(), json!({ "signerName": "kubernetes.io/kubelet-serving" })),
            Part("requester is system:bootstrap:abc123, not system:node:krustlet"),
        ),
        (
            "another token's user",
            spec(client(), json!({ "username": "system:bootstrap:zzz999" })),
            All("requester is system:bootstrap:zzz999, not system:bootstrap:abc123"),
        ),
        (
            "an administrator in the token's place",
            spec(client(), json!({ "username": "kubernetes-admin" })),
            All("requester is kubernetes-admin, not system:bootstrap:abc123"),
        ),
        (
            "nobody",
            spec(client(), json!({ "username": null })),
            All("requester is unknown, not system:bootstrap:abc123"),
        ),
        (
            "kubeadm's bootstrap group",
            spec(client(), json!({ "groups": kubeadm })),
            All(
                "requester's groups are system:bootstrappers, system:bootstrappers:kubeadm:default-node-token, system:authenticated, not system:bootstrappers:krustlet-stack:dev, system:bootstrappers, system:authenticated",
            ),
        ),
        (
            "a group too many",
            spec(client(), json!({ "groups": too_many })),
            Start(
                "requester's groups are system:bootstrappers, system:bootstrappers:krustlet-stack:dev, system:authenticated, system:masters, not ",
            ),
        ),
        (
            "a group twice in place of another",
            spec(
                client(),
                json!({ "groups": ["system:bootstrappers", "system:bootstrappers", "system:authenticated"] }),
            ),
            Start("requester's groups are "),
        ),
        (
            "a renewal by another node",
            spec(renewal(), other.clone()),
            Start("requester is system:node:other, not system:bootstrap:abc123; requester's groups are "),
        ),
        (
            "a renewal by one of the node's name outside the nodes' group",
            spec(renewal(), json!({ "groups": ["system:authenticated"] })),
            All("requester's groups are system:authenticated, not system:nodes, system:authenticated"),
        ),
        (
            "a renewal for another's key",
            renewal_of(&foreign),
            All("its public key is not the one that the node's agent made"),
        ),
        (
            "a renewal of more than the node's rights",
            renewal_of(&more((O, "system:masters"))),
            Start("subject is O=system:nodes, CN=system:node:krustlet, O=system:masters, not "),
        ),
        (
            "a renewal that was filed before the launch",
            filed(renewal(), early.clone()),
            All("it was filed at 2025-12-31T23:59:00Z, before the node was launched"),
        ),
        (
            "the node's groups with the token's user",
            spec(client(), json!({ "groups": as_node()["groups"] })),
            Start(
                "requester's groups are system:nodes, system:authenticated, not system:bootstrappers:krustlet-stack:dev",
            ),
        ),
        ("no groups", spec(client(), json!({ "groups": null })), Start("requester's groups are none, not ")),
        (
            "the serving request by the bootstrap token",
            spec(serving(), json!({ "username": "system:bootstrap:abc123", "groups": token_groups })),
            Start("requester is system:bootstrap:abc123, not system:node:krustlet; requester's groups are "),
        ),
        (
            "the serving request by another node",
            spec(serving(), other),
            All("requester is system:node:other, not system:node:krustlet"),
        ),
        (
            "filed before the launch",
            filed(client(), early),
            All("it was filed at 2025-12-31T23:59:00Z, before the node was launched"),
        ),
        (
            "no time of filing",
            filed(client(), Value::Null),
            All("it was filed at an unknown time, before the node was launched"),
        ),
        (
            "too short a life",
            spec(client(), json!({ "expirationSeconds": 599 })),
            All("expirationSeconds is 599, not between 600 and 31622400"),
        ),
        (
            "too long a life",
            spec(client(), json!({ "expirationSeconds": 315_360_000 })),
            All("expirationSeconds is 315360000, not between 600 and 31622400"),
        ),
        (
            "a usage too many",
            spec(client(), json!({ "usages": ["digital signature", "client auth", "server auth"] })),
            All("usages are digital signature, client auth, server auth, not digital signature, client auth"),
        ),
        (
            "a usage too few",
            spec(client(), json!({ "usages": ["client auth"] })),
            All("usages are client auth, not digital signature, client auth"),
        ),
        (
            "the key encipherment of RSA",
            spec(serving(), json!({ "usages": ["digital signature", "key encipherment", "server auth"] })),
            All("usages are digital signature, key encipherment, server auth, not digital signature, server auth"),
        ),
        (
            "the server's usage for the client",
            spec(client(), json!({ "usages": ["digital signature", "server auth"] })),
            All("usages are digital signature, server auth, not digital signature, client auth"),
        ),
        (
            "another node's name",
            of_subject(&[nodes, (CN, "system:node:other")]),
            All("subject is O=system:nodes, CN=system:node:other, not CN=system:node:krustlet, O=system:nodes"),
        ),
        (
            "a name that only begins with ours",
            of_subject(&[nodes, (CN, "system:node:krustlet2")]),
            Start("subject is "),
        ),
        (
            "an extra organization",
            client_of(&more((O, "system:masters"))),
            All(
                "subject is O=system:nodes, CN=system:node:krustlet, O=system:masters, not CN=system:node:krustlet, O=system:nodes",
            ),
        ),
        ("another organization", of_subject(&[(O, "system:masters"), us]), Start("subject is ")),
        ("no organization", of_subject(&[us]), Start("subject is ")),
        ("two common names", client_of(&more((CN, "system:node:other"))), Start("subject is ")),
        (
            "an organizational unit",
            client_of(&more(("2.5.4.11", "x"))),
            Start("subject is O=system:nodes, CN=system:node:krustlet, 2.5.4.11=x, not "),
        ),
        (
            "names in the client's request",
            client_of(&Parts { names: Some(vec![dns("krustlet")]), ..client_parts() }),
            All("names are DNS:krustlet, not none"),
        ),
        (
            "`kubernetes` as a name",
            named(vec![dns("kubernetes"), ip("172.18.0.1")]),
            All("names are DNS:kubernetes, IP:172.18.0.1, not DNS:krustlet, IP:172.18.0.1"),
        ),
        ("`*` as a name", named(vec![dns("*"), ip("172.18.0.1")]), Start("names are DNS:*, ")),
        ("a name too many", also(dns("kubernetes.default.svc")), Start("names are ")),
        ("no address", named(vec![dns("krustlet")]), All("names are DNS:krustlet, not DNS:krustlet, IP:172.18.0.1")),
        (
            "no name at all",
            serving_of(&Parts { names: None, ..serving_parts() }),
            All("names are none, not DNS:krustlet, IP:172.18.0.1"),
        ),
        (
            "another node's address",
            named(vec![dns("krustlet"), ip("172.18.0.2")]),
            Start("names are DNS:krustlet, IP:172.18.0.2, not "),
        ),
        ("the loopback address too", also(ip("127.0.0.1")), Start("names are ")),
        (
            "the address as a DNS name",
            named(vec![dns("krustlet"), dns("172.18.0.1")]),
            Start("names are DNS:krustlet, DNS:172.18.0.1, not "),
        ),
        ("an IPv6 address", also(ip("::1")), Start("names are DNS:krustlet, IP:172.18.0.1, IP:::1, not ")),
        ("a URI", also((0x86, b"spiffe://a/b".to_vec())), Part("URI:spiffe://a/b, not ")),
        ("an e-mail address", also((0x81, b"a@b.c".to_vec())), Part("email:a@b.c, not ")),
        ("another kind of name", also((0x88, vec![0x2a, 3])), Part("other, not ")),
        ("an address that is none", also((0x87, vec![1, 2, 3])), Part("other, not ")),
        (
            "an authority's certificate (basic constraints)",
            client_of(&Parts { extensions: vec!["2.5.29.19"], ..client_parts() }),
            All("it asks for more: 2.5.29.19"),
        ),
        (
            "an attribute of another kind",
            client_of(&Parts { attributes: vec!["1.2.840.113549.1.9.7"], ..client_parts() }),
            All("it asks for more: 1.2.840.113549.1.9.7"),
        ),
        (
            "two extension requests",
            serving_of(&Parts { names_twice: Some(vec![]), ..serving_parts() }),
            All("it asks for more: 1.2.840.113549.1.9.14, 2.5.29.17"),
        ),
        (
            "a key that is not the agent's",
            client_of(&foreign),
            All("its public key is not the one that the node's agent made"),
        ),
        (
            "the agent's serving key in the client's request",
            client_of(&Parts { key: &KEYS.serving, ..client_parts() }),
            All("its public key is not the one that the node's agent made"),
        ),
        (
            "a signature of another key",
            client_of(&Parts { signer: Some(&KEYS.foreign), ..client_parts() }),
            All("its own signature does not verify"),
        ),
        (
            "a broken signature",
            client_of(&Parts { corrupt: true, ..client_parts() }),
            All("its own signature does not verify"),
        ),
        (
            "what cannot be read",
            spec(client(), json!({ "request": "bm9uZQ==" })),
            All("its request cannot be read: it is not one certificate request in PEM"),
        ),
        ("denied before", with(&client(), conditions(&["Denied"])), All("it was decided before: Denied (R M)")),
        (
            "approved and denied before",
            with(&client(), conditions(&["Approved", "Denied"])),
            All("it was decided before: Denied (R M)"),
        ),
        ("failed before", with(&client(), conditions(&["Failed"])), All("it was decided before: Failed (R M)")),
    ];
    assert_eq!(table.len(), 57);
    for (what, csr, said) in table {
        let reasons = reasons(decision(&csr)).join("; ");
        let fits = match said {
            All(all) => reasons == all,
            Start(start) => reasons.starts_with(start),
            Part(part) => reasons.contains(part),
        };
        assert!(fits, "{what}: {reasons}");
    }
}
