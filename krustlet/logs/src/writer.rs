//! Taking what a container writes.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::jiff::Timestamp;
use krustlet_runtime::{LogSink, Stream};

use super::files::{self, Limits};
use super::live::Live;
use super::{cri, index};

/// A line longer than this is cut into pieces, as container runtimes do: bytes.
const LONGEST_PIECE: usize = 16 * 1024;
/// Text goes to the file in portions of about this many bytes: a write of nothing but line ends becomes forty times as long.
const PORTION: usize = 64 * 1024;

/// The log of one attempt of a container, open for writing.
///
/// What a guest writes is in the file, in the kernel's cache of it, when its write returns: nothing waits in memory but a line
/// that was begun. A guest that writes much is so held up by its own writes alone, as any program is.
#[derive(Debug)]
pub struct ContainerLog {
    inner: Mutex<Inner>,
    live: Arc<Live>,
}

#[derive(Debug)]
struct Inner {
    out: Output,
    /// Begun lines of stdout and stderr.
    begun: [Vec<u8>; 2],
    /// The last write has failed, and it was told.
    losing: bool,
}

#[derive(Debug)]
struct Output {
    container_dir: PathBuf,
    attempt: u32,
    limits: Limits,
    file: File,
    /// Of the file: bytes.
    size: u64,
    /// The size that is not to be passed.
    rotate_at: u64,
    /// The last line may be incomplete: the disk was full, or another agent was killed in the middle of it.
    torn: bool,
}

impl ContainerLog {
    /// See [`Logs::create`](super::Logs::create).
    pub(super) fn create(container_dir: &Path, attempt: u32, limits: Limits, live: Arc<Live>) -> io::Result<Self> {
        krustlet_host::files::private_dir(container_dir)?;
        files::remove_older(container_dir, attempt);
        let file = files::open_for_writing(container_dir, attempt)?;
        let size = file.metadata()?.len();
        let out = Output {
            container_dir: container_dir.into(),
            attempt,
            limits,
            file,
            size,
            rotate_at: limits.max_file_bytes,
            torn: size > 0,
        };
        Ok(Self { inner: Mutex::new(Inner { out, begun: [Vec::new(), Vec::new()], losing: false }), live })
    }

    /// Writes out lines that were begun and will not be ended any more. To be called when the container has ended.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn finish(&self) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let time = cri::fixed(Timestamp::now());
        let mut text = Vec::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(&mut inner.begun[index(stream)]);
            if !rest.is_empty() {
                cri::write(&mut text, &time, stream, true, &rest);
            }
        }
        let written = inner.out.append(&text, &self.live);
        self.live.tell();
        written
    }
}

/// A disk that is full is no fault of the program's: it goes on, and what it says is lost, as under a kubelet.
impl LogSink for ContainerLog {
    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { out, begun, losing } = &mut *inner;
        let time = cri::fixed(Timestamp::now());
        let written = lines(&mut begun[index(stream)], stream, bytes, &time, |text| out.append(text, &self.live));
        self.live.tell();
        if let Err(error) = &written
            && !*losing
        {
            tracing::warn!("what a container writes is lost: {}: {error}", out.container_dir.display());
        }
        *losing = written.is_err();
        Ok(())
    }
}

/// Cuts `bytes` into lines of the log, handed to `append` in portions. `begun` is the line that was begun before, and the
/// one that is begun after.
fn lines(
    begun: &mut Vec<u8>,
    stream: Stream,
    bytes: &[u8],
    time: &str,
    mut append: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = Vec::with_capacity(bytes.len() + 64);
    for part in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (text, ends) = match part.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (part, false),
        };
        begun.extend_from_slice(text);
        while begun.len() > LONGEST_PIECE {
            let rest = begun.split_off(LONGEST_PIECE);
            cri::write(&mut out, time, stream, false, begun);
            *begun = rest;
        }
        if ends {
            cri::write(&mut out, time, stream, true, begun);
            begun.clear();
        }
        if out.len() >= PORTION {
            append(&out)?;
            out.clear();
        }
    }
    append(&out)
}

