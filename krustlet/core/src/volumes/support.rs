//! Which volumes and mounts a WebAssembly node cannot provide.

use k8s_openapi::api::core::v1::{KeyToPath, Volume, VolumeMount};
use serde_json::Value;

/// What of a volume this agent cannot do, and why; `None` if it can mount it. For the message of a refusal, after "does not
/// support".
pub fn unsupported_volume(volume: &Volume) -> Option<String> {
    let said = |what: &str| Some(format!("volume {} ({what})", volume.name));
    match kind(volume).as_deref() {
        Some("configMap") => {
            let from = volume.config_map.as_ref()?;
            said(owned(from.default_user, from.items.as_deref())?)
        }
        Some("secret") => {
            let from = volume.secret.as_ref()?;
            said(owned(from.default_user, from.items.as_deref())?)
        }
        Some("downwardAPI") => {
            let items = volume.downward_api.as_ref()?.items.as_deref().unwrap_or_default();
            items.iter().any(|item| item.user.is_some()).then(|| said(USER))?
        }
        Some("projected") => said(projected(volume)?),
        Some("emptyDir") => match volume.empty_dir.as_ref()?.medium.as_deref() {
            None | Some("") => None,
            Some(medium) => said(&format!("emptyDir with medium {medium}: this node keeps it on disk only")),
        },
        Some("hostPath") => match volume.host_path.as_ref()?.type_.as_deref() {
            None | Some("" | "Directory" | "DirectoryOrCreate") => None,
            Some(other) => said(&format!("hostPath of type {other}: a module can be given folders only")),
        },
        Some("persistentVolumeClaim" | "ephemeral") => said("a claim: this node has no storage drivers"),
        Some(other) => said(other),
        None => said("of a type that this node does not know"),
    }
}

/// What of a mount this agent cannot do; `None` if it can.
pub fn unsupported_mount(mount: &VolumeMount) -> Option<String> {
    let said = |what: String| Some(format!("volumeMount {} ({what})", mount.mount_path));
    match mount.mount_propagation.as_deref() {
        None | Some("" | "None") => {}
        Some(other) => return said(format!("mountPropagation {other}: a module shares no mounts with its host")),
    }
    match mount.bind_mount_options.as_deref() {
        None | Some([]) => None,
        Some(options) => said(format!("bindMountOptions {}: folders are not bind-mounted here", options.join(","))),
    }
}

/// Of which type a volume is, by the one field that is set.
fn kind(volume: &Volume) -> Option<String> {
    let Ok(Value::Object(fields)) = serde_json::to_value(volume) else { return None };
    fields.into_iter().map(|(name, _)| name).find(|name| name != "name")
}

const USER: &str = "user: files have no owner inside WebAssembly";

fn owned(default: Option<i64>, items: Option<&[KeyToPath]>) -> Option<&'static str> {
    (default.is_some() || items.unwrap_or_default().iter().any(|item| item.user.is_some())).then_some(USER)
}

