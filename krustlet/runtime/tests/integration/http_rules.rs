//! What well-meant HTTP requests carry, and what a guest's handles and pointers can do.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{Memory, args, engine, exited, run, stopped};
use crate::web::rows::USUAL;
use crate::web::{World, access};
use krustlet_runtime::{Engine, EngineConfig, Exit, RunSpec};

const URL: &str = "http://allowed.example/";

/// What a module's request is when it arrives after a redirect from `https://allowed.example`.
async fn redirected(world: &World, method: &str, status: u16, to: &str, body: &str) -> String {
    let url = format!("https://allowed.example/{status}?{to}/echo");
    let headers = "authorization:secret\ncookie:a=b\ncontent-type:text/plain\nx-own:kept\n";
    world.ask_module(access(&USUAL), &["send", method, &url, headers, body]).await
}

#[tokio::test]
async fn redirects_change_method_body_and_credentials_as_the_fetch_standard_says() {
    let world = World::new().await;
    let friend = "https://friend.example";
    let cases = [
        ("POST", 302, "", "GET", "allowed.example authorization=secret cookie=a=b content-type=- x-own=kept | "),
        ("POST", 303, "", "GET", "allowed.example authorization=secret cookie=a=b content-type=- x-own=kept | "),
        (
            "POST",
            307,
            "",
            "POST",
            "allowed.example authorization=secret cookie=a=b content-type=text/plain x-own=kept | body",
        ),
        (
            "PUT",
            301,
            "",
            "PUT",
            "allowed.example authorization=secret cookie=a=b content-type=text/plain x-own=kept | body",
        ),
        (
            "POST",
            308,
            friend,
            "POST",
            "friend.example authorization=- cookie=- content-type=text/plain x-own=kept | body",
        ),
        ("POST", 302, friend, "GET", "friend.example authorization=- cookie=- content-type=- x-own=kept | "),
    ];
    for (method, status, to, then, expected) in cases {
        let expected = format!("200 {then} /echo HTTP/1.1 | host={expected}");
        assert_eq!(redirected(&world, method, status, to, "body").await, expected.trim_end(), "{method} {status} {to}");
    }
}

#[tokio::test]
async fn a_request_carries_what_the_guest_set_and_no_more() {
    let world = World::new().await;
    let words = ["send", "GET", "http://allowed.example/raw?q#f", "x-a:b\nx-a:c\n", ""];
    let module = world.ask_module(access(&USUAL), &words).await;
    assert_eq!(module, "200 host: allowed.example; connection: close; x-a: b; x-a: c");
    let words = ["send", "GET", "http://allowed.example/raw?q", "x-a:b\nx-a:c\n", ""];
    let component = world.ask_component(access(&USUAL), &words).await;
    let chunked = "200 host: allowed.example; connection: close; x-a: b; x-a: c; transfer-encoding: chunked";
    assert!(component == module || component == chunked, "{component}");

    let origin = "http://127.0.0.1:8080";
    let words = ["send", "POST", "http://127.0.0.1:8080/echo", "content-length:4\n", "body"];
    for text in
        [world.ask_module(access(&[origin]), &words).await, world.ask_component(access(&[origin]), &words).await]
    {
        let expected =
            "200 POST /echo HTTP/1.1 | host=127.0.0.1:8080 authorization=- cookie=- content-type=- x-own=- | body";
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn response_headers_are_read_by_name_or_all_together() {
    let world = World::new().await;
    let text = world.ask_module(access(&USUAL), &["headers", "http://allowed.example/kinds"]).await;
    let absent = "error 5 header-not-found";
    let first = format!("200: one, one, {absent}, {absent}, {absent}, error 4 buffer-too-small");
    assert_eq!(text, format!("{first}\nx-kind:one\nx-kind:two\nset-cookie:a=b\ncontent-length:5"));

    let text = world.ask_module(access(&USUAL), &["headers", "http://allowed.example/binary-header"]).await;
    let first = format!("200: {absent}, {absent}, {absent}, {absent}, error 6 utf8-error, {absent}");
    assert_eq!(text, format!("{first}\nerror 6 utf8-error"));
}

#[tokio::test]
async fn a_handle_that_is_not_open_is_an_error_to_the_guest() {
    let world = World::new().await;
    let text = world.ask_module(access(&USUAL), &["handles", URL]).await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines, vec![["error 1 invalid-handle"; 4].join(", "); 4]);
}

#[tokio::test]
async fn a_pointer_out_of_memory_and_text_that_is_none_are_errors_to_the_guest() {
    let world = World::new().await;
    let text = world.ask_module(access(&USUAL), &["pointers", URL]).await;
    let (memory, utf8) = ("error 3 memory-access-error", "error 6 utf8-error");
    let request = [[memory; 7].as_slice(), &[utf8; 3]].concat();
    let response = [memory, memory, memory, memory, memory, utf8];
    assert_eq!(text.lines().collect::<Vec<_>>(), [request, response.to_vec()].concat());
    // All that was refused was not sent.
    assert_eq!(world.web.servers.requests(), 1);
}

#[tokio::test]
async fn more_than_a_call_may_hand_over_ends_a_component() {
    let world = World::new().await;
    let method = "A".repeat(9 << 20);
    for program in [&world.component, &world.p3] {
        let (status, text) =
            world.run(program, access(&USUAL), &["send", &method, "http://allowed.example/", "", ""]).await;
        let Exit::Trapped(reason) = status.reason else { panic!("{status:?} {text}") };
        assert!(reason.contains("fuel"), "{reason}");
    }
}

#[tokio::test]
async fn a_module_without_a_memory_gets_an_error() {
    let wasm = wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_experimental_http" "body_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (func (export "_start") (call $exit (call $read (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))))"#,
    );
    let engine = engine();
    let (container, _) = run(&engine, &wasm.unwrap(), |_| {});
    assert_eq!(container.wait().await, exited(2));
}

