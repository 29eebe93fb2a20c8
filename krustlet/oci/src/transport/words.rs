//! A registry's own words, on one line and of a sensible length.

use reqwest::StatusCode;
use serde::Deserialize;

/// How much of a registry's own words is kept: enough for a sentence, not for a page of HTML.
const WORDS: usize = 300;

/// The status, and what the registry said with it.
pub(crate) fn said(status: u16, body: &str) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    match own_words(body).as_str() {
        "" => format!("HTTP status {status} {reason}").trim_end().to_owned(),
        words => format!("HTTP status {status} {words}"),
    }
}

/// What is meant for people in the body of an error: the errors of the distribution specification
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>), those of OAuth 2
/// (<https://www.rfc-editor.org/rfc/rfc6749#section-5.2>), or the one field that Docker Hub's token server and others have.
pub(crate) fn own_words(body: &str) -> String {
    let Ok(envelope) = serde_json::from_str::<Envelope>(body) else { return words(body) };
    let Envelope { errors, error_description, error, details, message } = envelope;
    let listed = errors.into_iter().map(|e| if e.message.is_empty() { e.code } else { e.message });
    let listed = listed.filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ");
    let found = [listed, error_description, details, message, error].into_iter().find(|words| !words.is_empty());
    words(&found.unwrap_or_default())
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    errors: Vec<Said>,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// A text on one line, cut to a sensible length. What would move a terminal's cursor is nothing that people read.
pub(crate) fn words(message: &str) -> String {
    let apart = |c: char| c.is_whitespace() || c.is_control();
    let line = message.split(apart).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendors_words_are_found() {
        let table = [
            // GitHub
            (
                r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
                "requested access to the resource is denied",
            ),
            // Docker Hub's token server
            (r#"{"details":"incorrect username or password"}"#, "incorrect username or password"),
            // Azure's oauth2/token
            (
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit the page","detail":[{"Name":"a"}]}]}"#,
                "authentication required, visit the page",
            ),
            // OAuth 2
            (r#"{"error":"invalid_grant","error_description":"the token has expired"}"#, "the token has expired"),
            (r#"{"error":"invalid_grant"}"#, "invalid_grant"),
            (r#"{"message":"no"}"#, "no"),
            (r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#, "NAME_UNKNOWN"),
            ("<h1>no</h1>\n", "<h1>no</h1>"),
            ("{}", ""),
            ("", ""),
        ];
        for (body, expected) in table {
            assert_eq!(own_words(body), expected, "{body}");
        }
    }
}
