//! Which pods cannot run on a WebAssembly node, and what is said to those who sent them. Pure.

use k8s_openapi::api::core::v1::{
    Container, EphemeralContainer, HTTPGetAction, LifecycleHandler, Pod, PodSecurityContext, PodSpec, Probe,
    SecurityContext,
};

use crate::lifecycle::policy::Role;
use crate::serving::ports;
use crate::volumes;

/// For what no WebAssembly node can do.
pub const UNSUPPORTED: &str = "UnsupportedOnWasmNode";

/// A pod that will not run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In one word.
    pub reason: String,
    /// For people: all that is wrong with it, in one sentence.
    pub message: String,
    /// Whether the pod fails. A controller that would put another in its place at once, for ever, gets a pod that waits instead.
    pub fails: bool,
}

/// Looks for what the agent does not provide. What changes nothing for a module passes: `dnsPolicy` and `dnsConfig` (it has no
/// sockets), `runAsUser` and the other restrictions of a `securityContext` (its sandbox is tighter), `runtimeClassName` (there is one
/// runtime), `hostname`, `tty`. `hostAliases` does not: it would change whom an HTTP request of the module reaches.
pub fn refuse(pod: &Pod) -> Option<Refusal> {
    let spec = pod.spec.as_ref()?;
    let mut missing = pod_level(spec);
    for container in spec.init_containers.iter().flatten() {
        let kind = if Role::of_init(container) == Role::Sidecar { "sidecar" } else { "init container" };
        missing
            .extend(container_level(container).into_iter().map(|what| format!("{what} of {kind} {}", container.name)));
    }
    for container in &spec.containers {
        missing.extend(
            container_level(container).into_iter().map(|what| format!("{what} of container {}", container.name)),
        );
    }
    (!missing.is_empty()).then(|| Refusal {
        reason: UNSUPPORTED.into(),
        message: format!("this WebAssembly node does not support: {}", missing.join("; ")),
        fails: !replaced_at_once(pod),
    })
}

/// What is said to those who want to debug a pod by a container beside it.
pub fn refuse_ephemeral(container: &EphemeralContainer) -> String {
    format!(
        "this WebAssembly node does not support ephemeral containers: the containers of a pod share no processes and no network that \
         {} could look into; read the pod's logs instead",
        container.name
    )
}

fn pod_level(spec: &PodSpec) -> Vec<String> {
    let security = spec.security_context.clone().unwrap_or_default();
    let PodSecurityContext { sysctls, windows_options, .. } = security;
    let host_process = windows_options.and_then(|options| options.host_process);
    let limits = spec.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let rows = [
        (spec.host_network == Some(true), "hostNetwork (a module has no sockets)"),
        (spec.host_pid == Some(true), "hostPID (a module sees no processes)"),
        (spec.host_ipc == Some(true), "hostIPC (a module has no inter-process communication)"),
        (spec.share_process_namespace == Some(true), "shareProcessNamespace (a module sees no processes)"),
        (some(&spec.host_aliases), "hostAliases (a module looks no names up; use the real names)"),
        (some(&spec.resource_claims), "resourceClaims (a module has no devices)"),
        (some(&sysctls), "securityContext.sysctls (a module has no kernel of its own)"),
        (host_process == Some(true), "securityContext.windowsOptions.hostProcess"),
        (spec.os.as_ref().is_some_and(|os| os.name == "windows"), "os.name windows"),
        (
            limits.is_some_and(|limits| !limits.is_empty()),
            "resources.limits of the pod as a whole (set them on its containers)",
        ),
    ];
    let volumes = spec.volumes.iter().flatten().filter_map(volumes::unsupported_volume);
    rows.into_iter().filter(|(present, _)| *present).map(|(_, what)| what.to_string()).chain(volumes).collect()
}

fn container_level(container: &Container) -> Vec<String> {
    let probes = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    let probes = probes.into_iter().filter_map(|(name, probe)| Some(format!("{name} ({})", why_no(probe.as_ref()?)?)));
    let hooks = container.lifecycle.as_ref();
    let SecurityContext { privileged, capabilities, proc_mount, .. } =
        container.security_context.clone().unwrap_or_default();
    let all_again = container.restart_policy_rules.iter().flatten().any(|rule| rule.action != "Restart");
    let rows = [
        (hooks.is_some_and(|hooks| hooks.post_start.is_some()), "lifecycle.postStart (there is nothing to run it in)"),
        (
            hooks.and_then(|hooks| hooks.pre_stop.as_ref()).is_some_and(|hook| !can_be_done(hook)),
            "lifecycle.preStop (exec has nothing to run, and httpGet knows plain HTTP to the container itself alone; a module may go on \
             until the grace period is over)",
        ),
        (some(&container.volume_devices), "volumeDevices (a module has no devices)"),
        (
            container.working_dir.as_ref().is_some_and(|dir| !dir.is_empty()),
            "workingDir (WASI has no working directory; use absolute paths)",
        ),
        (
            !ports::host_ports_are_kept(container),
            "hostPort (what listens, listens at the node's own address then, and the one hostPort that can be had is that of the first TCP \
             containerPort, with the same number)",
        ),
        (privileged == Some(true), "securityContext.privileged (a module cannot leave its sandbox)"),
        (
            capabilities.is_some_and(|capabilities| some(&capabilities.add)),
            "securityContext.capabilities.add (a module cannot leave its sandbox)",
        ),
        (proc_mount.is_some_and(|kind| kind != "Default"), "securityContext.procMount (a module sees no processes)"),
        (all_again, "restartPolicyRules with an action other than Restart"),
    ];
    let mounts = container.volume_mounts.iter().flatten().filter_map(volumes::unsupported_mount);
    rows.into_iter()
        .filter(|(present, _)| *present)
        .map(|(_, what)| what.to_string())
        .chain(probes)
        .chain(mounts)
        .collect()
}

fn some<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

/// Why a module cannot be probed so, if it cannot, and what to do. Whether it answers requests at all is only known when it is here.
fn why_no(probe: &Probe) -> Option<&'static str> {
    let http = probe.http_get.as_ref();
    match () {
        () if probe.exec.is_some() => Some(
            "exec has nothing to run: the module is the only program in its container; use httpGet or tcpSocket where it answers \
             requests, else leave the probe out, and let the module exit when it is not well",
        ),
        () if http.is_some_and(is_https) => Some("httpGet.scheme HTTPS: modules are served in plain HTTP"),
        () if http.is_some_and(names_host)
            || probe.tcp_socket.as_ref().is_some_and(|tcp| tcp.host.as_ref().is_some_and(|host| !host.is_empty())) =>
        {
            Some("host: a probe asks its own container")
        }
        () => None,
    }
}

fn can_be_done(hook: &LifecycleHandler) -> bool {
    let http = hook.http_get.as_ref();
    hook.sleep.is_some() || http.is_some_and(|http| !is_https(http) && !names_host(http))
}

fn is_https(http: &HTTPGetAction) -> bool {
    http.scheme.as_deref() == Some("HTTPS")
}

fn names_host(http: &HTTPGetAction) -> bool {
    http.host.as_ref().is_some_and(|host| !host.is_empty())
}

/// True for pods of ReplicaSets and their like, which know no pause after a failure. Jobs count failures and stop.
fn replaced_at_once(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().any(|owner| owner.controller == Some(true) && owner.kind != "Job")
}

#[cfg(test)]
#[path = "admit_tests.rs"]
mod tests;
