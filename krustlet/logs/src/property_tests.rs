//! What a reader of logs asks for, and what stands in the files.
//!
//! Each is tried with a few hundred texts; `PROPTEST_CASES` says how many.

use k8s_openapi::jiff::Timestamp;
use krustlet_runtime::Stream;
use proptest::prelude::*;

use crate::cri::{Entry, fixed, write};
use crate::query::Query;

const NAMES: &[&str] = &[
    "follow",
    "previous",
    "timestamps",
    "tailLines",
    "limitBytes",
    "sinceSeconds",
    "sinceTime",
    "stream",
    "container",
];

proptest! {
    #[test]
    fn a_question_is_read_or_told_which_part_of_it_is_wrong(
        pairs in prop::collection::vec((prop::sample::select(NAMES), "[0-9-]{0,20}|true|Stdout|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z|\\PC{0,12}"), 0..5),
        now in -9_000_000_000..9_000_000_000i64,
    ) {
        let given = pairs.iter().map(|(name, value)| (*name, value.as_str()));
        match Query::parse(given, Timestamp::from_second(now).unwrap()) {
            Ok(query) => prop_assert!(query.limit_bytes != Some(0)),
            Err(message) => prop_assert!(pairs.iter().any(|(name, _)| message.contains(name)), "{}", message),
        }
    }

    #[test]
    fn a_line_reads_back_as_it_was_written(
        seconds in 0..9_000_000_000i64, out: bool, full: bool, text in prop::collection::vec(any::<u8>(), 0..80)
    ) {
        let (time, stream) = (fixed(Timestamp::from_second(seconds).unwrap()), if out { Stream::Stdout } else { Stream::Stderr });
        let mut file = Vec::new();
        write(&mut file, &time, stream, full, &text);
        prop_assert_eq!(file.pop(), Some(b'\n'));
        let entry = Entry::parse(&file);
        prop_assert_eq!(&entry, &Some(Entry { time: &time, stream, full, text: &text }));
        prop_assert_eq!(entry.and_then(|entry| entry.timestamp()), Timestamp::from_second(seconds).ok());
    }

    /// A file may be damaged, or somebody else's.
    #[test]
    fn any_line_is_an_entry_or_none(line in "[0-9T:.Z-]{0,30} (stdout|stderr|x) (F|P|F:x|) ?\\PC{0,20}|(?s).{0,60}") {
        if let Some(entry) = Entry::parse(line.as_bytes()) {
            let _ = (entry.timestamp(), entry.fixed_time());
        }
    }
}
