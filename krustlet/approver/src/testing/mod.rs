//! Certificate requests that are right, and those in which something is wrong.

pub mod api;

use std::fs;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use serde_json::{Value, json};

use crate::decision::{Expectations, Purpose};
use crate::der;
use crate::folder::{Folder, Node};

pub const CN: &str = "2.5.4.3";
pub const O: &str = "2.5.4.10";
const NULL: &[u8] = &[5, 0];

/// 2026-01-01T00:00:10.500Z
pub const LAUNCHED_AT: i64 = 1_767_225_610_500;
/// 2026-01-01T00:00:11Z
const FILED: &str = "2026-01-01T00:00:11Z";

pub struct Keys {
    pub client: KeyPair,
    pub serving: KeyPair,
    pub foreign: KeyPair,
}

pub static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    crate::install_crypto();
    Keys { client: new_key(), serving: new_key(), foreign: new_key() }
});

/// A key as the agent makes it.
pub fn new_key() -> KeyPair {
    KeyPair::generate().unwrap()
}

/// SubjectPublicKeyInfo, DER.
pub fn spki(key: &KeyPair) -> Vec<u8> {
    key.subject_public_key_info()
}

pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        length @ 0..0x80 => vec![length as u8],
        length @ 0x80..0x100 => vec![0x81, length as u8],
        length => vec![0x82, (length >> 8) as u8, length as u8],
    };
    [&[tag], length.as_slice(), content].concat()
}

pub fn seq(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(der::SEQUENCE, &parts.concat())
}

pub fn oid(dots: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dots.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut content = Vec::new();
    for arc in [&[arcs[0] * 40 + arcs[1]], &arcs[2..]].concat() {
        let groups = (1..10).rev().filter(|group| arc >> (7 * group) > 0);
        content.extend(groups.map(|group| (arc >> (7 * group)) as u8 | 0x80));
        content.push(arc as u8 & 0x7f);
    }
    tlv(der::OBJECT_IDENTIFIER, &content)
}

/// A name of a certificate: its tag, and what is in it.
pub type Name = (u8, Vec<u8>);

pub fn dns(name: &str) -> Name {
    (0x82, name.into())
}

pub fn ip(address: &str) -> Name {
    let content = match address.parse().unwrap() {
        std::net::IpAddr::V4(address) => address.octets().to_vec(),
        std::net::IpAddr::V6(address) => address.octets().to_vec(),
    };
    (0x87, content)
}

/// What a PKCS #10 request is made of.
#[derive(Clone)]
pub struct Parts<'a> {
    pub key: &'a KeyPair,
    /// Attribute's object identifier and value.
    pub subject: Vec<(&'a str, String)>,
    pub names: Option<Vec<Name>>,
    /// Signs in place of the key.
    pub signer: Option<&'a KeyPair>,
    /// More extensions: object identifiers, each critical.
    pub extensions: Vec<&'a str>,
    /// More attributes: object identifiers.
    pub attributes: Vec<&'a str>,
    /// Puts a list of names into a second extension request as well.
    pub names_twice: Option<Vec<Name>>,
    /// Breaks the signature's last byte.
    pub corrupt: bool,
}

impl<'a> Parts<'a> {
    pub fn new(key: &'a KeyPair, node: &str, names: Option<Vec<Name>>) -> Self {
        Self {
            key,
            subject: vec![(O, "system:nodes".into()), (CN, format!("system:node:{node}"))],
            names,
            signer: None,
            extensions: vec![],
            attributes: vec![],
            names_twice: None,
            corrupt: false,
        }
    }

    pub fn der(&self) -> Vec<u8> {
        crate::install_crypto();
        let subject: Vec<_> = self
            .subject
            .iter()
            .map(|(id, value)| tlv(der::SET, &seq(&[oid(id), tlv(der::UTF8_STRING, value.as_bytes())])))
            .collect();
        let names = |list: &Vec<Name>| {
            let list: Vec<_> = list.iter().map(|(tag, content)| tlv(*tag, content)).collect();
            seq(&[oid("2.5.29.17"), tlv(der::OCTET_STRING, &seq(&list))])
        };
        let critical = tlv(der::BOOLEAN, &[0xff]);
        let other = |id: &&str| seq(&[oid(id), critical.clone(), tlv(der::OCTET_STRING, NULL)]);
        let attribute = |id: &str, value: &[u8]| seq(&[oid(id), tlv(der::SET, value)]);
        let request = |extensions: &[Vec<u8>]| attribute("1.2.840.113549.1.9.14", &seq(extensions));
        let requested: Vec<_> = self.names.iter().map(names).chain(self.extensions.iter().map(other)).collect();
        let mut attributes = vec![];
        if !requested.is_empty() {
            attributes.push(request(&requested));
        }
        attributes.extend(self.names_twice.iter().map(|list| request(&[names(list)])));
        attributes.extend(self.attributes.iter().map(|id| attribute(id, NULL)));
        let info = seq(&[tlv(der::INTEGER, &[0]), seq(&subject), spki(self.key), tlv(0xa0, &attributes.concat())]);
        let mut signature = self.signer.unwrap_or(self.key).sign(&info).unwrap();
        if self.corrupt {
            *signature.last_mut().unwrap() ^= 1;
        }
        let signature = tlv(der::BIT_STRING, &[&[0], signature.as_slice()].concat());
        seq(&[info, seq(&[oid("1.2.840.10045.4.3.2")]), signature])
    }
}

