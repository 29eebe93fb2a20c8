//! The repository's own workloads, built as their users build them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::serve::{Served, ask, request, told};
use crate::support::{built, engine, exited, run, stopped};
use krustlet_runtime::{ServerLimits, Stream};

/// Builds the program `workloads/<name>` from a copy in `place`, so that nothing of the checkout's own path can matter.
fn build(name: &str, place: &str) -> Vec<u8> {
    build_for("wasm32-wasip1", name, "main.rs", place)
}

fn build_for(triple: &str, name: &str, root: &str, place: &str) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads").join(name);
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(place).join(name);
    std::fs::create_dir_all(copy.join("src")).unwrap();
    for file in ["Cargo.toml", "Cargo.lock", &format!("src/{root}")] {
        std::fs::copy(source.join(file), copy.join(file)).unwrap();
    }
    let target: PathBuf = copy.join("target");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    built(
        Command::new(cargo)
            .args(["build", "--release", "--target", triple, "--locked"])
            .current_dir(&copy)
            .env("CARGO_TARGET_DIR", &target),
    );
    let file = if root == "lib.rs" { name.replace('-', "_") } else { name.to_owned() };
    std::fs::read(target.join(format!("{triple}/release/{file}.wasm"))).unwrap()
}

#[tokio::test]
async fn hello_world_prints_its_line_and_is_the_same_from_every_folder() {
    let wasm = build("hello-world", "one");
    assert!(wasm == build("hello-world", "an/other"), "two builds of one source differ");
    let (container, sink) = run(&engine(), &wasm, |_| {});
    assert_eq!(container.wait().await, exited(0));
    assert_eq!(sink.text(), "Hello, World!\n");
    assert!(sink.writes().iter().all(|(stream, _)| *stream == Stream::Stdout));
}

#[tokio::test]
async fn ticker_counts_ends_as_it_is_told_and_can_be_stopped() {
    let wasm = build("ticker", "one");
    assert!(wasm == build("ticker", "an/other"), "two builds of one source differ");
    let engine = engine();
    let ticker = |args: &[&str]| {
        let args = [&["ticker"], args].concat();
        run(&engine, &wasm, |spec| spec.args = args.into_iter().map(Into::into).collect())
    };

    let (container, sink) = ticker(&["10", "3", "42"]);
    assert_eq!(container.wait().await, exited(42));
    assert_eq!(sink.text(), "tick 1\ntick 2\ntick 3\n");

    let (container, sink) = ticker(&["ten"]);
    assert_eq!(container.wait().await, exited(2));
    let expected =
        "ticker: INTERVAL_MS must be a whole number, not \"ten\"; usage: ticker [INTERVAL_MS [COUNT [EXIT_CODE]]]\n";
    assert_eq!(sink.text(), expected);
    assert!(sink.writes().iter().all(|(stream, _)| *stream == Stream::Stderr));

    let (container, sink) = ticker(&[]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    container.stop();
    assert_eq!(container.wait().await, stopped());
    assert_eq!(sink.text(), "tick 1\n");
}

#[tokio::test]
async fn hello_http_greets_and_is_the_same_from_every_folder() {
    let build = |place| build_for("wasm32-wasip2", "hello-http", "lib.rs", place);
    let wasm = build("one");
    assert!(wasm == build("an/other"), "two builds of one source differ");
    let engine = engine();
    let module = engine.compile(&wasm).unwrap();
    let served = Served::of(engine, &module, |_| {}, ServerLimits::default());
    assert_eq!(served.get("/").await, (200, "Hello, World!\n".into()));
    assert_eq!(served.get("/you?and=me").await, (200, "Hello, you!\n".into()));
    assert_eq!(served.get("/%3Cscript%3E").await.0, 404);
    let mut client = served.http1().await;
    assert_eq!(told(ask(&mut client, request("POST", "/", "")).await).await.0, 405);
    let response = ask(&mut client, request("HEAD", "/", "")).await;
    assert_eq!(response.headers()["content-length"], "14");
}
