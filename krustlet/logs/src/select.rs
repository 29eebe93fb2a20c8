//! Which lines a reader gets, and how they look.

use super::cri::Entry;
use super::tail::Position;
use super::{Query, index};

/// Turns lines of log files into what one reader asked for.
#[derive(Debug)]
pub struct Selection {
    query: Query,
    /// For each stream, where its first line begins.
    starts: [Position; 2],
    /// For each stream, the line that was begun.
    begun: [Line; 2],
    /// Whether the output ends with a line end.
    at_line_start: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// None.
    None,
    /// One whose further pieces are shown.
    Shown,
    /// One whose further pieces are not.
    Hidden,
}

impl Selection {
    /// What `query` asks for, of the lines from `starts` on.
    pub fn new(query: Query, starts: [Position; 2]) -> Self {
        Self { query, starts, begun: [Line::None; 2], at_line_start: true }
    }

    /// Takes a piece of a line, as it was written in the file, and appends what the reader is to see of it.
    ///
    /// A piece is shown if its line is, which the line's first piece decides. Streams that took turns in the middle of lines are
    /// shown as they were written, as the kubelet does.
    pub fn take(&mut self, position: Position, line: &[u8], out: &mut Vec<u8>) {
        let Some(entry) = Entry::parse(line) else { return };
        let stream = index(entry.stream);
        if position < self.starts[stream] || self.query.stream.is_some_and(|only| only != entry.stream) {
            return;
        }
        let begins = self.begun[stream] == Line::None;
        let shown = if begins { self.is_wanted(&entry) } else { self.begun[stream] == Line::Shown };
        self.begun[stream] = match (entry.full, shown) {
            (true, _) => Line::None,
            (false, true) => Line::Shown,
            (false, false) => Line::Hidden,
        };
        if !shown {
            return;
        }
        if begins && self.query.timestamps {
            out.extend_from_slice(entry.fixed_time().as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(entry.text);
        if entry.full {
            out.push(b'\n');
        }
        self.at_line_start = entry.full;
    }

    /// The container has ended, whether its last line has or not: the next one begins afresh.
    pub fn end_of_attempt(&mut self, out: &mut Vec<u8>) {
        self.begun = [Line::None; 2];
        if !std::mem::replace(&mut self.at_line_start, true) {
            out.push(b'\n');
        }
    }

    /// A time that cannot be read keeps no line from being shown.
    fn is_wanted(&self, entry: &Entry<'_>) -> bool {
        let early = |since| entry.timestamp().is_some_and(|time| time < since);
        !self.query.since.is_some_and(early)
    }
}

#[cfg(test)]
mod tests {
    use krustlet_runtime::Stream;

    use super::*;

    const LOG: [&str; 7] = [
        "2026-01-01T00:00:01.000000000Z stdout F one",
        "2026-01-01T00:00:02.000000000Z stdout P two-",
        "2026-01-01T00:00:03.000000000Z stdout P two-",
        "2026-01-01T00:00:04.000000000Z stdout F two",
        "2026-01-01T00:00:05.000000000Z stderr F bad",
        "2026-01-01T00:00:06.5Z stdout F three",
        "rubbish",
    ];

    fn read(query: &Query, starts: [Position; 2], log: &[&str]) -> String {
        let mut selection = Selection::new(query.clone(), starts);
        let mut out = Vec::new();
        for (at, line) in log.iter().enumerate() {
            selection.take((0, at as u64), line.as_bytes(), &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    fn since(second: u8) -> Query {
        Query { since: Some(format!("2026-01-01T00:00:0{second}Z").parse().unwrap()), ..Query::default() }
    }

    #[test]
    fn combinations() {
        let all = Query::default();
        let only = |stream| Query { stream: Some(stream), ..Query::default() };
        let timed = |query: Query| Query { timestamps: true, ..query };
        let begin = [(0, 0); 2];
        let table = [
            ("everything", all.clone(), begin, "one\ntwo-two-two\nbad\nthree\n"),
            ("stdout", only(Stream::Stdout), begin, "one\ntwo-two-two\nthree\n"),
            ("stderr", only(Stream::Stderr), begin, "bad\n"),
            ("since is inclusive", since(5), begin, "bad\nthree\n"),
            ("a line's first piece decides for it", since(3), begin, "bad\nthree\n"),
            ("and shows all of it", since(2), begin, "two-two-two\nbad\nthree\n"),
            ("since after the end", since(9), begin, ""),
            ("each stream from its place on", all.clone(), [(0, 5), (0, 4)], "bad\nthree\n"),
            ("nothing of a stream", all.clone(), [(0, 1), (0, 7)], "two-two-two\nthree\n"),
            ("the later of tail and since", since(5), [(0, 1), (0, 4)], "bad\nthree\n"),
            ("the later of since and tail", since(1), [(0, 5), (0, 7)], "three\n"),
            (
                "one time for each line, however many pieces it has",
                timed(all),
                [(0, 1), (0, 7)],
                "2026-01-01T00:00:02.000000000Z two-two-two\n2026-01-01T00:00:06.500000000Z three\n",
            ),
            (
                "all at once",
                timed(Query { stream: Some(Stream::Stderr), ..since(2) }),
                begin,
                "2026-01-01T00:00:05.000000000Z bad\n",
            ),
        ];
        for (what, query, starts, wanted) in table {
            assert_eq!(read(&query, starts, &LOG), wanted, "{what}");
        }
    }

    #[test]
    fn streams_in_turns_have_a_time_for_each_line() {
        let log = ["t1 stdout P a-", "t2 stderr F x", "t3 stdout F a"];
        let query = Query { timestamps: true, ..Query::default() };
        assert_eq!(read(&query, [(0, 0); 2], &log), "t1 a-t2 x\na\n");
    }

    #[test]
    fn a_line_without_end_ends_with_its_attempt() {
        let mut selection = Selection::new(Query::default(), [(0, 0); 2]);
        let mut out = Vec::new();
        selection.take((0, 0), b"t stdout P begun", &mut out);
        selection.end_of_attempt(&mut out);
        selection.end_of_attempt(&mut out);
        selection.take((1, 0), b"t stdout F next", &mut out);
        selection.end_of_attempt(&mut out);
        assert_eq!(out, b"begun\nnext\n");
    }
}
