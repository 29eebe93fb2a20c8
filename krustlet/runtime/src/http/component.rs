//! `wasi:http/outgoing-handler` of WASI 0.2 (<https://github.com/WebAssembly/wasi-http/tree/v0.2.3>) and `wasi:http/client` of 0.3
//! (<https://github.com/WebAssembly/WASI/tree/v0.3.0/proposals/http>): both send what they send by the same hook.

use std::sync::Arc;

use http::Request;
use http::header::{HeaderName, TE, TRAILER};
use http_body_util::BodyExt;
use krustlet_http::{HttpError, Session, is_the_hosts};
use wasmtime::component::Linker;
use wasmtime_wasi_http::{
    Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtxView, WasiHttpHooks, WasiHttpView, p2, p3,
};

use super::trace::Sent;
use super::{Outgoing, Side, setters};
use crate::run::State;

/// The most that one `fields` may take of the host's memory, in bytes; past it the guest traps. More than the headers of a
/// request may have, so that these are refused by an error code.
pub(super) const FIELDS_BYTES: usize = 64 * 1024;

/// How many bytes of a request's body one write may hand over, and how many writes may wait to be sent. A guest may hold some
/// hundred bodies that it never sends.
const CHUNK_BYTES: usize = 32 * 1024;
const CHUNKS: usize = 1;

/// Adds `wasi:http/types` of both versions, `wasi:http/outgoing-handler` and `wasi:http/client`.
pub(crate) fn add_to_components(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    p2::add_only_http_to_linker_async(linker)?;
    p3::add_to_linker(linker)?;
    setters::add(linker)
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.http.hooks,
            table: wasmtime_wasi::WasiView::ctx(&mut self.wasi).table,
            ctx: &mut self.http.fields,
        }
    }
}

/// Where requests of `wasi:http` leave its stock implementation.
pub(super) struct Hooks {
    session: Session,
    side: Side,
    traces: Option<Outgoing>,
}

impl Hooks {
    pub(super) fn new(session: Session, side: Side, traces: Option<Outgoing>) -> Self {
        Self { session, side, traces }
    }
}

/// Trailers are announced by a header, which is a server's own: without it HTTP/1.1 has none. In requests the client refuses it.
fn is_forbidden(side: Side, name: &HeaderName) -> bool {
    is_the_hosts(name) && !(side == Side::Server && [TE, TRAILER].contains(name))
}

/// As the hook wants it: the response, and what goes on after it.
type Answered = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(self.side, name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        let side = self.side;
        Arc::new(move |name| is_forbidden(side, name))
    }

    fn set_host_header(&mut self) -> bool {
        // The client sets it.
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Answered> + Send> {
        let (parts, body) = request.into_parts();
        let method = parts.method.clone();
        // Before anything waits, so that the limit of requests holds for those that the guest starts together.
        let mut prepared = self.session.prepare_uri(&parts.uri, parts.method, parts.headers);
        // Of one that is refused there is none: a program makes as many of those as it likes.
        let span = match (&mut prepared, &self.traces) {
            (Ok(prepared), Some(traces)) => traces.begin(&method, &parts.uri, prepared.headers_mut()),
            _ => Sent::default(),
        };
        Box::new(async move {
            let response = async {
                let mut prepared = prepared?;
                if let Some(options) = options {
                    prepared.shorten(
                        options.connect_timeout,
                        options.first_byte_timeout,
                        options.between_bytes_timeout,
                    );
                }
                prepared.send(body.map_err(Into::into).boxed_unsync()).await
            };
            let response = response.await;
            span.end(&response);
            let response = response.map_err(code)?;
            // The body itself holds its connection.
            let nothing = Box::new(async { Ok(()) }) as Box<dyn Future<Output = _> + Send>;
            Ok((response.map(|body| body.map_err(code).boxed_unsync()), nothing))
        })
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        CHUNKS
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }
}

/// The `error-code` that an error is to a component.
fn code(error: HttpError) -> Error {
    match error {
        HttpError::Url(_) => Error::HttpRequestUriInvalid,
        HttpError::UrlTooLong => Error::HttpRequestUriTooLong,
        HttpError::Method => Error::HttpRequestMethodInvalid,
        HttpError::Header(name) => Error::HttpRequestHeaderSize { field_name: Some(name), field_size: None },
        HttpError::HeadersTooLarge => Error::HttpRequestHeaderSectionSize(None),
        HttpError::NotAllowed | HttpError::Downgrade => Error::HttpRequestDenied,
        HttpError::Address(_) | HttpError::Egress(_) => Error::DestinationIpProhibited,
        HttpError::TooMany(_) => Error::ConnectionLimitReached,
        HttpError::Dns => Error::DnsError { rcode: None, info_code: None },
        HttpError::Connect(std::io::ErrorKind::ConnectionRefused) => Error::ConnectionRefused,
        HttpError::Connect(_) => Error::DestinationUnavailable,
        HttpError::ConnectTimeout => Error::ConnectionTimeout,
        HttpError::Certificate(_) => Error::TlsCertificateError,
        HttpError::Tls(_) => Error::TlsProtocolError,
        HttpError::ResponseTimeout | HttpError::TotalTimeout => Error::HttpResponseTimeout,
        HttpError::IdleTimeout => Error::ConnectionReadTimeout,
        HttpError::ResponseHeadersTooLarge => Error::HttpResponseHeaderSectionSize(None),
        HttpError::RequestTooLarge => Error::HttpRequestBodySize(None),
        HttpError::ResponseTooLarge => Error::HttpResponseBodySize(None),
        // Redirects are followed for modules alone. The rest is the server's fault.
        _ => Error::HttpProtocolError,
    }
}
