use serde_json::{Value, json};

use super::*;

fn content(values: &[(&str, &str)], binary: &[(&str, &[u8])]) -> Option<Arc<Content>> {
    Some(Arc::new(Content {
        values: values.iter().map(|(key, value)| ((*key).to_string(), value.as_bytes().to_vec())).collect(),
        binary: binary.iter().map(|(key, value)| ((*key).to_string(), value.to_vec())).collect(),
        type_: String::new(),
    }))
}

fn files(volume: Value) -> Result<Vec<String>, NotStarted> {
    let mut volume = volume;
    volume["name"] = "v".into();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": "p", "namespace": "ns", "labels": { "app": "x" } },
        "spec": { "containers": [{ "name": "c", "resources": { "limits": { "cpu": "250m" } } }] },
    }))
    .unwrap();
    let objects = Known::from([
        ((Kind::ConfigMap, "cm".into()), content(&[("a", "1"), ("b", "2")], &[("raw", b"\xff")])),
        ((Kind::ConfigMap, "gone".into()), None),
        ((Kind::ConfigMap, "evil".into()), content(&[("../../etc/passwd", "x")], &[])),
        ((Kind::Secret, "s".into()), content(&[("key", "k")], &[])),
        ((Kind::Secret, "gone".into()), None),
    ]);
    let tokens =
        HashMap::from([((String::new(), 3607), Arc::from("tok")), (("vault".into(), 3600), Arc::from("vtok"))]);
    let sources = Sources { pod: &pod, node: &Node::default(), objects: &objects, tokens: &tokens };
    let payload = payload(&serde_json::from_value(volume).unwrap(), &sources)?.unwrap();
    let shown = |(path, file): (String, File)| {
        format!("{path} {:o} {}", file.mode, String::from_utf8_lossy(&file.bytes).replace('\u{fffd}', "?"))
    };
    Ok(payload.into_iter().map(shown).collect())
}

#[test]
fn each_kind_of_volume() {
    let table = [
        (json!({ "configMap": { "name": "cm" } }), vec!["a 644 1", "b 644 2", "raw 644 ?"]),
        (
            json!({ "configMap": { "name": "cm", "defaultMode": 0o400, "items": [
                { "key": "b", "path": "deep/er/b.txt" }, { "key": "raw", "path": "r", "mode": 0o777 } ] } }),
            vec!["deep/er/b.txt 400 2", "r 777 ?"],
        ),
        (json!({ "configMap": { "name": "gone", "optional": true } }), vec![]),
        (
            json!({ "configMap": { "name": "cm", "optional": true, "items": [{ "key": "none", "path": "n" }, { "key": "a", "path": "a" }] } }),
            vec!["a 644 1"],
        ),
        (json!({ "secret": { "secretName": "s" } }), vec!["key 600 k"]),
        (json!({ "secret": { "secretName": "s", "defaultMode": 0o644 } }), vec!["key 644 k"]),
        (json!({ "secret": { "secretName": "gone", "optional": true } }), vec![]),
        (
            json!({ "downwardAPI": { "items": [
                { "path": "labels", "fieldRef": { "fieldPath": "metadata.labels" } },
                { "path": "cpu", "mode": 0o440, "resourceFieldRef": { "containerName": "c", "resource": "limits.cpu", "divisor": "1m" } },
            ] } }),
            vec!["cpu 440 250", "labels 644 app=\"x\""],
        ),
        (
            json!({ "projected": { "defaultMode": 0o644, "sources": [
                { "serviceAccountToken": { "path": "token", "expirationSeconds": 3607 } },
                { "configMap": { "name": "cm", "items": [{ "key": "a", "path": "ca.crt" }] } },
                { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": { "fieldPath": "metadata.namespace" } }] } },
            ] } }),
            vec!["ca.crt 644 1", "namespace 644 ns", "token 644 tok"],
        ),
        (
            json!({ "projected": { "sources": [
                { "serviceAccountToken": { "path": "t", "audience": "vault" } },
                { "secret": { "name": "s" } },
                { "configMap": { "name": "gone", "optional": true } },
            ] } }),
            vec!["key 600 k", "t 600 vtok"],
        ),
        (json!({ "projected": {} }), vec![]),
    ];
    for (volume, wanted) in table {
        assert_eq!(files(volume.clone()).unwrap(), wanted, "{volume}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let table = [
        (json!({ "configMap": { "name": "gone" } }), r#"configmap "gone" not found"#),
        (json!({ "secret": { "secretName": "gone" } }), r#"secret "gone" not found"#),
        (json!({ "projected": { "sources": [{ "secret": { "name": "gone" } }] } }), r#"secret "gone" not found"#),
        (
            json!({ "configMap": { "name": "cm", "items": [{ "key": "none", "path": "n" }] } }),
            "references non-existent config key: none",
        ),
        (
            json!({ "secret": { "secretName": "s", "items": [{ "key": "none", "path": "n" }] } }),
            "references non-existent secret key: none",
        ),
        (
            json!({ "configMap": { "name": "cm", "items": [{ "key": "a", "path": "../a" }] } }),
            r#"invalid path: "../a" must not contain empty parts, '.' or '..'"#,
        ),
        (
            json!({ "configMap": { "name": "evil" } }),
            r#"invalid path: "../../etc/passwd" must not contain empty parts, '.' or '..'"#,
        ),
        (
            json!({ "projected": { "sources": [{ "serviceAccountToken": { "path": "t", "audience": "other" } }] } }),
            "failed to fetch token: there is none yet",
        ),
        (
            json!({ "projected": { "sources": [{ "clusterTrustBundle": { "path": "t" } }] } }),
            "a source of this projected volume is not supported on this node",
        ),
        (
            json!({ "downwardAPI": { "items": [{ "path": "x", "resourceFieldRef": { "resource": "limits.cpu" } }] } }),
            "container  not found",
        ),
    ];
    for (volume, wanted) in table {
        assert_eq!(files(volume).unwrap_err(), NotStarted::config(wanted));
    }
}

#[test]
fn others_are_not_filled() {
    let volume: Volume = serde_json::from_value(json!({ "name": "v", "emptyDir": {} })).unwrap();
    let sources =
        Sources { pod: &Pod::default(), node: &Node::default(), objects: &Known::new(), tokens: &HashMap::new() };
    assert_eq!(payload(&volume, &sources), Ok(None));
}

#[test]
fn references_and_tokens_are_found() {
    let volume: Volume = serde_json::from_value(json!({ "name": "v", "projected": { "sources": [
        { "serviceAccountToken": { "path": "t" } },
        { "serviceAccountToken": { "path": "u", "audience": "a", "expirationSeconds": 700 } },
        { "configMap": { "name": "cm" } },
        { "secret": { "name": "s" } },
    ] } }))
    .unwrap();
    assert_eq!(references(&volume), [(Kind::ConfigMap, "cm"), (Kind::Secret, "s")]);
    assert_eq!(token_keys(&volume).collect::<Vec<_>>(), [(String::new(), 3600), ("a".into(), 700)]);
}
