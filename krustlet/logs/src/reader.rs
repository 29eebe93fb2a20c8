//! Reading logs: from where the reader wants to begin, on through the files of an attempt, and on as they grow.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream as ByteStream;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::Query;
use super::live::{Live, Logs};
use super::select::Selection;
use super::tail::{self, Position};

/// A follower looks at a log that is written to all the time this often, and at one that is not, not at all.
const PAUSE: Duration = Duration::from_millis(20);
/// Text is sent in chunks of about this many bytes.
const CHUNK: usize = 32 * 1024;
/// Files are read in portions of at most so many bytes.
const PORTION: usize = 64 * 1024;

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
/// says that there will be none, or is gone. `changed` says when `progress` may have changed.
///
/// Files are opened ahead: what was there when reading began is read, even if it is rotated away or removed meanwhile.
/// A follower that falls more than all kept files behind misses what was removed before it came to open it.
///
/// # Errors
/// `NotFound` when the attempt has no file; any other I/O error.
pub async fn stream(
    logs: Logs,
    container_dir: PathBuf,
    attempt: u32,
    query: Query,
    progress: impl Fn() -> Option<Progress> + Send + 'static,
    changed: watch::Receiver<()>,
) -> io::Result<impl ByteStream<Item = io::Result<Bytes>> + Send + 'static> {
    let (files, starts) = Files::open(&logs, container_dir, attempt, &query).await?;
    let (sender, receiver) = mpsc::channel(4);
    let out = Out { sender, left: query.limit_bytes.unwrap_or(u64::MAX), chunk: Vec::new() };
    // Nothing but what will come is wanted, and nothing will.
    let nothing = query.tail_lines == Some(0) && !query.follow;
    let mut pump = Pump { logs, files, follow: query.follow, selection: Selection::new(query, starts), out };
    if !nothing {
        tokio::spawn(async move {
            match pump.run(progress, changed).await {
                Ok(()) | Err(Stop::Satisfied) => {}
                Err(Stop::Failed(error)) => {
                    tracing::warn!("reading a log failed: {error}");
                    // The client is to see that this is not the end of the log.
                    let _ = pump.out.sender.send(Err(error)).await;
                }
            }
        });
    }
    Ok(futures::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) }))
}

/// Why reading ends early.
enum Stop {
    /// The client has all it asked for, or has gone.
    Satisfied,
    /// The disk.
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

struct Pump {
    logs: Logs,
    files: Files,
    follow: bool,
    selection: Selection,
    out: Out,
}

impl Pump {
    async fn run(
        &mut self,
        progress: impl Fn() -> Option<Progress>,
        mut changed: watch::Receiver<()>,
    ) -> Result<(), Stop> {
        loop {
            // Asked before reading: what had ended by then has all its text in the files, and what comes later wakes us.
            changed.mark_unchanged();
            self.files.news.mark_unchanged();
            let now = progress();
            let begun = Instant::now();
            self.read().await?;
            let attempt = self.files.attempt;
            match now.filter(|_| self.follow) {
                Some(now) if now.attempt > attempt => {
                    self.end_of_attempt().await?;
                    self.files.next_attempt(&self.logs, now.attempt).await?;
                    continue;
                }
                Some(now) if !(now.ended && now.finished) => {}
                _ => {
                    // A line that is being written is not to be shown in part; one that nobody will end is.
                    if now.is_none_or(|now| now.ended || now.attempt > attempt) {
                        self.end_of_attempt().await?;
                    }
                    return Ok(());
                }
            }
            tokio::select! {
                () = self.out.sender.closed() => return Err(Stop::Satisfied),
                () = news(&mut self.files.news, &mut changed) => {}
            }
            tokio::select! {
                () = self.out.sender.closed() => return Err(Stop::Satisfied),
                () = tokio::time::sleep_until(begun + PAUSE) => {}
            }
        }
    }

    /// Reads all that there is.
    async fn read(&mut self) -> Result<(), Stop> {
        while self.files.read(self.follow).await? {
            while let Some((position, line)) = self.files.next_line() {
                self.selection.take(position, line, &mut self.out.chunk);
                self.out.flush_if_full().await?;
            }
        }
        self.out.flush().await
    }

