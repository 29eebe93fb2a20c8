//! Where one request goes.

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use url::{Position, Url};

use crate::policy::origin::{Origin, Scheme, plain_url};
use crate::{AllowedOrigins, HttpError};

/// The longest URL that a request may have, in bytes: what servers commonly take.
pub const MAX_URL_BYTES: usize = 8192;

/// A URL that a request may go to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) origin: Origin,
    /// For what is relative to it.
    url: Url,
    path: PathAndQuery,
}

impl Target {
    /// From the text of a URL.
    pub(crate) fn parse(text: &str, allowed: &AllowedOrigins) -> Result<Self, HttpError> {
        if text.len() > MAX_URL_BYTES {
            return Err(HttpError::UrlTooLong);
        }
        Self::of(plain_url(text).map_err(HttpError::Url)?, allowed)
    }

    /// From a URI's parts, which keeps path and query as they are.
    pub(crate) fn of_uri(uri: &Uri, allowed: &AllowedOrigins) -> Result<Self, HttpError> {
        let mut target = Self::parse(&uri.to_string(), allowed)?;
        if let Some(path) = uri.path_and_query().filter(|path| path.as_str().starts_with('/')) {
            target.path = path.clone();
        }
        Ok(target)
    }

    /// Where a redirect leads: `location` is relative to this target
    /// (<https://www.rfc-editor.org/rfc/rfc9110#section-10.2.2>).
    pub(crate) fn redirect(&self, location: &HeaderValue, allowed: &AllowedOrigins) -> Result<Self, HttpError> {
        let location = location.to_str().map_err(|_| HttpError::Redirect)?;
        let unclear = |character: char| character.is_whitespace() || character.is_control() || character == '\\';
        if location.len() > MAX_URL_BYTES || location.contains(unclear) {
            return Err(HttpError::Redirect);
        }
        // What names a host is read as strictly as the guest's own words. A relative one has none to be misread, and where
        // it names no scheme it has this target's.
        let url = match location.strip_prefix("//") {
            Some(rest) => plain_url(&format!("{}://{rest}", self.origin.scheme.as_str())),
            None if has_scheme(location) => plain_url(location),
            None => self.url.join(location).map_err(|error| error.to_string()),
        };
        let next = Self::of(url.map_err(|_| HttpError::Redirect)?, allowed).map_err(|error| match error {
            HttpError::Url(_) => HttpError::Redirect,
            error => error,
        })?;
        if self.origin.scheme == Scheme::Https && next.origin.scheme == Scheme::Http {
            return Err(HttpError::Downgrade);
        }
        Ok(next)
    }

    fn of(url: Url, allowed: &AllowedOrigins) -> Result<Self, HttpError> {
        let origin = Origin::of(&url).ok_or_else(|| HttpError::Url("its scheme is not http or https".into()))?;
        let path = url[Position::BeforePath..Position::AfterQuery]
            .parse()
            .map_err(|_| HttpError::Url("its path or query holds what no request can carry".into()))?;
        if allowed.allows(&origin) { Ok(Self { origin, url, path }) } else { Err(HttpError::NotAllowed) }
    }

    /// What stands in the first line of the request.
    pub(crate) fn path(&self) -> &PathAndQuery {
        &self.path
    }

    /// What stands in the `Host` header.
    pub(crate) fn authority(&self) -> String {
        let origin = &self.origin;
        if Some(origin.port) == origin.scheme.default_port() {
            origin.host.to_string()
        } else {
            format!("{}:{}", origin.host, origin.port)
        }
    }
}

/// Whether a reference names its scheme (RFC 3986, section 3.1).
fn has_scheme(reference: &str) -> bool {
    let end = reference.find([':', '/', '?', '#']);
    end.is_some_and(|end| reference[end..].starts_with(':'))
}

/// The origin that a URL names, for the log: whatever else is wrong with it.
pub(crate) fn named_origin(text: &str) -> Option<Origin> {
    if text.len() > MAX_URL_BYTES { None } else { Origin::of(&plain_url(text).ok()?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> AllowedOrigins {
        ["https://a.example", "http://a.example", "https://b.example:8443"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect()
    }

    #[test]
    fn a_url_becomes_host_and_path() {
        for (text, authority, path) in [
            ("https://a.example", "a.example", "/"),
            ("HTTPS://A.Example:443/x?y#z", "a.example", "/x?y"),
            ("https://b.example:8443?q", "b.example:8443", "/?q"),
            ("https://a.example/ä/../%41", "a.example", "/%41"),
            ("https://a.example/@c.example:80/", "a.example", "/@c.example:80/"),
        ] {
            let target = Target::parse(text, &allowed()).unwrap();
            assert_eq!((target.authority().as_str(), target.path().as_str()), (authority, path), "{text}");
        }
    }

    #[test]
    fn a_uri_keeps_its_path_as_it_is() {
        let uri: Uri = "https://a.example/x/../%2e/y?z".parse().unwrap();
        assert_eq!(Target::of_uri(&uri, &allowed()).unwrap().path().as_str(), "/x/../%2e/y?z");
        let uri: Uri = "https://a.example@c.example/".parse().unwrap();
        assert!(matches!(Target::of_uri(&uri, &allowed()), Err(HttpError::Url(_))));
    }

    #[test]
    fn redirects_lead_to_allowed_origins_and_never_out_of_tls() {
        let from = Target::parse("https://a.example/x/y?z", &allowed()).unwrap();
        let cases = [
            ("/p", Ok("https://a.example/p")),
            ("p", Ok("https://a.example/x/p")),
            ("?q", Ok("https://a.example/x/y?q")),
            ("", Ok("https://a.example/x/y?z")),
            ("//b.example:8443/p", Ok("https://b.example:8443/p")),
            ("https://b.example:8443", Ok("https://b.example:8443/")),
            ("//b.example/p", Err(HttpError::NotAllowed)),
            ("https://b.example:8443@c.example/", Err(HttpError::Redirect)),
            ("//a.example@c.example/", Err(HttpError::Redirect)),
            ("///c.example/", Err(HttpError::Redirect)),
            ("/\\c.example/", Err(HttpError::Redirect)),
            ("http://a.example/", Err(HttpError::Downgrade)),
            ("http://c.example/", Err(HttpError::NotAllowed)),
            ("https:/c.example/", Err(HttpError::Redirect)),
            ("https:c.example", Err(HttpError::Redirect)),
            ("ftp://a.example/", Err(HttpError::Redirect)),
            ("file:///etc/passwd", Err(HttpError::Redirect)),
            ("javascript:1", Err(HttpError::Redirect)),
            ("https://2130706433/", Err(HttpError::Redirect)),
            ("https://c d.example/", Err(HttpError::Redirect)),
        ];
        for (location, expected) in cases {
            let next = from.redirect(&HeaderValue::from_str(location).unwrap(), &allowed());
            let next = next.map(|target| target.url.to_string());
            assert_eq!(next, expected.map(str::to_owned), "{location}");
        }
        let plain = Target::parse("http://a.example/", &allowed()).unwrap();
        assert!(plain.redirect(&HeaderValue::from_static("https://a.example/"), &allowed()).is_ok());
    }
}