pub fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", lines.join("\n"))
}

pub fn node() -> Node {
    Node {
        node_name: "krustlet".into(),
        node_ip: "172.18.0.1".into(),
        bootstrap_group: "system:bootstrappers:krustlet-stack:dev".into(),
        certificate_duration_seconds: None,
    }
}

pub fn expected() -> Expectations {
    let Node { node_name, node_ip, bootstrap_group, .. } = node();
    Expectations {
        node_name,
        node_ip,
        bootstrap_group,
        bootstrap_username: Some("system:bootstrap:abc123".into()),
        client_key: Some(spki(&KEYS.client)),
        serving_key: Some(spki(&KEYS.serving)),
        launched_at: Some(LAUNCHED_AT),
        duration_seconds: None,
        node_taken: false,
    }
}

pub fn client_parts() -> Parts<'static> {
    Parts::new(&KEYS.client, "krustlet", None)
}

pub fn serving_names() -> Vec<Name> {
    vec![dns("krustlet"), ip("172.18.0.1")]
}

pub fn serving_parts() -> Parts<'static> {
    Parts::new(&KEYS.serving, "krustlet", Some(serving_names()))
}

/// A request with that content, and more of `spec`.
pub fn request(der: &[u8], purpose: Purpose, spec: Value) -> CertificateSigningRequest {
    let usage = if purpose == Purpose::Client { "client auth" } else { "server auth" };
    let mut object = json!({
        "metadata": { "name": "csr", "creationTimestamp": FILED, "resourceVersion": "1" },
        "spec": {
            "request": ByteString(pem(der).into_bytes()),
            "signerName": purpose.signer(),
            "usages": ["digital signature", usage],
        },
    });
    merge(&mut object["spec"], spec);
    serde_json::from_value(object).unwrap()
}

/// The same with something else in it: `{ "spec": { "username": "eve" } }`; `null` takes out.
pub fn with(csr: &CertificateSigningRequest, change: Value) -> CertificateSigningRequest {
    let mut object = serde_json::to_value(csr).unwrap();
    merge(&mut object, change);
    serde_json::from_value(object).unwrap()
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

/// The first request of a node, by its bootstrap token.
pub fn client_of(parts: &Parts) -> CertificateSigningRequest {
    let groups = ["system:bootstrappers", "system:bootstrappers:krustlet-stack:dev", "system:authenticated"];
    request(&parts.der(), Purpose::Client, json!({ "username": "system:bootstrap:abc123", "groups": groups }))
}

pub fn as_node() -> Value {
    json!({ "username": "system:node:krustlet", "groups": ["system:nodes", "system:authenticated"] })
}

pub fn serving_of(parts: &Parts) -> CertificateSigningRequest {
    request(&parts.der(), Purpose::Serving, as_node())
}

/// What the node asks for when it renews its client certificate: as itself.
pub fn renewal_of(parts: &Parts) -> CertificateSigningRequest {
    request(&parts.der(), Purpose::Client, as_node())
}

pub fn client() -> CertificateSigningRequest {
    client_of(&client_parts())
}

pub fn serving() -> CertificateSigningRequest {
    serving_of(&serving_parts())
}

pub fn renewal() -> CertificateSigningRequest {
    renewal_of(&client_parts())
}

/// `{ "status": … }` with a condition of each kind.
pub fn conditions(kinds: &[&str]) -> Value {
    let one = |kind: &&str| json!({ "type": kind, "status": "True", "reason": "R", "message": "M" });
    json!({ "status": { "conditions": kinds.iter().map(one).collect::<Vec<_>>() } })
}

/// A token as a ServiceAccount gets it, with a name to know it by. Its life in seconds since 1970.
pub fn token(name: &str, issued: i64, expires: i64) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{name}", part(json!({ "alg": "none" })), part(json!({ "iat": issued, "exp": expires })))
}

/// Puts into a node's folder what its agent leaves there.
pub fn put_agent(folder: &Folder) {
    fs::create_dir_all(folder.0.join("data/keys")).unwrap();
    for (name, key) in [("client", &KEYS.client), ("serving", &KEYS.serving)] {
        fs::write(folder.0.join(format!("data/keys/{name}.pub")), key.public_key_pem()).unwrap();
    }
    let bootstrap = folder.0.join("bootstrap.kubeconfig");
    let users = json!({ "users": [{ "user": { "token": "abc123.0123456789abcdef" } }] });
    fs::write(&bootstrap, users.to_string()).unwrap();
    let record = json!({ "pid": 1, "startTime": "1", "launchedAt": LAUNCHED_AT, "bootstrapFile": bootstrap });
    fs::write(folder.0.join("agent.pid"), record.to_string()).unwrap();
}
