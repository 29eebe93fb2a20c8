//! The probes of a container, as its spec has them. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::health::{Health, Kind, Tally};
use super::ports::meant;
use crate::lifecycle::course;
use crate::lifecycle::not_started::NotStarted;

/// One probe, with all that its spec leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which of the three.
    pub kind: Kind,
    /// Before the first.
    pub delay: Duration,
    /// Between two.
    pub period: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// What is done.
    pub action: Action,
    /// How long the container has to end when this probe kills it, if that is not what its pod says.
    pub grace: Option<Duration>,
    successes_wanted: u32,
    failures_allowed: u32,
}

/// What a probe does at the container's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A GET request; a status from 200 to 399 is a success.
    Http {
        /// Where.
        port: u16,
        /// With its query.
        path: String,
        /// Names and values.
        headers: Vec<(String, String)>,
    },
    /// A connection that is accepted is a success.
    Tcp {
        /// Where.
        port: u16,
    },
    /// A call of `grpc.health.v1.Health/Check`; `SERVING` is a success.
    Grpc {
        /// Where.
        port: u16,
        /// What is asked for; empty is the server itself.
        service: String,
    },
}

impl Plan {
    /// For its results.
    pub fn tally(&self) -> Tally {
        Tally::new(self.kind, self.successes_wanted, self.failures_allowed)
    }
}

/// All probes of a container, which listens on ports of its `own`, that the agent can make.
///
/// # Errors
/// A port is none, or a header.
pub fn plans(container: &Container, own: &BTreeSet<u16>) -> Result<Vec<Plan>, NotStarted> {
    let probes = [
        (Kind::Startup, &container.startup_probe),
        (Kind::Readiness, &container.readiness_probe),
        (Kind::Liveness, &container.liveness_probe),
    ];
    let present = probes.into_iter().filter_map(|(kind, probe)| Some((kind, probe.as_ref()?)));
    let plan = |(kind, probe): (Kind, &Probe)| {
        let wrong = |fault: NotStarted| fault.context(format_args!("{}Probe", kind.word().to_lowercase()));
        action(container, probe, own).map_err(wrong).map(|action| plan(kind, probe, action))
    };
    present.map(plan).collect()
}

/// What a container is like before its first probe.
pub fn at_first(plans: &[Plan]) -> Health {
    let has = |kind| plans.iter().any(|plan| plan.kind == kind);
    Health { started: !has(Kind::Startup), ready: !has(Kind::Readiness) }
}

fn plan(kind: Kind, probe: &Probe, action: Action) -> Plan {
    // The API server fills these in and checks them; the defaults are its own.
    let number =
        |given: Option<i32>, default: u32| given.and_then(|given| u32::try_from(given).ok()).unwrap_or(default);
    let seconds = |given, default| Duration::from_secs(number(given, default).into());
    Plan {
        kind,
        delay: seconds(probe.initial_delay_seconds, 0),
        period: seconds(probe.period_seconds, 10).max(Duration::from_secs(1)),
        timeout: seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1)),
        action,
        grace: probe.termination_grace_period_seconds.map(course::seconds),
        successes_wanted: number(probe.success_threshold, 1).max(1),
        failures_allowed: number(probe.failure_threshold, 3).max(1),
    }
}

fn action(container: &Container, probe: &Probe, own: &BTreeSet<u16>) -> Result<Action, NotStarted> {
    if let Some(tcp) = &probe.tcp_socket {
        return Ok(Action::Tcp { port: meant(container, &tcp.port, own)? });
    }
    if let Some(grpc) = &probe.grpc {
        let service = grpc.service.clone().unwrap_or_default();
        return Ok(Action::Grpc { port: meant(container, &IntOrString::Int(grpc.port), own)?, service });
    }
    let Some(http) = &probe.http_get else { return Err(NotStarted::config("it has no handler that this node knows")) };
    request(container, http, own)
}

