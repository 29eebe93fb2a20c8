//! The spans of requests, by OpenTelemetry's conventions (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server>).

use std::sync::Arc;

use http::header::HOST;
use http::uri::Authority;
use http::{Method, Request, StatusCode, Version};
use krustlet_traces::{Context, Kind, Source, Span, Value};

use super::id::RequestId;
use crate::serve::call::{Call, Failure};

/// Methods that the conventions know. Others are one.
const METHODS: [&str; 10] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "QUERY"];
const OTHER: &str = "_OTHER";

/// A request whose span is recorded, until its response is sent or nobody waits for it any more.
pub(in crate::serve) struct Traced {
    span: Span,
    /// Of the response, if there is one.
    status: Option<StatusCode>,
    /// What has gone wrong, if that is known.
    failure: Option<Failure>,
    /// Who knows it otherwise.
    call: Option<Arc<Call>>,
}

impl Traced {
    /// Begins the span, and tells the program where it stands. What a client says of its trace, and cannot be read, it is not told.
    pub(in crate::serve) fn begin<B>(
        source: &Source,
        id: &RequestId,
        request: &mut Request<B>,
    ) -> (Context, Option<Self>) {
        let parent = Context::extract(request.headers());
        let (context, span) = source.begin(Kind::Server, parent.as_ref());
        context.inject(request.headers_mut());
        let traced = span.map(|mut span| {
            describe(&mut span, id, request);
            Self { span, status: None, failure: None, call: None }
        });
        (context, traced)
    }

    pub(in crate::serve) fn status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    pub(in crate::serve) fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }

    pub(in crate::serve) fn follow(&mut self, call: Option<&Arc<Call>>) {
        self.call = call.cloned();
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if let Some(status) = self.status {
            self.span.set("http.response.status_code", status.as_u16());
        }
        let failure = self.failure.as_ref().or_else(|| self.call.as_ref()?.failure());
        let error = match (failure, self.status) {
            (Some(failure), _) => failure.error_type().map(Value::from),
            (None, None) => Failure::Gone.error_type().map(Value::from),
            (None, Some(status)) => status.is_server_error().then(|| Value::text(status.as_str())),
        };
        if let Some(error) = error {
            self.span.fail(error);
        }
    }
}

fn describe<B>(span: &mut Span, id: &RequestId, request: &Request<B>) {
    set_method(span, request.method());
    span.set("url.path", Value::text(request.uri().path()));
    span.set("url.scheme", "http");
    // HTTP/2 has it in the URI.
    let host = request.headers().get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    if let Some(authority) = request.uri().authority().or(host.as_ref()) {
        span.set("server.address", Value::text(authority.host()));
        span.set("server.port", authority.port_u16().unwrap_or(80));
    }
    span.set("network.protocol.version", if request.version() == Version::HTTP_2 { "2" } else { "1.1" });
    span.set("http.request.header.x-request-id", Value::list(id.as_str()));
}

/// Its name is the method alone: a path names what is asked for, and there are no others that it could be told by.
pub(crate) fn set_method(span: &mut Span, method: &Method) {
    match METHODS.into_iter().find(|known| *known == method.as_str()) {
        Some(known) => {
            span.name(known);
            span.set("http.request.method", known);
        }
        None => {
            span.name("HTTP");
            span.set("http.request.method", OTHER);
            span.set("http.request.method_original", Value::text(method.as_str()));
        }
    }
}
