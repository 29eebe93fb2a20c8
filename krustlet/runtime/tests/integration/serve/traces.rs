//! Spans: of the requests that are answered, and of those that are sent for them.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::Empty;
use krustlet_runtime::{Egress, EngineConfig, RunSpec, ServerLimits};
use krustlet_traces::testing::{Collector, Exported};
use krustlet_traces::{Exporter, Tracer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Served, ask, request, told};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn sampled() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

/// A server whose spans a collector gets.
struct Traced {
    served: Served,
    collector: Collector,
    tracer: Tracer,
    exporter: Exporter,
}

impl Traced {
    /// The guest of WASI 0.2 or of 0.3, of which this share of the traces that begin with it is recorded.
    fn new(version: u8, ratio: &str, spec: impl FnOnce(&mut RunSpec), limits: ServerLimits) -> Self {
        let collector = Collector::start();
        let tracer = Tracer::new(ratio.parse().unwrap());
        let exporter = Exporter::start(&tracer, &collector.base().parse().unwrap(), None, None).unwrap();
        let source = tracer.source(BTreeMap::from([("service.name".into(), "guest".into())]));
        let spec = |run: &mut RunSpec| {
            run.traces = Some(source);
            spec(run);
        };
        let config = EngineConfig { egress: Egress::anywhere(), ..EngineConfig::default() };
        let served = if version == 2 { Served::with(config, spec, limits) } else { Served::p3(config, spec, limits) };
        Self { served, collector, tracer, exporter }
    }

    fn plain(version: u8) -> Self {
        Self::new(version, "1", |_| {}, ServerLimits::default())
    }

