//! Compiling by a real process: this test program, in the place of the agent.

use std::time::Instant;

use krustlet_runtime::EngineConfig;
use tokio::time::sleep;

use super::*;

const CHILD: &str = "KRUSTLET_TEST_COMPILES";

/// Not a test but the process that compiles, when it is started so.
#[test]
fn as_the_child() {
    if std::env::var_os(CHILD).is_some() {
        assert_eq!(child::main(), std::process::ExitCode::SUCCESS);
    }
}

fn launcher() -> Launcher {
    Launcher {
        program: std::env::current_exe().unwrap(),
        args: ["--exact", "compile::tests::as_the_child"].map(Into::into).into(),
        env: vec![(CHILD.into(), "1".into())],
    }
}

struct Place {
    root: tempfile::TempDir,
    compiler: Compiler,
    engine: Engine,
}

const LIMITS: CompileLimits = CompileLimits { at_once: 2, timeout: Duration::from_secs(60), memory_bytes: 2 << 30 };

impl Place {
    fn new(limits: CompileLimits) -> Self {
        Self::at(tempfile::tempdir().unwrap(), limits)
    }

    fn at(root: tempfile::TempDir, limits: CompileLimits) -> Self {
        let code_cache = Some(root.path().join("code"));
        let engine = Engine::new(EngineConfig { code_cache, ..EngineConfig::default() }).unwrap();
        let compiler = Compiler::new(engine.clone(), root.path(), limits, launcher());
        Self { root, compiler, engine }
    }

    fn write(&self, wasm: &[u8]) -> (PathBuf, String) {
        let digest = format!("sha256:{}", super::super::store::hex_sha256(wasm));
        let path = self.root.path().join(&digest[7..]);
        // One that is there may be being read by a child.
        if !path.exists() {
            std::fs::write(&path, wasm).unwrap();
        }
        (path, digest)
    }

    async fn compile(&self, tenant: &str, wasm: &[u8]) -> Result<Option<Module>, NotStarted> {
        let (file, digest) = self.write(wasm);
        self.compiler.compile(Wanted { tenant, file: &file, digest: &digest }, || ()).await
    }

    fn children(&self) -> usize {
        let folder = self.root.path().join("compiling");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

fn small(name: &str) -> Vec<u8> {
    wat::parse_str(format!(r#"(module ${name} (func (export "_start")))"#)).unwrap()
}

/// Takes the compiler minutes: functions of hundreds of kilobytes each, in which everything is alive until the end.
fn bomb(seed: usize) -> Vec<u8> {
    use std::fmt::Write;
    let mut text = format!("(module (memory 1) (func (export \"_start\") (drop (i32.const {seed})))");
    for _ in 0..4 {
        text.push_str("(func (param i32) (result i32) (local i32 i32 i32 i32) ");
        for n in 0..20_000 {
            write!(text, "(if (i32.load (i32.add (local.get 0) (i32.const {n}))) (then (local.set {} (i32.mul (local.get {}) (local.get {})))))", 1 + n % 4, n % 5, (n + 2) % 5).unwrap();
        }
        text.push_str("(local.get 1))");
    }
    text.push(')');
    wat::parse_str(text).unwrap()
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_is_compiled_apart_and_loaded_here() {
    let place = Place::new(LIMITS);
    assert!(place.compile("a", &small("a")).await.unwrap().is_none());
    assert!(place.engine.load(&small("a")).unwrap().is_some());
    assert_eq!((place.children(), count(&place.compiler.outcomes().done)), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_program_is_said_once_and_remembered() {
    let place = Place::new(LIMITS);
    let library = wat::parse_str("(module)").unwrap();
    let first = place.compile("a", &library).await.unwrap_err();
    assert!(first.reason == Reason::StartError && first.message.contains("_start"), "{first}");
    let again = Place::at(place.root, LIMITS);
    assert_eq!(again.compile("b", &library).await.unwrap_err().to_string(), first.to_string());
    assert_eq!(count(&again.compiler.outcomes().unusable), 0, "it was not tried again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_or_too_much_is_ended_and_remembered() {
    for (limits, words) in [
        (CompileLimits { timeout: Duration::from_secs(1), ..LIMITS }, "longer than 1 s"),
        (CompileLimits { memory_bytes: 400 << 20, ..LIMITS }, "more than 400 MiB"),
    ] {
        let place = Place::new(limits);
        let bomb = bomb(0);
        let first = place.compile("a", &bomb).await.unwrap_err();
        assert!(first.reason == Reason::CreateContainerError && first.message.contains(words), "{first}");
        let start = Instant::now();
        assert_eq!(place.compile("b", &bomb).await.unwrap_err().to_string(), first.to_string());
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        assert_eq!(count(&place.compiler.outcomes().over_limit), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_of_bombs_does_not_keep_others_and_nobody_who_has_gone_is_worked_for() {
    let place = Arc::new(Place::new(LIMITS));
    let bombs: Vec<_> = (0..4).map(bomb).collect();
    let tasks: Vec<_> = bombs
        .into_iter()
        .map(|bomb| {
            let place = place.clone();
            tokio::spawn(async move { place.compile("hostile", &bomb).await })
        })
        .collect();
    while place.compiler.load() != (1, 3) {
        sleep(Duration::from_millis(10)).await;
    }
    let start = Instant::now();
    place.compile("friendly", &small("b")).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    for task in &tasks {
        task.abort();
    }
    let start = Instant::now();
    while place.compiler.load() != (0, 0) || place.children() > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "they go on");
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(count(&place.compiler.outcomes().abandoned), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_outlives_the_one_who_asked_first() {
    let place = Arc::new(Place::new(CompileLimits { timeout: Duration::from_secs(4), ..LIMITS }));
    let wasm = bomb(0);
    let ask = |place: Arc<Place>, wasm: Vec<u8>| tokio::spawn(async move { place.compile("a", &wasm).await });
    let first = ask(place.clone(), wasm.clone());
    while place.compiler.load() != (1, 0) {
        sleep(Duration::from_millis(10)).await;
    }
    first.abort();
    let second = ask(place.clone(), wasm);
    let error = second.await.unwrap().unwrap_err();
    assert_eq!(error.reason, Reason::CreateContainerError, "{error}");
    assert_eq!((count(&place.compiler.outcomes().over_limit), count(&place.compiler.outcomes().abandoned)), (1, 0));
}

#[tokio::test]
async fn a_host_that_cannot_is_no_fault_of_the_modules() {
    let mut place = Place::new(LIMITS);
    let launcher = Launcher { program: "/no/such/program".into(), ..launcher() };
    place.compiler = Compiler::new(place.engine.clone(), place.root.path(), LIMITS, launcher);
    for tries in 1..3 {
        let error = place.compile("a", &small("a")).await.unwrap_err();
        assert!(error.reason == Reason::CreateContainerError && error.message.contains("No such file"), "{error}");
        assert_eq!(count(&place.compiler.outcomes().failed), tries, "it is tried each time");
    }
}
