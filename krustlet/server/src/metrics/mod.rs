//! `/metrics` and `/metrics/resource`, with the kubelet's names.
//!
//! <https://kubernetes.io/docs/reference/instrumentation/metrics/>, <https://kubernetes.io/docs/reference/instrumentation/node-metrics/>

pub mod exposition;
pub mod process;
mod rates;
pub mod serving;
pub mod stats;
pub mod usage;

use std::sync::atomic::Ordering;

use k8s_openapi::jiff::Timestamp;
use krustlet_images::compile::Compiler;
use krustlet_node::KUBELET_VERSION;
use krustlet_pods::Evictions;
use krustlet_runtime::{MemoryBudget, TraceCounts};

use self::exposition::{Exposition, Kind};
use self::process::Process;
use self::usage::{ContainerUsage, PodUsage, Usage};

/// `/metrics`: the agent and its containers.
pub fn agent(usage: &Usage, node_name: &str, process: Option<&Process>) -> String {
    let mut text = Exposition::default();
    let versions = [
        ("kubelet_version", KUBELET_VERSION),
        ("version", env!("CARGO_PKG_VERSION")),
        ("wasmtime_version", wasmtime_environ::VERSION),
    ];
    text.family("krustlet_build_info", Kind::Gauge, "Versions of the node agent; always 1.").sample(&versions, 1, None);
    text.family("kubelet_node_name", Kind::Gauge, "The node's name; always 1.").sample(&[("node", node_name)], 1, None);
    text.family("kubelet_running_pods", Kind::Gauge, "Pods of which a container runs.").sample(
        &[],
        usage.pods.len(),
        None,
    );
    text.family("kubelet_running_containers", Kind::Gauge, "Containers by their state.")
        .sample(&[("container_state", "exited")], usage.exited, None)
        .sample(&[("container_state", "running")], usage.running(), None);
    containers(&mut text, usage, None);
    if let Some(process) = process {
        text.family("process_cpu_seconds_total", Kind::Counter, "Processor time of the agent, its guests included.")
            .sample(&[], process.cpu.as_secs_f64(), None);
        text.family("process_resident_memory_bytes", Kind::Gauge, "Resident memory of the agent, its guests included.")
            .sample(&[], process.resident_bytes, None);
        text.family("process_start_time_seconds", Kind::Gauge, "When the agent was started, in seconds since 1970.")
            .sample(&[], process.start_seconds, None);
    }
    text.finish()
}

/// What of the node is shared out, and how that goes.
pub fn budgets(compiler: &Compiler, memory: &MemoryBudget, evictions: &Evictions) -> String {
    let mut text = Exposition::default();
    let (running, waiting) = compiler.load();
    text.family("krustlet_compile_jobs", Kind::Gauge, "Modules that are compiled, or wait for it.")
        .sample(&[("state", "running")], running, None)
        .sample(&[("state", "waiting")], waiting, None);
    let outcomes = compiler.outcomes();
    text.family("krustlet_compile_jobs_total", Kind::Counter, "Modules that were compiled, by what came of it.");
    for (result, count) in [
        ("done", &outcomes.done),
        ("unusable", &outcomes.unusable),
        ("over_limit", &outcomes.over_limit),
        ("failed", &outcomes.failed),
        ("abandoned", &outcomes.abandoned),
    ] {
        text.sample(&[("result", result)], count.load(Ordering::Relaxed), None);
    }
    text.family("krustlet_program_memory_bytes", Kind::Gauge, "Memory of all programs, and what they wait for.")
        .sample(&[("state", "used")], memory.used_bytes(), None)
        .sample(&[("state", "wanted")], *memory.wanted().borrow(), None);
    text.family(
        "krustlet_program_memory_limit_bytes",
        Kind::Gauge,
        "What all programs may have of the machine's memory.",
    )
    .sample(&[], memory.total_bytes(), None);
    text.family("kubelet_evictions", Kind::Counter, "Pods that were evicted, by what the node was short of.");
    for (signal, count) in evictions.by_signal() {
        text.sample(&[("eviction_signal", signal)], count, None);
    }
    text.finish()
}

