use std::path::Path;
use std::pin::Pin;
use std::sync::Mutex;

use futures::StreamExt;
use krustlet_runtime::{LogSink, Stream};
use tokio::time::timeout;

use super::*;
use crate::{ContainerLog, Limits};

const RUNNING: Progress = Progress { attempt: 0, ended: false, finished: false };
const ENDED: Progress = Progress { attempt: 0, ended: true, finished: true };
const PATIENCE: Duration = Duration::from_secs(20);

/// A container's folder and what is known of the container.
struct Container {
    dir: tempfile::TempDir,
    logs: Logs,
    progress: Arc<Mutex<Option<Progress>>>,
    changed: watch::Sender<()>,
}

impl Container {
    fn new(limits: Limits) -> Self {
        let progress = Arc::new(Mutex::new(Some(ENDED)));
        Self { dir: tempfile::tempdir().unwrap(), logs: Logs::new(limits), progress, changed: watch::Sender::new(()) }
    }

    fn with(lines: &[&str]) -> Self {
        let container = Self::new(Limits::DEFAULT);
        let log = container.log(0);
        lines.iter().for_each(|line| print(&log, line));
        container
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn log(&self, attempt: u32) -> ContainerLog {
        self.logs.create(self.path(), attempt).unwrap()
    }

    fn set(&self, progress: Option<Progress>) {
        *self.progress.lock().unwrap() = progress;
        self.changed.send_replace(());
    }

    async fn stream(&self, query: Query) -> io::Result<Reader> {
        let shared = self.progress.clone();
        let progress = move || *shared.lock().unwrap();
        let dir = self.path().to_path_buf();
        let stream = self.logs.stream(dir, 0, query, progress, self.changed.subscribe()).await?;
        Ok(Reader(Box::pin(stream)))
    }

    async fn follow(&self, query: Query) -> Reader {
        self.stream(Query { follow: true, ..query }).await.unwrap()
    }

    async fn read(&self, query: Query) -> String {
        self.stream(query).await.unwrap().rest().await
    }
}

struct Reader(Pin<Box<dyn ByteStream<Item = io::Result<Bytes>> + Send>>);

impl Reader {
    /// Reads until just this has come; anything else is a failure.
    async fn expect(&mut self, wanted: &str) {
        let mut got = String::new();
        while got.len() < wanted.len() {
            let chunk = timeout(PATIENCE, self.0.next()).await.expect("no text came").expect("the stream ended");
            got += std::str::from_utf8(&chunk.unwrap()).unwrap();
        }
        assert_eq!(got, wanted);
    }

    async fn rest(self) -> String {
        let all = self.0.map(|chunk| chunk.unwrap()).collect::<Vec<_>>();
        String::from_utf8(timeout(PATIENCE, all).await.expect("no end came").concat()).unwrap()
    }
}

fn print(log: &ContainerLog, line: &str) {
    log.write(Stream::Stdout, format!("{line}\n").as_bytes()).unwrap();
}

fn tail(lines: u64) -> Query {
    Query { tail_lines: Some(lines), ..Query::default() }
}

/// A file for each two or three of the lines that [`numbers`] writes.
fn small(max_files: u32) -> Limits {
    Limits { max_file_bytes: 120, max_files }
}

fn numbers(log: &ContainerLog, range: std::ops::Range<u32>) -> String {
    range.clone().for_each(|n| print(log, &n.to_string()));
    text(range)
}

fn text(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("{n}\n")).collect()
}

#[tokio::test]
async fn everything_and_the_tail() {
    let container = Container::with(&["one", "two", "three"]);
    assert_eq!(container.read(Query::default()).await, "one\ntwo\nthree\n");
    for (lines, wanted) in
        [(0, ""), (1, "three\n"), (2, "two\nthree\n"), (3, "one\ntwo\nthree\n"), (9, "one\ntwo\nthree\n")]
    {
        assert_eq!(container.read(tail(lines)).await, wanted, "{lines}");
    }
}

