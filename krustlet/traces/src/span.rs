//! What is recorded of a span.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::context::Context;
use crate::source::Origin;

/// The most bytes of a text in a span, whoever it is from.
pub const ATTRIBUTE_BYTES: usize = 1024;

/// As many attributes as there is room for at first.
const ATTRIBUTES: usize = 10;

/// On which side of a request a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is answered.
    Server,
    /// It is sent.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text of no more than [`ATTRIBUTE_BYTES`].
    Text(Cow<'static, str>),
    /// A list of one such text.
    List(String),
    /// A number.
    Number(i64),
}

impl Value {
    /// As much of a text as there is room for.
    pub fn text(text: &str) -> Self {
        Self::Text(cut(text).to_owned().into())
    }

    /// The same as a list.
    pub fn list(text: &str) -> Self {
        Self::List(cut(text).to_owned())
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(cut(text).into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(ATTRIBUTE_BYTES)]
}

/// What is known of a span that has ended, or will have. All of it is its own and bounded: what a header is a part of would wait with it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) origin: Arc<Origin>,
    pub(crate) kind: Kind,
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) flags: u8,
    pub(crate) parent: Option<[u8; 8]>,
    /// As much of the `tracestate` as a span has.
    pub(crate) state: Box<str>,
    pub(crate) name: Cow<'static, str>,
    /// Nanoseconds since 1970.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    pub(crate) failed: bool,
}

/// A span that is recorded. It ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    /// There until it is dropped.
    record: Option<Box<Record>>,
    begun: Instant,
}

impl Span {
    pub(crate) fn begin(origin: Arc<Origin>, kind: Kind, context: &Context, parent: Option<[u8; 8]>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let record = Record {
            origin,
            kind,
            trace_id: context.trace_id,
            span_id: context.span_id,
            flags: context.flags(),
            parent,
            state: context.recorded_state(),
            name: Cow::Borrowed(""),
            start,
            end: start,
            attributes: Vec::with_capacity(ATTRIBUTES),
            failed: false,
        };
        Self { record: Some(Box::new(record)), begun: Instant::now() }
    }

    /// Names it: what is done, without what differs from one to the next.
    pub fn name(&mut self, name: impl Into<Cow<'static, str>>) {
        if let Some(record) = &mut self.record {
            record.name = name.into();
        }
    }

    /// Says something of it. Each attribute is said once.
    pub fn set(&mut self, attribute: &'static str, value: impl Into<Value>) {
        if let Some(record) = &mut self.record {
            record.attributes.push((attribute, value.into()));
        }
    }

    /// It was in vain, for a reason that is one of a few.
    pub fn fail(&mut self, error_type: impl Into<Value>) {
        self.set("error.type", error_type);
        if let Some(record) = &mut self.record {
            record.failed = true;
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            // By a clock that is not set while it runs.
            let took = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            record.end = record.start.saturating_add(took);
            let origin = record.origin.clone();
            origin.end(*record);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::{Ratio, TRACEPARENT, TRACESTATE, Tracer};

    /// Headers that are parts of what was received, as those of a request are, and all of that.
    fn received(state: &str) -> (HeaderMap, Bytes) {
        const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let all = Bytes::from(format!("{PARENT}{state}cookie: secret").into_bytes());
        let part = |begin, end| HeaderValue::from_maybe_shared(all.slice(begin..end)).unwrap();
        let parent = part(0, PARENT.len());
        let state = part(PARENT.len(), PARENT.len() + state.len());
        (HeaderMap::from_iter([(TRACEPARENT, parent), (TRACESTATE, state)]), all)
    }

    #[test]
    fn a_span_that_waits_holds_little_and_nothing_of_what_was_received_with_its_headers() {
        let tracer = Tracer::new(Ratio::ALL);
        let source = tracer.source(BTreeMap::new());
        for (state, held) in [
            ("a=1,b=2".to_owned(), 7),
            (format!("a=1{}", ",".repeat(16_000)), 3),
            (format!("a=1{}", ",".repeat(64_000)), 0),
            ((0..32).map(|index| format!("k{index}={}", "v".repeat(256))).collect::<Vec<_>>().join(","), 259),
        ] {
            let (headers, all) = received(&state);
            let parent = Context::extract(&headers).unwrap();
            drop(headers);
            assert!(all.is_unique(), "a request that is answered holds it");
            let (below, span) = source.begin(Kind::Server, Some(&parent));
            drop((parent, below, span));
            let [record] = &tracer.queue().take()[..] else { panic!() };
            assert_eq!((record.state.len(), record.attributes.len()), (held, 0));
        }
    }

    #[test]
    fn texts_are_bounded_between_characters() {
        let long = "é".repeat(ATTRIBUTE_BYTES);
        for (text, bytes) in [("", 0), ("abc", 3), (&long, 1024), (&format!("a{long}"), 1023)] {
            let Value::Text(value) = Value::text(text) else { panic!() };
            assert_eq!(value.len(), bytes);
            assert!(text.starts_with(&*value));
            assert_eq!(Value::list(text), Value::List(value.into_owned()));
        }
    }
}
