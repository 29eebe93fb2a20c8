//! Where a request stands in its trace, as its headers say it: <https://www.w3.org/TR/trace-context/>.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::ids::Ids;

/// The trace, the span of whoever sends the request, and whether it is sampled.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What tracing systems add of their own. It is handed on, and not understood.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Of `traceparent` in version 00: `00-<32 digits>-<16 digits>-<2 digits>`, hexadecimal in lower case.
const LENGTH: usize = 55;

const SAMPLED: u8 = 1;
/// The trace's id is random, so that whoever samples by it may (Level 2 of the recommendation).
const RANDOM: u8 = 2;

/// The most members of a `tracestate`, and the most bytes of a key and of a value.
const MEMBERS: usize = 32;
const KEY_BYTES: usize = 256;
const VALUE_BYTES: usize = 256;

/// The most bytes that a `tracestate` of such members needs, each with its `=` and the comma after it. One may be far longer by blanks and
/// members that are empty.
const STATE_BYTES: usize = MEMBERS * (KEY_BYTES + 1 + VALUE_BYTES + 1);

/// How much of a `tracestate` a span has. What is handed on has all of it.
const RECORDED_BYTES: usize = 512;

/// Where a request stands in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    pub(crate) trace_id: [u8; 16],
    /// The span that what comes next is a child of.
    pub(crate) span_id: [u8; 8],
    flags: u8,
    pub(crate) state: Option<HeaderValue>,
}

impl Context {
    /// What a request's headers say. `None` where they say nothing, or nothing that can be read: then the request begins a trace, and its
    /// `tracestate` is of none. A `tracestate` alone that cannot be read is passed over.
    pub fn extract(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let (first, second) = (given.next()?, given.next());
        let (trace_id, span_id, flags) = read(first.as_bytes()).filter(|_| second.is_none())?;
        Some(Self { trace_id, span_id, flags, state: state(headers) })
    }

    /// Has a request's headers say it, and nothing else.
    pub fn inject(&self, headers: &mut HeaderMap) {
        headers.insert(TRACEPARENT, self.traceparent());
        match &self.state {
            Some(state) => headers.insert(TRACESTATE, state.clone()),
            None => headers.remove(TRACESTATE),
        };
    }

    /// Whether the spans of this trace are recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The beginning of a trace.
    pub(crate) fn root(ids: &Ids) -> Self {
        Self { trace_id: ids.trace(), span_id: ids.span(), flags: RANDOM, state: None }
    }

    pub(crate) fn sampled(mut self) -> Self {
        self.flags |= SAMPLED;
        self
    }

    /// A span of the same trace.
    pub(crate) fn child(&self, ids: &Ids) -> Self {
        Self { span_id: ids.span(), ..self.clone() }
    }

    pub(crate) fn flags(&self) -> u8 {
        self.flags
    }

    /// As many of the `tracestate`'s members as a span has room for, from the first on: those are of who was last.
    pub(crate) fn recorded_state(&self) -> Box<str> {
        let mut text = String::new();
        let state = self.state.iter().flat_map(|state| members(state.as_bytes()));
        for member in state.filter_map(|member| str::from_utf8(member).ok()) {
            if text.len() + 1 + member.len() > RECORDED_BYTES {
                break;
            }
            text += if text.is_empty() { "" } else { "," };
            text += member;
        }
        text.into()
    }

    fn traceparent(&self) -> HeaderValue {
        let mut text = Vec::with_capacity(LENGTH);
        for (index, bytes) in [&[0][..], &self.trace_id, &self.span_id, &[self.flags]].iter().enumerate() {
            if index > 0 {
                text.push(b'-');
            }
            text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]));
        }
        // It is digits and `-`.
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static("-"))
    }
}

fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// A `traceparent`. One of a later version is read as far as this one goes.
fn read(text: &[u8]) -> Option<([u8; 16], [u8; 8], u8)> {
    let (known, more) = text.split_at_checked(LENGTH)?;
    let mut parts = known.splitn(4, |byte| *byte == b'-');
    let [version] = hex(parts.next()?)?;
    let (trace_id, span_id, [flags]) = (hex(parts.next()?)?, hex(parts.next()?)?, hex(parts.next()?)?);
    let goes_on = match version {
        0 => more.is_empty(),
        0xff => false,
        _ => more.first().is_none_or(|next| *next == b'-'),
    };
    let is_none = trace_id == [0; 16] || span_id == [0; 8];
    // Of the flags only these are understood, and no others are handed on.
    (goes_on && !is_none).then_some((trace_id, span_id, flags & (SAMPLED | RANDOM)))
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let value = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(high)? << 4 | value(low)?;
    }
    Some(bytes)
}

/// The `tracestate`, which may come in several headers. It is a copy: a header as it came holds all that was received with it.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let given = headers.get_all(TRACESTATE);
    if given.iter().map(|value| value.len() + 1).sum::<usize>() > STATE_BYTES {
        return None;
    }
    let all = given.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b","[..]);
    is_state(&all).then(|| HeaderValue::from_bytes(&all).ok()).flatten()
}

fn is_state(text: &[u8]) -> bool {
    let mut keys: Vec<&[u8]> = Vec::new();
    for member in members(text) {
        let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
        let (key, value) = (&member[..equals], &member[equals + 1..]);
        if !is_key(key) || !is_value(value) || keys.contains(&key) || keys.len() == MEMBERS {
            return false;
        }
        keys.push(key);
    }
    !keys.is_empty()
}

