use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use sha2::{Digest, Sha256};

use crate::{Engine, EngineConfig, compile_into};

fn config(folder: &Path) -> EngineConfig {
    EngineConfig { code_cache: Some(folder.to_owned()), ..EngineConfig::default() }
}

fn engine(folder: &Path) -> Engine {
    Engine::new(config(folder)).unwrap()
}

fn wasm(name: &str) -> Vec<u8> {
    wat::parse_str(format!(r#"(module ${name} (func (export "_start") (loop $forever (br $forever))))"#)).unwrap()
}

/// A folder for the cache, not there yet.
fn place() -> (TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("data/code");
    (outer, folder)
}

fn hits(engine: &Engine) -> usize {
    engine.code_cache().unwrap().hits()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
    let mut entries: Vec<_> = paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "code")).collect();
    entries.sort();
    entries
}

/// The one entry.
fn entry(folder: &Path) -> PathBuf {
    let mut entries = entries(folder);
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn a_second_engine_finds_what_the_first_one_compiled() {
    let (_outer, folder) = place();
    let first = engine(&folder);
    let digest = first.compile(&wasm("a")).unwrap().digest().to_owned();
    assert_eq!(hits(&first), 0);
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&entry(&folder)), 0o600);
    assert!(entry(&folder).to_str().unwrap().contains(&digest["sha256:".len()..]));
    drop(first);

    let second = engine(&folder);
    second.compile(&wasm("a")).unwrap();
    assert_eq!(hits(&second), 1);
    second.compile(&wasm("b")).unwrap();
    assert_eq!((hits(&second), entries(&folder).len()), (1, 2));
    // Within one engine too: the first module is not held any more.
    second.compile(&wasm("b")).unwrap();
    assert_eq!((hits(&second), entries(&folder).len()), (2, 2));
}

#[test]
fn what_nobody_uses_goes_when_the_disk_is_full() {
    let (_outer, folder) = place();
    let before = engine(&folder);
    before.compile(&wasm("a")).unwrap();
    drop(before);
    let foreign = folder.join(format!("{}-0123456789abcdef.code", "0".repeat(64)));
    fs::copy(entry(&folder), &foreign).unwrap();
    let engine = engine(&folder);
    let used = engine.compile(&wasm("b")).unwrap();
    for entry in entries(&folder) {
        let file = fs::File::options().write(true).open(entry).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(61)).unwrap();
    }
    engine.compile(&wasm("c")).unwrap();
    engine.reclaim_code();
    let left: Vec<_> = entries(&folder).iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    assert_eq!(left.len(), 2, "that of the program in use, and one that has just come: {left:?}");
    assert!(left.iter().any(|name| name.contains(&used.digest()["sha256:".len()..])), "{left:?}");
}

#[test]
fn components_are_kept_as_well() {
    let (_outer, folder) = place();
    let component = wat::parse_str(crate::program::tests::COMMAND).unwrap();
    engine(&folder).compile(&component).unwrap();
    let second = engine(&folder);
    second.compile(&component).unwrap();
    assert_eq!(hits(&second), 1);
}

#[test]
fn a_damaged_entry_is_never_run_but_dropped_and_made_anew() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("a flipped bit in the code", |bytes| *bytes.last_mut().unwrap() ^= 1),
        ("a flipped bit in the checksum", |bytes| bytes[40] ^= 1),
        ("cut short", |bytes| bytes.truncate(bytes.len() / 2)),
        ("empty", Vec::clear),
        ("something else", |bytes| *bytes = b"\x7fELF".to_vec()),
    ];
    for (name, damage) in damages {
        let (_outer, folder) = place();
        engine(&folder).compile(&wasm("a")).unwrap();
        let path = entry(&folder);
        let sound = fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        damage(&mut bytes);
        assert_ne!(bytes, sound);
        fs::write(&path, bytes).unwrap();

        let second = engine(&folder);
        second.compile(&wasm("a")).unwrap();
        assert_eq!(hits(&second), 0, "{name}");
        assert_eq!(fs::read(entry(&folder)).unwrap(), sound, "{name}: made anew");
        let third = engine(&folder);
        third.compile(&wasm("a")).unwrap();
        assert_eq!(hits(&third), 1, "{name}");
    }
}

#[test]
fn an_entry_that_others_may_write_is_not_taken() {
    let (_outer, folder) = place();
    engine(&folder).compile(&wasm("a")).unwrap();
    fs::set_permissions(entry(&folder), fs::Permissions::from_mode(0o666)).unwrap();
    let second = engine(&folder);
    second.compile(&wasm("a")).unwrap();
    assert_eq!((hits(&second), mode(&entry(&folder))), (0, 0o600));
}

