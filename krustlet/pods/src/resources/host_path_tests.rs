//! Folders of the host as pods get them.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::resources::tests::{Site, pod};

/// What a container's `hostPath` leads to: the names in it. The path is below the site's folder.
async fn listed(site: &Site, path: &str, mount: Value) -> Result<Vec<String>, String> {
    let mut mounts = json!([{ "name": "host", "mountPath": "/host" }]);
    mounts[0].as_object_mut().unwrap().extend(mount.as_object().unwrap().clone());
    let spec = json!({
        "containers": [{ "name": "c", "volumeMounts": mounts }],
        "volumes": [{ "name": "host", "hostPath": { "path": site.at(path) } }],
    });
    let resources = site.resources(pod("p", spec, json!({})));
    resources.mount().await.map_err(|error| error.to_string())?;
    let container = resources.pod().spec.as_ref().unwrap().containers[0].clone();
    let mounted = resources.mounts(&container, &vec![]).await.map_err(|error| error.to_string())?;
    let names = fs::read_dir(&mounted.mounts[0].host).unwrap();
    let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    Ok(names)
}

fn site(allowed: &[&str]) -> Site {
    let site = Site::allowing(allowed);
    fs::create_dir_all(site.at("data/keys")).unwrap();
    fs::write(site.at("data/keys/client.key"), "secret").unwrap();
    site
}

#[tokio::test]
async fn nothing_leads_to_the_agents_own_folder() {
    let site = site(&["share"]);
    fs::create_dir(site.at("data/share")).unwrap();
    symlink(site.at("data/share"), site.at("share")).unwrap();
    let refused = listed(&site, "share", json!({})).await.unwrap_err();
    assert!(refused.contains("share"), "{refused}");
    // The agent started when it led elsewhere.
    fs::remove_file(site.at("share")).unwrap();
    for own in ["data", "data/keys", ""] {
        symlink(site.at(own), site.at("share")).unwrap();
        for (path, mount) in [("share", json!({})), ("share/x", json!({})), ("share", json!({ "subPath": "keys" }))] {
            let listed = listed(&site, path, mount.clone()).await;
            assert!(listed.is_err(), "{own}, {path}, {mount}: {listed:?}");
        }
        fs::remove_file(site.at("share")).unwrap();
    }
}

#[tokio::test]
async fn a_guest_cannot_choose_the_next_allowed_folder() {
    // In both orders, and by a path that does not tell that one is inside the other.
    for allowed in [["a", "a/shared"], ["a/shared", "a"], ["a", "alias/shared"]] {
        let site = site(&allowed);
        fs::create_dir_all(site.at("a/shared/in")).unwrap();
        fs::create_dir_all(site.at("etc/x")).unwrap();
        symlink(site.at("a"), site.at("alias")).unwrap();
        let shared = allowed.iter().max_by_key(|path| path.len()).unwrap();
        assert_eq!(listed(&site, shared, json!({})).await.unwrap(), ["in"], "{allowed:?}");
        // As a guest can that may write to `a`.
        fs::rename(site.at("a/shared"), site.at("a/away")).unwrap();
        symlink("../etc", site.at("a/shared")).unwrap();
        for path in [shared, "etc", "etc/x", "a/shared/x"] {
            let listed = listed(&site, path, json!({})).await;
            assert!(listed.is_err(), "{allowed:?}, {path}: {listed:?}");
        }
        assert_eq!(listed(&site, "a/away", json!({})).await.unwrap(), ["in"], "{allowed:?}");
    }
}
