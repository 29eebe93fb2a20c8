//! A collector for tests: it keeps what it is sent, and answers as it is told.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prost::Message;

use crate::otlp::{
    Any, AnyValue, ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse, KeyValue,
};

/// Far more than it takes, and far less than for ever.
const AT_LAST: Duration = Duration::from_secs(30);

/// What it does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// Takes it, but for so many of its spans.
    Rejects(i64),
    /// Keeps nothing, and answers with this status.
    Status(u16),
    /// Keeps nothing, and answers that it is to be tried again after so many seconds.
    RetryAfter(u64),
    /// Keeps nothing, and closes the connection.
    HangUp,
    /// Keeps nothing, and never answers.
    Nothing,
}

/// A span as it came, with attributes as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Of its program.
    pub resource: BTreeMap<String, String>,
    /// Its own.
    pub attributes: BTreeMap<String, String>,
    /// In hexadecimal, as in `traceparent`.
    pub trace_id: String,
    /// In hexadecimal.
    pub span_id: String,
    /// In hexadecimal; empty where there is none.
    pub parent_span_id: String,
    /// What it is called.
    pub name: String,
    /// `server` or `client`.
    pub kind: &'static str,
    /// How long it took, in nanoseconds.
    pub took: u64,
    /// The `tracestate`.
    pub trace_state: String,
    /// Whether its status is an error.
    pub failed: bool,
}

/// It listens on this machine until the process ends.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    answers: VecDeque<Answer>,
    heads: Vec<String>,
    spans: Vec<Exported>,
}

impl Collector {
    /// At a port that is free.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, known) = (listener.local_addr().unwrap(), Arc::<Mutex<Known>>::default());
        let shared = known.clone();
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                silent.extend(stream.ok().and_then(|stream| answer(stream, &shared)));
            }
        });
        Self { address, known }
    }

    /// Its base URL.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it does with the next requests. Those after them it takes.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.known.lock().unwrap().answers.extend(answers);
    }

    /// The first lines and headers of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.known.lock().unwrap().heads.clone()
    }

    /// The spans that it has taken so far, in the order in which they ended.
    pub fn spans(&self) -> Vec<Exported> {
        self.known.lock().unwrap().spans.clone()
    }

    /// Waits until it has so many.
    pub fn wait_for(&self, count: usize) -> Vec<Exported> {
        let begin = Instant::now();
        loop {
            let spans = self.spans();
            if spans.len() >= count {
                return spans;
            }
            assert!(begin.elapsed() < AT_LAST, "{count} spans are wanted, and there are {spans:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// One request on a connection of its own; the connection where it is to stay open.
fn answer(mut stream: TcpStream, known: &Mutex<Known>) -> Option<TcpStream> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let what = {
        let mut known = known.lock().unwrap();
        known.heads.push(head);
        known.answers.pop_front().unwrap_or(Answer::Rejects(0))
    };
    let mut more = String::new();
    let (status, answer) = match what {
        Answer::Rejects(count) => {
            known.lock().unwrap().spans.extend(decode(&body));
            let partial = ExportTracePartialSuccess { rejected_spans: count, error_message: "as told".into() };
            let partial_success = (count > 0).then_some(partial);
            (200, ExportTraceServiceResponse { partial_success }.encode_to_vec())
        }
        Answer::Status(status) => (status, Vec::new()),
        Answer::RetryAfter(seconds) => {
            more = format!("retry-after: {seconds}\r\n");
            (503, Vec::new())
        }
        Answer::HangUp => return None,
        Answer::Nothing => return Some(stream),
    };
    let length = answer.len();
    let head = format!("HTTP/1.1 {status} told\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(&[head.as_bytes(), &answer].concat()).ok()?;
    None
}

/// All spans of a request.
fn decode(body: &[u8]) -> Vec<Exported> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut spans = Vec::new();
    for of in request.resource_spans {
        let resource = attributes(of.resource.unwrap().attributes);
        for span in of.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Exported {
                resource: resource.clone(),
                attributes: attributes(span.attributes),
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                parent_span_id: hex(&span.parent_span_id),
                name: span.name,
                kind: ["", "", "server", "client"][usize::try_from(span.kind).unwrap()],
                took: span.end_time_unix_nano.checked_sub(span.start_time_unix_nano).unwrap(),
                trace_state: span.trace_state,
                failed: span.status.is_some_and(|status| status.code == 2),
            });
        }
    }
    spans
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each is there once.
fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let count = pairs.len();
    let map: BTreeMap<_, _> = pairs.into_iter().map(|pair| (pair.key, text(pair.value.unwrap()))).collect();
    assert_eq!(map.len(), count, "{map:?}");
    map
}

fn text(value: AnyValue) -> String {
    match value.value.unwrap() {
        Any::String(text) => text,
        Any::Int(number) => number.to_string(),
        Any::Array(list) => format!("[{}]", list.values.into_iter().map(text).collect::<Vec<_>>().join(", ")),
    }
}
