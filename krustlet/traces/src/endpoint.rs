//! Where a collector is.

use std::fmt;
use std::str::FromStr;

use http::uri::PathAndQuery;
use krustlet_http::{MAX_URL_BYTES, Origin};

/// What OTLP adds to the base of all its signals for this one.
const PATH: &str = "/v1/traces";

/// The base URL of a collector's OTLP over HTTP, as OpenTelemetry's `OTEL_EXPORTER_OTLP_ENDPOINT` has it
/// (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp>): `http://localhost:4318`. Spans go to
/// `/v1/traces` below it.
///
/// ```
/// # use krustlet_traces::Endpoint;
/// let endpoint: Endpoint = "http://localhost:4318".parse()?;
/// assert_eq!(endpoint.to_string(), "http://localhost:4318/v1/traces");
/// let endpoint: Endpoint = "https://otlp.example/team/a/".parse()?;
/// assert_eq!(endpoint.to_string(), "https://otlp.example/team/a/v1/traces");
/// # Ok::<(), krustlet_traces::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) origin: Origin,
    pub(crate) url: String,
}

/// Why a text is no [`Endpoint`]. It is not repeated where it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; give the base URL of a collector's OTLP over HTTP, to which /v1/traces is added, for example http://localhost:4318"
)]
pub struct EndpointError(String);

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err(EndpointError("it holds a user name or a password, which are not sent".into()));
        }
        let may_be_secret = text.contains(['@', '?', '#']);
        let shown = if may_be_secret { String::new() } else { format!("{text:?}: ") };
        let wrong = |reason: &str| Err(EndpointError(format!("{shown}{reason}")));
        if !["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
            return wrong("it does not begin with http:// or https://");
        }
        if text.contains(['?', '#']) {
            return wrong("it has a query or a fragment, which is not sent");
        }
        let path = path.trim_end_matches('/');
        if path.ends_with(PATH) {
            return wrong("it ends with /v1/traces, which is added anyhow");
        }
        if text.len() > MAX_URL_BYTES - PATH.len() || !path.is_empty() && PathAndQuery::try_from(path).is_err() {
            return wrong("no request can have its path");
        }
        let origin: Origin = match format!("{scheme}://{authority}").parse() {
            Ok(origin) => origin,
            Err(_) => return wrong("its host or its port is none"),
        };
        Ok(Self { url: format!("{origin}{path}{PATH}"), origin })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_traces_is_added_to_the_base() {
        for (text, url) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            ("HTTPS://Otel.Example", "https://otel.example/v1/traces"),
            ("http://[fd00::1]:4318/a//", "http://[fd00::1]:4318/a/v1/traces"),
            ("http://collector.shop.svc:80/v1", "http://collector.shop.svc/v1/v1/traces"),
        ] {
            assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()), Ok(url.into()), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_named_but_for_a_password() {
        for (text, wanted) in [
            ("", "\"\": it does not begin with http:// or https://"),
            ("localhost:4318", "\"localhost:4318\": it does not begin with http:// or https://"),
            ("grpc://localhost:4317", "it does not begin with http:// or https://"),
            ("tcp://localhost:4317", "it does not begin with http:// or https://"),
            ("http://", "its host or its port is none"),
            ("http:///v1", "its host or its port is none"),
            ("http://a:0", "its host or its port is none"),
            ("http://a:port", "its host or its port is none"),
            ("http://0.0.0.0:4318", "its host or its port is none"),
            ("http://a?b", "it has a query or a fragment"),
            ("http://a/#b", "it has a query or a fragment"),
            ("http://a/b c", "no request can have its path"),
            ("http://a/v1/traces", "it ends with /v1/traces, which is added anyhow"),
            ("http://a/v1/traces/", "it ends with /v1/traces, which is added anyhow"),
            ("http://me:secret@a", "it holds a user name or a password, which are not sent"),
            ("me:secret@a", "it holds a user name or a password, which are not sent"),
            ("http://a/?key=secret", "it has a query or a fragment"),
            ("http://a/#secret", "it has a query or a fragment"),
            ("http//me:secret@a", "it does not begin with http:// or https://"),
            ("grpc://a/?key=secret", "it does not begin with http:// or https://"),
            ("http://a/secret@b/v1/traces", "it ends with /v1/traces"),
            ("http://0.0.0.0/secret@b", "its host or its port is none"),
        ] {
            let fault = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(fault.contains(wanted) && fault.ends_with("for example http://localhost:4318"), "{text}: {fault}");
            assert!(!fault.contains("secret"), "{fault}");
        }
    }
}
