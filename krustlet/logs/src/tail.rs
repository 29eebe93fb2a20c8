//! Where the last lines of a log begin, found from its end backwards, file by file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use krustlet_runtime::Stream;

use super::cri::Entry;
use super::index;

/// How much is read at once: bytes.
const BLOCK: usize = 64 * 1024;
/// A piece of a line lies at most so many bytes of the other stream's text before its next one. A line that was interrupted by
/// more than that is shown from the interruption on; without such an end, the last line of a stream that is seldom used
/// would have to be looked for through the whole log.
const LOOK_BACK: u64 = 1 << 20;

/// A place in a row of files: which file, from 0, and the offset in it.
pub type Position = (usize, u64);

/// The places where the last `lines` lines begin, for stdout and for stderr; of one stream alone if `stream` says so.
///
/// Lines count in the order in which they ended. What is before its stream's place is not among them: streams may have
/// been written in turns in the middle of lines. `files` are in the order of their writing.
///
/// # Errors
/// Any I/O error.
pub fn starts(files: &[File], lines: u64, stream: Option<Stream>) -> io::Result<[Position; 2]> {
    let mut search = Search { remaining: lines, only: stream, streams: Default::default() };
    let mut end = (0, 0);
    for (at, file) in files.iter().enumerate().rev() {
        let length = file.metadata()?.len();
        if at + 1 == files.len() {
            end = (at, end_of_lines(file, length)?);
        }
        if !lines_backwards(file, length, |offset, line| search.take((at, offset), line))? {
            break;
        }
    }
    Ok(search.streams.map(|found| found.start.unwrap_or(end)))
}

struct Search {
    remaining: u64,
    only: Option<Stream>,
    streams: [Found; 2],
}

#[derive(Default)]
struct Found {
    /// Where the first of its lines begins, as far as is known.
    start: Option<Position>,
    /// Whether there may be earlier pieces of that line.
    inside: bool,
    /// Whether any piece was seen.
    seen: bool,
    /// Bytes of the other stream since the last piece.
    passed: u64,
}

impl Search {
    /// Takes a line of the file, going backwards; `false` when there is no more to look for.
    fn take(&mut self, position: Position, line: &[u8]) -> bool {
        // Asked first, for no line at all may be wanted.
        if !self.goes_on() {
            return false;
        }
        let Some(entry) = Entry::parse(line) else { return true };
        if self.only.is_some_and(|only| only != entry.stream) {
            return true;
        }
        let (this, other) = (index(entry.stream), 1 - index(entry.stream));
        self.streams[other].passed += line.len() as u64;
        if self.streams[other].passed > LOOK_BACK {
            self.streams[other].inside = false;
        }
        let found = &mut self.streams[this];
        // The last piece of all may have no end: the container was killed, or is still writing.
        let ends_a_line = entry.full || !found.seen;
        found.seen = true;
        found.passed = 0;
        if ends_a_line {
            found.inside = self.remaining > 0;
            self.remaining = self.remaining.saturating_sub(1);
        }
        if found.inside {
            found.start = Some(position);
        }
        self.goes_on()
    }

    fn goes_on(&self) -> bool {
        self.remaining > 0 || self.streams.iter().any(|found| found.inside)
    }
}

/// Offset after the last line end. What comes then is nothing, or a torn line.
fn end_of_lines(file: &File, length: u64) -> io::Result<u64> {
    let mut end = 0;
    lines_backwards(file, length, |offset, _| {
        end = offset;
        false
    })?;
    Ok(end)
}

