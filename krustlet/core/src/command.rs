//! Arguments of a container, and the expansion of `$(NAME)` in them.
//!
//! <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>

use k8s_openapi::api::core::v1::Container;

/// Names and values, in order; a name stands once.
pub type Environment = Vec<(String, String)>;

/// The program's arguments: its name, then `command`, then `args`.
///
/// A module is its own entry point, so `command` replaces nothing: what is in it comes before `args`.
pub fn arguments(program: &str, container: &Container, environment: &Environment) -> Vec<String> {
    let given = container.command.iter().flatten().chain(container.args.iter().flatten());
    let value = |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    std::iter::once(program.to_string()).chain(given.map(|text| expand(text, value))).collect()
}

/// Replaces `$(NAME)` by the variable's value. An unknown name stays as it is, and `$$` is a single `$` that begins nothing.
pub fn expand<'a>(text: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match value(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&rest[at..rest.len() - tail.len()]),
            }
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn container(spec: serde_json::Value) -> Container {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn expansion_follows_the_kubelet() {
        let value =
            |name: &str| [("A", "1"), ("B", "$(A)")].into_iter().find(|(known, _)| *known == name).map(|(_, v)| v);
        for (text, wanted) in [
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$(B)", "$(A)"),
            ("$(NONE)", "$(NONE)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$A", "$A"),
            ("$(A", "$(A"),
            ("cost: 5$", "cost: 5$"),
            ("$()", "$()"),
        ] {
            assert_eq!(expand(text, value), wanted, "{text}");
        }
    }

    #[test]
    fn command_and_args_follow_the_programs_name() {
        let container = container(json!({ "name": "c", "command": ["run", "$(A)"], "args": ["--to", "$(B)"] }));
        let environment = vec![("A".to_string(), "1".to_string())];
        assert_eq!(arguments("hello", &container, &environment), ["hello", "run", "1", "--to", "$(B)"]);
        let bare = Container { name: "c".into(), ..Container::default() };
        assert_eq!(arguments("hello", &bare, &environment), ["hello"]);
    }

    proptest! {
        #[test]
        fn a_text_without_dollars_stays(text in "[^$]*") {
            prop_assert_eq!(expand(&text, |_| Some("x")), text);
        }

        #[test]
        fn doubled_dollars_become_single_ones(text in "[^$]*", count in 0..20usize) {
            let escaped = format!("{}{text}", "$$".repeat(count));
            prop_assert_eq!(expand(&escaped, |_| Some("x")), format!("{}{text}", "$".repeat(count)));
        }

        /// Values are taken as they are, whatever is in them.
        #[test]
        fn values_are_not_expanded_again(before in "[^$]*", value in "\\PC*", after in "[^$]*") {
            prop_assert_eq!(expand(&format!("{before}$(A){after}"), |_| Some(&value)), format!("{before}{value}{after}"));
        }

        #[test]
        fn without_references_only_escapes_change(text in "[a$) ]{0,20}") {
            prop_assert_eq!(expand(&text, |_| None), text.replace("$$", "$"));
        }
    }
}
