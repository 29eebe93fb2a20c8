//! The last words of a container, for those who ask with `terminationMessagePolicy: FallbackToLogsOnError`.
//!
//! <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/#customizing-the-termination-message>

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1 as core;
use krustlet_core::lifecycle::termination::Termination;
use krustlet_runtime::{LogSink, Stream};

/// So much of the log is kept, at most: bytes and lines.
const BYTES: usize = 2048;
const LINES: usize = 80;

/// Passes everything on to a log, and remembers its end.
pub struct Tail {
    log: Arc<dyn LogSink>,
    end: Mutex<VecDeque<u8>>,
}

impl Tail {
    /// Of a log, if the container wants it.
    pub fn wanted(container: &core::Container, log: Arc<dyn LogSink>) -> Option<Arc<Self>> {
        let wanted = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        wanted.then(|| Arc::new(Self { log, end: Mutex::default() }))
    }

    /// Adds the end of the log to the message of a container that failed.
    pub fn explain(&self, termination: &mut Termination) {
        if termination.exit_code == 0 {
            return;
        }
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = end.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let last = lines[lines.len().saturating_sub(LINES)..].concat();
        if !last.is_empty() {
            let before = termination.message.take().map(|message| message + "\n").unwrap_or_default();
            termination.message = Some(before + &last);
        }
    }
}

impl LogSink for Tail {
    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.extend(&bytes[bytes.len().saturating_sub(BYTES)..]);
        let over = end.len().saturating_sub(BYTES);
        end.drain(..over);
        drop(end);
        self.log.write(stream, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    struct Nowhere;

    impl LogSink for Nowhere {
        fn write(&self, _: Stream, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
    }

    fn told(writes: &[&str], exit_code: i32, message: Option<&str>) -> Option<String> {
        let policy = Some("FallbackToLogsOnError".to_string());
        let container = core::Container { termination_message_policy: policy, ..core::Container::default() };
        let tail = Tail::wanted(&container, Arc::new(Nowhere)).unwrap();
        for text in writes {
            tail.write(Stream::Stderr, text.as_bytes()).unwrap();
        }
        let mut termination = Termination {
            exit_code,
            reason: "Error".into(),
            message: message.map(Into::into),
            started_at: None,
            finished_at: Timestamp::UNIX_EPOCH,
            container_id: None,
        };
        tail.explain(&mut termination);
        termination.message
    }

    #[test]
    fn the_end_of_the_log_says_why() {
        assert_eq!(told(&["one\n", "two\n"], 1, None).as_deref(), Some("one\ntwo\n"));
        assert_eq!(told(&["one"], 134, Some("trapped")).as_deref(), Some("trapped\none"));
        assert_eq!(told(&["one"], 0, None), None);
        assert_eq!(told(&[], 1, Some("trapped")).as_deref(), Some("trapped"));
    }

    #[test]
    fn it_is_not_endless() {
        let lines = "x\n".repeat(100);
        assert_eq!(told(&[&lines], 1, None).unwrap().lines().count(), 80);
        let long = "é".repeat(5000);
        assert_eq!(told(&["begin", &long], 1, None), Some("é".repeat(1024)));
        let many = vec!["abcdefgh"; 1000];
        assert_eq!(told(&many, 1, None).unwrap().len(), 2048);
    }

    #[test]
    fn only_for_those_who_ask() {
        assert!(Tail::wanted(&core::Container::default(), Arc::new(Nowhere)).is_none());
    }
}
