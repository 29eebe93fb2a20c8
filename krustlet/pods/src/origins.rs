//! Origins as people write them.

use krustlet_runtime::{Origin, OriginError};

/// An origin, and what should be said about how it was written.
pub type Read = (Origin, Option<String>);

/// Reads an origin, or a URL of which the origin counts: Krustlet's own examples name whole URLs
/// (`https://catfact.ninja/fact`), and looked at their origins alone.
///
/// # Errors
/// It is neither.
pub fn read(text: &str) -> Result<Read, OriginError> {
    let fault = match text.parse() {
        Ok(origin) => return Ok((origin, None)),
        Err(fault) => fault,
    };
    let authority = text.find("://").map(|at| at + "://".len());
    let path = authority.and_then(|at| Some(at + text[at..].find('/')?));
    let Some(Ok(origin)) = path.map(|at| text[..at].parse::<Origin>()) else { return Err(fault) };
    // What a path could mean to a socket nobody can say.
    if !origin.scheme().is_http() {
        return Err(fault);
    }
    let note =
        format!("{text:?} allows requests to all of {origin}: only scheme, host and port are looked at, not the path");
    Ok((origin, Some(note)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_stand_for_their_origins() {
        let table = [
            ("https://catfact.ninja", "https://catfact.ninja", false),
            ("https://catfact.ninja/", "https://catfact.ninja", false),
            ("https://catfact.ninja/fact", "https://catfact.ninja", true),
            ("http://127.0.0.1:8080/a/b?c#d", "http://127.0.0.1:8080", true),
            ("https://a.example//", "https://a.example", true),
        ];
        for (text, wanted, noted) in table {
            let (origin, note) = read(text).unwrap();
            assert_eq!((origin.to_string().as_str(), note.is_some()), (wanted, noted), "{text}");
        }
        assert_eq!(
            read("https://catfact.ninja/fact").unwrap().1.unwrap(),
            "\"https://catfact.ninja/fact\" allows requests to all of https://catfact.ninja: only scheme, host and port are \
             looked at, not the path"
        );
    }

    #[test]
    fn what_is_no_origin_stays_none() {
        for text in [
            "",
            "catfact.ninja",
            "catfact.ninja/fact",
            "ftp://a/b",
            "https:///x",
            "https://*.a/x",
            "https://me@a/x",
            "tcp://a:1/b",
            "tcp://a",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
