//! A line for each request, where somebody asked for it.

use std::sync::Arc;
use std::time::Duration;

use http::Request;

use super::id::RequestId;
use crate::{LogSink, RunSpec, Stream};

/// The most of a path that is said.
const PATH_BYTES: usize = 1024;

/// A request whose end is to be said.
pub(in crate::serve) struct Access {
    output: Arc<dyn LogSink>,
    request: String,
}

impl Access {
    /// `None` where nobody asked for it.
    pub(in crate::serve) fn new<B>(spec: &RunSpec, id: &RequestId, request: &Request<B>) -> Option<Self> {
        if !spec.access_log {
            return None;
        }
        let path = request.uri().path_and_query().map_or("", |path| path.as_str());
        // A client may send what is no ASCII, and a program's log is its author's to read.
        let path: String = path.chars().flat_map(char::escape_debug).take(PATH_BYTES).collect();
        Some(Self { output: spec.output.clone(), request: format!("request {id}: {} {path}", request.method()) })
    }

    /// Says it. A log that takes nothing is no reason to fail.
    pub(in crate::serve) fn end(&self, code: u16, took: Duration) {
        let line = format!("{} {code} {:.1} ms\n", self.request, took.as_secs_f64() * 1000.0);
        let _ = self.output.write(Stream::Stderr, line.as_bytes());
    }
}
