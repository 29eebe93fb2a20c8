//! Which request is the one of kind's own kubelet?

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::decision::{Decision, Purpose};
use crate::kubelet::{Kubelet, asks_to_serve_as, credential_of, decide_for_kubelet, is_out_of_date};
use crate::request::Request;
use crate::testing::{CN, Name, O, Parts, conditions, dns, ip, new_key, request, with};

const NAME: &str = "wasm-control-plane";
const ADDRESS: &str = "172.18.0.2";
const CREDENTIAL: &str = "authentication.kubernetes.io/credential-id";

fn certificate() -> String {
    CertificateParams::default().self_signed(&new_key()).unwrap().pem()
}

/// A kubelet, and its request.
struct Case {
    kubelet: Kubelet,
    key: KeyPair,
}

impl Case {
    fn new() -> Self {
        crate::install_crypto();
        let kubelet = Kubelet {
            name: NAME.into(),
            address: ADDRESS.into(),
            client_certificates: vec![certificate(), certificate()],
            started_at: Some(crate::testing::LAUNCHED_AT),
        };
        Self { kubelet, key: new_key() }
    }

    fn parts(&self) -> Parts<'_> {
        Parts::new(&self.key, NAME, Some(vec![dns(NAME), ip(ADDRESS)]))
    }

    fn of(&self, parts: &Parts) -> CertificateSigningRequest {
        let spec = json!({
            "username": format!("system:node:{NAME}"),
            "groups": ["system:nodes", "system:authenticated"],
            "extra": { CREDENTIAL: [credential_of(&self.kubelet.client_certificates[1])] },
        });
        filed(&request(&parts.der(), Purpose::Serving, spec), "2026-01-01T00:00:15Z")
    }

    fn own(&self) -> CertificateSigningRequest {
        self.of(&self.parts())
    }

    fn decision(&self, csr: &CertificateSigningRequest) -> Decision {
        decide_for_kubelet(csr, &Request::from_pem(&csr.spec.request.0), &self.kubelet)
    }
}

fn filed(csr: &CertificateSigningRequest, at: &str) -> CertificateSigningRequest {
    with(csr, json!({ "metadata": { "creationTimestamp": at } }))
}

#[test]
fn the_kubelets_own_is_approved_also_when_it_was_filed_in_the_second_of_its_start() {
    let case = Case::new();
    assert_eq!(case.decision(&case.own()), Decision::Approve(Purpose::Serving));
    let at_once = filed(&case.own(), "2026-01-01T00:00:10Z");
    assert_eq!(case.decision(&at_once), Decision::Approve(Purpose::Serving));
    let approved = with(&case.own(), conditions(&["Approved"]));
    assert_eq!(case.decision(&approved), Decision::ApprovedAlready(Purpose::Serving));
}

#[test]
fn all_is_refused_where_no_kubelet_runs_or_none_has_a_client_certificate() {
    let mut case = Case::new();
    let csr = case.own();
    case.kubelet.started_at = None;
    assert!(matches!(case.decision(&csr), Decision::Refuse(..)));
    let mut case = Case::new();
    let csr = case.own();
    case.kubelet.client_certificates = vec![];
    assert!(matches!(case.decision(&csr), Decision::Refuse(..)));
}