/// What has become of spans, where they are recorded.
pub fn traces(counts: TraceCounts) -> String {
    let mut text = Exposition::default();
    text.family("krustlet_traces_exported_spans_total", Kind::Counter, "Spans that the collector has taken.").sample(
        &[],
        counts.exported,
        None,
    );
    text.family("krustlet_traces_dropped_spans_total", Kind::Counter, "Spans that were dropped, by what for.");
    for (reason, count) in
        [("queue_full", counts.queue_full), ("export_failed", counts.failed), ("rejected", counts.rejected)]
    {
        text.sample(&[("reason", reason)], count, None);
    }
    text.family("krustlet_traces_queued_spans", Kind::Gauge, "Spans that wait to be sent.").sample(
        &[],
        counts.queued,
        None,
    );
    text.finish()
}

/// `/metrics/resource`: what metrics-server reads.
pub fn resource(usage: &Usage) -> String {
    let at = Some(usage.at);
    let mut text = Exposition::default();
    containers(&mut text, usage, at);
    text.family("container_start_time_seconds", Kind::Gauge, "When the container was started, in seconds since 1970.");
    for (pod, container) in each(usage) {
        let started = container.started_at.as_millisecond() as f64 / 1000.0;
        text.sample(&labels(pod, container), started, None);
    }
    let node = &usage.node;
    if let Some(cpu) = node.cpu {
        text.family("node_cpu_usage_seconds_total", Kind::Counter, "Processor time of the node.").sample(
            &[],
            cpu.as_secs_f64(),
            at,
        );
    }
    if let Some(memory) = node.memory {
        text.family("node_memory_working_set_bytes", Kind::Gauge, "Memory of the node that cannot be given up.")
            .sample(&[], memory.working_set_bytes(), at);
    }
    let pod_labels = |pod: &'_ PodUsage| [("namespace", pod.namespace.clone()), ("pod", pod.name.clone())];
    text.family("pod_cpu_usage_seconds_total", Kind::Counter, "Processor time of the pod's running containers.");
    for pod in &usage.pods {
        let labels = pod_labels(pod);
        text.sample(&labels.each_ref().map(|(name, value)| (*name, value.as_str())), pod.cpu().as_secs_f64(), at);
    }
    text.family("pod_memory_working_set_bytes", Kind::Gauge, "Memory of the pod's running containers.");
    for pod in &usage.pods {
        let labels = pod_labels(pod);
        text.sample(&labels.each_ref().map(|(name, value)| (*name, value.as_str())), pod.memory_bytes(), at);
    }
    let error = u8::from(node.cpu.is_none() || node.memory.is_none());
    text.family("resource_scrape_error", Kind::Gauge, "1 if the node's own numbers could not be read, else 0.").sample(
        &[],
        error,
        None,
    );
    text.family("scrape_error", Kind::Gauge, "The same, by its name of before.").sample(&[], error, None);
    text.finish()
}

fn containers(text: &mut Exposition, usage: &Usage, at: Option<Timestamp>) {
    text.family("container_cpu_usage_seconds_total", Kind::Counter, "Processor time of the container since its start.");
    for (pod, container) in each(usage) {
        text.sample(&labels(pod, container), container.cpu.as_secs_f64(), at);
    }
    text.family("container_memory_working_set_bytes", Kind::Gauge, "Linear memory of the container.");
    for (pod, container) in each(usage) {
        text.sample(&labels(pod, container), container.memory_bytes, at);
    }
}

fn each(usage: &Usage) -> impl Iterator<Item = (&PodUsage, &ContainerUsage)> {
    usage.pods.iter().flat_map(|pod| pod.containers.iter().map(move |container| (pod, container)))
}

