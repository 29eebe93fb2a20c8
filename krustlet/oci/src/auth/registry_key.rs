//! Which artifacts a key of a docker config file is for.

use std::cmp::Reverse;
use std::fmt;

use crate::Reference;

/// A key of `auths` or `credHelpers`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegistryKey {
    host: String,
    port: String,
    path: String,
}

impl RegistryKey {
    pub(crate) fn new(key: &str) -> Self {
        let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        let (host, path) = key.find('/').map_or((key, ""), |slash| key.split_at(slash));
        let path = ["/v1/", "/v2/"].iter().find_map(|version| path.strip_prefix(version)).unwrap_or(path);
        let path = path.trim_matches('/');
        let (host, port) = split_port(host);
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        Self { host: hub(&host.to_lowercase()), port: port.to_owned(), path }
    }

    /// The most specific ones first.
    pub(crate) fn order(&self) -> (Reverse<usize>, bool) {
        (Reverse(self.path.len()), self.host.contains(['*', '?']))
    }

    pub(crate) fn is_for(&self, reference: &Reference) -> bool {
        format!("/{}", reference.repository()).starts_with(&self.path) && self.is_of_registry(reference)
    }

    /// Whether it is for something in the artifact's registry.
    pub(crate) fn is_of_registry(&self, reference: &Reference) -> bool {
        let (host, port) = split_port(reference.registry());
        let host = hub(&host.to_lowercase());
        let (patterns, parts) = (self.host.split('.'), host.split('.'));
        self.port == port
            && (self.host == host
                || patterns.clone().count() == parts.clone().count()
                    && patterns.zip(parts).all(|(pattern, part)| matches(pattern, part)))
    }
}

impl fmt::Display for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        if !self.port.is_empty() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

/// Docker Hub has several names.
fn hub(host: &str) -> String {
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

/// Host and port; the port is empty where there is none. The colons of an IPv6 address are within brackets.
fn split_port(host: &str) -> (&str, &str) {
    let after = host.rfind(']').map_or(0, |bracket| bracket + 1);
    match host[after..].find(':') {
        Some(colon) => (&host[..after + colon], &host[after + colon + 1..]),
        None => (host, ""),
    }
}

/// Whether a pattern takes a text. Never more than `pattern × text` steps, as patterns are for anybody to write.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            p += 1;
            star = Some((p, t));
        } else if let Some(length) = pattern.get(p..).and_then(|pattern| element(pattern, text[t])) {
            p += length;
            t += 1;
        } else if let Some((after, taken)) = star {
            // The last star takes one character more.
            (p, t) = (after, taken + 1);
            star = Some((after, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// How long the pattern's first element is, if it takes this character.
fn element(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', rest @ ..] => {
            let (negated, set) = match rest {
                ['^', set @ ..] => (true, set),
                set => (false, set),
            };
            let end = set.iter().position(|&c| c == ']').filter(|&end| end > 0)?;
            let found = in_set(&set[..end], c);
            (found != negated).then_some(1 + usize::from(negated) + end + 1)
        }
        [first, ..] if *first == c => Some(1),
        _ => None,
    }
}

fn in_set(set: &[char], c: char) -> bool {
    match set {
        [low, '-', high, rest @ ..] => (*low..=*high).contains(&c) || in_set(rest, c),
        [one, rest @ ..] => *one == c || in_set(rest, c),
        [] => false,
    }
}