    async fn end_of_attempt(&mut self) -> Result<(), Stop> {
        let (position, torn) = self.files.torn_line();
        self.selection.take(position, &torn, &mut self.out.chunk);
        self.selection.end_of_attempt(&mut self.out.chunk);
        self.out.flush().await
    }
}

/// Waits until either says that it has changed. One whose sender is gone has no more to say.
async fn news(one: &mut watch::Receiver<()>, other: &mut watch::Receiver<()>) {
    let wait = async |receiver: &mut watch::Receiver<()>| {
        if receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = wait(one) => {}
        () = wait(other) => {}
    }
}

/// The files that are to be read, and how far they were.
struct Files {
    container_dir: PathBuf,
    attempt: u32,
    live: Arc<Live>,
    news: watch::Receiver<()>,
    /// How often the files had been rotated when the last of [`open`](Self::open) was the newest.
    rotations: u64,
    /// Those that are read, the current one first.
    open: VecDeque<File>,
    /// Which file the current one is, counted from where reading began.
    index: usize,
    /// What was read of the current file and is not done with.
    text: Vec<u8>,
    /// How much of that is done with.
    taken: usize,
    /// Offset of the text in the current file.
    offset: u64,
}

impl Files {
    /// Opens the files of `attempt`, at the place where what `query` asks for begins at the earliest.
    async fn open(
        logs: &Logs,
        container_dir: PathBuf,
        attempt: u32,
        query: &Query,
    ) -> io::Result<(Self, [Position; 2])> {
        let live = logs.live(&container_dir, attempt);
        let news = live.subscribe();
        let (shared, dir, lines, stream) = (live.clone(), container_dir.clone(), query.tail_lines, query.stream);
        let opened = blocking(move || {
            let (files, rotations) = shared.open_all(&dir, attempt)?;
            let starts = lines.map(|lines| tail::starts(&files, lines, stream)).transpose()?;
            Ok((files, rotations, starts))
        });
        let (files, rotations, starts) = opened.await?;
        let starts = starts.unwrap_or_default();
        let (index, offset) = starts[0].min(starts[1]);
        let mut open: VecDeque<File> = files.into_iter().skip(index).map(File::from_std).collect();
        if let Some(current) = open.front_mut() {
            current.seek(io::SeekFrom::Start(offset)).await?;
        }
        let files =
            Self { container_dir, attempt, live, news, rotations, open, index, text: Vec::new(), taken: 0, offset };
        Ok((files, starts))
    }

    /// Goes on to the next attempt that has files, up to `newest`. One that could not even be started has none.
    async fn next_attempt(&mut self, logs: &Logs, newest: u32) -> io::Result<()> {
        while self.attempt < newest {
            self.attempt += 1;
            self.live = logs.live(&self.container_dir, self.attempt);
            self.news = self.live.subscribe();
            let (live, dir, attempt) = (self.live.clone(), self.container_dir.clone(), self.attempt);
            self.next_file();
            match blocking(move || live.open_all(&dir, attempt)).await {
                Ok((files, rotations)) => {
                    (self.open, self.rotations) = (files.into_iter().map(File::from_std).collect(), rotations);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    (self.open, self.rotations) = (VecDeque::new(), self.live.rotations());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads on; `false` when there is nothing more now. `on` also goes on to files that came since the files were opened.
    async fn read(&mut self, on: bool) -> io::Result<bool> {
        self.text.drain(..self.taken);
        self.offset += std::mem::take(&mut self.taken) as u64;
        loop {
            let Some(current) = self.open.front_mut() else { return Ok(false) };
            self.text.reserve(PORTION);
            if current.read_buf(&mut self.text).await? > 0 {
                return Ok(true);
            }
            if self.open.len() > 1 {
                self.open.pop_front();
                self.next_file();
            } else if !on || !self.open_newer().await? {
                return Ok(false);
            }
            // If there is a newer file, this one is complete; what came between its end and that file is read by the next turn.
        }
    }

    async fn open_newer(&mut self) -> io::Result<bool> {
        if self.live.rotations() == self.rotations {
            return Ok(false);
        }
        let (live, dir) = (self.live.clone(), self.container_dir.clone());
        let (attempt, known) = (self.attempt, self.rotations);
        let (newer, rotations) = blocking(move || live.open_since(&dir, attempt, known)).await?;
        let found = !newer.is_empty();
        self.open.extend(newer.into_iter().map(File::from_std));
        self.rotations = rotations;
        Ok(found)
    }

    /// From here on, places are in another file.
    fn next_file(&mut self) {
        self.index += 1;
        self.text.clear();
        (self.taken, self.offset) = (0, 0);
    }

    /// The next line that has its end, without it.
    fn next_line(&mut self) -> Option<(Position, &[u8])> {
        let rest = &self.text[self.taken..];
        let length = rest.iter().position(|byte| *byte == b'\n')?;
        let position = (self.index, self.offset + self.taken as u64);
        self.taken += length + 1;
        Some((position, &rest[..length]))
    }

    /// What comes after the last line end, which nobody will end any more. Taken out.
    fn torn_line(&mut self) -> (Position, Vec<u8>) {
        let position = (self.index, self.offset + self.taken as u64);
        let line = self.text.split_off(self.taken);
        self.next_file();
        (position, line)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// What goes to the client.
struct Out {
    sender: mpsc::Sender<io::Result<Bytes>>,
    /// Bytes that may still be sent.
    left: u64,
    chunk: Vec<u8>,
}

impl Out {
    async fn flush_if_full(&mut self) -> Result<(), Stop> {
        let full = self.chunk.len() >= CHUNK || self.chunk.len() as u64 >= self.left;
        if full { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Stop> {
        if self.chunk.is_empty() {
            return if self.sender.is_closed() { Err(Stop::Satisfied) } else { Ok(()) };
        }
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= chunk.len() as u64;
        match self.sender.send(Ok(chunk.into())).await {
            Ok(()) if self.left > 0 => Ok(()),
            _ => Err(Stop::Satisfied),
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
