//! Why a request did not get its response.

use std::error::Error;

/// Why a guest's request was refused or failed. A guest gets it as an error of its own interface; `docs/http.md` says which.
///
/// The texts are for the host's log: they name no path, no query and no header's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The URL is none, or is not written plainly.
    #[error("the URL is not valid: {0}")]
    Url(String),
    /// The URL is longer than [`MAX_URL_BYTES`](crate::MAX_URL_BYTES).
    #[error("the URL is longer than {} bytes", crate::MAX_URL_BYTES)]
    UrlTooLong,
    /// The method is no token, or one that is for proxies and tests (`CONNECT`, `TRACE`).
    #[error("the method is not valid")]
    Method,
    /// A request header is not valid, or is the host's alone to set.
    #[error("the request header {0:?} is not valid or not the program's to set")]
    Header(String),
    /// The request's headers are more or larger than [`MAX_REQUEST_HEADERS`](crate::MAX_REQUEST_HEADERS) and
    /// [`MAX_REQUEST_HEADER_BYTES`](crate::MAX_REQUEST_HEADER_BYTES).
    #[error("the request's headers are too many or too large")]
    HeadersTooLarge,
    /// No allowed origin has this scheme, host and port.
    #[error("the origin is not allowed")]
    NotAllowed,
    /// A redirect leads from `https` to `http`.
    #[error("a redirect leads from https to http")]
    Downgrade,
    /// The name stands for an address that it must not stand for.
    #[error("its name stands for {0}")]
    Address(
        /// What the address is.
        &'static str,
    ),
    /// The host lets no guest connect to the address: see [`Egress`](crate::Egress).
    #[error("this node lets no program connect to {0}; --allowed-egress opens it")]
    Egress(
        /// What the address is.
        &'static str,
    ),
    /// As many requests are under way as the guest may have.
    #[error("{0} requests are under way, which is the limit")]
    TooMany(
        /// The limit.
        usize,
    ),
    /// The port at which a socket was to listen is somebody else's, or none of the guest's.
    #[error("{0}")]
    Port(String),
    /// The name could not be looked up, or has no address.
    #[error("the name cannot be looked up")]
    Dns,
    /// No address answered, or all refused.
    #[error("the connection failed: {0}")]
    Connect(std::io::ErrorKind),
    /// There was no connection within [`connect_timeout`](crate::HttpLimits::connect_timeout).
    #[error("the connection took too long")]
    ConnectTimeout,
    /// The server's certificate is not trusted, or not for this host.
    #[error("the server's certificate is not valid: {0}")]
    Certificate(String),
    /// TLS failed otherwise.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The response did not begin within [`response_timeout`](crate::HttpLimits::response_timeout).
    #[error("the response took too long")]
    ResponseTimeout,
    /// The body paused for longer than [`idle_timeout`](crate::HttpLimits::idle_timeout).
    #[error("the response's body paused for too long")]
    IdleTimeout,
    /// The exchange took longer than [`total_timeout`](crate::HttpLimits::total_timeout).
    #[error("the exchange took too long")]
    TotalTimeout,
    /// The server does not speak HTTP/1.1 as it should, or closed the connection in the middle.
    #[error("the server did not keep to HTTP/1.1, or closed the connection too early")]
    Protocol,
    /// The response's headers are more or larger than [`MAX_RESPONSE_HEADERS`](crate::MAX_RESPONSE_HEADERS) and
    /// [`MAX_RESPONSE_HEADER_BYTES`](crate::MAX_RESPONSE_HEADER_BYTES).
    #[error("the response's headers are too many or too large")]
    ResponseHeadersTooLarge,
    /// The request's body is larger than [`max_request_body_bytes`](crate::HttpLimits::max_request_body_bytes), or more of them
    /// are held at once.
    #[error("the request's body is too large")]
    RequestTooLarge,
    /// The response's body is, or says that it is, larger than
    /// [`max_response_body_bytes`](crate::HttpLimits::max_response_body_bytes).
    #[error("the response's body is too large")]
    ResponseTooLarge,
    /// More than [`MAX_REDIRECTS`](crate::MAX_REDIRECTS) redirects in a row.
    #[error("there are more than {} redirects in a row", crate::MAX_REDIRECTS)]
    TooManyRedirects,
    /// A redirect leads to something that is no valid URL.
    #[error("a redirect leads to no valid URL")]
    Redirect,
}

impl HttpError {
    /// Whether it is the permission that was missing, which whoever runs the guest may want to know.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotAllowed | Self::Downgrade | Self::Address(_) | Self::Egress(_) | Self::TooMany(_) | Self::Port(_)
        )
    }

    /// What hyper's words mean. An error of the request's body comes wrapped into them.
    pub(crate) fn of_hyper(error: &hyper::Error) -> Self {
        let mut source = error.source();
        while let Some(inner) = source {
            if let Some(own) = inner.downcast_ref::<Self>() {
                return own.clone();
            }
            source = inner.source();
        }
        if error.is_parse_too_large() { Self::ResponseHeadersTooLarge } else { Self::Protocol }
    }

    /// What rustls' words mean, which come wrapped into an error of the operating system.
    pub(crate) fn of_tls(error: &std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(reason)) => Self::Certificate(reason.to_string()),
            Some(error) => Self::Tls(error.to_string()),
            None => Self::Connect(error.kind()),
        }
    }
}