fn projected(volume: &Volume) -> Option<&'static str> {
    let projected = volume.projected.as_ref()?;
    if projected.default_user.is_some() {
        return Some(USER);
    }
    projected.sources.iter().flatten().find_map(|source| {
        if source.cluster_trust_bundle.is_some() {
            Some("clusterTrustBundle")
        } else if source.pod_certificate.is_some() {
            Some("podCertificate")
        } else if let Some(from) = &source.config_map {
            owned(None, from.items.as_deref())
        } else if let Some(from) = &source.secret {
            owned(None, from.items.as_deref())
        } else if let Some(from) = &source.downward_api {
            from.items.iter().flatten().any(|item| item.user.is_some()).then_some(USER)
        } else if let Some(from) = &source.service_account_token {
            from.user.map(|_| USER)
        } else {
            Some("projected, with a source that this node does not know")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ask(source: Value) -> Option<String> {
        let mut volume = json!({ "name": "v" });
        volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
        unsupported_volume(&serde_json::from_value(volume).unwrap())
    }

    #[test]
    fn these_can_be_mounted() {
        for source in [
            json!({ "configMap": { "name": "x", "defaultMode": 420, "items": [{ "key": "a", "path": "b" }] } }),
            json!({ "secret": { "secretName": "x" } }),
            json!({ "emptyDir": {} }),
            json!({ "emptyDir": { "medium": "", "sizeLimit": "1Mi" } }),
            json!({ "hostPath": { "path": "/x" } }),
            json!({ "hostPath": { "path": "/x", "type": "DirectoryOrCreate" } }),
            json!({ "downwardAPI": { "items": [{ "path": "x", "fieldRef": { "fieldPath": "metadata.name" } }] } }),
            json!({ "projected": { "sources": [
                { "serviceAccountToken": { "path": "token" } }, { "configMap": { "name": "x" } }, { "secret": { "name": "x" } },
                { "downwardAPI": { "items": [] } } ] } }),
        ] {
            assert_eq!(ask(source.clone()), None, "{source}");
        }
    }

    #[test]
    fn these_cannot() {
        let table = [
            (json!({ "emptyDir": { "medium": "Memory" } }), "emptyDir with medium Memory"),
            (json!({ "emptyDir": { "medium": "HugePages-2Mi" } }), "emptyDir with medium HugePages-2Mi"),
            (json!({ "hostPath": { "path": "/x", "type": "File" } }), "hostPath of type File"),
            (json!({ "hostPath": { "path": "/x", "type": "Socket" } }), "hostPath of type Socket"),
            (json!({ "persistentVolumeClaim": { "claimName": "x" } }), "a claim"),
            (json!({ "ephemeral": {} }), "a claim"),
            (json!({ "nfs": { "server": "s", "path": "/" } }), "nfs"),
            (json!({ "csi": { "driver": "d" } }), "csi"),
            (json!({ "image": { "reference": "r" } }), "image"),
            (json!({}), "of a type that this node does not know"),
            (json!({ "configMap": { "name": "x", "defaultUser": 5 } }), "user"),
            (json!({ "secret": { "secretName": "x", "items": [{ "key": "a", "path": "b", "user": 5 }] } }), "user"),
            (json!({ "projected": { "sources": [{ "serviceAccountToken": { "path": "t", "user": 1 } }] } }), "user"),
            (json!({ "projected": { "sources": [{ "clusterTrustBundle": { "path": "t" } }] } }), "clusterTrustBundle"),
            (
                json!({ "projected": { "sources": [{ "podCertificate": { "signerName": "s", "keyType": "k" } }] } }),
                "podCertificate",
            ),
            (json!({ "projected": { "sources": [{}] } }), "a source that this node does not know"),
        ];
        for (source, what) in table {
            let said = ask(source.clone()).unwrap_or_default();
            assert!(said.starts_with("volume v (") && said.contains(what), "{source}: {said}");
        }
    }

    #[test]
    fn mounts() {
        let ask = |more: Value| {
            let mut mount = json!({ "name": "v", "mountPath": "/m" });
            mount.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            unsupported_mount(&serde_json::from_value(mount).unwrap())
        };
        for fine in [
            json!({}),
            json!({ "readOnly": true, "recursiveReadOnly": "Enabled" }),
            json!({ "mountPropagation": "None", "subPath": "x", "bindMountOptions": [] }),
        ] {
            assert_eq!(ask(fine.clone()), None, "{fine}");
        }
        for (more, what) in [
            (json!({ "mountPropagation": "Bidirectional" }), "mountPropagation Bidirectional"),
            (json!({ "mountPropagation": "HostToContainer" }), "mountPropagation HostToContainer"),
            (json!({ "bindMountOptions": ["noexec"] }), "bindMountOptions noexec"),
        ] {
            assert!(ask(more).unwrap().contains(what));
        }
    }
}
