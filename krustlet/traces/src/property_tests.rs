//! What clients and programs may say of a trace, and what a collector may answer: any bytes.
//!
//! Each is tried with a few hundred texts; `PROPTEST_CASES` says how many.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use prost::Message;

use crate::context::members;
use crate::otlp::{self, ExportTraceServiceRequest, ExportTraceServiceResponse};
use crate::{ATTRIBUTE_BYTES, Context, Endpoint, Kind, Ratio, TRACEPARENT, TRACESTATE, Tracer, Value};

/// Hardly ever what a header may be, and at times what is nearly right.
fn like_a_traceparent() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "(00|01|ff|0)-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-fA-F]{2}(-[a-z]{0,3})?".prop_map(String::into_bytes),
        1 => "[0-9a-f-]{53,57}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..80),
    ]
}

fn like_a_tracestate() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "([a-z0-9@_*/-]{0,4}=[ -~]{0,4}[,;]? ?){0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..600),
    ]
}

fn headers(parents: Vec<Vec<u8>>, states: Vec<Vec<u8>>) -> HeaderMap {
    let parents = parents.into_iter().map(|bytes| (TRACEPARENT, bytes));
    let all = parents.chain(states.into_iter().map(|bytes| (TRACESTATE, bytes)));
    all.filter_map(|(name, bytes)| Some((name, HeaderValue::from_bytes(&bytes).ok()?))).fold(
        HeaderMap::new(),
        |mut map, (name, value)| {
            map.append(name, value);
            map
        },
    )
}

proptest! {
    #[test]
    fn whatever_a_client_says_a_program_is_told_something_that_holds(
        parents in prop::collection::vec(like_a_traceparent(), 0..3),
        states in prop::collection::vec(like_a_tracestate(), 0..3),
    ) {
        let mut headers = headers(parents, states);
        let given = Context::extract(&headers);
        let source = Tracer::new(Ratio::ALL).source(BTreeMap::new());
        let (context, span) = source.begin(Kind::Server, given.as_ref());
        context.inject(&mut headers);
        prop_assert_eq!(Context::extract(&headers), Some(context.clone()));
        prop_assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
        prop_assert_eq!(span.is_some(), context.is_sampled());
        if let Some(given) = given {
            prop_assert_eq!((context.trace_id, &context.state), (given.trace_id, &given.state));
        }
        for member in context.state.iter().flat_map(|state| members(state.as_bytes())) {
            prop_assert!(member.contains(&b'=') && member.iter().all(|byte| (b' '..=b'~').contains(byte)));
        }
    }

    #[test]
    fn whatever_is_said_of_a_span_its_message_is_bounded_and_can_be_read(
        texts in prop::collection::vec("\\PC{0,2000}", 0..5), state in like_a_tracestate(),
    ) {
        let tracer = Tracer::new(Ratio::ALL);
        let parent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_vec();
        let parent = Context::extract(&headers(vec![parent], vec![state]));
        let (_, span) = tracer.source(BTreeMap::new()).begin(Kind::Server, parent.as_ref());
        let mut span = span.unwrap();
        for text in &texts {
            span.set("url.path", Value::text(text));
        }
        drop(span);
        let bytes = otlp::request(tracer.queue().take()).encode_to_vec();
        prop_assert!(bytes.len() <= 1024 + texts.len() * (ATTRIBUTE_BYTES + 32));
        let read = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
        prop_assert_eq!(read.resource_spans[0].scope_spans[0].spans[0].attributes.len(), texts.len());
    }

    #[test]
    fn a_collector_may_answer_anything(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ExportTraceServiceResponse::decode(&bytes[..]);
    }

    #[test]
    fn an_endpoint_is_a_url_of_its_own_path_or_none(text in "(https?://)?[a-z0-9.:@\\[\\]%?#/ -]{0,30}") {
        if let Ok(endpoint) = text.parse::<Endpoint>() {
            let url = endpoint.to_string();
            prop_assert!(url.ends_with("/v1/traces") && url.starts_with(&format!("{}/", endpoint.origin)), "{}", url);
            let uri: http::Uri = url.parse().unwrap();
            prop_assert!(uri.query().is_none() && !uri.authority().unwrap().as_str().contains('@'));
        }
    }
}