#[test]
fn what_is_wrong_in_one_thing_is_refused_for_it() {
    let case = Case::new();
    let spec = |spec: Value| with(&case.own(), json!({ "spec": spec }));
    let named = |names: Option<Vec<Name>>| case.of(&Parts { names, ..case.parts() });
    let of_subject = |subject: &[(&'static str, &str)]| {
        let subject = subject.iter().map(|(id, value)| (*id, (*value).to_string())).collect();
        case.of(&Parts { subject, ..case.parts() })
    };
    let own = credential_of(&case.kubelet.client_certificates[1]);
    let foreign = credential_of(&certificate());
    let user = format!("system:node:{NAME}");
    let (p384, other_key) = (KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(), new_key());
    let early = "the kubelet that runs on wasm-control-plane was started after it was filed";
    let table = [
        ("one by somebody in the node's name: no credential", spec(json!({ "extra": null })), "credential unknown"),
        (
            "one with no such entry",
            with(&spec(json!({ "extra": null })), json!({ "spec": { "extra": {} } })),
            "credential unknown",
        ),
        (
            "one filed with another certificate of that name",
            spec(json!({ "extra": { CREDENTIAL: [foreign] } })),
            ", not with one that the kubelet of wasm-control-plane holds",
        ),
        (
            "one with two credentials",
            spec(json!({ "extra": { CREDENTIAL: [own, foreign] } })),
            "filed with credential X509SHA256=",
        ),
        ("a token's credential", spec(json!({ "extra": { CREDENTIAL: ["JTI=1"] } })), "filed with credential JTI=1"),
        (
            "another node as requester",
            spec(json!({ "username": "system:node:other" })),
            "requester is system:node:other",
        ),
        (
            "an administrator as requester",
            spec(json!({ "username": "kubernetes-admin" })),
            "requester is kubernetes-admin",
        ),
        (
            "an administrator's groups",
            spec(json!({ "groups": ["system:masters", "system:authenticated"] })),
            "requester's groups are system:masters",
        ),
        ("another CN", of_subject(&[(O, "system:nodes"), (CN, "system:node:other")]), "subject is "),
        ("an extra O", of_subject(&[(O, "system:masters"), (O, "system:nodes"), (CN, &user)]), "subject is "),
        ("no O", of_subject(&[(CN, &user)]), "subject is "),
        ("another name beside its own", named(Some(vec![dns(NAME), dns("kubernetes"), ip(ADDRESS)])), "names are "),
        ("a wildcard", named(Some(vec![dns("*"), ip(ADDRESS)])), "names are "),
        ("another address", named(Some(vec![dns(NAME), ip("172.18.0.1")])), "names are "),
        ("two addresses", named(Some(vec![dns(NAME), ip(ADDRESS), ip("10.96.0.1")])), "names are "),
        ("no address", named(Some(vec![dns(NAME)])), "names are "),
        ("no names", named(None), "names are none"),
        ("client auth", spec(json!({ "usages": ["digital signature", "client auth"] })), "usages are "),
        (
            "one usage more",
            spec(json!({ "usages": ["digital signature", "server auth", "client auth"] })),
            "usages are ",
        ),
        ("a key of another curve", case.of(&Parts { key: &p384, ..case.parts() }), "its key is P-384"),
        (
            "a foreign signature",
            case.of(&Parts { signer: Some(&other_key), ..case.parts() }),
            "signature does not verify",
        ),
        ("a broken signature", case.of(&Parts { corrupt: true, ..case.parts() }), "signature does not verify"),
        ("more extensions", case.of(&Parts { extensions: vec!["2.5.29.19"], ..case.parts() }), "it asks for more"),
        (
            "one from before the cluster",
            filed(&case.own(), "2025-12-31T23:59:00Z"),
            "filed at 2025-12-31T23:59:00Z, before",
        ),
        ("one of a kubelet that has been started anew since", filed(&case.own(), "2026-01-01T00:00:09Z"), early),
        ("ten years", spec(json!({ "expirationSeconds": 315_360_000 })), "expirationSeconds"),
        (
            "a client certificate",
            with(&named(None), json!({ "spec": { "signerName": Purpose::Client.signer() } })),
            "handed over no public key",
        ),
        ("what is no request", spec(json!({ "request": "bm9uZQ==" })), "cannot be read"),
        ("one that was denied", with(&case.own(), conditions(&["Denied"])), "it was decided before: Denied"),
    ];
    assert_eq!(table.len(), 29);
    for (what, csr, reason) in table {
        let Decision::Refuse(_, reasons) = case.decision(&csr) else { panic!("{what}: approved") };
        assert!(reasons.join("; ").contains(reason), "{what}: {reasons:?}");
    }
}

#[test]
fn it_is_known_whether_a_request_is_for_a_kubelets_serving_certificate() {
    let case = Case::new();
    let spec = |spec: Value| with(&case.own(), json!({ "spec": spec }));
    let others = Parts { subject: vec![(CN, "system:node:other".into())], ..case.parts() };
    let others = with(&case.of(&others), json!({ "spec": { "username": "system:node:other" } }));
    let table = [
        ("the kubelet's own", case.own(), true),
        ("somebody else's in its name", spec(json!({ "username": "kubernetes-admin" })), true),
        ("one of it that cannot be read", spec(json!({ "request": "bm9uZQ==" })), true),
        ("another node's", others, false),
        ("its client certificate", spec(json!({ "signerName": Purpose::Client.signer() })), false),
    ];
    for (what, csr, asks) in table {
        assert_eq!(asks_to_serve_as(&csr, &Request::from_pem(&csr.spec.request.0), NAME), asks, "{what}");
    }
}

#[test]
fn one_that_the_kubelet_itself_filed_before_it_was_started_anew_is_out_of_date_and_nothing_worse() {
    let case = Case::new();
    let late = |csr: &CertificateSigningRequest| filed(csr, "2026-01-01T00:00:09Z");
    let foreign = new_key();
    let badly_signed = case.of(&Parts { signer: Some(&foreign), ..case.parts() });
    let unknown = with(&late(&case.own()), json!({ "spec": { "extra": { CREDENTIAL: [] } } }));
    let table = [
        (late(&case.own()), true),
        (unknown, false),
        (late(&badly_signed), false),
        (badly_signed, false),
        (case.own(), false),
    ];
    for (csr, out_of_date) in table {
        let decision = case.decision(&csr);
        assert_eq!(is_out_of_date(&decision, &case.kubelet), out_of_date, "{decision:?}");
    }
}
