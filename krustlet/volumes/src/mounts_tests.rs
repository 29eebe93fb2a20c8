use std::os::unix::fs::{PermissionsExt, symlink};

use k8s_openapi::api::core::v1::EmptyDirVolumeSource;
use krustlet_core::lifecycle::not_started::Reason;
use krustlet_core::volumes::{File, Payload};
use rustix::io::Errno;
use serde_json::{Value, json};

use super::super::Own;
use super::super::writer;
use super::*;

fn container(mounts: Value) -> Container {
    serde_json::from_value(json!({ "name": "c", "volumeMounts": mounts })).unwrap()
}

fn volumes(host: &Path) -> Vec<Volume> {
    let volumes = json!([
        { "name": "cm", "configMap": { "name": "x" } },
        { "name": "token", "projected": { "sources": [] } },
        { "name": "scratch", "emptyDir": {} },
        { "name": "host", "hostPath": { "path": host } },
        { "name": "circle", "hostPath": { "path": host.join("circle") } },
        { "name": "depth", "hostPath": { "path": host.join("d/".repeat(129)) } },
        { "name": "length", "hostPath": { "path": host.join("n".repeat(300)) } },
    ]);
    serde_json::from_value(volumes).unwrap()
}

struct Pod {
    folder: tempfile::TempDir,
}

impl Pod {
    /// A pod whose config map holds `a`, `b` and `deep/c`, with an empty emptyDir, and a folder of the host.
    fn new() -> Self {
        let pod = Self { folder: tempfile::tempdir().unwrap() };
        let file = |text: &str, mode| File { mode, bytes: text.as_bytes().to_vec() };
        let files = [("a", file("1", 0o640)), ("b", file("2", 0o644)), ("deep/c", file("3", 0o644))];
        let payload: Payload = files.into_iter().map(|(path, file)| (path.to_string(), file)).collect();
        writer::write(&pod.root().join("cm"), &payload).unwrap();
        writer::write(&pod.root().join("token"), &Payload::new()).unwrap();
        fs::create_dir(pod.root().join("scratch")).unwrap();
        fs::create_dir(pod.host()).unwrap();
        pod
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("volumes")
    }

    fn host(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("host")
    }

    fn mounted(&self, mounts: Value) -> Result<Mounted, NotStarted> {
        let container = container(mounts);
        let environment = vec![("POD".to_string(), "p-1".to_string()), ("EMPTY".to_string(), String::new())];
        let wanted = wanted(&container, &volumes(&self.host()), &environment)?;
        let own = Own { data_dir: self.root(), files: Vec::new() };
        let allowed = HostPaths::open(&[self.host()], own).unwrap();
        lay_out(&self.root(), &container, &wanted, &allowed)
    }
}

