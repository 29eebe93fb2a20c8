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

/// What is known of a span that has ended, or will have.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) origin: Arc<Origin>,
    pub(crate) kind: Kind,
    pub(crate) context: Context,
    pub(crate) parent: Option<[u8; 8]>,
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
    pub(crate) fn begin(origin: Arc<Origin>, kind: Kind, context: Context, parent: Option<[u8; 8]>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let (name, attributes) = (Cow::Borrowed(""), Vec::with_capacity(ATTRIBUTES));
        let record = Record { origin, kind, context, parent, name, start, end: start, attributes, failed: false };
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
    use super::*;

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
