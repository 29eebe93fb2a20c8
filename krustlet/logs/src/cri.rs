//! One line of a log file.

use std::borrow::Cow;

use k8s_openapi::jiff::Timestamp;
use krustlet_runtime::Stream;

/// A piece of text that a container wrote, with its time and stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// As written in the file: RFC 3339.
    pub time: &'a str,
    /// Where it was written to.
    pub stream: Stream,
    /// Whether the container's line ends here.
    pub full: bool,
    /// The text without line end.
    pub text: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Reads a line of the file, without its line end; `None` when it is no log line.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?;
        let stream = match parts.next()? {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        // More tags may follow the first, after a colon; none is defined yet.
        let full = match parts.next()?.split(|byte| *byte == b':').next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        Some(Self { time, stream, full, text: parts.next()? })
    }

    /// The time as a point in time.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.time.parse().ok()
    }

    /// The time as readers get it, with nine digits of a second, like the kubelet's: columns stay aligned and sort as text.
    pub fn fixed_time(&self) -> Cow<'a, str> {
        if self.time.len() == FIXED_LENGTH && self.time.ends_with('Z') {
            return self.time.into();
        }
        self.timestamp().map_or(self.time.into(), |time| fixed(time).into())
    }
}

/// Length of `2026-01-02T03:04:05.000000006Z`.
const FIXED_LENGTH: usize = 30;

/// The time with nine digits of a second.
pub fn fixed(time: Timestamp) -> String {
    format!("{time:.9}")
}

/// Appends a line to `out`, line end included.
pub fn write(out: &mut Vec<u8>, time: &str, stream: Stream, full: bool, text: &[u8]) {
    let stream = match stream {
        Stream::Stdout => " stdout ",
        Stream::Stderr => " stderr ",
    };
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(stream.as_bytes());
    out.extend_from_slice(if full { b"F " } else { b"P " });
    out.extend_from_slice(text);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut line = Vec::new();
        write(&mut line, "2026-01-02T03:04:05.6Z", Stream::Stderr, false, b"two words ");
        assert_eq!(line, b"2026-01-02T03:04:05.6Z stderr P two words \n");
        let entry = Entry::parse(&line[..line.len() - 1]).unwrap();
        assert_eq!((entry.stream, entry.full, entry.text), (Stream::Stderr, false, &b"two words "[..]));
        assert_eq!(entry.timestamp().unwrap().to_string(), "2026-01-02T03:04:05.6Z");
    }

    #[test]
    fn times_have_nine_digits_whatever_the_file_has() {
        for (time, wanted) in [
            ("2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600000000Z"),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000000Z"),
            ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"),
            ("2026-01-02T05:04:05.25+02:00", "2026-01-02T03:04:05.250000000Z"),
            ("t", "t"),
        ] {
            let line = format!("{time} stdout F x");
            assert_eq!(Entry::parse(line.as_bytes()).unwrap().fixed_time(), wanted);
        }
    }

    #[test]
    fn further_tags_are_passed_over() {
        assert!(Entry::parse(b"t stdout F:new x").unwrap().full);
        assert!(!Entry::parse(b"t stdout P:new x").unwrap().full);
    }

    #[test]
    fn an_empty_line_is_a_line() {
        assert_eq!(Entry::parse(b"t stdout F ").unwrap().text, b"");
    }

    #[test]
    fn other_lines_are_none() {
        for line in [&b""[..], b"t", b"t stdin F x", b"t stdout X x", b"t stdout F"] {
            assert_eq!(Entry::parse(line), None);
        }
    }
}
