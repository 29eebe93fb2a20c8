use super::*;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn digest(c: char) -> String {
    format!("sha256:{}", c.to_string().repeat(64))
}

/// Keeps bytes as a module, and names for it.
fn put(store: &Store, bytes: &[u8], manifest: char, names: &[&str]) -> Stored {
    let mut incoming = store.incoming().unwrap();
    incoming.file.write_all(bytes).unwrap();
    let stored = Stored { digest: digest(manifest), blob: format!("sha256:{}", hex_sha256(bytes)) };
    store.keep(incoming, &stored.blob).unwrap();
    for name in names {
        store.remember(&name.parse().unwrap(), &stored, "").unwrap();
    }
    stored
}

fn stored(store: &Store, name: &str) -> Option<Stored> {
    store.stored(&name.parse().unwrap(), "")
}

fn count(root: &Path, folder: &str) -> usize {
    fs::read_dir(root.join(".oci").join(folder)).map_or(0, Iterator::count)
}

#[test]
fn names_of_the_same_bytes_are_one_file_and_all_is_known_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    let one = put(&store, b"module", 'a', &["r.io/a:v1", "r.io/a:v2"]);
    let two = put(&store, b"module", 'b', &["r.io/b:v1"]);
    for store in [store, Store::open(root.path())] {
        assert_eq!(stored(&store, "r.io/a:v1"), Some(one.clone()));
        assert_eq!(stored(&store, "r.io/a:v2"), Some(one.clone()));
        assert_eq!(stored(&store, "r.io/b:v1"), Some(two.clone()));
        assert_eq!(stored(&store, "r.io/b:v2"), None);
        assert_eq!(store.load(&one.blob).unwrap().unwrap(), b"module");
        let (a, b) = (digest('a'), digest('b'));
        let names =
            [format!("r.io/a@{a}"), format!("r.io/b@{b}"), "r.io/a:v1".into(), "r.io/a:v2".into(), "r.io/b:v1".into()];
        assert_eq!(store.inventory(), [StoredImage { names: names.into(), size_bytes: 6 }]);
    }
    assert_eq!(count(root.path(), "blobs/sha256"), 1);
    assert_eq!(count(root.path(), "incoming"), 0);
}

#[test]
fn a_digest_counts_where_it_was_found() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    let module = put(&store, b"module", 'a', &["r.io/a:v1"]);
    let here = format!("r.io/a@{}", digest('a'));
    assert_eq!(stored(&store, &here), Some(module.clone()));
    assert_eq!(stored(&store, &format!("r.io/b@{}", digest('a'))), None);
    assert_eq!(stored(&store, &format!("r.io/a:v9@{}", digest('a'))), Some(module), "a digest wins over a tag");
    assert_eq!(stored(&store, &format!("r.io/a@{}", digest('c'))), None);
}

#[test]
fn what_a_registry_gave_to_one_credential_is_for_that_one() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    let module = put(&store, b"module", 'a', &[]);
    let [a, b] = ["r.io/a:v1", "r.io/b:v1"].map(|name| name.parse::<Reference>().unwrap());
    store.remember(&a, &module, "mine").unwrap();
    store.remember(&b, &module, "yours").unwrap();
    for store in [store, Store::open(root.path())] {
        let table =
            [(&a, "mine", true), (&a, "yours", false), (&a, "", false), (&b, "mine", false), (&b, "yours", true)];
        for (name, credential, expected) in table {
            assert_eq!(store.stored(name, credential).is_some(), expected, "{name} {credential:?}");
        }
        assert!(store.came_from("r.io", &module.blob) && !store.came_from("r.i", &module.blob));
        assert!(store.found(&a, &module.digest).is_some());
        assert!(store.found(&"r.io/c:v1".parse().unwrap(), &module.digest).is_none());
    }
    // What the node itself may have all may.
    let store = Store::open(root.path());
    store.remember(&a, &module, "").unwrap();
    assert!(store.stored(&a, "yours").is_some() && store.stored(&a, "").is_some());
    // Of those that come and go the last ones are known.
    for at in 0..300 {
        store.remember(&b, &module, &at.to_string()).unwrap();
    }
    assert!(
        store.stored(&b, "yours").is_none() && store.stored(&b, "150").is_none() && store.stored(&b, "250").is_some()
    );
}