    /// Status and body of a request with these headers.
    async fn get(&self, path: &str, headers: &[(&'static str, &str)]) -> (u16, String) {
        let mut asked = request("GET", path, "");
        for (name, value) in headers {
            asked.headers_mut().append(*name, value.parse().unwrap());
        }
        told(ask(&mut self.served.http1().await, asked).await).await
    }

    /// All spans, once so many requests have ended.
    async fn spans(self, count: u64) -> Vec<Exported> {
        let ended = |served: &Served| served.server.stats().requests.values().sum::<u64>() == count;
        self.served.until("all have ended", ended).await;
        self.exporter.stop().await;
        self.collector.spans()
    }
}

/// The value of a header of those that the guest tells.
fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

#[tokio::test]
async fn a_request_is_a_span_below_its_callers_and_its_program_hears_of_it() {
    for version in [2, 3] {
        let traced = Traced::plain(version);
        let given = [("traceparent", sampled()), ("tracestate", "a=1,b=2".into()), ("x-request-id", "one".into())];
        let given = given.each_ref().map(|(name, value)| (*name, value.as_str()));
        let (status, text) = traced.get("/inspect?not=said", &given[..2]).await;
        assert_eq!((status, text.as_str()), (404, "what?\n"), "the guest takes no query");
        let (_, text) = traced.get("/inspect", &given).await;
        let spans = traced.spans(2).await;
        let [_, span] = &spans[..] else { panic!("{spans:#?}") };
        assert_eq!(header(&text, "traceparent"), Some(format!("00-{TRACE}-{}-01", span.span_id).as_str()), "{text}");
        assert_eq!(header(&text, "tracestate"), Some("a=1,b=2"));
        assert_ne!(span.span_id, CALLER);
        assert_eq!((span.trace_id.as_str(), span.parent_span_id.as_str()), (TRACE, CALLER));
        assert_eq!((span.name.as_str(), span.kind, span.failed), ("GET", "server", false));
        assert_eq!((span.trace_state.as_str(), span.took > 0), ("a=1,b=2", true));
        assert_eq!(span.resource, attributes(&[("service.name", "guest")]));
        let wanted = attributes(&[
            ("http.request.header.x-request-id", "[one]"),
            ("http.request.method", "GET"),
            ("http.response.status_code", "200"),
            ("network.protocol.version", "1.1"),
            ("server.address", "server.test"),
            ("server.port", "80"),
            ("url.path", "/inspect"),
            ("url.scheme", "http"),
        ]);
        assert_eq!(span.attributes, wanted);
        assert_eq!(spans[0].attributes["url.path"], "/inspect");
    }
}

#[tokio::test]
async fn by_http2_it_is_the_same_and_a_method_of_ones_own_is_other() {
    let traced = Traced::plain(2);
    let mut client = traced.served.http2().await;
    let asked = http::Request::builder().method("BREW").uri("http://two.test:81/status/418");
    let asked = asked.header("traceparent", sampled()).body(Empty::new()).unwrap();
    assert_eq!(told(client.send_request(asked).await.unwrap()).await.0, 418);
    let spans = traced.spans(1).await;
    let [span] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((span.parent_span_id.as_str(), span.name.as_str(), span.failed), (CALLER, "HTTP", false));
    let said = |key: &str| span.attributes[key].as_str();
    assert_eq!([said("http.request.method"), said("http.request.method_original")], ["_OTHER", "BREW"]);
    assert_eq!(
        [said("server.address"), said("server.port"), said("network.protocol.version")],
        ["two.test", "81", "2"]
    );
}

#[tokio::test]
async fn what_cannot_be_read_begins_a_trace_and_what_is_not_sampled_is_handed_on() {
    for (ratio, recorded) in [("1", 3), ("0", 0)] {
        let traced = Traced::new(2, ratio, |_| {}, ServerLimits::default());
        let mut parents = Vec::new();
        let (other, unsampled) = (sampled().to_uppercase(), sampled().replace("-01", "-00"));
        for headers in [
            &[][..],
            &[("traceparent", &*other), ("tracestate", "a=1")],
            &[("traceparent", &*unsampled), ("traceparent", &*unsampled)],
        ] {
            let (_, text) = traced.get("/inspect", headers).await;
            let parent = header(&text, "traceparent").unwrap().to_owned();
            assert!(parent.ends_with(if recorded > 0 { "-03" } else { "-02" }), "{text}");
            assert!(!parent.contains(TRACE) && header(&text, "tracestate").is_none(), "{text}");
            assert_eq!(text.matches("traceparent").count(), 1, "{text}");
            parents.push(parent);
        }
        let (_, text) = traced.get("/inspect", &[("traceparent", &unsampled), ("tracestate", "a=1")]).await;
        assert_eq!((header(&text, "traceparent"), header(&text, "tracestate")), (Some(&*unsampled), Some("a=1")));
        let spans = traced.spans(4).await;
        let found: Vec<_> = spans.iter().map(|span| format!("00-{}-{}-03", span.trace_id, span.span_id)).collect();
        assert_eq!(found, parents[..recorded]);
        assert!(spans.iter().all(|span| span.parent_span_id.is_empty() && span.trace_state.is_empty()), "{spans:#?}");
    }
}

#[tokio::test]
async fn without_traces_a_program_sees_what_its_client_has_sent() {
    let served = Served::new();
    let mut asked = request("GET", "/inspect", "");
    for (name, value) in [("traceparent", "whatever"), ("tracestate", "a"), ("tracestate", "b")] {
        asked.headers_mut().append(name, value.parse().unwrap());
    }
    let (_, text) = told(ask(&mut served.http1().await, asked).await).await;
    assert!(text.contains("traceparent: whatever\ntracestate: a\ntracestate: b"), "{text}");
}

#[tokio::test]
async fn a_span_says_what_has_gone_wrong() {
    for version in [2, 3] {
        let limits = ServerLimits { max_body_bytes: 10, ..ServerLimits::default() };
        let traced = Traced::new(version, "1", |_| {}, limits);
        let paths = ["/status/204", "/status/404", "/status/500", "/trap", "/error", "/exit/3", "/trap-midway"];
        for path in paths {
            traced.served.get(path).await;
        }
        // Whoever waits no longer.
        let mut stream = traced.served.connect().await;
        stream.write_all(b"GET /sleep/60000 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        traced.served.wrote("sleeps", 1).await;
        drop(stream);
        // What is the client's own fault.
        let bad = b"GET / HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n";
        assert!(traced.served.raw(bad).await.starts_with("HTTP/1.1 400 "));
        let spans = traced.spans(9).await;
        let mut found: Vec<_> = spans
            .iter()
            .map(|span| {
                let said = |key: &str| span.attributes.get(key).map_or("", String::as_str);
                assert_eq!(span.failed, span.attributes.contains_key("error.type"), "{span:#?}");
                (said("url.path"), said("http.response.status_code"), said("error.type"))
            })
            .collect();
        found.sort_unstable();
        let wanted = [
            ("/", "400", ""),
            ("/error", "500", "error_code"),
            ("/exit/3", "502", "exited"),
            ("/sleep/60000", "", "client_gone"),
            ("/status/204", "204", ""),
            ("/status/404", "404", ""),
            ("/status/500", "500", "500"),
            ("/trap", "502", "trapped"),
            ("/trap-midway", "200", "trapped"),
        ];
        assert_eq!(found, wanted, "{version}");
    }
}

/// Somebody who is asked, answers with this status, and tells what the request says of its trace.
async fn far_end(status: u16) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let (heads, received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|read| read > 0) {
                head.extend(byte);
            }
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            heads.send(String::from_utf8(head).unwrap()).unwrap();
        }
    });
    (authority, received)
}

