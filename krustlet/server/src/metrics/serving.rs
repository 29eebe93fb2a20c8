//! What of `/metrics` is about containers that answer requests.

use krustlet_pods::Directory;
use krustlet_runtime::ServerStats;

use super::exposition::{Exposition, Kind};

/// A container that serves: container, namespace, pod, and what it has done.
struct Serving {
    names: [String; 3],
    stats: ServerStats,
}

/// Name, kind, help, and value of a metric without labels of its own.
type Family = (&'static str, Kind, &'static str, fn(&ServerStats) -> u64);

/// Its metrics, for all that serve now.
pub fn metrics(directory: &Directory) -> String {
    let all = directory.all();
    let serving = all.iter().flat_map(|((namespace, name), pod)| {
        pod.containers.iter().filter_map(|container| {
            let stats = container.answering.as_ref()?.server()?.stats();
            Some(Serving { names: [container.name.clone(), namespace.clone(), name.clone()], stats })
        })
    });
    write(&serving.collect::<Vec<_>>())
}

fn write(serving: &[Serving]) -> String {
    let mut text = Exposition::default();
    text.family(
        "krustlet_http_requests_total",
        Kind::Counter,
        "Requests that have ended, by the code of their response; 499 had none.",
    );
    for one in serving {
        for (code, count) in &one.stats.requests {
            text.sample(&[&one.labels()[..], &[("code", code.to_string().as_str())]].concat(), count, None);
        }
    }
    text.family(
        "krustlet_http_request_duration_seconds",
        Kind::Histogram,
        "How long they took, to the end of their response.",
    );
    for one in serving {
        text.histogram(&one.labels(), &one.stats.durations.buckets, one.stats.durations.sum);
    }
    let families: [Family; 4] = [
        ("krustlet_http_requests_in_flight", Kind::Gauge, "Requests that are under way.", |stats| stats.in_flight),
        ("krustlet_http_connections", Kind::Gauge, "Connections that are open.", |stats| stats.connections),
        ("krustlet_http_instances_total", Kind::Counter, "Instances that were made.", |stats| stats.instances),
        ("krustlet_http_traps_total", Kind::Counter, "Requests that the program failed.", |stats| stats.traps),
    ];
    for (name, kind, help, value) in families {
        text.family(name, kind, help);
        for one in serving {
            text.sample(&one.labels(), value(&one.stats), None);
        }
    }
    text.family("krustlet_http_refused_total", Kind::Counter, "What was refused, by what there was too much of.");
    for one in serving {
        let stats = &one.stats;
        for (reason, count) in [
            ("connections", stats.refused_connections),
            ("memory", stats.out_of_memory),
            ("requests", stats.refused_requests),
        ] {
            text.sample(&[&one.labels()[..], &[("reason", reason)]].concat(), count, None);
        }
    }
    text.finish()
}

impl Serving {
    fn labels(&self) -> [(&'static str, &str); 3] {
        let [container, namespace, pod] = &self.names;
        [("container", container), ("namespace", namespace), ("pod", pod)]
    }
}

#[cfg(test)]
mod tests {
    use krustlet_runtime::Durations;

    use super::*;

    #[test]
    fn each_container_is_there_with_all_that_is_counted() {
        let stats = ServerStats {
            requests: [(200, 5), (503, 1)].into(),
            durations: Durations { buckets: vec![(0.1, 4), (f64::INFINITY, 6)], sum: 1.5 },
            in_flight: 2,
            connections: 3,
            refused_requests: 1,
            ..ServerStats::default()
        };
        let names = ["main", "default", "web"].map(Into::into);
        let text = write(&[Serving { names, stats }]);
        let labels = r#"container="main",namespace="default",pod="web""#;
        for wanted in [
            format!("krustlet_http_requests_total{{{labels},code=\"200\"}} 5"),
            format!("krustlet_http_requests_total{{{labels},code=\"503\"}} 1"),
            format!("krustlet_http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 6"),
            format!("krustlet_http_request_duration_seconds_sum{{{labels}}} 1.5"),
            format!("krustlet_http_requests_in_flight{{{labels}}} 2"),
            format!("krustlet_http_connections{{{labels}}} 3"),
            format!("krustlet_http_refused_total{{{labels},reason=\"requests\"}} 1"),
            format!("krustlet_http_traps_total{{{labels}}} 0"),
        ] {
            assert!(text.lines().any(|line| line == wanted), "{wanted} is not in\n{text}");
        }
    }
}