impl Output {
    /// Appends whole lines, to a new file if this one would get too large.
    fn append(&mut self, text: &[u8], live: &Live) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if self.size > 0 && self.size + text.len() as u64 > self.rotate_at {
            self.rotate(live);
        }
        let mut write = || {
            if self.torn {
                // So that this line is not taken for the end of that one. Readers pass over an empty line.
                self.file.write_all(b"\n")?;
            }
            self.file.write_all(text)
        };
        let written = write();
        self.torn = written.is_err();
        self.size += text.len() as u64;
        if self.torn {
            self.size = self.file.metadata().map_or(self.size, |metadata| metadata.len());
        }
        written
    }

    fn rotate(&mut self, live: &Live) {
        match live.rotate(&self.container_dir, self.attempt, self.limits.max_files) {
            Ok(file) => {
                (self.file, self.size, self.torn) = (file, 0, false);
                self.rotate_at = self.limits.max_file_bytes;
            }
            Err(error) => {
                // A log that is too large is better than one that ends here.
                tracing::warn!("a log cannot be rotated: {}: {error}", self.container_dir.display());
                self.rotate_at = self.size + self.limits.max_file_bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::Logs;
    use super::*;

    fn texts(dir: &Path, age: u32) -> Vec<(Stream, bool, String)> {
        let bytes = std::fs::read(files::path(dir, 0, age)).unwrap();
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
        let log = Logs::default().create(root.path(), 0).unwrap();
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
        assert_eq!(texts(root.path(), 0), wanted.map(|(stream, full, text)| (stream, full, text.to_string())));
    }

    #[test]
    fn long_lines_are_cut() {
        let root = tempfile::tempdir().unwrap();
        let log = Logs::default().create(root.path(), 0).unwrap();
        for _ in 0..10 {
            log.write(Stream::Stdout, &[b'x'; 4096]).unwrap();
        }
        log.write(Stream::Stdout, b"\n").unwrap();
        let lengths: Vec<_> = texts(root.path(), 0).iter().map(|(_, full, text)| (*full, text.len())).collect();
        assert_eq!(lengths, [(false, 16384), (false, 16384), (true, 8192)]);
    }

    #[test]
    fn a_file_that_is_full_is_rotated_between_lines() {
        let root = tempfile::tempdir().unwrap();
        // A line of 4 letters takes 30 + 10 + 5 bytes.
        let log = Logs::new(Limits { max_file_bytes: 100, max_files: 3 }).create(root.path(), 0).unwrap();
        for n in 0..9 {
            log.write(Stream::Stdout, format!("no {n}\n").as_bytes()).unwrap();
        }
        let line = |n: u32| (Stream::Stdout, true, format!("no {n}"));
        assert_eq!(texts(root.path(), 0), [line(8)]);
        assert_eq!(texts(root.path(), 1), [line(6), line(7)]);
        assert_eq!(texts(root.path(), 2), [line(4), line(5)]);
        assert!(!files::path(root.path(), 0, 3).exists());
        for age in 0..3 {
            assert!(std::fs::metadata(files::path(root.path(), 0, age)).unwrap().len() <= 100);
        }
    }

    #[test]
    fn a_write_of_line_ends_alone_goes_out_in_portions() {
        let mut portions = Vec::new();
        lines(&mut Vec::new(), Stream::Stdout, &[b'\n'; 65536], "2026-01-02T03:04:05.000000006Z", |text| {
            portions.push(text.len());
            Ok(())
        })
        .unwrap();
        assert_eq!(portions.iter().sum::<usize>(), 65536 * 41);
        assert!(portions.iter().all(|portion| *portion < PORTION + 41), "{portions:?}");
    }

    #[test]
    fn a_burst_leaves_what_the_limits_allow_and_its_last_line() {
        let root = tempfile::tempdir().unwrap();
        let log = Logs::default().create(root.path(), 0).unwrap();
        let mut line = [b'x'; 4096];
        line[4095] = b'\n';
        let (start, mut longest) = (Instant::now(), Duration::ZERO);
        for _ in 0..25_600 {
            let before = Instant::now();
            log.write(Stream::Stdout, &line).unwrap();
            longest = longest.max(before.elapsed());
        }
        eprintln!("100 MiB in {:?}, the longest write {longest:?}", start.elapsed());
        log.write(Stream::Stdout, b"the end\n").unwrap();
        let size = |age| std::fs::metadata(files::path(root.path(), 0, age)).unwrap().len();
        let sizes = [0, 1, 2, 3, 4].map(size);
        assert!(sizes.iter().all(|size| *size <= 10 << 20), "{sizes:?}");
        assert!(sizes[1..].iter().all(|size| *size > (10 << 20) - 8192), "{sizes:?}");
        assert!(!files::path(root.path(), 0, 5).exists());
        assert_eq!(texts(root.path(), 0).last().unwrap().2, "the end");
    }

    #[test]
    fn a_torn_line_of_before_does_not_swallow_the_first_of_now() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(files::path(root.path(), 0, 0), "2026-01-02T03:04:05.6Z stdout F half a li").unwrap();
        Logs::default().create(root.path(), 0).unwrap().write(Stream::Stdout, b"whole\n").unwrap();
        let lines: Vec<_> = texts(root.path(), 0).into_iter().map(|(_, _, text)| text).collect();
        assert_eq!(lines, ["half a li", "whole"]);
    }

    #[test]
    fn a_disk_that_takes_nothing_more_is_not_the_programs_fault() {
        let root = tempfile::tempdir().unwrap();
        let log = Logs::default().create(root.path(), 0).unwrap();
        // As full as a disk can be.
        log.inner.lock().unwrap().out.file = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        log.write(Stream::Stdout, b"lost\n").unwrap();
        assert!(log.inner.lock().unwrap().losing);
        let path = files::path(root.path(), 0, 0);
        log.inner.lock().unwrap().out.file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        log.write(Stream::Stdout, b"kept\n").unwrap();
        assert!(!log.inner.lock().unwrap().losing);
        assert_eq!(texts(root.path(), 0), [(Stream::Stdout, true, "kept".to_string())]);
    }

    #[test]
    fn the_attempt_before_the_last_goes() {
        let root = tempfile::tempdir().unwrap();
        for attempt in 0..4 {
            Logs::default().create(root.path(), attempt).unwrap();
        }
        assert!(!files::path(root.path(), 1, 0).exists());
        assert!(files::path(root.path(), 2, 0).exists());
        assert_eq!(files::newest_until(root.path(), u32::MAX), Some(3));
    }
}
