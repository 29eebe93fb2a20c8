//! From an answer of the service to a fact.

use std::fmt;

use serde_json::Value;

/// The most that is read of an answer, in bytes. Facts are sentences; what is longer is no fact.
pub const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// How much of what was no JSON is shown, in characters.
const SHOWN: usize = 60;

/// What a service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; [`read_limited`] keeps it small.
    pub body: Vec<u8>,
}

/// Why there is no fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There was no answer; why, for people.
    Request(String),
    /// The answer's status is not 200.
    Status(u16),
    /// The body is longer than [`BODY_LIMIT_BYTES`].
    TooLong,
    /// The body is no JSON: the parser's words, and how the body begins.
    NotJson(String, String),
    /// The JSON has no `fact`, or one that is no text or empty.
    NoFact,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(why) => write!(f, "the request failed: {why}"),
            Self::Status(status) => write!(f, "the answer has status {status}, not 200"),
            Self::TooLong => write!(f, "the answer is longer than {BODY_LIMIT_BYTES} bytes"),
            Self::NotJson(why, body) => write!(f, "the answer is no JSON ({why}): {body:?}"),
            Self::NoFact => f.write_str("the answer has no text \"fact\""),
        }
    }
}

/// The fact in what a request came to. A service answers `{"fact": "…", "length": 42}`.
pub(crate) fn of(answer: Result<Answer, impl fmt::Display>) -> Result<String, Fault> {
    let Answer { status, body } = answer.map_err(|why| Fault::Request(why.to_string()))?;
    if status != 200 {
        return Err(Fault::Status(status));
    }
    if body.len() > BODY_LIMIT_BYTES {
        return Err(Fault::TooLong);
    }
    let json: Value = serde_json::from_slice(&body)
        .map_err(|why| Fault::NotJson(why.to_string(), String::from_utf8_lossy(&body).chars().take(SHOWN).collect()))?;
    let fact = json.get("fact").and_then(Value::as_str).unwrap_or_default();
    // One line of the log for each fact, whatever the service sends.
    let fact = fact.split_whitespace().collect::<Vec<_>>().join(" ");
    if fact.is_empty() { Err(Fault::NoFact) } else { Ok(fact) }
}

/// Reads a body to its end, or until it is longer than [`BODY_LIMIT_BYTES`]: the rest is not asked for. `read` fills a buffer and
/// says how much of it; 0 is the end.
///
/// # Errors
/// That of `read`.
pub fn read_limited<E>(mut read: impl FnMut(&mut [u8]) -> Result<usize, E>) -> Result<Vec<u8>, E> {
    let mut body = Vec::new();
    let mut chunk = [0; 4096];
    while body.len() <= BODY_LIMIT_BYTES {
        match read(&mut chunk)? {
            0 => break,
            length => body.extend_from_slice(&chunk[..length]),
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(status: u16, body: &str) -> Result<String, Fault> {
        of(Ok::<_, &str>(Answer { status, body: body.into() }))
    }

    #[test]
    fn facts() {
        let table = [
            (r#"{"fact": "Cats sleep.", "length": 11}"#, "Cats sleep."),
            (r#"{"fact": "Katzen können 😸\n  schnurren. "}"#, "Katzen können 😸 schnurren."),
            (r#"{"length": 1, "fact": "x", "more": [{}]}"#, "x"),
        ];
        for (body, wanted) in table {
            assert_eq!(fact(200, body), Ok(wanted.to_owned()));
        }
    }

    #[test]
    fn no_facts() {
        for status in [199, 204, 301, 404, 500] {
            assert_eq!(fact(status, r#"{"fact": "x"}"#), Err(Fault::Status(status)));
        }
        for body in
            [r#"{}"#, r#"{"fact": 1}"#, r#"{"fact": null}"#, r#"{"fact": " "}"#, "[]", "[\"fact\"]", "1", "null"]
        {
            assert_eq!(fact(200, body), Err(Fault::NoFact), "{body}");
        }
        for body in ["", "<html>", "{\"fact\": \"x\"", "{\"fact\": \"x\"} more"] {
            assert!(matches!(fact(200, body), Err(Fault::NotJson(..))), "{body}");
        }
        let long = format!(r#"{{"fact": "{}"}}"#, "x".repeat(BODY_LIMIT_BYTES));
        assert_eq!(fact(200, &long), Err(Fault::TooLong));
        assert_eq!(of(Err("refused")), Err(Fault::Request("refused".into())));
    }

    #[test]
    fn faults_are_said_in_one_short_line() {
        let table = [
            (Fault::Request("refused".into()), "the request failed: refused"),
            (Fault::Status(503), "the answer has status 503, not 200"),
            (Fault::TooLong, "the answer is longer than 65536 bytes"),
            (Fault::NoFact, "the answer has no text \"fact\""),
        ];
        for (fault, wanted) in table {
            assert_eq!(fault.to_string(), wanted);
        }
        let said = fact(200, &format!("<html>\n{}", "x".repeat(1000))).unwrap_err().to_string();
        assert_eq!(
            said,
            format!("the answer is no JSON (expected value at line 1 column 1): \"<html>\\n{}\"", "x".repeat(53))
        );
        assert!(matches!(of(Ok::<_, &str>(Answer { status: 200, body: vec![0xff] })), Err(Fault::NotJson(..))));
    }

    #[test]
    fn bodies_are_read_to_their_end_or_limit() {
        let mut parts = vec!["b", "a"];
        let read = |buffer: &mut [u8]| {
            let Some(part) = parts.pop() else { return Ok::<_, &str>(0) };
            buffer[..part.len()].copy_from_slice(part.as_bytes());
            Ok(part.len())
        };
        assert_eq!(read_limited(read), Ok(b"ab".to_vec()));
        let mut calls = 0;
        let endless = |buffer: &mut [u8]| {
            calls += 1;
            buffer.fill(b'x');
            Ok::<_, &str>(buffer.len())
        };
        assert_eq!(read_limited(endless).map(|body| body.len()), Ok(BODY_LIMIT_BYTES + 4096));
        assert_eq!(calls, 17);
        assert_eq!(read_limited(|_| Err("broken")), Err("broken"));
    }
}
