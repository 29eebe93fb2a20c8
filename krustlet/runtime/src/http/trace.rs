//! Spans of the requests that a server sends while it answers one, by OpenTelemetry's conventions
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span>).

use http::request::Parts;
use http::{Response, Uri};
use krustlet_http::{HttpError, ResponseBody};
use krustlet_traces::{Context, Kind, Source, Span, Value};

use crate::serve::trace::set_method;

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
    /// Begins the span of a request, and gives what that is to say of its trace. Its parent is what the program says, by the header that it
    /// has been given or one of its own.
    pub(super) fn begin(&self, parts: &Parts) -> (Option<Context>, Sent) {
        let own = Context::extract(&parts.headers);
        let Some(parent) = own.as_ref().or(self.parent.as_ref()) else { return Default::default() };
        let (context, span) = self.source.begin(Kind::Client, Some(parent));
        let described = span.map(|mut span| {
            set_method(&mut span, &parts.method);
            describe(&mut span, &parts.uri);
            span
        });
        (Some(context), Sent(described))
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
