//! Scopes of tokens: which actions on which resources (<https://distribution.github.io/distribution/spec/auth/scope/>).

use std::collections::{BTreeMap, BTreeSet};

use crate::Reference;

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Read,
    Write,
    Delete,
}

impl Right {
    /// Its name among what is remembered.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

/// Actions by resource, such as `repository:team/app`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    /// What a token must be for: what the challenge asks, and what the request needs beyond it. Some registries ask for `pull`
    /// when a push begins.
    pub(crate) fn wanted(challenge: Option<&str>, right: Right, reference: &Reference) -> Self {
        let mut scopes = Self::parse(challenge.unwrap_or_default());
        let actions: &[&str] = match right {
            // A registry that names something knows what it reads.
            Right::Read if !scopes.0.is_empty() => &[],
            Right::Read => &["pull"],
            Right::Write => &["pull", "push"],
            Right::Delete => &["delete"],
        };
        if !actions.is_empty() {
            let known = scopes.0.entry(format!("repository:{}", reference.repository())).or_default();
            known.extend(actions.iter().map(|&action| action.to_owned()));
        }
        scopes
    }

    /// One or several scopes with spaces between them.
    fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        for scope in text.split_whitespace() {
            if let Some((resource, actions)) = scope.rsplit_once(':') {
                let known = scopes.0.entry(resource.to_owned()).or_default();
                known.extend(actions.split(',').filter(|action| !action.is_empty()).map(str::to_owned));
            }
        }
        scopes
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (resource, actions) in &other.0 {
            self.0.entry(resource.clone()).or_default().extend(actions.iter().cloned());
        }
    }

    /// Whether all of the other is in here.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        other.0.iter().all(|(resource, actions)| self.0.get(resource).is_some_and(|known| known.is_superset(actions)))
    }

    /// Each as it is written, `repository:team/app:pull,push`.
    pub(crate) fn written(&self) -> Vec<String> {
        let order = |action: &String| ["pull", "push", "delete"].iter().position(|known| known == action).unwrap_or(3);
        let write = |(resource, actions): (&String, &BTreeSet<String>)| {
            let mut actions: Vec<_> = actions.iter().collect();
            actions.sort_by_key(|action| order(action));
            let actions: Vec<_> = actions.into_iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        };
        self.0.iter().map(write).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_what_is_asked_and_what_is_needed() {
        let reference: Reference = "r.io/team/app:v1".parse().unwrap();
        let table: [(Option<&str>, Right, &[&str]); 9] = [
            (None, Right::Read, &["repository:team/app:pull"]),
            (Some("repository:team/app:pull"), Right::Read, &["repository:team/app:pull"]),
            (Some("repository:other:pull"), Right::Read, &["repository:other:pull"]),
            (None, Right::Write, &["repository:team/app:pull,push"]),
            // GitHub asks for pull, whatever is about to be done.
            (Some("repository:team/app:pull"), Right::Write, &["repository:team/app:pull,push"]),
            (Some("repository:team/app:push,pull"), Right::Write, &["repository:team/app:pull,push"]),
            (Some("repository:team/app:*"), Right::Delete, &["repository:team/app:delete,*"]),
            (None, Right::Delete, &["repository:team/app:delete"]),
            (
                Some("registry:catalog:* repository:team/app:pull"),
                Right::Read,
                &["registry:catalog:*", "repository:team/app:pull"],
            ),
        ];
        for (challenge, right, expected) in table {
            assert_eq!(Scopes::wanted(challenge, right, &reference).written(), expected, "{challenge:?} {right:?}");
        }
    }

    #[test]
    fn more_is_seen_as_more() {
        let (less, more) =
            (Scopes::parse("repository:a:pull"), Scopes::parse("repository:a:push,pull repository:b:pull"));
        assert!(more.cover(&less) && !less.cover(&more) && less.cover(&less));
        let mut sum = less.clone();
        sum.add(&more);
        assert_eq!(sum, more);
    }
}