fn listed(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn whole_volumes() {
    let pod = Pod::new();
    let mounted = pod
        .mounted(json!([
            { "name": "cm", "mountPath": "/etc/app/" },
            { "name": "scratch", "mountPath": "/tmp" },
            { "name": "scratch", "mountPath": "/look", "readOnly": true },
            { "name": "token", "mountPath": "var/run" },
        ]))
        .unwrap();
    let mount =
        |volume: &str, guest: &str, read_only| Mount { host: pod.root().join(volume), guest: guest.into(), read_only };
    let wanted = [
        mount("cm", "/etc/app", true),
        mount("scratch", "/tmp", false),
        mount("scratch", "/look", true),
        mount("token", "/var/run", true),
    ];
    assert_eq!(mounted.mounts, wanted);
}

#[test]
fn a_folder_of_the_host() {
    let pod = Pod::new();
    let mounted = pod
        .mounted(json!([
            { "name": "host", "mountPath": "/h", "readOnly": true },
            { "name": "host", "mountPath": "/part", "subPath": "new/er" },
        ]))
        .unwrap();
    assert_eq!((mounted.mounts[0].guest.as_str(), mounted.mounts[0].read_only), ("/h", true));
    assert_eq!(fs::canonicalize(&mounted.mounts[0].host).unwrap(), pod.host());
    assert_eq!(fs::canonicalize(&mounted.mounts[1].host).unwrap(), pod.host().join("new/er"));
    assert_eq!((mounted.mounts[1].read_only, mounted.held.len()), (false, 2));
}

#[test]
fn parts_of_shared_volumes_are_the_real_thing() {
    let pod = Pod::new();
    let scratch = pod.root().join("scratch");
    fs::create_dir(scratch.join("real")).unwrap();
    symlink("real", scratch.join("alias")).unwrap();
    let mounted = pod
        .mounted(json!([
            { "name": "scratch", "mountPath": "/a", "subPathExpr": "logs/$(POD)" },
            { "name": "scratch", "mountPath": "/b", "subPath": "alias" },
        ]))
        .unwrap();
    fs::write(mounted.mounts[0].host.join("file"), "x").unwrap();
    assert_eq!(fs::read(scratch.join("logs/p-1/file")).unwrap(), b"x");
    assert_eq!(fs::metadata(scratch.join("logs/p-1")).unwrap().permissions().mode() & 0o777, 0o700);
    fs::write(mounted.mounts[1].host.join("file"), "y").unwrap();
    assert_eq!(fs::read(scratch.join("real/file")).unwrap(), b"y");
}

#[test]
fn parts_of_filled_volumes_are_copies() {
    let pod = Pod::new();
    let mounts = json!([
        { "name": "cm", "mountPath": "/etc/app/one.conf", "subPath": "a" },
        { "name": "cm", "mountPath": "/etc/app/two.conf", "subPath": "deep/c" },
        { "name": "cm", "mountPath": "/folder", "subPath": "deep" },
        { "name": "cm", "mountPath": "/none", "subPath": "none" },
        { "name": "cm", "mountPath": "/root.conf", "subPath": "b" },
    ]);
    for _ in 0..2 {
        let mounted = pod.mounted(mounts.clone()).unwrap();
        let guests: Vec<&str> = mounted.mounts.iter().map(|mount| mount.guest.as_str()).collect();
        assert_eq!(guests, ["/etc/app", "/folder", "/none", "/"]);
        assert!(
            mounted.mounts.iter().all(|mount| mount.read_only && mount.host.starts_with(pod.root().join(".staged/c")))
        );
        let host = |at: usize| mounted.mounts[at].host.clone();
        assert_eq!(listed(&host(0)), ["one.conf", "two.conf"]);
        assert_eq!(fs::read(host(0).join("one.conf")).unwrap(), b"1");
        assert_eq!(fs::read(host(0).join("two.conf")).unwrap(), b"3");
        assert_eq!(fs::metadata(host(0).join("one.conf")).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(listed(&host(1)), ["c"]);
        assert_eq!((listed(&host(2)), listed(&host(3))), (vec![], vec!["root.conf".to_string()]));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let pod = Pod::new();
    let scratch = pod.root().join("scratch");
    fs::write(scratch.join("file"), "").unwrap();
    symlink("/etc", scratch.join("out")).unwrap();
    symlink("../cm", scratch.join("other")).unwrap();
    for folder in [&scratch, &pod.host()] {
        symlink("circle", folder.join("circle")).unwrap();
    }
    let (depth, length) = ("d/".repeat(129), "n".repeat(300));
    let table = [
        (json!([{ "name": "none", "mountPath": "/x" }]), "volume \"none\" of a volumeMount is not in the pod's spec"),
        (json!([{ "name": "cm", "mountPath": "/x", "mountPropagation": "Bidirectional" }]), "mountPropagation"),
        (json!([{ "name": "cm", "mountPath": "/x", "subPath": "../cm" }]), "must not contain empty parts, '.' or '..'"),
        (json!([{ "name": "cm", "mountPath": "/x", "subPath": "/etc" }]), "must be a relative path"),
        (
            json!([{ "name": "cm", "mountPath": "/x", "subPathExpr": "$(NONE)/$(EMPTY)" }]),
            "missing value for EMPTY, NONE",
        ),
        (json!([{ "name": "scratch", "mountPath": "/x", "subPath": "out" }]), "leads out of its volume"),
        (json!([{ "name": "scratch", "mountPath": "/x", "subPath": "other" }]), "leads out of its volume"),
        (json!([{ "name": "scratch", "mountPath": "/x", "subPath": "out/new" }]), "leads out of its volume"),
        (json!([{ "name": "scratch", "mountPath": "/x", "subPath": "file" }]), "is a file"),
        (
            json!([{ "name": "scratch", "mountPath": "/etc" }, { "name": "cm", "mountPath": "/etc/a", "subPath": "a" }]),
            "needs the folder /etc for itself",
        ),
        (json!([{ "name": "cm", "mountPath": "/", "subPath": "a" }]), "a file cannot be mounted at /"),
        (json!([{ "name": "cm", "mountPath": "/x", "subPath": "a/x" }]), "Not a directory"),
        (json!([{ "name": "cm", "mountPath": format!("/{length}"), "subPath": "a" }]), "File name too long"),
        (json!([{ "name": "scratch", "mountPath": "/x", "subPath": "circle" }]), "Too many levels of symbolic links"),
        (json!([{ "name": "scratch", "mountPath": "/x", "subPath": depth }]), "File name too long"),
        (json!([{ "name": "host", "mountPath": "/x", "subPath": "circle" }]), "Too many levels of symbolic links"),
        (json!([{ "name": "circle", "mountPath": "/x" }]), "Too many levels of symbolic links"),
        (json!([{ "name": "depth", "mountPath": "/x" }]), "File name too long"),
        (json!([{ "name": "length", "mountPath": "/x" }]), "File name too long"),
    ];
    for (mounts, why) in table {
        let NotStarted { reason, message } = pod.mounted(mounts.clone()).unwrap_err();
        assert!(message.contains(why), "{mounts}: {message}");
        assert_eq!(reason, Reason::CreateContainerConfigError, "{mounts}");
    }
    // As before a container is started at all.
    let allowed = HostPaths::open(&[pod.host()], Own { data_dir: pod.root(), files: Vec::new() }).unwrap();
    for volume in volumes(&pod.host()) {
        let Some(source) = volume.host_path.filter(|_| volume.name != "host") else { continue };
        let why = crate::Disk::new(pod.folder.path()).host_path(&source, &allowed).unwrap_err();
        assert_eq!(why.reason, Reason::CreateContainerConfigError, "{}: {why}", volume.name);
    }
}

#[test]
fn where_a_way_leads_is_its_authors_and_all_else_the_hosts() {
    let theirs = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NAMETOOLONG, Errno::ACCESS, Errno::ISDIR];
    let hosts = [Errno::NOSPC, Errno::MFILE, Errno::NFILE, Errno::IO, Errno::ROFS, Errno::DQUOT, Errno::NOMEM];
    for (errnos, reason) in
        [(&theirs[..], Reason::CreateContainerConfigError), (&hosts[..], Reason::CreateContainerError)]
    {
        for errno in errnos {
            assert_eq!(on_way((*errno).into()).reason, reason, "{errno}");
        }
    }
}

#[test]
fn what_the_host_lacks_is_no_fault_of_the_pods() {
    let pod = Pod::new();
    let staged = pod.root().join(STAGED);
    let host = |mounts: Value, why: &str| {
        let NotStarted { reason, message } = pod.mounted(mounts).unwrap_err();
        assert!(reason == Reason::CreateContainerError && message.contains(why), "{reason:?}: {message}");
    };
    // As on a disk that takes no folder more: what leads nowhere is in its place. There is nothing to remove before.
    symlink("none/at/all", &staged).unwrap();
    for sub in ["a", "deep"] {
        host(json!([{ "name": "cm", "mountPath": "/x/y", "subPath": sub }]), ".staged/c/0: File exists");
    }
    fs::remove_file(staged).unwrap();
    fs::remove_dir(pod.root().join("scratch")).unwrap();
    host(json!([{ "name": "scratch", "mountPath": "/x", "subPath": "new" }]), "scratch is not there");

    fs::write(crate::folder_of_all(pod.folder.path()), "").unwrap();
    let mut disk = crate::Disk::new(pod.folder.path());
    let reasons = |why: Result<(), NotStarted>| why.unwrap_err().reason;
    for (name, reason) in [("v", Reason::CreateContainerError), ("../v", Reason::CreateContainerConfigError)] {
        assert_eq!(reasons(disk.fill(name, &Payload::new())), reason, "{name}");
        assert_eq!(reasons(disk.empty_dir(name, &EmptyDirVolumeSource::default())), reason, "{name}");
    }
}
