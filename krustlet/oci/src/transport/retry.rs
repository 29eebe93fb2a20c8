//! Whether and when a registry is asked once more.
//!
//! Within one call only what passes by itself in a moment: a connection that broke, a server that is starting or
//! overloaded. Everything else is the caller's to repeat, with longer pauses.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::OciError;

/// The pauses before the second and the third try.
pub(crate) const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// The longest that a registry may make a call wait; what asks for more gets no second try within the call.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why a try failed, and whether another one may help.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: OciError,
    pub(crate) again: Again,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    Soon,
    /// The registry said when.
    After(Duration),
}

impl Failure {
    pub(crate) fn last(error: OciError) -> Self {
        Self { error, again: Again::Never }
    }
}

/// How long to wait before the next try; `None` if there is none. `tries` have been made, at least one.
pub(crate) fn pause(again: Again, tries: usize) -> Option<Duration> {
    let planned = *PAUSES.get(tries.checked_sub(1)?)?;
    match again {
        Again::Never => None,
        Again::Soon => Some(planned),
        Again::After(wait) => (wait <= LONGEST_PAUSE).then_some(wait.max(planned)),
    }
}

/// What a status says about another try; `None` if the answer stands.
pub(crate) fn of_status(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Option<Again> {
    let passes = match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        // These two are about what is asked, not about the moment.
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => false,
        status => status.is_server_error(),
    };
    passes.then(|| retry_after(headers, now).map_or(Again::Soon, Again::After))
}

/// `Retry-After`, in seconds or as a date (<https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>).
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// Whether a connection broke, which the next one may not. A timeout is no such thing: the caller has waited long enough.
/// Nor is a name that does not resolve, or a certificate that nobody trusts.
pub(crate) fn of_http(error: &reqwest::Error) -> Again {
    if error.is_timeout() || error.is_builder() || error.is_redirect() {
        return Again::Never;
    }
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return if is_broken(error.kind()) { Again::Soon } else { Again::Never };
        }
        next = error.source();
    }
    // Without an error of the operating system: while a connection was made it is the name or TLS, afterwards the other
    // side closed it too early.
    if error.is_connect() { Again::Never } else { Again::Soon }
}

fn is_broken(kind: ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(kind, K::ConnectionRefused | K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn three_tries_with_growing_pauses_and_none_that_is_too_long() {
        let table = [
            (Again::Never, 1, None),
            (Again::Soon, 1, Some(PAUSES[0])),
            (Again::Soon, 2, Some(PAUSES[1])),
            (Again::Soon, 3, None),
            (Again::After(seconds(0)), 1, Some(PAUSES[0])),
            (Again::After(seconds(5)), 1, Some(seconds(5))),
            (Again::After(seconds(10)), 2, Some(seconds(10))),
            (Again::After(seconds(11)), 1, None),
            (Again::After(seconds(5)), 3, None),
        ];
        for (again, tries, expected) in table {
            assert_eq!(pause(again, tries), expected, "{again:?} after {tries}");
        }
    }

    #[test]
    fn a_status_says_whether_the_moment_was_bad() {
        let now = SystemTime::UNIX_EPOCH + seconds(784_111_777);
        let headers = |value: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (RETRY_AFTER, value.parse().unwrap())));
            headers
        };
        let table = [
            (200, None, None),
            (404, None, None),
            (401, Some("1"), None),
            (501, None, None),
            (500, None, Some(Again::Soon)),
            (503, None, Some(Again::Soon)),
            (503, Some("7"), Some(Again::After(seconds(7)))),
            (429, Some(" 60 "), Some(Again::After(seconds(60)))),
            (429, Some("soon"), Some(Again::Soon)),
            (429, Some("-1"), Some(Again::Soon)),
            // The example of the RFC, five seconds from now, and one second ago.
            (429, Some("Sun, 06 Nov 1994 08:49:42 GMT"), Some(Again::After(seconds(5)))),
            (429, Some("Sun, 06 Nov 1994 08:49:36 GMT"), Some(Again::After(seconds(0)))),
        ];
        for (status, value, expected) in table {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(of_status(status, &headers(value), now), expected, "{status} {value:?}");
        }
    }
}
