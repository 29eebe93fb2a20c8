//! Who asks a registry, and where that login comes from.

use std::fmt;
use std::sync::Arc;

/// A login. Two are the same when they would ask the same way, wherever they come from.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) who: Who,
    /// The file, helper or Secret, for errors; of [`Who::Anonymous`] why there is no other.
    source: Arc<str>,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Who {
    Anonymous,
    Basic {
        user: String,
        password: String,
    },
    /// An OAuth 2 refresh token, which is exchanged for tokens and never sent to the registry itself. The user is for
    /// people; it may be empty.
    Identity {
        user: String,
        token: String,
    },
    /// A token that the registry itself gave out, sent as it is.
    Token(String),
}

impl Login {
    pub(crate) fn new(who: Who, source: impl Into<Arc<str>>) -> Self {
        Self { who, source: source.into() }
    }

    /// Nobody; `why` goes into a sentence such as "as nobody, since …".
    pub(crate) fn anonymous(why: impl Into<Arc<str>>) -> Self {
        Self::new(Who::Anonymous, why)
    }

    /// The login in the words of an error: its user and its source, never its secret.
    pub(crate) fn described(&self) -> String {
        let source = &self.source;
        match &self.who {
            Who::Anonymous => format!("nobody, since {source}"),
            Who::Basic { user, .. } => format!("user \"{}\" of {source}", shown(user)),
            Who::Identity { user, .. } if user.is_empty() => format!("the identity token of {source}"),
            Who::Identity { user, .. } => format!("user \"{}\" with the identity token of {source}", shown(user)),
            Who::Token(_) => format!("the registry token of {source}"),
        }
    }
}

/// A user name on one line. One that is longer than any is no name, but a secret in the wrong field.
fn shown(user: &str) -> String {
    let line: String = user.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        self.who == other.who
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}", self.who, self.source)
    }
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(…)",
            Self::Identity { .. } => "Identity(…)",
            Self::Token(_) => "Token(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_described_by_user_and_source_and_never_by_its_secret() {
        let table = [
            (Who::Anonymous, "nobody, since f"),
            (Who::Basic { user: "me".into(), password: "hunter2".into() }, "user \"me\" of f"),
            (Who::Identity { user: String::new(), token: "hunter2".into() }, "the identity token of f"),
            (Who::Identity { user: "me".into(), token: "hunter2".into() }, "user \"me\" with the identity token of f"),
            (Who::Token("hunter2".into()), "the registry token of f"),
            (Who::Basic { user: "a\nb".into(), password: "hunter2".into() }, "user \"a b\" of f"),
        ];
        for (who, expected) in table {
            let login = Login::new(who, "f");
            assert_eq!(login.described(), expected);
            assert!(!format!("{login:?}").contains("hunter2"));
        }
    }
}
