//! `krustlet-wasi serve` with real programs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{Cli, HELLO_HTTP, Running, module};
use krustlet_traces::testing::{Answer, Collector};
use rustix::process::Signal;

/// `krustlet-wasi serve FLAGS hello_http.wasm`, on a port that is free.
fn serve(flags: &[&str]) -> Cli {
    Cli::new([&["serve", "--addr=127.0.0.1:0"], flags, &[HELLO_HTTP.to_str().unwrap()]].concat())
}

/// The address of the line that it begins with.
fn address(running: &Running) -> String {
    let address = running.first.trim_end().strip_prefix("krustlet-wasi: serving hello_http at http://");
    address.unwrap_or_else(|| panic!("{}", running.first)).to_owned()
}

/// The whole response to a request on a connection of its own.
fn get(address: &str, path: &str) -> String {
    get_with(address, path, "")
}

/// The same of one with more headers, each with its line's end.
fn get_with(address: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn requests_are_answered_until_it_is_asked_to_end() {
    for signal in [Signal::INT, Signal::TERM] {
        let running = serve(&["-e", "GREETING=Welcome"]).begin_to_serve();
        let address = address(&running);
        let response = get(&address, "/");
        assert!(
            response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("\r\n\r\nWelcome, World!\n"),
            "{response}"
        );
        assert!(get(&address, "/you").ends_with("Welcome, you!\n"));
        assert!(get(&address, "/a/b").starts_with("HTTP/1.1 404 "));
        running.send(signal);
        assert_eq!(running.end(), (0, String::new(), String::new()));
        assert!(TcpStream::connect(&address).is_err());
    }
}

/// A request that has no end, until this is dropped.
fn stuck(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    // By HTTP/2, from a client that leaves no room for the response (SETTINGS_INITIAL_WINDOW_SIZE is 0): GET http / a.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]).unwrap();
    stream.write_all(&[0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a']).unwrap();
    // The response's headers are there when there is a frame of this kind, after those of the connection's beginning.
    let mut head = [0; 9];
    while head[3] != 1 {
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        std::io::copy(&mut (&mut stream).take(length.into()), &mut std::io::sink()).unwrap();
    }
    stream
}

#[test]
fn a_request_that_has_no_end_is_waited_for_as_long_as_it_says() {
    let running = serve(&["--grace-period-seconds=1"]).begin_to_serve();
    let _stream = stuck(&address(&running));
    let begin = Instant::now();
    running.send(Signal::INT);
    let (code, _, err) = running.end();
    let took = begin.elapsed();
    assert_eq!((code, err.lines().count()), (130, 1), "{err}");
    assert!(err.contains("1 requests are under way and have 1 s to end; Ctrl-C again ends them now"), "{err}");
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn requests_are_spans_of_which_the_last_are_sent_before_the_end() {
    let collector = Collector::start();
    for in_environment in [false, true] {
        let flag = format!("--otlp-endpoint={}", collector.base());
        let command = if in_environment {
            let command = serve(&["--otlp-sampling-ratio=0"]).env("KRUSTLET_OTLP_ENDPOINT", &collector.base());
            command.env("KRUSTLET_OTLP_SAMPLING_RATIO", "1")
        } else {
            serve(&[&flag, "--otlp-sampling-ratio=0"])
        };
        let running = command.begin_to_serve();
        let address = address(&running);
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(get(&address, "/not-sampled").ends_with("Hello, not-sampled!\n"));
        assert!(get_with(&address, "/you", &format!("traceparent: {parent}\r\n")).ends_with("Hello, you!\n"));
        running.send(Signal::TERM);
        assert_eq!(running.end(), (0, String::new(), String::new()));
        let spans = collector.spans();
        let span = spans.last().unwrap();
        assert_eq!(spans.len(), 1 + usize::from(in_environment), "{spans:#?}");
        assert_eq!((span.parent_span_id.as_str(), span.kind), ("00f067aa0ba902b7", "server"));
        let port = address.rsplit(':').next().unwrap();
        let said = |key: &str| span.attributes[key].as_str();
        assert_eq!([said("url.path"), said("server.address"), said("server.port")], ["/you", "127.0.0.1", port]);
        assert_eq!(span.resource, [("service.name".into(), "hello_http".into())].into());
    }
    // A collector that is not there changes nothing, and is said once, without its path, which may be a secret. What OpenTelemetry's own
    // variables say is for other programs.
    let running = serve(&["--otlp-endpoint=http://127.0.0.1:1/secret"]).env("OTEL_TRACES_SAMPLER_ARG", "0");
    let running = running.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.base()).begin_to_serve();
    assert!(get(&address(&running), "/you").ends_with("Hello, you!\n"));
    running.send(Signal::TERM);
    let (code, out, err) = running.end();
    assert_eq!((code, out.as_str(), err.lines().count()), (0, "", 1), "{err}");
    assert!(err.contains("spans cannot be exported to http://127.0.0.1:1: the connection failed"), "{err}");
    let exported = collector.spans().len();
    let running = serve(&[]).env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.base()).begin_to_serve();
    assert!(get(&address(&running), "/you").ends_with("Hello, you!\n"));
    running.send(Signal::TERM);
    assert_eq!((running.end().0, collector.spans().len()), (0, exported));
}

#[test]
fn whoever_asks_twice_for_the_end_does_not_wait_for_a_collector() {
    let silent = Collector::start();
    silent.answers([Answer::Nothing; 9]);
    for signals in [&[Signal::INT][..], &[Signal::INT, Signal::TERM]] {
        let running = serve(&[&format!("--otlp-endpoint={}", silent.base())]).begin_to_serve();
        let address = address(&running);
        assert!(get(&address, "/you").ends_with("Hello, you!\n"));
        // One of another kind, as two of one kind may be one to who receives them.
        let stuck = signals.get(1).map(|_| stuck(&address));
        signals.iter().for_each(|signal| running.send(*signal));
        let (code, _, err) = running.end();
        let codes = if stuck.is_some() { &[130, 143][..] } else { &[0] };
        assert!(codes.contains(&code), "{code} {err}");
        assert_eq!(err.contains("spans were not exported"), stuck.is_none(), "{err}");
    }
}

#[test]
fn what_cannot_be_served_is_128_and_says_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (taken, hello) = (format!("--addr={}", taken.local_addr().unwrap()), HELLO_HTTP.to_str().unwrap());
    let table = [
        (&["serve", &taken, hello][..], "cannot listen on 127.0.0.1:"),
        (&["serve", &taken, hello], "; name another place with --addr: Address already in use"),
        (&["serve", "--addr=127.0.0.1:0", "/no/such/file"], "cannot read /no/such/file: "),
        (&["serve", "--addr=127.0.0.1:0", module()], "probe.wasm cannot be served: this program runs to its end"),
        (&["run", hello], "this component answers HTTP requests"),
        (&["serve", "--addr=127.0.0.1:0", "-e", "NONE", hello], "NONE is not set here"),
        (
            &["serve", "--otlp-endpoint=localhost:4318", hello],
            "--otlp-endpoint: \"localhost:4318\": it does not begin with",
        ),
    ];
    for (args, wanted) in table {
        let (code, out, err) = Cli::new(args).end();
        assert_eq!((code, out.as_str()), (128, ""), "{err}");
        assert!(err.starts_with("krustlet-wasi: ") && err.contains(wanted), "{wanted}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    let (code, out, _) = Cli::new(["serve", "--help"]).end();
    assert_eq!(code, 0);
    for word in
        ["--addr <ADDRESS:PORT>", "[default: 127.0.0.1:8080]", "Limits for its clients", "krustlet-wasi serve --addr"]
    {
        assert!(out.contains(word), "{word}: {out}");
    }
}
