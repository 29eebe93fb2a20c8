//! The address that facts are had from.

use std::fmt;

/// An absolute URL of HTTP, in the parts that a request is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    text: String,
    /// Whether it is `https`; else it is `http`.
    pub https: bool,
    /// Host, and port where there is one: `localhost:8080`.
    pub authority: String,
    /// Path and query: `/fact?x=1`.
    pub path_with_query: String,
}

impl Url {
    /// The whole of it, as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Takes a URL to pieces. `None`: it is none, or not one of HTTP, or it holds a user, who would stand in the log.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http")
            || text.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return None;
        }
        // A fragment is for readers of documents, and never sent.
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() || authority.contains('@') {
            return None;
        }
        let path_with_query = if tail.starts_with('/') { tail.to_owned() } else { format!("/{tail}") };
        Some(Self { text: text.to_owned(), https, authority: authority.to_owned(), path_with_query })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let table = [
            ("https://catfact.ninja/fact", (true, "catfact.ninja", "/fact")),
            ("http://127.0.0.1:8080/fact?x=1", (false, "127.0.0.1:8080", "/fact?x=1")),
            ("HTTPS://a", (true, "a", "/")),
            ("http://[::1]:80?q", (false, "[::1]:80", "/?q")),
            ("http://a/b#c", (false, "a", "/b")),
            ("http://a/@b", (false, "a", "/@b")),
        ];
        for (text, (https, authority, path)) in table {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.https, url.authority.as_str(), url.path_with_query.as_str()), (https, authority, path));
            assert_eq!((url.as_str(), url.to_string().as_str()), (text, text));
        }
    }

    #[test]
    fn what_is_none() {
        for text in
            ["", "catfact.ninja/fact", "ftp://a", "http:/a", "http://", "http:///fact", "http://?x", "http://#a"]
        {
            assert_eq!(Url::parse(text), None, "{text}");
        }
        for text in ["http://a b", "http://a\n", "file:///etc", "http://me:secret@a/", "http://me@a"] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
    }
}
