//! Taking what a container writes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::jiff::Timestamp;
use krustlet_runtime::{LogSink, Stream};

use super::{cri, path};
use crate::files;

/// A line longer than this is cut into pieces, as container runtimes do: bytes.
const LONGEST_PIECE: usize = 16 * 1024;

/// The log of one attempt of a container, open for writing.
pub struct ContainerLog {
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    /// Begun lines of stdout and stderr.
    begun: [Vec<u8>; 2],
}

impl ContainerLog {
    /// Creates the file of `attempt`. Of earlier ones only the last is kept, for `kubectl logs --previous`.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn create(container_dir: &Path, attempt: u32) -> io::Result<Self> {
        files::private_dir(container_dir)?;
        if let Some(old) = attempt.checked_sub(2) {
            // There may be none: an attempt that never got as far as starting has no log.
            let _ = std::fs::remove_file(path(container_dir, old));
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path(container_dir, attempt))?;
        Ok(Self { inner: Mutex::new(Inner { file, begun: [Vec::new(), Vec::new()] }) })
    }

    /// Writes out lines that were begun and will not be ended any more. To be called when the container has ended.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn finish(&self) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let time = Timestamp::now().to_string();
        let mut out = Vec::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(&mut inner.begun[index(stream)]);
            if !rest.is_empty() {
                cri::write(&mut out, &time, stream, true, &rest);
            }
        }
        inner.file.write_all(&out)
    }
}

impl LogSink for ContainerLog {
    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let time = Timestamp::now().to_string();
        let mut out = Vec::with_capacity(bytes.len() + 64);
        let begun = &mut inner.begun[index(stream)];
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            begun.extend_from_slice(text);
            while begun.len() > LONGEST_PIECE {
                let rest = begun.split_off(LONGEST_PIECE);
                cri::write(&mut out, &time, stream, false, begun);
                *begun = rest;
            }
            if ends {
                cri::write(&mut out, &time, stream, true, begun);
                begun.clear();
            }
        }
        inner.file.write_all(&out)
    }
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(dir: &Path) -> Vec<(Stream, bool, String)> {
        let bytes = std::fs::read(path(dir, 0)).unwrap();
        let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| {
                let entry = cri::Entry::parse(line).unwrap();
                (entry.stream, entry.full, String::from_utf8(entry.text.to_vec()).unwrap())
            })
            .collect()
    }

    #[test]
    fn pieces_become_lines_and_streams_do_not_mix() {
        let root = tempfile::tempdir().unwrap();
        let log = ContainerLog::create(root.path(), 0).unwrap();
        log.write(Stream::Stdout, b"Hello, ").unwrap();
        log.write(Stream::Stderr, b"oops\n").unwrap();
        log.write(Stream::Stdout, b"World!\n\nlast").unwrap();
        log.finish().unwrap();
        log.finish().unwrap();
        let wanted = [
            (Stream::Stderr, true, "oops"),
            (Stream::Stdout, true, "Hello, World!"),
            (Stream::Stdout, true, ""),
            (Stream::Stdout, true, "last"),
        ];
        assert_eq!(texts(root.path()), wanted.map(|(stream, full, text)| (stream, full, text.to_string())));
    }

    #[test]
    fn long_lines_are_cut() {
        let root = tempfile::tempdir().unwrap();
        let log = ContainerLog::create(root.path(), 0).unwrap();
        for _ in 0..10 {
            log.write(Stream::Stdout, &[b'x'; 4096]).unwrap();
        }
        log.write(Stream::Stdout, b"\n").unwrap();
        let lengths: Vec<_> = texts(root.path()).iter().map(|(_, full, text)| (*full, text.len())).collect();
        assert_eq!(lengths, [(false, 16384), (false, 16384), (true, 8192)]);
    }

    #[test]
    fn the_attempt_before_the_last_goes() {
        let root = tempfile::tempdir().unwrap();
        for attempt in 0..4 {
            ContainerLog::create(root.path(), attempt).unwrap();
        }
        assert!(!path(root.path(), 1).exists());
        assert!(path(root.path(), 2).exists());
        assert_eq!(super::super::newest(root.path()), Some(3));
    }
}
