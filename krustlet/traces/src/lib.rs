//! Spans by OpenTelemetry, as far as a node has any: of the requests that its programs answer, and of those that these send.
//!
//! A [`Tracer`] decides which traces are sampled and holds the spans that have ended. A [`Source`] begins the spans of one program; its
//! attributes are the resource. An [`Exporter`] sends them, by OTLP over HTTP (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>). Where a
//! request stands in its trace is its [`Context`].
//!
//! Whoever ends a span never waits: what there is no room for is dropped, and counted. `docs/serving.md` says what a span holds.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod context;
mod endpoint;
mod export;
mod ids;
mod otlp;
#[cfg(test)]
mod property_tests;
mod queue;
mod sampling;
mod source;
mod span;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use context::{Context, TRACEPARENT, TRACESTATE};
pub use endpoint::{Endpoint, EndpointError};
pub use export::{Exporter, FLUSH_LIMIT};
pub use krustlet_http::CaFileError;
pub use queue::Counts;
pub use sampling::{Ratio, RatioError};
pub use source::{Source, Tracer};
pub use span::{ATTRIBUTE_BYTES, Kind, Span, Value};