#[tokio::test]
async fn a_request_that_is_sent_is_a_span_below_the_one_that_it_is_sent_for() {
    // By 0.3 an instance answers several, and which of them it sends something for its program alone can say.
    for (version, path, is_known) in [(2, "fetch", true), (2, "relay", true), (3, "relay", true), (3, "fetch", false)] {
        let (authority, mut heads) = far_end(503).await;
        let origin = format!("http://{authority}").parse().unwrap();
        let spec = |spec: &mut RunSpec| spec.http.allowed = [origin].into_iter().collect();
        let traced = Traced::new(version, "0", spec, ServerLimits::default());
        let given = [("traceparent", &*sampled()), ("tracestate", "a=1")];
        assert_eq!(traced.get(&format!("/{path}/{authority}"), &given).await, (200, "503".into()));
        let head = heads.recv().await.unwrap();
        let spans = traced.spans(1).await;
        if !is_known {
            assert_eq!((spans.len(), head.contains("traceparent")), (1, false), "{head}");
            continue;
        }
        let [client, server] = &spans[..] else { panic!("{version} {path}: {spans:#?}") };
        assert_eq!(header(&head, "traceparent"), Some(format!("00-{TRACE}-{}-01", client.span_id).as_str()), "{head}");
        assert_eq!(header(&head, "tracestate"), Some("a=1"));
        assert_eq!((client.parent_span_id.as_str(), server.parent_span_id.as_str()), (&*server.span_id, CALLER));
        assert_eq!((client.trace_id.as_str(), client.kind, client.name.as_str()), (TRACE, "client", "GET"));
        assert_eq!((client.failed, server.failed), (true, false));
        let port = authority.rsplit(':').next().unwrap();
        let wanted = attributes(&[
            ("error.type", "503"),
            ("http.request.method", "GET"),
            ("http.response.status_code", "503"),
            ("server.address", "127.0.0.1"),
            ("server.port", port),
            ("url.full", &format!("http://{authority}/")),
        ]);
        assert_eq!(client.attributes, wanted);
    }
}

#[tokio::test]
async fn a_request_that_fails_or_is_not_waited_for_is_a_span_as_well_but_none_that_is_refused() {
    for version in [2, 3] {
        let spec =
            |spec: &mut RunSpec| spec.http.allowed = ["http://127.0.0.1:1".parse().unwrap()].into_iter().collect();
        let traced = Traced::new(version, "1", spec, ServerLimits::default());
        assert!(traced.get("/relay/127.0.0.1:2", &[]).await.1.contains("HttpRequestDenied"));
        assert!(traced.get("/relay/127.0.0.1:1", &[]).await.1.contains("ConnectionRefused"));
        let spans = traced.spans(2).await;
        let sent: Vec<_> = spans.iter().filter(|span| span.kind == "client").collect();
        let [sent] = sent[..] else { panic!("{spans:#?}") };
        // Its name, which is one of a few, and nothing of what it says.
        let said = ["error.type", "server.port"].map(|key| sent.attributes[key].as_str());
        assert_eq!(said, ["Connect", "1"], "{spans:#?}");
    }

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = silent.local_addr().unwrap().to_string();
    let origin = format!("http://{authority}").parse().unwrap();
    let spec = |spec: &mut RunSpec| spec.http.allowed = [origin].into_iter().collect();
    let limits = ServerLimits { request_timeout: Duration::from_secs(1), ..ServerLimits::default() };
    let traced = Traced::new(2, "1", spec, limits);
    assert_eq!(traced.get(&format!("/fetch/{authority}"), &[]).await.0, 504);
    traced.served.until("it has ended", |_| traced.tracer.counts().queued == 2).await;
    let spans = traced.spans(1).await;
    let errors: BTreeMap<_, _> = spans.iter().map(|span| (span.kind, span.attributes["error.type"].as_str())).collect();
    assert_eq!(errors, BTreeMap::from([("client", "cancelled"), ("server", "timeout")]), "{spans:#?}");
}
