//! What a request is called, in logs and by those who ask for it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that proxies and programs have agreed on, without a standard.
pub(in crate::serve) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest name that is taken from a client. It is written to logs.
const LONGEST: usize = 64;

/// A request's name: the client's, or one of our own.
#[derive(Clone, Debug)]
pub(in crate::serve) struct RequestId(HeaderValue);

impl RequestId {
    pub(in crate::serve) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    pub(in crate::serve) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes names: the first part is that of the server's run, the second counts.
#[derive(Debug)]
pub(in crate::serve) struct RequestIds {
    run: u64,
    last: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        Self { run: RandomState::new().hash_one(0) & 0xffff_ffff, last: AtomicU64::new(0) }
    }
}

impl RequestIds {
    /// The name that a request has, or gets. Afterwards its headers hold it.
    pub(in crate::serve) fn name(&self, headers: &mut HeaderMap) -> RequestId {
        let given = headers.get(REQUEST_ID).filter(|value| is_plain(value.as_bytes()));
        let id = given.cloned().unwrap_or_else(|| {
            let number = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            HeaderValue::try_from(format!("{:08x}-{number}", self.run)).unwrap_or(HeaderValue::from_static("-"))
        });
        headers.insert(REQUEST_ID, id.clone());
        RequestId(id)
    }
}

/// Whether it can be written to a log as it is.
fn is_plain(name: &[u8]) -> bool {
    (1..=LONGEST).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_kept_and_every_other_request_gets_one() {
        let ids = RequestIds::default();
        let name = |given: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for given in given {
                headers.append(REQUEST_ID, HeaderValue::from_static(given));
            }
            let id = ids.name(&mut headers).to_string();
            assert_eq!(headers.get_all(REQUEST_ID).iter().collect::<Vec<_>>(), [id.as_str()]);
            id
        };
        assert_eq!(name(&["4bf92f35-77b3"]), "4bf92f35-77b3");
        let (one, two) = (name(&[]), name(&[]));
        assert!(one.ends_with("-1") && two.ends_with("-2") && one[..9] == two[..9], "{one} {two}");
        assert_eq!(one.len(), 10);
        let long: &'static str = Box::leak("a".repeat(65).into_boxed_str());
        for odd in ["", "a b", "a\"b", long] {
            assert!(name(&[odd]).starts_with(&one[..9]), "{odd}");
        }
        assert_eq!(name(&["a", "b"]), "a");
    }
}
