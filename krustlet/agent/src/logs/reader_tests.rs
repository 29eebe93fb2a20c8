use std::sync::{Arc, Mutex};

use futures::StreamExt;
use krustlet_runtime::{LogSink, Stream};

use super::*;
use crate::logs::ContainerLog;

const ENDED: Progress = Progress { attempt: 0, ended: true, finished: true };

fn written(dir: &Path, lines: &[&str]) -> ContainerLog {
    let log = ContainerLog::create(dir, 0).unwrap();
    for line in lines {
        log.write(Stream::Stdout, format!("{line}\n").as_bytes()).unwrap();
    }
    log
}

async fn read(dir: &Path, query: Query) -> String {
    let stream = stream(dir.to_path_buf(), 0, query, || Some(ENDED)).await.unwrap();
    let chunks: Vec<_> = stream.map(|chunk| chunk.unwrap()).collect().await;
    String::from_utf8(chunks.concat()).unwrap()
}

#[tokio::test]
async fn everything_and_the_tail() {
    let root = tempfile::tempdir().unwrap();
    written(root.path(), &["one", "two", "three"]);
    assert_eq!(read(root.path(), Query::default()).await, "one\ntwo\nthree\n");
    for (lines, wanted) in
        [(0, ""), (1, "three\n"), (2, "two\nthree\n"), (3, "one\ntwo\nthree\n"), (9, "one\ntwo\nthree\n")]
    {
        let query = Query { tail_lines: Some(lines), ..Query::default() };
        assert_eq!(read(root.path(), query).await, wanted, "{lines}");
    }
}

#[tokio::test]
async fn the_tail_of_a_file_of_many_blocks() {
    let root = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..2000).map(|n| format!("line {n}")).collect();
    written(root.path(), &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let query = Query { tail_lines: Some(1500), ..Query::default() };
    let text = read(root.path(), query).await;
    assert!(text.starts_with("line 500\n") && text.ends_with("line 1999\n"));
    assert_eq!(text.lines().count(), 1500);
}

#[tokio::test]
async fn limits_streams_times() {
    let root = tempfile::tempdir().unwrap();
    let log = written(root.path(), &["one"]);
    log.write(Stream::Stderr, b"bad\n").unwrap();
    let query = Query { limit_bytes: Some(5), ..Query::default() };
    assert_eq!(read(root.path(), query).await, "one\nb");
    let query = Query { stream: Some(Stream::Stderr), ..Query::default() };
    assert_eq!(read(root.path(), query).await, "bad\n");
    let query = Query { timestamps: true, tail_lines: Some(1), ..Query::default() };
    let text = read(root.path(), query).await;
    assert!(text.starts_with("20") && text.ends_with("Z bad\n"), "{text}");
    let query = Query { since: Some("2100-01-01T00:00:00Z".parse().unwrap()), ..Query::default() };
    assert_eq!(read(root.path(), query).await, "");
}

#[tokio::test]
async fn a_cut_line_comes_out_whole() {
    let root = tempfile::tempdir().unwrap();
    let long = "x".repeat(40_000);
    written(root.path(), &[&long]);
    assert_eq!(read(root.path(), Query::default()).await, format!("{long}\n"));
}

#[tokio::test]
async fn following_goes_on_through_a_restart_and_ends_with_the_container() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().to_path_buf();
    let first = written(&dir, &["one"]);
    let progress = Arc::new(Mutex::new(Progress { attempt: 0, ended: false, finished: false }));
    let shared = progress.clone();
    let query = Query { follow: true, ..Query::default() };
    let stream = stream(dir.clone(), 0, query, move || Some(*shared.lock().unwrap())).await.unwrap();
    let mut stream = std::pin::pin!(stream);
    assert_eq!(stream.next().await.unwrap().unwrap(), "one\n");
    first.write(Stream::Stdout, b"two\n").unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "two\n");
    let second = ContainerLog::create(&dir, 1).unwrap();
    *progress.lock().unwrap() = Progress { attempt: 1, ended: false, finished: false };
    second.write(Stream::Stdout, b"three\n").unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "three\n");
    second.write(Stream::Stdout, b"four\n").unwrap();
    *progress.lock().unwrap() = Progress { attempt: 1, ended: true, finished: true };
    assert_eq!(stream.next().await.unwrap().unwrap(), "four\n");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn following_ends_when_the_pod_is_gone() {
    let root = tempfile::tempdir().unwrap();
    written(root.path(), &["one"]);
    let query = Query { follow: true, ..Query::default() };
    let stream = stream(root.path().to_path_buf(), 0, query, || None).await.unwrap();
    assert_eq!(stream.count().await, 1);
}

#[tokio::test]
async fn a_log_that_is_not_there_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    assert!(stream(root.path().to_path_buf(), 3, Query::default(), || None).await.is_err());
}
