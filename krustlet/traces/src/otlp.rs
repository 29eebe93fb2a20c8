//! The messages of OTLP, as far as there is anything to be said in them:
//! <https://github.com/open-telemetry/opentelemetry-proto/tree/v1.8.0/opentelemetry/proto>. Names and numbers are theirs.

use std::sync::Arc;

use prost::Message;

use crate::source::Origin;
use crate::span::{Kind, Record, Value};

/// The span has a parent of which it is known whether it is another process's, and it is one.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

#[derive(Clone, PartialEq, Message)]
pub struct ExportTraceServiceRequest {
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExportTraceServiceResponse {
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<ExportTracePartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExportTracePartialSuccess {
    #[prost(int64, tag = "1")]
    pub rejected_spans: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
pub struct InstrumentationScope {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub version: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    pub trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    pub name: String,
    #[prost(int32, tag = "6")]
    pub kind: i32,
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    pub flags: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(string, tag = "2")]
    pub message: String,
    /// 0 is unset, 1 good, 2 an error.
    #[prost(int32, tag = "3")]
    pub code: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 3, 5")]
    pub value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Any {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
}

#[derive(Clone, PartialEq, Message)]
pub struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<AnyValue>,
}

/// These spans in one request, those of each program together.
pub(crate) fn request(records: Vec<Record>) -> ExportTraceServiceRequest {
    let mut programs: Vec<(Arc<Origin>, Vec<Span>)> = Vec::new();
    for record in records {
        let origin = record.origin.clone();
        let span = span(record);
        match programs.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &origin)) {
            Some((_, spans)) => spans.push(span),
            None => programs.push((origin, vec![span])),
        }
    }
    let resource_spans = programs.into_iter().map(|(origin, spans)| {
        let attributes = origin.attributes.iter().map(|(key, value)| key_value(key, string(value.clone())));
        let scope = InstrumentationScope { name: "krustlet-wasi".into(), version: env!("CARGO_PKG_VERSION").into() };
        ResourceSpans {
            resource: Some(Resource { attributes: attributes.collect() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans }],
        }
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

fn span(record: Record) -> Span {
    let Record { kind, trace_id, span_id, flags, parent, state, name, start, end, attributes, failed, .. } = record;
    let (kind, parents) = match kind {
        Kind::Server => (2, HAS_IS_REMOTE | IS_REMOTE),
        Kind::Client => (3, HAS_IS_REMOTE),
    };
    Span {
        flags: u32::from(flags) | parent.map_or(0, |_| parents),
        trace_id: trace_id.into(),
        span_id: span_id.into(),
        trace_state: state.into(),
        parent_span_id: parent.map_or_else(Vec::new, Vec::from),
        name: name.into_owned(),
        kind,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes: attributes.into_iter().map(|(key, value)| key_value(key, any(value))).collect(),
        status: failed.then(|| Status { message: String::new(), code: 2 }),
    }
}

fn key_value(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.into(), value: Some(value) }
}

fn any(value: Value) -> AnyValue {
    match value {
        Value::Text(text) => string(text.into_owned()),
        Value::List(text) => AnyValue { value: Some(Any::Array(ArrayValue { values: vec![string(text)] })) },
        Value::Number(number) => AnyValue { value: Some(Any::Int(number)) },
    }
}

fn string(text: String) -> AnyValue {
    AnyValue { value: Some(Any::String(text)) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::context::{Context, TRACEPARENT, TRACESTATE};
    use crate::sampling::Ratio;
    use crate::source::Tracer;

    /// What OpenTelemetry's own crate makes of the very message (`opentelemetry-proto` 0.33.1, `encode_to_vec`).
    const BY_OTHERS: &[u8] = include_bytes!("../testdata/request.bin");

    /// The message that `testdata/request.bin` is of.
    fn example() -> ExportTraceServiceRequest {
        let attributes = vec![
            key_value("http.request.method", string("GET".into())),
            key_value("http.response.status_code", any(Value::Number(502))),
            key_value("http.request.header.x-request-id", any(Value::list("a-1"))),
        ];
        let span = Span {
            trace_id: (1..=16).collect(),
            span_id: (17..=24).collect(),
            trace_state: "a=1".into(),
            parent_span_id: (25..=32).collect(),
            name: "GET".into(),
            kind: 2,
            start_time_unix_nano: 1_700_000_000_000_000_001,
            end_time_unix_nano: 1_700_000_000_000_000_002,
            attributes,
            status: Some(Status { message: String::new(), code: 2 }),
            flags: 0x301,
        };
        let scope = InstrumentationScope { name: "krustlet-wasi".into(), version: "0.1.0".into() };
        let resource = Resource { attributes: vec![key_value("service.name", string("web".into()))] };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: vec![span] }];
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans }] }
    }

    #[test]
    fn a_message_is_byte_for_byte_what_others_make_of_it() {
        assert_eq!(example().encode_to_vec(), BY_OTHERS);
        assert_eq!(ExportTraceServiceRequest::decode(BY_OTHERS), Ok(example()));
    }

    #[test]
    fn spans_of_a_program_stand_together() {
        let tracer = Tracer::new(Ratio::ALL);
        let source = |name: &str| tracer.source(BTreeMap::from([("service.name".to_owned(), name.to_owned())]));
        let (one, two) = (source("one"), source("two"));
        for source in [&one, &two, &one] {
            source.begin(Kind::Server, None);
        }
        let request = request(tracer.queue().take());
        let found = request.resource_spans.iter().map(|of| {
            let [attribute] = &of.resource.as_ref().unwrap().attributes[..] else { panic!() };
            (attribute.value.clone().unwrap(), of.scope_spans[0].spans.len())
        });
        assert_eq!(found.collect::<Vec<_>>(), [(string("one".into()), 2), (string("two".into()), 1)]);
    }

    #[test]
    fn a_span_says_whose_child_it_is_and_how_it_ended() {
        let tracer = Tracer::new(Ratio::ALL);
        let source = tracer.source(BTreeMap::new());
        let long = (0..32).map(|index| format!("k{index}={}", "v".repeat(30))).collect::<Vec<_>>().join(" , ");
        let headers = HeaderMap::from_iter([
            (TRACEPARENT, HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")),
            (TRACESTATE, HeaderValue::from_str(&long).unwrap()),
        ]);
        let parent = Context::extract(&headers).unwrap();
        let (server, span) = source.begin(Kind::Server, Some(&parent));
        let (_, client) = source.begin(Kind::Client, Some(&server));
        let mut client = client.unwrap();
        client.name("GET");
        client.set("server.port", 80);
        client.fail("timeout");
        drop(client);
        drop(span);
        source.begin(Kind::Server, None);

        let request = request(tracer.queue().take());
        let [client, server, root] = &request.resource_spans[0].scope_spans[0].spans[..] else { panic!() };
        assert_eq!(server.trace_id, parent.trace_id);
        assert_eq!((server.parent_span_id.as_slice(), server.kind, server.flags), (&parent.span_id[..], 2, 0x301));
        assert_eq!(server.status, None);
        assert_eq!(client.parent_span_id, server.span_id);
        assert_eq!((client.kind, client.flags, client.name.as_str()), (3, 0x101, "GET"));
        assert_eq!(client.status.as_ref().unwrap().code, 2);
        let error = key_value("error.type", string("timeout".into()));
        assert_eq!(client.attributes, [key_value("server.port", any(Value::Number(80))), error]);
        assert_eq!((root.parent_span_id.len(), root.flags), (0, 3));
        assert!(server.start_time_unix_nano <= server.end_time_unix_nano && server.start_time_unix_nano > 1 << 60);
        // What there is room for, without blanks.
        let state = &server.trace_state;
        assert!(state.len() <= 512 && state.len() > 512 - 40, "{state}");
        assert!(long.replace(" , ", ",").starts_with(state) && !state.ends_with(','), "{state}");
    }
}
