//! A request as the guest wants it: what is checked before anything is sent.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE,
    COOKIE, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, StatusCode};

use crate::HttpError;

/// The most letters of a method. The longest that is registered has 17 (<https://www.iana.org/assignments/http-methods>).
pub const MAX_METHOD_BYTES: usize = 32;

/// The most headers of a request.
pub const MAX_REQUEST_HEADERS: usize = 100;

/// The most bytes that the names and values of a request's headers may have together.
pub const MAX_REQUEST_HEADER_BYTES: usize = 32 * 1024;

/// How many redirects are followed in a row, where they are followed at all.
pub const MAX_REDIRECTS: usize = 10;

/// Headers of the connection and not of the request (<https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>), and those by which a
/// request could say to be for another host or another length than it is.
const THE_HOSTS: [HeaderName; 12] = [
    HOST,
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    TE,
    TRAILER,
    EXPECT,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Whether a header is the host's to set, and not the guest's.
pub fn is_the_hosts(name: &HeaderName) -> bool {
    THE_HOSTS.contains(name)
}

pub(crate) fn check_method(method: &Method) -> Result<(), HttpError> {
    // CONNECT makes a tunnel, and TRACE sends credentials back; TRACK is the same by another name. A name is compared as the
    // Fetch standard does, without regard to case.
    let name = method.as_str();
    let forbidden = ["CONNECT", "TRACE", "TRACK"].iter().any(|other| other.eq_ignore_ascii_case(name));
    if forbidden || name.len() > MAX_METHOD_BYTES { Err(HttpError::Method) } else { Ok(()) }
}

/// Whether a request may have so many headers, and so large ones.
pub fn fits(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    headers.len() <= MAX_REQUEST_HEADERS && bytes <= MAX_REQUEST_HEADER_BYTES
}

pub(crate) fn check_headers(headers: &HeaderMap) -> Result<(), HttpError> {
    if let Some(name) = headers.keys().find(|name| is_the_hosts(name)) {
        return Err(HttpError::Header(name.to_string()));
    }
    if !fits(headers) {
        return Err(HttpError::HeadersTooLarge);
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(length), None) if number(length.as_bytes()).is_some() => Ok(()),
        _ => Err(HttpError::Header(CONTENT_LENGTH.to_string())),
    }
}

/// For a body whose length is known: a length that the guest has given must be that one.
pub(crate) fn check_length(headers: &mut HeaderMap, body: usize) -> Result<(), HttpError> {
    match headers.remove(CONTENT_LENGTH) {
        Some(length) if number(length.as_bytes()) != Some(body as u64) => {
            Err(HttpError::Header(CONTENT_LENGTH.to_string()))
        }
        _ => Ok(()),
    }
}

/// A length as RFC 9110 has it: digits alone.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if digits { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// Whether a response is a redirect that is followed when it says where to.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// What becomes of a request that is redirected (<https://fetch.spec.whatwg.org/#http-redirect-fetch>): its method and headers are
/// changed, and `true` says that its body is dropped.
pub(crate) fn redirected(status: StatusCode, same_origin: bool, method: &mut Method, headers: &mut HeaderMap) -> bool {
    let to_get = match status.as_u16() {
        301 | 302 => *method == Method::POST,
        303 => *method != Method::GET && *method != Method::HEAD,
        _ => false,
    };
    if to_get {
        *method = Method::GET;
        for name in [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE] {
            headers.remove(name);
        }
    }
    if !same_origin {
        headers.remove(AUTHORIZATION);
        headers.remove(COOKIE);
    }
    to_get
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn methods_are_tokens_but_for_those_of_proxies() {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get"] {
            assert_eq!(check_method(&method.parse().unwrap()), Ok(()), "{method}");
        }
        for method in ["CONNECT", "TRACE", "TRACK", "connect", &"X".repeat(33)] {
            assert_eq!(check_method(&method.parse().unwrap()), Err(HttpError::Method), "{method}");
        }
    }

    #[test]
    fn headers_are_bounded_and_those_of_the_connection_are_the_hosts() {
        let refused = |name: &str| Err(HttpError::Header(name.into()));
        let long = "x".repeat(MAX_REQUEST_HEADER_BYTES);
        let cases: Vec<(HeaderMap, Result<(), HttpError>)> = vec![
            (headers(&[]), Ok(())),
            (headers(&[("accept", "a"), ("authorization", "b"), ("cookie", "c")]), Ok(())),
            (headers(&[("host", "evil.example")]), refused("host")),
            (headers(&[("transfer-encoding", "chunked")]), refused("transfer-encoding")),
            (headers(&[("connection", "close")]), refused("connection")),
            (headers(&[("expect", "100-continue")]), refused("expect")),
            (headers(&[("content-length", "5")]), Ok(())),
            (headers(&[("content-length", "+5")]), refused("content-length")),
            (headers(&[("content-length", "")]), refused("content-length")),
            (headers(&[("content-length", "5, 5")]), refused("content-length")),
            (headers(&[("content-length", "5"), ("content-length", "5")]), refused("content-length")),
            (headers(&vec![("a", "b"); MAX_REQUEST_HEADERS]), Ok(())),
            (headers(&vec![("a", "b"); MAX_REQUEST_HEADERS + 1]), Err(HttpError::HeadersTooLarge)),
            (headers(&[("a", &long[1..])]), Ok(())),
            (headers(&[("a", &long)]), Err(HttpError::HeadersTooLarge)),
        ];
        for (map, expected) in cases {
            let shown: String = format!("{map:?}").chars().take(100).collect();
            assert_eq!(check_headers(&map), expected, "{shown}");
        }
        assert_eq!(check_length(&mut headers(&[("content-length", "5")]), 5), Ok(()));
        assert_eq!(check_length(&mut headers(&[("content-length", "4")]), 5), refused("content-length"));
        assert_eq!(check_length(&mut headers(&[]), 5), Ok(()));
    }

    #[test]
    fn a_redirect_changes_method_body_and_credentials() {
        let cases = [
            (301, "POST", true, "GET", true),
            (302, "POST", true, "GET", true),
            (303, "POST", true, "GET", true),
            (307, "POST", true, "POST", false),
            (308, "POST", true, "POST", false),
            (301, "PUT", true, "PUT", false),
            (303, "PUT", true, "GET", true),
            (303, "GET", true, "GET", false),
            (303, "HEAD", true, "HEAD", false),
            (307, "GET", false, "GET", false),
            (302, "POST", false, "GET", true),
        ];
        for (status, method, same_origin, expected, dropped) in cases {
            let label = format!("{status} {method} {same_origin}");
            let all = [
                ("accept", "a"),
                ("authorization", "b"),
                ("cookie", "c"),
                ("content-type", "d"),
                ("content-length", "1"),
            ];
            let (mut method, mut map) = (method.parse().unwrap(), headers(&all));
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(redirected(status, same_origin, &mut method, &mut map), dropped, "{label}");
            assert_eq!(method.as_str(), expected, "{label}");
            assert_eq!(map.contains_key("authorization"), same_origin, "{label}");
            assert_eq!(map.contains_key("cookie"), same_origin, "{label}");
            assert_eq!(map.contains_key("content-type"), !dropped, "{label}");
            assert!(map.contains_key("accept"), "{label}");
        }
        for status in [200, 204, 300, 304, 305, 306, 400] {
            assert!(!is_redirect(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }
}