/// Gives the lines of the first `length` bytes to `take`, the last one first, each with its offset and without its line end. What
/// comes after the last line end is a line as well. Ends early, with `false`, when `take` says so.
fn lines_backwards(file: &File, length: u64, mut take: impl FnMut(u64, &[u8]) -> bool) -> io::Result<bool> {
    let mut end = length;
    // The begin of what was read so far: the rest of a line whose begin is in the block before.
    let mut rest = Vec::new();
    while end > 0 {
        let size = usize::try_from(end).map_or(BLOCK, |end| end.min(BLOCK));
        let start = end - size as u64;
        let mut block = vec![0; size];
        file.read_exact_at(&mut block, start)?;
        // The rest holds no line end.
        let mut from = size;
        let mut upto = size + rest.len();
        block.append(&mut rest);
        while let Some(at) = block[..from].iter().rposition(|byte| *byte == b'\n') {
            if !take(start + at as u64 + 1, &block[at + 1..upto]) {
                return Ok(false);
            }
            (from, upto) = (at, at);
        }
        block.truncate(upto);
        rest = block;
        end = start;
    }
    Ok(take(0, &rest))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    /// Short for log lines: `o` and `e` for the stream, `F` and `P` for the tag.
    fn log(lines: &[(&str, &str)]) -> String {
        lines.iter().map(|(kind, text)| line(kind, text)).collect()
    }

    fn line(kind: &str, text: &str) -> String {
        let stream = if kind.starts_with('o') { "stdout" } else { "stderr" };
        format!("t {stream} {} {text}\n", &kind[1..])
    }

    #[test]
    fn lines_come_backwards_with_their_offsets_across_blocks() {
        let long = "x".repeat(BLOCK + 10);
        let text = format!("first\n{long}\n\nlast");
        let mut seen = Vec::new();
        lines_backwards(&file(&text), text.len() as u64, |offset, line| {
            seen.push((offset, line.len()));
            true
        })
        .unwrap();
        let after_long = 6 + long.len() as u64 + 1;
        assert_eq!(seen, [(after_long + 1, 4), (after_long, 0), (6, long.len()), (0, 5)]);
        assert!(!lines_backwards(&file("a\nb"), 3, |_, _| false).unwrap());
    }

    #[test]
    fn whole_lines_are_counted_whatever_they_were_written_in() {
        // Offsets: `t stdout F a` and its line end are 13 bytes.
        let text = log(&[("oF", "a"), ("oP", "b"), ("oP", "b"), ("oF", "b"), ("oF", "c")]);
        let end = text.len() as u64;
        let table = [(0, end), (1, 52), (2, 13), (3, 0), (9, 0)];
        for (lines, wanted) in table {
            assert_eq!(starts(&[file(&text)], lines, None).unwrap()[0], (0, wanted), "{lines}");
        }
    }

    #[test]
    fn streams_that_took_turns_in_the_middle_of_lines() {
        let text = log(&[("oF", "a"), ("eP", "x"), ("oP", "b"), ("eF", "x"), ("oF", "b")]);
        let end = (0, text.len() as u64);
        let table = [
            // stdout's line ended last: of stderr there is nothing.
            (1, None, [(0, 26), end]),
            (2, None, [(0, 26), (0, 13)]),
            (3, None, [(0, 0), (0, 13)]),
            (1, Some(Stream::Stderr), [end, (0, 13)]),
            (2, Some(Stream::Stdout), [(0, 0), end]),
        ];
        for (lines, stream, wanted) in table {
            assert_eq!(starts(&[file(&text)], lines, stream).unwrap(), wanted, "{lines} {stream:?}");
        }
    }

    #[test]
    fn backwards_from_file_to_file() {
        let files = [log(&[("oF", "a"), ("oP", "b")]), log(&[("oF", "b")]), String::new(), log(&[("oF", "c")])];
        let files = files.map(|text| file(&text));
        for (lines, wanted) in [(0, (3, 13)), (1, (3, 0)), (2, (0, 13)), (3, (0, 0)), (4, (0, 0))] {
            assert_eq!(starts(&files, lines, None).unwrap()[0], wanted, "{lines}");
        }
        assert_eq!(starts(&[], 3, None).unwrap(), [(0, 0); 2]);
    }

    #[test]
    fn an_unfinished_line_counts_and_rubbish_does_not() {
        let text = log(&[("oF", "a"), ("oP", "b")]) + "rubbish\n\nt stdout F torn";
        let torn = (text.len() - "t stdout F torn".len()) as u64;
        let table = [(0, torn), (1, 13), (2, 0)];
        for (lines, wanted) in table {
            // The torn line is the end of the line that `b` began.
            assert_eq!(starts(&[file(&text)], lines, None).unwrap()[0], (0, wanted), "{lines}");
        }
    }

    #[test]
    fn a_stream_that_is_seldom_used_is_not_looked_for_without_end() {
        let noise = line("oF", &"x".repeat(1000)).repeat(4000);
        let text = log(&[("oF", "a"), ("eP", "far")]) + &noise + &log(&[("eF", "near")]);
        let near = (text.len() - line("eF", "near").len()) as u64;
        assert_eq!(starts(&[file(&text)], 1, None).unwrap()[1], (0, near));
    }

    /// The same by reading forwards and remembering every line.
    fn naive(pieces: &[(Position, usize, bool)], lines: usize, end: Position) -> [Position; 2] {
        let (mut begun, mut last, mut all) = ([None; 2], [0; 2], Vec::new());
        for (at, (position, stream, full)) in pieces.iter().enumerate() {
            let begin = *begun[*stream].get_or_insert(*position);
            last[*stream] = at;
            if *full {
                all.push((at, *stream, begin));
                begun[*stream] = None;
            }
        }
        all.extend((0..2).filter_map(|stream| Some((last[stream], stream, begun[stream]?))));
        all.sort_unstable();
        let mut starts = [end; 2];
        for (_, stream, begin) in &all[all.len().saturating_sub(lines)..] {
            starts[*stream] = starts[*stream].min(*begin);
        }
        starts
    }

    #[test]
    fn as_one_who_reads_forwards_would_have_it() {
        let mut state = 1_u64;
        let mut chance = move |of: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % of
        };
        for round in 0..200 {
            let (mut texts, mut pieces) = (vec![String::new()], Vec::new());
            for _ in 0..chance(40) {
                if chance(6) == 0 {
                    texts.push(String::new());
                }
                let (stream, full) = (chance(2), chance(3) > 0);
                let at = texts.len() - 1;
                pieces.push(((at, texts[at].len() as u64), usize::try_from(stream).unwrap(), full));
                let kind = [["oP", "oF"], ["eP", "eF"]][usize::try_from(stream).unwrap()][usize::from(full)];
                texts[at] += &line(kind, &"x".repeat(usize::try_from(chance(50)).unwrap()));
            }
            let end = (texts.len() - 1, texts[texts.len() - 1].len() as u64);
            let files: Vec<File> = texts.iter().map(|text| file(text)).collect();
            for lines in 0..12 {
                let wanted = naive(&pieces, lines, end);
                assert_eq!(
                    starts(&files, lines as u64, None).unwrap(),
                    wanted,
                    "round {round}, {lines} lines: {texts:?}"
                );
            }
        }
    }
}
