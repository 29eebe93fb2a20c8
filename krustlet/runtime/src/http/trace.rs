//! Spans of the requests that a server sends while it answers one, by OpenTelemetry's conventions
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span>).

use http::{HeaderMap, Method, Response, Uri};
use krustlet_http::{HttpError, ResponseBody, fits};
use krustlet_traces::{Context, Kind, Source, Span, TRACEPARENT, TRACESTATE, Value};

use crate::serve::telemetry::trace::set_method;

/// Who begins them, and where they stand where their program does not say it.
pub(crate) struct Outgoing {
    pub(crate) source: Source,
    /// The request that the instance answers, if that is one.
    pub(crate) parent: Option<Context>,
}

/// A request that is sent, until its response is there.
#[derive(Default)]
pub(super) struct Sent(Option<Span>);

impl Outgoing {
    /// Begins the span of a request that is not refused, and has its headers say where that stands. Its parent is what the program says, by
    /// the header that it has been given or one of its own.
    pub(super) fn begin(&self, method: &Method, uri: &Uri, headers: &mut HeaderMap) -> Sent {
        let own = Context::extract(headers);
        let Some(parent) = own.as_ref().or(self.parent.as_ref()) else { return Sent::default() };
        let (context, span) = self.source.begin(Kind::Client, Some(parent));
        inject(&context, headers);
        Sent(span.map(|mut span| {
            set_method(&mut span, method);
            describe(&mut span, uri);
            span
        }))
    }
}

/// Its headers keep to the limits of the program's own: what there is no room for is left out.
fn inject(context: &Context, headers: &mut HeaderMap) {
    context.inject(headers);
    for name in [TRACESTATE, TRACEPARENT] {
        if fits(headers) {
            return;
        }
        headers.remove(name);
    }
}

/// Without the query, which may hold what is nobody else's.
fn describe(span: &mut Span, uri: &Uri) {
    let (scheme, authority) = (uri.scheme_str().unwrap_or("http"), uri.authority());
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let authority = authority.map_or("", |authority| authority.as_str());
    // It would be refused with one.
    let host = authority.rsplit('@').next().unwrap_or_default();
    span.set("server.address", Value::text(uri.host().unwrap_or_default()));
    span.set("server.port", port);
    span.set("url.full", Value::text(&format!("{scheme}://{host}{}", uri.path())));
}

impl Sent {
    pub(super) fn end(mut self, result: &Result<Response<ResponseBody>, HttpError>) {
        let Some(mut span) = self.0.take() else { return };
        match result {
            Ok(response) => {
                let status = response.status();
                span.set("http.response.status_code", status.as_u16());
                if status.is_client_error() || status.is_server_error() {
                    span.fail(Value::text(status.as_str()));
                }
            }
            // Its name alone.
            Err(error) => {
                let name = format!("{error:?}");
                span.fail(Value::text(name.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default()));
            }
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        // The program did not wait for it, or is gone.
        if let Some(span) = &mut self.0 {
            span.fail("cancelled");
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use krustlet_http::{MAX_REQUEST_HEADER_BYTES, MAX_REQUEST_HEADERS};

    use super::*;

    #[test]
    fn a_trace_is_handed_on_as_far_as_the_headers_leave_room() {
        let parent = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let state = HeaderValue::from_static("a=1");
        let context = HeaderMap::from_iter([(TRACEPARENT, parent), (TRACESTATE, state)]);
        let context = Context::extract(&context).unwrap();
        let (both, one) = ("traceparent".len() + 55 + "tracestate".len() + 3, "traceparent".len() + 55);
        for (room, wanted) in
            [(both, (true, true)), (both - 1, (true, false)), (one, (true, false)), (one - 1, (false, false))]
        {
            let long = "x".repeat(MAX_REQUEST_HEADER_BYTES - room - 1);
            let mut headers = HeaderMap::new();
            headers.insert("a", long.parse().unwrap());
            inject(&context, &mut headers);
            assert_eq!((headers.contains_key(TRACEPARENT), headers.contains_key(TRACESTATE)), wanted, "{room}");
            assert!(fits(&headers));
        }
        for (room, wanted) in [(2, 2), (1, 1), (0, 0)] {
            let mut headers = HeaderMap::new();
            for _ in 0..MAX_REQUEST_HEADERS - room {
                headers.append("a", HeaderValue::from_static("b"));
            }
            inject(&context, &mut headers);
            assert_eq!(headers.len(), MAX_REQUEST_HEADERS - room + wanted);
        }
    }
}
