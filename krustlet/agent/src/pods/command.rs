//! Arguments and environment of a container.
//!
//! Expansion of `$(NAME)`: <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>

use k8s_openapi::api::core::v1::{Container, EnvVar};

/// Names and values, in order; a name stands once.
pub type Environment = Vec<(String, String)>;

/// The environment of a container, from literal values.
///
/// # Errors
/// Names the variable whose value would have to come from elsewhere, which this agent cannot look up.
pub fn environment(container: &Container) -> Result<Environment, String> {
    if container.env_from.as_ref().is_some_and(|sources| !sources.is_empty()) {
        return Err("envFrom is not supported on this node: give the variables as literal values".into());
    }
    let mut environment = Environment::new();
    for EnvVar { name, value, value_from } in container.env.iter().flatten() {
        if value_from.is_some() {
            return Err(format!("env {name}: valueFrom is not supported on this node: give a literal value"));
        }
        let value = expand(value.as_deref().unwrap_or_default(), &environment);
        match environment.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => environment.push((name.clone(), value)),
        }
    }
    Ok(environment)
}

/// The program's arguments: its name, then `command`, then `args`.
///
/// A module is its own entry point, so `command` replaces nothing: what is in it comes before `args`.
pub fn arguments(program: &str, container: &Container, environment: &Environment) -> Vec<String> {
    let given = container.command.iter().flatten().chain(container.args.iter().flatten());
    std::iter::once(program.to_string()).chain(given.map(|text| expand(text, environment))).collect()
}

/// Replaces `$(NAME)` by the variable's value. An unknown name stays as it is, and `$$` is a single `$` that begins nothing.
fn expand(text: &str, environment: &Environment) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match environment.iter().find(|(known, _)| known == name) {
                Some((_, value)) => out.push_str(value),
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
    use serde_json::json;

    fn container(spec: serde_json::Value) -> Container {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn expansion_follows_the_kubelet() {
        let environment = vec![("A".to_string(), "1".to_string()), ("B".to_string(), "$(A)".to_string())];
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
            assert_eq!(expand(text, &environment), wanted, "{text}");
        }
    }

    #[test]
    fn variables_see_those_before_them_and_the_last_of_a_name_wins() {
        let container = container(json!({ "name": "c", "env": [
            { "name": "LATER", "value": "$(HOST)" },
            { "name": "HOST", "value": "example" },
            { "name": "URL", "value": "http://$(HOST)/" },
            { "name": "EMPTY" },
            { "name": "HOST", "value": "other" },
        ]}));
        let wanted = [("LATER", "$(HOST)"), ("HOST", "other"), ("URL", "http://example/"), ("EMPTY", "")];
        assert_eq!(environment(&container).unwrap(), wanted.map(|(name, value)| (name.to_string(), value.to_string())));
    }

    #[test]
    fn command_and_args_follow_the_programs_name() {
        let container = container(json!({ "name": "c", "command": ["run", "$(A)"], "args": ["--to", "$(B)"] }));
        let environment = vec![("A".to_string(), "1".to_string())];
        assert_eq!(arguments("hello", &container, &environment), ["hello", "run", "1", "--to", "$(B)"]);
        let bare = Container { name: "c".into(), ..Container::default() };
        assert_eq!(arguments("hello", &bare, &environment), ["hello"]);
    }

    #[test]
    fn what_cannot_be_looked_up_is_named() {
        let from = container(
            json!({ "name": "c", "env": [{ "name": "POD", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }] }),
        );
        assert!(environment(&from).unwrap_err().contains("POD"));
        let all = container(json!({ "name": "c", "envFrom": [{ "configMapRef": { "name": "x" } }] }));
        assert!(environment(&all).unwrap_err().contains("envFrom"));
    }
}