#[test]
fn names_can_move_and_the_old_module_keeps_its_digest() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    let old = put(&store, b"old", 'a', &["r.io/a:v1"]);
    let new = put(&store, b"newer", 'b', &["r.io/a:v1"]);
    assert_eq!(stored(&store, "r.io/a:v1"), Some(new));
    assert_eq!(stored(&store, &format!("r.io/a@{}", digest('a'))), Some(old));
    let names: Vec<_> = store.inventory().into_iter().map(|image| (image.names, image.size_bytes)).collect();
    let expected = [
        (vec![format!("r.io/a@{}", digest('b')), "r.io/a:v1".into()], 5),
        (vec![format!("r.io/a@{}", digest('a'))], 3),
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_damaged_or_missing_file_counts_as_absent() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    for damage in [Some(&b"evil"[..]), Some(b""), None] {
        let module = put(&store, b"module", 'a', &["r.io/a:v1"]);
        let path = store.blob(&module.blob).unwrap();
        match damage {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        assert_eq!(store.load(&module.blob).unwrap(), None, "{damage:?}");
        assert!(!path.exists());
        assert_eq!(stored(&store, "r.io/a:v1"), None);
        assert_eq!(store.inventory(), []);
    }
}

#[test]
fn files_and_folders_are_private() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    let module = put(&store, b"module", 'a', &["r.io/a:v1"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let blob = store.blob(&module.blob).unwrap();
    let manifest = store.manifest(&module.digest).unwrap();
    for file in [&blob, &manifest, &store.name("r.io/a:v1")] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }
    let incoming = store.incoming().unwrap();
    assert_eq!(mode(&incoming.path), 0o600);
    assert_eq!(mode(incoming.path.parent().unwrap()), 0o700);
}

#[test]
fn what_was_never_finished_is_gone_at_once_or_at_the_next_start() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    put(&store, b"module", 'a', &["r.io/a:v1"]);
    drop(store.incoming().unwrap());
    assert_eq!(count(root.path(), "incoming"), 0, "given up");

    // As a killed agent leaves it.
    std::mem::forget(store.incoming().unwrap());
    for folder in ["blobs/sha256", "manifests", "names"] {
        fs::write(root.path().join(".oci").join(folder).join(".x.json.1.2"), "half").unwrap();
    }
    assert_eq!(count(root.path(), "incoming"), 1);
    let store = Store::open(root.path());
    for (folder, left) in [("incoming", 0), ("blobs/sha256", 1), ("manifests", 1), ("names", 1)] {
        assert_eq!(count(root.path(), folder), left, "{folder}");
    }
    assert!(stored(&store, "r.io/a:v1").is_some());
}

#[test]
fn what_is_not_ours_or_unreadable_counts_as_absent() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    put(&store, b"module", 'a', &["r.io/a:v1"]);
    fs::write(root.path().join(".oci/blobs/sha256/README"), "?").unwrap();
    fs::write(root.path().join(".oci/names/x.json"), "{ no").unwrap();
    fs::write(store.manifest(&digest('a')).unwrap(), r#"{"blob":"abc"}"#).unwrap();
    let store = Store::open(root.path());
    assert_eq!(stored(&store, "r.io/a:v1"), None);
    assert_eq!(store.inventory(), []);
}

#[test]
fn a_digest_cannot_leave_the_store() {
    let store = Store::open(Path::new("/nowhere"));
    for bad in ["sha256:../../etc/passwd", "sha512:00", "", "sha256:zz"] {
        assert!(store.load(bad).is_err(), "{bad}");
        assert!(store.blob(bad).is_err() && store.manifest(bad).is_err(), "{bad}");
    }
}

#[test]
fn unused_modules_go_with_their_names_and_used_ones_stay() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    let limits = Limits { max_age: HOUR, max_bytes: 1000 };
    let used = put(&store, b"used", 'a', &["r.io/a:v1"]);
    let unused = put(&store, b"unused", 'b', &["r.io/b:v1", "r.io/b:v2"]);
    let held = store.hold(&used.blob);
    let second = held.clone();
    let later = SystemTime::now() + 2 * HOUR;
    assert_eq!(store.collect(&limits, SystemTime::now()).unwrap(), (0, 0));
    assert_eq!(store.collect(&limits, later).unwrap(), (1, 6));
    assert_eq!(stored(&store, "r.io/a:v1"), Some(used.clone()));
    assert_eq!(stored(&store, "r.io/b:v1"), None);
    assert_eq!(store.load(&unused.blob).unwrap(), None);
    for folder in ["blobs/sha256", "manifests", "names"] {
        assert_eq!(count(root.path(), folder), 1, "{folder}");
    }
    drop(held);
    assert_eq!(store.collect(&limits, later + 2 * HOUR).unwrap(), (0, 0), "the other guard still lives");
    drop(second);
    assert_eq!(store.collect(&limits, SystemTime::now() + 2 * HOUR).unwrap(), (1, 4));
    assert_eq!(store.inventory(), []);
}

#[test]
fn the_time_of_the_last_use_outlives_the_agent() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    let limits = Limits { max_age: HOUR, max_bytes: 1000 };
    let old = put(&store, b"old", 'a', &["r.io/a:v1"]);
    let new = put(&store, b"new", 'b', &["r.io/b:v1"]);
    let path = |module: &Stored| store.blob(&module.blob).unwrap();
    let long_ago = SystemTime::now() - 3 * HOUR;
    for module in [&old, &new] {
        File::open(path(module)).unwrap().set_modified(long_ago).unwrap();
    }
    // One was in use when the agent was killed: the last tidying up wrote so.
    let store = Store::open(root.path());
    std::mem::forget(store.hold(&new.blob));
    store.collect(&Limits::default(), SystemTime::now()).unwrap();
    let store = Store::open(root.path());
    assert_eq!(store.collect(&limits, SystemTime::now()).unwrap(), (1, 3));
    assert_eq!(stored(&store, "r.io/a:v1"), None);
    assert_eq!(stored(&store, "r.io/b:v1"), Some(new.clone()));

    // The other way that a use ends.
    File::open(store.blob(&new.blob).unwrap()).unwrap().set_modified(long_ago).unwrap();
    let store = Store::open(root.path());
    drop(store.hold(&new.blob));
    let store = Store::open(root.path());
    assert_eq!(store.collect(&limits, SystemTime::now()).unwrap(), (0, 0));
}