#[test]
fn an_entry_under_another_programs_name_is_not_run() {
    let (_outer, folder) = place();
    let first = engine(&folder);
    first.compile(&wasm("a")).unwrap();
    let a = entry(&folder);
    first.compile(&wasm("b")).unwrap();
    let b = entries(&folder).into_iter().find(|path| *path != a).unwrap();
    fs::copy(&a, &b).unwrap();
    let second = engine(&folder);
    second.compile(&wasm("b")).unwrap();
    assert_eq!(hits(&second), 0);
}

#[test]
fn another_engines_entry_is_not_taken() {
    let (_outer, folder) = place();
    engine(&folder).compile(&wasm("a")).unwrap();
    let other = Engine::unlike(config(&folder));
    other.compile(&wasm("a")).unwrap();
    assert_eq!((hits(&other), entries(&folder).len()), (0, 2));
    for engine in [engine(&folder), Engine::unlike(config(&folder))] {
        engine.compile(&wasm("a")).unwrap();
        assert_eq!(hits(&engine), 1);
    }
}

#[test]
fn many_programs_at_once_in_two_engines_do_not_get_into_each_others_way() {
    const PROGRAMS: usize = 6;
    let (_outer, folder) = place();
    let engines = [engine(&folder), engine(&folder)];
    std::thread::scope(|scope| {
        for engine in &engines {
            for index in 0..PROGRAMS {
                scope.spawn(move || engine.compile(&wasm(&format!("p{index}"))).unwrap());
            }
        }
    });
    assert_eq!(entries(&folder).len(), PROGRAMS);
    let third = engine(&folder);
    std::thread::scope(|scope| {
        for index in 0..PROGRAMS {
            let third = &third;
            scope.spawn(move || third.compile(&wasm(&format!("p{index}"))).unwrap());
        }
    });
    assert_eq!(hits(&third), PROGRAMS);
}

#[test]
fn nothing_is_left_but_entries() {
    let (_outer, folder) = place();
    fs::create_dir_all(folder.join("scratch-of-one-that-was-killed/modules")).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(folder.join("new-half-written"), b"half").unwrap();
    for name in ["a", "b", "a"] {
        engine(&folder).compile(&wasm(name)).unwrap();
    }
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|item| item.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(entries(&folder).len(), 2);
}

#[test]
fn an_invalid_program_leaves_no_entry() {
    let (_outer, folder) = place();
    let sound = wasm("a");
    assert!(engine(&folder).compile(&sound[..sound.len() - 1]).is_err());
    assert_eq!(entries(&folder).len(), 0);
}

/// Takes what is logged on this thread while `work` runs.
fn logged(work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn without_a_usable_folder_all_works_after_one_warning() {
    let outer = tempfile::tempdir().unwrap();
    let file = outer.path().join("file");
    fs::write(&file, b"").unwrap();
    let shared = outer.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let cases = [
        (file.join("below"), "Not a directory"),
        (file, "File exists"),
        (shared, "others than the owner may use the folder"),
        // Nobody may write there, not even root.
        ("/proc/krustlet-code".into(), "No such file or directory"),
    ];
    for (folder, expected) in cases {
        let log = logged(|| {
            let engine = engine(&folder);
            assert!(engine.code_cache().is_none());
            engine.compile(&wasm("a")).unwrap();
            engine.compile(&wasm("b")).unwrap();
        });
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("compiled code cannot be kept on disk") && log.contains(expected), "{log}");
    }
}

#[test]
fn a_folder_that_vanishes_costs_the_cache_and_one_warning() {
    let (_outer, folder) = place();
    let log = logged(|| {
        let engine = engine(&folder);
        fs::remove_dir_all(&folder).unwrap();
        // A file in its place: nothing can be made there again.
        fs::write(&folder, b"").unwrap();
        for name in ["a", "b", "c"] {
            engine.compile(&wasm(name)).unwrap();
        }
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("compiled code cannot be kept on disk; this is said once"), "{log}");
}

#[test]
fn what_another_process_compiled_is_adopted_and_loaded_without_compiling() {
    let (outer, folder) = place();
    let other = outer.path().join("data/other");
    let engine = engine(&folder);
    let digest = format!("sha256:{}", crate::module::hex(&Sha256::digest(wasm("a"))));
    assert!(engine.load(&wasm("a")).unwrap().is_none());
    engine.adopt(&other, &digest).unwrap_err();
    compile_into(&other, &wasm("a")).unwrap();
    engine.adopt(&other, &digest).unwrap();
    let module = engine.load(&wasm("a")).unwrap().unwrap();
    assert_eq!((module.digest(), hits(&engine), entries(&other).len()), (digest.as_str(), 1, 0));
    assert!(engine.load(&wasm("b")).unwrap().is_none());
    compile_into(&other, b"text").unwrap_err();
}

#[test]
fn machine_code_that_cannot_be_left_is_an_error() {
    let error = compile_into(Path::new("/proc/krustlet-code"), &wasm("a")).unwrap_err();
    assert!(matches!(error, crate::RuntimeError::Engine(_)), "{error}");
}