/// Its members, in order, without those that are empty, which there may be.
pub(crate) fn members(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let all = text.split(|byte| *byte == b',').map(|member| {
        let blank = |byte: &u8| [b' ', b'\t'].contains(byte);
        let begin = member.iter().position(|byte| !blank(byte)).unwrap_or(member.len());
        let end = member.iter().rposition(|byte| !blank(byte)).map_or(begin, |last| last + 1);
        &member[begin..end]
    });
    all.filter(|member| !member.is_empty())
}

fn is_key(key: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.len() <= KEY_BYTES
        && key.first().is_some_and(plain)
        && key.iter().all(|byte| plain(byte) || b"_-*/@".contains(byte))
}

fn is_value(value: &[u8]) -> bool {
    (1..=VALUE_BYTES).contains(&value.len())
        && value.iter().all(|byte| (b' '..=b'~').contains(byte) && ![b',', b'='].contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    fn parent(text: &str) -> Option<String> {
        Context::extract(&headers(&[("traceparent", text)]))
            .map(|context| context.traceparent().to_str().unwrap().into())
    }

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_has_it() {
        let kept = [GOOD, &GOOD.replace("-01", "-00"), &GOOD.replace("-01", "-03"), &GOOD.replace("-01", "-02")];
        for text in kept {
            assert_eq!(parent(text).as_deref(), Some(text));
        }
        // Later versions may go on, and other flags have no meaning here.
        for (text, read) in [
            (GOOD.replacen("00-", "01-", 1), GOOD.into()),
            (GOOD.replacen("00-", "cc-", 1) + "-what-the-future-will-be-like", GOOD.into()),
            (GOOD.replace("-01", "-ff"), GOOD.replace("-01", "-03")),
        ] {
            assert_eq!(parent(&text), Some(read), "{text}");
        }
        let long = GOOD.to_owned() + "-01";
        let bad = [
            "",
            "00",
            &GOOD[..54],
            &long,
            &GOOD.replacen("00-", "ff-", 1),
            &(GOOD.replacen("00-", "01-", 1) + ".more"),
            &GOOD.to_uppercase(),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            &GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            &GOOD.replace('-', "_"),
            &GOOD.replace("-01", "-0g"),
            &GOOD.replace("4bf9", "4b-9"),
            &GOOD.replace("4bf9", "4b\u{e9}"),
            &format!(" {GOOD}"),
        ];
        for text in bad {
            assert_eq!(parent(text), None, "{text:?}");
        }
        let twice = headers(&[("traceparent", GOOD), ("traceparent", GOOD)]);
        assert_eq!(Context::extract(&twice), None);
    }

    #[test]
    fn a_tracestate_is_handed_on_or_dropped_whole() {
        let state = |values: &[&str]| {
            let mut map = headers(&[("traceparent", GOOD)]);
            for value in values {
                map.append(TRACESTATE, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            Context::extract(&map).unwrap().state.map(|state| String::from_utf8(state.as_bytes().to_vec()).unwrap())
        };
        let many = |count: usize| (0..count).map(|index| format!("k{index}=v")).collect::<Vec<_>>().join(",");
        let (key, value) = ("k".repeat(256), "v".repeat(256));
        // As long as there is any.
        let long = |end: &str| {
            let members = (10..42).map(|index| format!("{}{index}={}{end}", &key[2..], &value[1..]));
            members.collect::<Vec<_>>().join(",")
        };
        let good = [
            "rojo=00f067aa0ba902b7",
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            "fw529a3039@dt=FfffF, 1x/_-*@=a b ,,\t",
            &many(32),
            &format!("{key}={value}"),
            &long("v"),
        ];
        for text in good {
            assert_eq!(state(&[text]).as_deref(), Some(text));
        }
        assert_eq!(state(&["a=1", "b=2"]).as_deref(), Some("a=1,b=2"));
        let bad = [
            "",
            ",",
            "rojo",
            "=1",
            "rojo=",
            "Rojo=1",
            "@a=1",
            "a=1,a=2",
            "a=1=2",
            "a b=1",
            "a=\u{e9}",
            &many(33),
            &format!("{key}k=v"),
            &format!("k={value}v"),
            &(long("v") + ",,"),
            &format!("a=1{}", ",".repeat(STATE_BYTES)),
        ];
        for text in bad {
            assert_eq!(state(&[text]), None, "{text:?}");
        }
        assert_eq!(state(&["a=1", "a=2"]), None);
        assert_eq!(state(&["a=1", &",".repeat(STATE_BYTES / 2), &" ".repeat(STATE_BYTES / 2)]), None);
        assert_eq!(state(&[]), None);
    }

    #[test]
    fn headers_say_it_and_nothing_else() {
        let ids = Ids::default();
        let mut map =
            headers(&[("traceparent", GOOD), ("traceparent", "x"), ("tracestate", "a=1"), ("tracestate", "?")]);
        let root = Context::root(&ids);
        root.inject(&mut map);
        assert_eq!(Context::extract(&map), Some(root.clone()));
        assert_eq!(map.len(), 1, "a trace that begins has no state");
        assert!(!root.is_sampled() && root.clone().sampled().is_sampled());

        let given = Context::extract(&headers(&[("traceparent", GOOD), ("tracestate", "a=1")])).unwrap();
        let child = given.child(&ids);
        child.inject(&mut map);
        assert_eq!(map[TRACESTATE], "a=1");
        let text = map[TRACEPARENT].to_str().unwrap();
        assert!(text.starts_with(&GOOD[..36]) && text.ends_with("-01") && text.len() == GOOD.len(), "{text}");
        assert_ne!(text, GOOD);
    }
}