/// A GET request to the container.
///
/// # Errors
/// Its port is none, or it cannot be sent.
pub fn request(container: &Container, http: &HTTPGetAction, own: &BTreeSet<u16>) -> Result<Action, NotStarted> {
    let headers = http.http_headers.iter().flatten().map(|header| (header.name.clone(), header.value.clone()));
    let headers: Vec<_> = headers.collect();
    let path = match http.path.as_deref().unwrap_or_default() {
        path if path.starts_with('/') => path.to_owned(),
        path => format!("/{path}"),
    };
    // They are written as they are.
    let fits = |text: &str| text.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ');
    if !fits(&path) || path.contains(' ') {
        return Err(NotStarted::config(format!("httpGet.path {path:?} must be encoded as in a URL")));
    }
    match headers
        .iter()
        .find(|(name, value)| name.is_empty() || !fits(name) || name.contains([' ', ':']) || !fits(value))
    {
        Some((name, _)) => {
            Err(NotStarted::config(format!("httpGet.httpHeaders: {name:?} is no header that can be sent")))
        }
        None => Ok(Action::Http { port: meant(container, &http.port, own)?, path, headers }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn container(part: Value) -> Container {
        let mut container = json!({ "name": "c", "ports": [{ "containerPort": 80, "name": "http" }] });
        container.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        serde_json::from_value(container).unwrap()
    }

    fn own() -> BTreeSet<u16> {
        [80].into()
    }

    #[test]
    fn what_a_spec_leaves_out_is_kubernetes_default() {
        let plans = plans(&container(json!({ "readinessProbe": { "httpGet": { "port": "http" } } })), &own()).unwrap();
        let action = Action::Http { port: 80, path: "/".into(), headers: Vec::new() };
        let second = Duration::from_secs(1);
        let expected = Plan {
            kind: Kind::Readiness,
            delay: Duration::ZERO,
            period: 10 * second,
            timeout: second,
            action,
            grace: None,
            successes_wanted: 1,
            failures_allowed: 3,
        };
        assert_eq!(plans, [expected]);
        assert_eq!(at_first(&plans), Health { started: true, ready: false });
        assert_eq!(at_first(&[]), Health::GOOD);
    }

    #[test]
    fn all_three_are_found_with_what_they_say() {
        let plans = plans(&container(json!({
            "livenessProbe": { "tcpSocket": { "port": 80 }, "initialDelaySeconds": 2, "periodSeconds": 3, "timeoutSeconds": 4,
                "failureThreshold": 5, "terminationGracePeriodSeconds": 6 },
            "startupProbe": { "httpGet": { "port": 80, "path": "up?a", "httpHeaders": [{ "name": "X-A", "value": "b c" }] } },
            "readinessProbe": { "grpc": { "port": 80, "service": "a" }, "successThreshold": 6 },
        })), &own())
        .unwrap();
        let kinds: Vec<Kind> = plans.iter().map(|plan| plan.kind).collect();
        assert_eq!(kinds, [Kind::Startup, Kind::Readiness, Kind::Liveness]);
        let headers = vec![("X-A".to_owned(), "b c".to_owned())];
        assert_eq!(plans[0].action, Action::Http { port: 80, path: "/up?a".into(), headers });
        assert_eq!((&plans[1].action, plans[1].successes_wanted), (&Action::Grpc { port: 80, service: "a".into() }, 6));
        assert_eq!((&plans[2].action, plans[2].grace), (&Action::Tcp { port: 80 }, Some(Duration::from_secs(6))));
        let seconds = [plans[2].delay, plans[2].period, plans[2].timeout].map(|time| time.as_secs());
        assert_eq!((seconds, plans[2].failures_allowed), ([2, 3, 4], 5));
        assert_eq!(at_first(&plans), Health { started: false, ready: false });
    }

    #[test]
    fn what_cannot_be_asked_is_named() {
        let table = [
            (json!({ "tcpSocket": { "port": "web" } }), "livenessProbe: the container has no port of the name \"web\""),
            (json!({ "httpGet": { "port": 0 } }), "livenessProbe: 0 is no port"),
            (
                json!({ "httpGet": { "port": 80, "path": "/a b" } }),
                "livenessProbe: httpGet.path \"/a b\" must be encoded as in a URL",
            ),
            (
                json!({ "httpGet": { "port": 80, "httpHeaders": [{ "name": "a", "value": "b\r\nc: d" }] } }),
                "livenessProbe: httpGet.httpHeaders: \"a\" is no header that can be sent",
            ),
        ];
        for (probe, wanted) in table {
            assert_eq!(
                plans(&container(json!({ "livenessProbe": probe })), &own()).unwrap_err(),
                NotStarted::config(wanted)
            );
        }
    }
}