#[tokio::test]
async fn the_tail_goes_back_through_rotated_files() {
    let container = Container::new(small(4));
    let log = container.log(0);
    numbers(&log, 0..100);
    let all = container.read(Query::default()).await;
    let first: u32 = all.lines().next().unwrap().parse().unwrap();
    assert!((85..98).contains(&first), "{first}");
    assert_eq!(all, text(first..100));
    for lines in 0..=100 - first {
        assert_eq!(container.read(tail(lines.into())).await, text(100 - lines..100), "{lines}");
    }
    assert_eq!(container.read(tail(1000)).await, all);
}

#[tokio::test]
async fn limits_streams_times() {
    let container = Container::with(&["one"]);
    let log = container.log(0);
    log.write(Stream::Stderr, b"bad\n").unwrap();
    for (limit, wanted) in [(1, "o"), (4, "one\n"), (5, "one\nb"), (8, "one\nbad\n"), (100, "one\nbad\n")] {
        let query = Query { limit_bytes: Some(limit), ..Query::default() };
        assert_eq!(container.read(query).await, wanted, "{limit}");
    }
    let query = Query { stream: Some(Stream::Stderr), ..Query::default() };
    assert_eq!(container.read(query).await, "bad\n");
    let query = Query { stream: Some(Stream::Stdout), ..tail(1) };
    assert_eq!(container.read(query).await, "one\n");
    let text = container.read(Query { timestamps: true, ..tail(1) }).await;
    assert!(text.starts_with("20") && text.ends_with("Z bad\n") && text.len() == 35, "{text}");
    let future = Some("2100-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(container.read(Query { since: future, ..tail(2) }).await, "");
}

#[tokio::test]
async fn a_limit_ends_following() {
    let container = Container::with(&["one"]);
    container.set(Some(RUNNING));
    let log = container.log(0);
    let reader = container.follow(Query { limit_bytes: Some(6), ..Query::default() }).await;
    print(&log, "two");
    assert_eq!(reader.rest().await, "one\ntw");
}

#[tokio::test]
async fn a_line_in_many_pieces_is_one_line() {
    let long = "x".repeat(100_000);
    let container = Container::with(&["before", &long, "after"]);
    assert_eq!(container.read(tail(2)).await, format!("{long}\nafter\n"));
    let text = container.read(Query { timestamps: true, ..tail(2) }).await;
    assert_eq!(text.len(), long.len() + "after".len() + 2 * 32);
}

#[tokio::test]
async fn following_loses_and_repeats_nothing_when_files_are_rotated() {
    let container = Container::new(small(50));
    container.set(Some(RUNNING));
    let log = Arc::new(container.log(0));
    let mut wanted = numbers(&log, 0..10);
    let mut reader = container.follow(Query::default()).await;
    reader.expect(&wanted).await;
    // Slowly, with a rotation at every other line.
    for n in 10..20 {
        let line = numbers(&log, n..n + 1);
        reader.expect(&line).await;
    }
    // And in a burst, through more than one rotation between two looks.
    for from in [20, 50, 80] {
        wanted = numbers(&log, from..from + 30);
        reader.expect(&wanted).await;
    }
    let writer = log.clone();
    let writing = spawn_blocking(move || numbers(&writer, 110..200));
    reader.expect(&text(110..200)).await;
    writing.await.unwrap();
    container.set(Some(ENDED));
    assert_eq!(reader.rest().await, "");
}

#[tokio::test]
async fn a_reader_in_the_middle_of_a_file_gets_all_of_it_though_it_is_rotated_away() {
    let container = Container::new(Limits { max_file_bytes: 3_000_000, max_files: 2 });
    container.set(Some(RUNNING));
    let log = container.log(0);
    let line = "x".repeat(999);
    (0..2000).for_each(|_| print(&log, &line));
    // Far more than fits between the file and a client that reads nothing yet.
    let mut reader = container.follow(Query::default()).await;
    let first = reader.0.next().await.unwrap().unwrap();
    // Two rotations: the file that is being read has no name any more.
    (0..4000).for_each(|_| print(&log, &line));
    assert_eq!(files_of(container.path()).len(), 2);
    container.set(Some(ENDED));
    let text = String::from_utf8(first.to_vec()).unwrap() + &reader.rest().await;
    assert_eq!(text.lines().count(), 6000);
    assert!(text.lines().all(|got| got == line));
}

fn files_of(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn open_files_serve_when_the_folder_is_gone() {
    let lines: Vec<String> = (0..20_000).map(|n| format!("line {n}")).collect();
    let container = Container::with(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let reader = container.stream(Query::default()).await.unwrap();
    std::fs::remove_dir_all(container.path()).unwrap();
    assert_eq!(reader.rest().await, lines.join("\n") + "\n");
}

#[tokio::test]
async fn following_goes_on_through_restarts_and_ends_with_the_container() {
    let container = Container::new(small(5));
    container.set(Some(RUNNING));
    let first = container.log(0);
    print(&first, "one");
    let mut reader = container.follow(Query::default()).await;
    reader.expect("one\n").await;
    print(&first, "two");
    reader.expect("two\n").await;
    // The second attempt could not be started, so it has no file.
    let third = container.log(2);
    container.set(Some(Progress { attempt: 2, ..RUNNING }));
    print(&third, "three");
    reader.expect("three\n").await;
    let wanted = numbers(&third, 0..9);
    reader.expect(&wanted).await;
    print(&third, "four");
    third.write(Stream::Stdout, b"last").unwrap();
    third.finish().unwrap();
    container.set(Some(Progress { attempt: 2, ended: true, finished: true }));
    assert_eq!(reader.rest().await, "four\nlast\n");
}

#[tokio::test]
async fn a_follower_waits_through_the_back_off() {
    let container = Container::with(&["one"]);
    container.set(Some(Progress { finished: false, ..ENDED }));
    let mut reader = container.follow(tail(0)).await;
    assert!(timeout(Duration::from_millis(100), reader.0.next()).await.is_err());
    let next = container.log(1);
    print(&next, "two");
    container.set(Some(Progress { attempt: 1, ..RUNNING }));
    reader.expect("two\n").await;
    container.set(None);
    assert_eq!(reader.rest().await, "");
}

#[tokio::test]
async fn only_a_torn_line_that_nobody_will_end_is_shown() {
    let container = Container::with(&["one"]);
    let torn = "2026-01-02T03:04:05.000000000Z stdout P half";
    let path = files_of(container.path()).remove(0);
    let text = std::fs::read_to_string(&path).unwrap() + torn;
    std::fs::write(&path, text).unwrap();
    assert_eq!(container.read(Query::default()).await, "one\nhalf\n");
    assert_eq!(container.read(tail(1)).await, "half\n");
    // As long as the attempt runs it may be a line that is just being written.
    container.set(Some(RUNNING));
    assert_eq!(container.read(Query::default()).await, "one\n");
    // The agent was killed, and the next one has started the container again.
    let next = container.log(1);
    print(&next, "whole");
    container.set(Some(Progress { attempt: 1, ..RUNNING }));
    let mut reader = container.follow(Query::default()).await;
    reader.expect("one\nhalf\nwhole\n").await;
}

#[tokio::test]
async fn following_ends_when_the_pod_is_gone() {
    let container = Container::with(&["one"]);
    container.set(None);
    assert_eq!(container.follow(Query::default()).await.rest().await, "one\n");
}

#[tokio::test]
async fn reading_ends_with_the_client() {
    let container = Container::with(&["one"]);
    container.set(Some(RUNNING));
    let mut reader = container.follow(Query::default()).await;
    reader.expect("one\n").await;
    drop(reader);
    // The pump holds one, this test the other.
    timeout(PATIENCE, async {
        while Arc::strong_count(&container.progress) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is still waiting");
}

#[tokio::test]
async fn a_log_that_is_not_there_is_an_error() {
    let container = Container::new(Limits::DEFAULT);
    let error = container.stream(Query::default()).await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