fn labels<'a>(pod: &'a PodUsage, container: &'a ContainerUsage) -> [(&'static str, &'a str); 3] {
    [("container", &container.name), ("namespace", &pod.namespace), ("pod", &pod.name)]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::usage::{NodeUsage, example};
    use super::*;

    fn samples(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#')).collect()
    }

    /// Every sample has a family that was begun once, with help and type.
    fn check(text: &str) {
        let named = |word: &str| -> Vec<String> {
            text.lines().filter_map(|line| Some(line.strip_prefix(word)?.split(' ').next()?.to_string())).collect()
        };
        let types = named("# TYPE ");
        assert_eq!(named("# HELP "), types);
        let unique: std::collections::HashSet<_> = types.iter().collect();
        assert_eq!(unique.len(), types.len());
        for sample in samples(text) {
            let name = sample.split(['{', ' ']).next().unwrap();
            assert!(types.iter().any(|known| known == name), "{sample}");
        }
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn what_metrics_server_reads() {
        let text = resource(&example());
        check(&text);
        let facts = r#"{container="facts",namespace="default",pod="cats"}"#;
        let side = r#"{container="side",namespace="default",pod="cats"}"#;
        let pod = r#"{namespace="default",pod="cats"}"#;
        let wanted = [
            format!("container_cpu_usage_seconds_total{facts} 1.5 2000000"),
            format!("container_cpu_usage_seconds_total{side} 0.25 2000000"),
            format!("container_memory_working_set_bytes{facts} 65536 2000000"),
            format!("container_memory_working_set_bytes{side} 131072 2000000"),
            format!("container_start_time_seconds{facts} 1000"),
            format!("container_start_time_seconds{side} 1000"),
            "node_cpu_usage_seconds_total 12.5 2000000".into(),
            "node_memory_working_set_bytes 3072 2000000".into(),
            format!("pod_cpu_usage_seconds_total{pod} 1.75 2000000"),
            format!("pod_memory_working_set_bytes{pod} 196608 2000000"),
            "resource_scrape_error 0".into(),
            "scrape_error 0".into(),
        ];
        assert_eq!(samples(&text), wanted);
    }

    #[test]
    fn a_machine_that_says_nothing_is_an_error_and_no_zero() {
        let text = resource(&Usage { node: NodeUsage::default(), pods: vec![], ..example() });
        check(&text);
        assert_eq!(samples(&text), ["resource_scrape_error 1", "scrape_error 1"]);
    }

    #[test]
    fn what_has_become_of_spans() {
        let text = traces(TraceCounts { exported: 1, queue_full: 2, failed: 3, rejected: 4, queued: 5 });
        check(&text);
        let wanted = [
            "krustlet_traces_exported_spans_total 1",
            r#"krustlet_traces_dropped_spans_total{reason="queue_full"} 2"#,
            r#"krustlet_traces_dropped_spans_total{reason="export_failed"} 3"#,
            r#"krustlet_traces_dropped_spans_total{reason="rejected"} 4"#,
            "krustlet_traces_queued_spans 5",
        ];
        assert_eq!(samples(&text), wanted);
    }

    #[test]
    fn the_agents_own() {
        let process = Process { cpu: Duration::from_millis(1250), resident_bytes: 4096, start_seconds: 1000.25 };
        let text = agent(&example(), "wasm", Some(&process));
        check(&text);
        let samples = samples(&text);
        for wanted in [
            r#"kubelet_node_name{node="wasm"} 1"#,
            "kubelet_running_pods 1",
            r#"kubelet_running_containers{container_state="exited"} 3"#,
            r#"kubelet_running_containers{container_state="running"} 2"#,
            r#"container_cpu_usage_seconds_total{container="facts",namespace="default",pod="cats"} 1.5"#,
            r#"container_memory_working_set_bytes{container="side",namespace="default",pod="cats"} 131072"#,
            "process_cpu_seconds_total 1.25",
            "process_resident_memory_bytes 4096",
            "process_start_time_seconds 1000.25",
        ] {
            assert!(samples.contains(&wanted), "{wanted} is not in\n{text}");
        }
        assert!(samples[0].starts_with("krustlet_build_info{kubelet_version=\"v1."), "{}", samples[0]);
        check(&agent(&example(), "wasm", None));
    }
}