#[tokio::test]
async fn a_guest_that_is_stopped_drops_its_requests_at_once() {
    let world = World::new().await;
    for (index, program) in [&world.module, &world.component, &world.p3].into_iter().enumerate() {
        let mut spec = RunSpec::new(Arc::new(Memory::default()));
        spec.args = args(&["send", "GET", "http://allowed.example/never", "", ""]);
        spec.http = access(&USUAL);
        spec.http.limits.response_timeout = Duration::from_secs(600);
        let container = world.engine.start(program, spec).unwrap();
        until("the request is there", || world.web.servers.requests() == index + 1).await;
        container.stop();
        assert_eq!(container.wait().await, stopped());
        until("the connection is gone", || world.web.servers.closed() == index + 1).await;
    }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(10), "not yet: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn authorities_that_cannot_be_used_are_told_when_the_engine_is_set_up() {
    let error = Engine::new(EngineConfig { trusted_ca_file: Some("/absent/ca.pem".into()), ..EngineConfig::default() });
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("the certificate authorities in \"/absent/ca.pem\" cannot be used: "), "{error}");
}

/// The log of this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_tells_origin_and_reason_and_nothing_secret_and_cannot_be_filled() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let world = World::new().await;
    let with_name = |name: &str| {
        let mut access = access(&USUAL);
        access.name = format!("default/{name}/main");
        access
    };
    let words = ["send", "GET", "https://evil.test/path?token=hunter2", "authorization:hunter2", ""];
    world.ask_module(with_name("module"), &words).await;
    world.ask(&world.component, with_name("component"), &words).await;
    world.ask_p3(with_name("component-p3"), &words).await;
    let url = "https://allowed.example/302?https://evil.test/hunter2";
    world.ask_module(with_name("redirected"), &["send", "GET", url, "", ""]).await;
    let mut many = with_name("many");
    many.max_concurrent_requests = std::num::NonZeroUsize::MIN;
    world.ask(&world.component, many, &["open", "100", URL]).await;

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines =
        |name: &str| text.lines().filter(|line| line.contains(&format!("default/{name}/main"))).collect::<Vec<_>>();
    for name in ["module", "component", "component-p3"] {
        let lines = lines(name);
        assert!(lines.len() == 1 && lines[0].contains(" INFO "), "{text}");
        assert!(lines[0].contains("refused an HTTP request: the origin is not allowed"), "{text}");
        assert!(lines[0].contains("origin=https://evil.test "), "{text}");
    }
    assert_eq!(lines("redirected").len(), 1, "{text}");
    assert_eq!(lines("many").len(), 10, "{text}");
    assert!(lines("many")[0].contains("1 requests are under way, which is the limit"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("token"), "{text}");
}
