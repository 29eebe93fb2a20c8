//! Reading log files: from the end, from a time, and on as they grow.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use futures::Stream as ByteStream;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, BufReader};
use tokio::sync::mpsc;

use super::cri::Entry;
use super::{Query, path};

/// How often a growing file is looked at.
const POLL: Duration = Duration::from_millis(100);
/// Text is sent in chunks of about this many bytes.
const CHUNK: usize = 32 * 1024;

/// Where a container stands, as far as a reader of its log needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The newest attempt that was started.
    pub attempt: u32,
    /// Whether it has ended, with everything that it wrote in its file.
    pub ended: bool,
    /// Whether there will be no further attempt.
    pub finished: bool,
}

/// Streams the log of `attempt`. With [`Query::follow`] it goes on with the attempts that come after and ends when `progress`
/// says that there will be none, or is gone.
///
/// # Errors
/// When the file of `attempt` cannot be opened.
pub async fn stream(
    container_dir: PathBuf,
    attempt: u32,
    query: Query,
    progress: impl Fn() -> Option<Progress> + Send + 'static,
) -> std::io::Result<impl ByteStream<Item = std::io::Result<Bytes>> + Send + 'static> {
    let mut file = File::open(path(&container_dir, attempt)).await?;
    if let Some(lines) = query.tail_lines {
        let start = tail_start(&mut file, lines).await?;
        file.seek(SeekFrom::Start(start)).await?;
    }
    let (sender, receiver) = mpsc::channel(4);
    let out = Out { sender, left: query.limit_bytes.unwrap_or(u64::MAX), chunk: Vec::new() };
    tokio::spawn(async move {
        if let Err(error) = pump(file, container_dir, attempt, query, progress, out).await {
            tracing::warn!("reading a log failed: {error}");
        }
    });
    Ok(futures::stream::unfold(receiver, |mut receiver| async { Some((Ok(receiver.recv().await?), receiver)) }))
}

async fn pump(
    file: File,
    container_dir: PathBuf,
    mut attempt: u32,
    query: Query,
    progress: impl Fn() -> Option<Progress>,
    mut out: Out,
) -> std::io::Result<()> {
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        // Asked before reading: what had ended by then has all its text in the file.
        let now = progress();
        while file.read_until(b'\n', &mut line).await? > 0 && line.ends_with(b"\n") {
            if !out.line(&line[..line.len() - 1], &query).await {
                return Ok(());
            }
            line.clear();
        }
        if !out.flush().await {
            return Ok(());
        }
        match now {
            Some(now) if query.follow => {
                if now.attempt > attempt {
                    attempt += 1;
                    match open_next(&container_dir, &mut attempt, now.attempt).await {
                        Some(next) => file = BufReader::new(next),
                        None => return Ok(()),
                    }
                    line.clear();
                    continue;
                }
                if now.ended && now.finished {
                    return Ok(());
                }
            }
            _ => return Ok(()),
        }
        tokio::select! {
            () = out.sender.closed() => return Ok(()),
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// The file of `attempt`, or of the first after it that has one, up to `newest`.
async fn open_next(container_dir: &Path, attempt: &mut u32, newest: u32) -> Option<File> {
    loop {
        match File::open(path(container_dir, *attempt)).await {
            Ok(file) => return Some(file),
            Err(_) if *attempt < newest => *attempt += 1,
            Err(_) => return None,
        }
    }
}

/// What goes to the client.
struct Out {
    sender: mpsc::Sender<Bytes>,
    /// Bytes that may still be sent.
    left: u64,
    chunk: Vec<u8>,
}

impl Out {
    /// Takes a line of the file; `false` when the client has all it asked for, or has gone.
    async fn line(&mut self, line: &[u8], query: &Query) -> bool {
        let Some(entry) = Entry::parse(line) else { return true };
        if query.stream.is_some_and(|stream| stream != entry.stream) {
            return true;
        }
        if query.since.is_some_and(|since| entry.timestamp().is_some_and(|time| time < since)) {
            return true;
        }
        if query.timestamps {
            self.chunk.extend_from_slice(entry.time.as_bytes());
            self.chunk.push(b' ');
        }
        self.chunk.extend_from_slice(entry.text);
        if entry.full {
            self.chunk.push(b'\n');
        }
        let full = self.chunk.len() >= CHUNK || self.chunk.len() as u64 >= self.left;
        if full { self.flush().await } else { true }
    }

    async fn flush(&mut self) -> bool {
        if self.chunk.is_empty() {
            return !self.sender.is_closed();
        }
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= chunk.len() as u64;
        self.sender.send(chunk.into()).await.is_ok() && self.left > 0
    }
}

/// Offset of the first of the last `lines` lines, found from the end of the file backwards.
async fn tail_start(file: &mut File, lines: u64) -> std::io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0)).await?;
    if lines == 0 {
        return Ok(end);
    }
    let mut seen = 0;
    let mut block = vec![0; 8192];
    let size = end;
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let length = usize::try_from(end - start).unwrap_or(block.len());
        file.seek(SeekFrom::Start(start)).await?;
        file.read_exact(&mut block[..length]).await?;
        for (at, _) in block[..length].iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = start + at as u64 + 1;
            // The line end of the last line begins no line.
            if after < size {
                seen += 1;
            }
            if seen == lines {
                return Ok(after);
            }
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
