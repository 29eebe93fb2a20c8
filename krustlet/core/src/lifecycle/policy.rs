//! Whether a container that has ended is started again.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy>

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule};

/// What a container is in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs to success before the next begins.
    Init,
    /// An init container with `restartPolicy: Always`: begins in its place and goes on until the main containers have ended.
    Sidecar,
    /// One of `spec.containers`.
    Main,
}

impl Role {
    /// Of one of `spec.initContainers`.
    pub fn of_init(container: &Container) -> Self {
        match container.restart_policy.as_deref() {
            Some("Always") => Self::Sidecar,
            _ => Self::Init,
        }
    }
}

/// `restartPolicy` of a pod or of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Also after success. The default.
    Always,
    /// After an exit code that is not 0.
    OnFailure,
    /// Not at all.
    Never,
}

impl RestartPolicy {
    /// As written in the spec; Kubernetes' default is `Always`.
    pub fn of(declared: Option<&str>) -> Self {
        match declared {
            Some("OnFailure") => Self::OnFailure,
            Some("Never") => Self::Never,
            _ => Self::Always,
        }
    }
}

/// The policy of one container: that of the pod, unless it has its own, and rules for some exit codes before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    otherwise: RestartPolicy,
    rules: Vec<Rule>,
}

/// Exit codes after which the container is started again, whatever the policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// All but these.
    except: bool,
    codes: Vec<i32>,
}

impl Policy {
    /// Of a container in a pod with the policy `of_pod`.
    pub fn of(of_pod: Option<&str>, role: Role, container: &Container) -> Self {
        let own = container.restart_policy.as_deref();
        let otherwise = match (role, RestartPolicy::of(own.or(of_pod))) {
            (Role::Sidecar, _) => RestartPolicy::Always,
            // It has done its work when it has succeeded.
            (Role::Init, RestartPolicy::Always) => RestartPolicy::OnFailure,
            (_, policy) => policy,
        };
        let rules = container.restart_policy_rules.iter().flatten().filter_map(Rule::of).collect();
        Self { otherwise, rules }
    }

    /// Whether a container that ended with this code is started again.
    pub fn restarts(&self, exit_code: i32) -> bool {
        let by_rule = self.rules.iter().any(|rule| rule.codes.contains(&exit_code) != rule.except);
        by_rule
            || match self.otherwise {
                RestartPolicy::Always => true,
                RestartPolicy::OnFailure => exit_code != 0,
                RestartPolicy::Never => false,
            }
    }
}

impl From<RestartPolicy> for Policy {
    fn from(otherwise: RestartPolicy) -> Self {
        Self { otherwise, rules: Vec::new() }
    }
}

impl Rule {
    fn of(rule: &ContainerRestartRule) -> Option<Self> {
        let codes = rule.exit_codes.as_ref().filter(|_| rule.action == "Restart")?;
        Some(Self { except: codes.operator == "NotIn", codes: codes.values.clone().unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn policy(of_pod: &str, role: Role, part: Value) -> Policy {
        let mut container = json!({ "name": "c" });
        container.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        Policy::of(Some(of_pod), role, &serde_json::from_value(container).unwrap())
    }

    #[test]
    fn by_policy_and_role() {
        let table = [
            ("Always", Role::Main, json!({}), true, true),
            ("OnFailure", Role::Main, json!({}), false, true),
            ("Never", Role::Main, json!({}), false, false),
            ("Always", Role::Init, json!({}), false, true),
            ("OnFailure", Role::Init, json!({}), false, true),
            ("Never", Role::Init, json!({}), false, false),
            ("Never", Role::Sidecar, json!({ "restartPolicy": "Always" }), true, true),
            ("Always", Role::Main, json!({ "restartPolicy": "Never" }), false, false),
            ("Never", Role::Main, json!({ "restartPolicy": "OnFailure" }), false, true),
        ];
        for (of_pod, role, part, after_success, after_failure) in table {
            let policy = policy(of_pod, role, part.clone());
            assert_eq!(
                (policy.restarts(0), policy.restarts(1)),
                (after_success, after_failure),
                "{of_pod} {role:?} {part}"
            );
        }
        assert_eq!(RestartPolicy::of(None), RestartPolicy::Always);
    }

    #[test]
    fn rules_come_before_the_policy() {
        let rule = |operator: &str| {
            let rules = json!([{ "action": "Restart", "exitCodes": { "operator": operator, "values": [42, 43] } }]);
            policy("Always", Role::Main, json!({ "restartPolicy": "Never", "restartPolicyRules": rules }))
        };
        assert_eq!([0, 42, 43, 44].map(|code| rule("In").restarts(code)), [false, true, true, false]);
        assert_eq!([0, 42, 43, 44].map(|code| rule("NotIn").restarts(code)), [true, false, false, true]);
    }

    #[test]
    fn an_init_container_is_a_sidecar_when_it_always_restarts() {
        let role = |part| Role::of_init(&serde_json::from_value(part).unwrap());
        assert_eq!(role(json!({ "name": "a", "restartPolicy": "Always" })), Role::Sidecar);
        assert_eq!(role(json!({ "name": "a" })), Role::Init);
    }
}
