//! What pods and node use, as numbers that metrics and stats are written from.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use krustlet_core::node::{FileSystem, Memory};
use krustlet_host::readings;
use krustlet_pods::{ContainerView, Directory, PodView};

use super::rates::Rates;

/// How often rates are brought up to date: as often as the kubelet does.
const SAMPLE: Duration = Duration::from_secs(10);

/// The least that a container which runs has used, of the processor and of memory. A server has no memory between two requests, and none
/// of either before the first; metrics-server takes that for not measured, and leaves the whole pod out.
const LEAST: (Duration, u64) = (Duration::from_micros(1), 1);

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUsage {
    /// From the spec.
    pub name: String,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// Processor time since then.
    pub cpu: Duration,
    /// Billionths of a processor, lately.
    pub nano_cores: Option<u64>,
    /// Linear memory now: bytes.
    pub memory_bytes: u64,
}

impl ContainerUsage {
    /// Of what a guest uses.
    fn of(name: &str, started_at: Timestamp, guest: krustlet_runtime::Usage, nano_cores: Option<u64>) -> Self {
        let (cpu, memory_bytes) = (guest.cpu.max(LEAST.0), guest.memory_bytes.max(LEAST.1));
        Self { name: name.into(), started_at, cpu, nano_cores, memory_bytes }
    }
}

/// A pod of which something runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodUsage {
    /// Of the pod.
    pub namespace: String,
    /// Of the pod.
    pub name: String,
    /// Of the pod.
    pub uid: String,
    /// When the node took it up.
    pub started_at: Option<Timestamp>,
    /// Those that run.
    pub containers: Vec<ContainerUsage>,
}

impl PodUsage {
    /// Of all its containers.
    pub fn cpu(&self) -> Duration {
        self.containers.iter().map(|container| container.cpu).sum()
    }

    /// Of all its containers, if it is known of all.
    pub fn nano_cores(&self) -> Option<u64> {
        self.containers.iter().map(|container| container.nano_cores).sum()
    }

    /// Of all its containers.
    pub fn memory_bytes(&self) -> u64 {
        self.containers.iter().map(|container| container.memory_bytes).sum()
    }
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeUsage {
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// Processor time since then.
    pub cpu: Option<Duration>,
    /// Billionths of a processor, lately.
    pub nano_cores: Option<u64>,
    /// Memory.
    pub memory: Option<Memory>,
    /// The file system of the agent's data.
    pub disk: Option<FileSystem>,
}

/// Everything, at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// When.
    pub at: Timestamp,
    /// The machine.
    pub node: NodeUsage,
    /// The pods of which something runs, by namespace and name.
    pub pods: Vec<PodUsage>,
    /// Containers that have run and do not run now.
    pub exited: usize,
}

impl Usage {
    /// How many containers run.
    pub fn running(&self) -> usize {
        self.pods.iter().map(|pod| pod.containers.len()).sum()
    }
}

/// What a rate is known of: a pod's uid, a container and when it was started; or nothing, for the machine.
type Key = Option<(String, String, Timestamp)>;

/// Measures usage. Clones are the same.
#[derive(Clone, Debug)]
pub struct Usages {
    directory: Directory,
    data_dir: PathBuf,
    rates: Arc<Mutex<Rates<Key>>>,
}

impl Usages {
    /// Of the pods in `directory`, and of the machine, of which the file system of `data_dir` is looked at.
    pub fn new(directory: Directory, data_dir: PathBuf) -> Self {
        Self { directory, data_dir, rates: Arc::default() }
    }

    /// Keeps rates up to date.
    pub async fn sample_for_ever(self) {
        let mut tick = tokio::time::interval(SAMPLE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.sample(Instant::now());
        }
    }

    fn sample(&self, now: Instant) {
        let mut readings: Vec<(Key, Duration)> = readings::cpu_time().map(|cpu| (None, cpu)).into_iter().collect();
        for (_, pod) in self.directory.all() {
            readings.extend(pod.containers.iter().filter_map(|container| {
                let (started_at, guest) = running(container)?;
                Some((key(&pod, container, started_at), guest.cpu))
            }));
        }
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).take(readings.into_iter(), now);
    }

    /// As it is now.
    pub fn now(&self) -> Usage {
        let all = self.directory.all();
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let node = NodeUsage {
            started_at: readings::boot_time(),
            cpu: readings::cpu_time(),
            nano_cores: rates.nano_cores(&None),
            memory: readings::memory(),
            disk: readings::file_system(&self.data_dir).ok(),
        };
        let exited = all.iter().flat_map(|(_, pod)| &pod.containers).filter(|container| has_exited(container)).count();
        let pods = all.into_iter().filter(|(_, pod)| pod.is_running()).map(|((namespace, name), pod)| PodUsage {
            namespace,
            name,
            uid: pod.uid.clone(),
            started_at: pod.pod.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0),
            containers: pod
                .containers
                .iter()
                .filter_map(|container| {
                    let (started_at, guest) = running(container)?;
                    let nano_cores = rates.nano_cores(&key(&pod, container, started_at));
                    Some(ContainerUsage::of(&container.name, started_at, guest, nano_cores))
                })
                .collect(),
        });
        Usage { at: Timestamp::now(), node, pods: pods.collect(), exited }
    }
}

fn running(container: &ContainerView) -> Option<(Timestamp, krustlet_runtime::Usage)> {
    Some((container.started_at?, container.guest.as_ref()?.usage()))
}

fn has_exited(container: &ContainerView) -> bool {
    container.guest.is_none() && container.progress.is_some_and(|progress| progress.ended)
}

fn key(pod: &PodView, container: &ContainerView, started_at: Timestamp) -> Key {
    Some((pod.uid.clone(), container.name.clone(), started_at))
}

/// A node with one pod of two containers, for the tests of what is written from it.
#[cfg(test)]
pub fn example() -> Usage {
    let at = |second| Timestamp::from_second(second).unwrap();
    let container = |name: &str, cpu, nano_cores, memory_bytes| ContainerUsage {
        name: name.into(),
        started_at: at(1_000),
        cpu: Duration::from_millis(cpu),
        nano_cores,
        memory_bytes,
    };
    Usage {
        at: at(2_000),
        node: NodeUsage {
            started_at: Some(at(500)),
            cpu: Some(Duration::from_millis(12_500)),
            nano_cores: Some(250_000_000),
            memory: Some(Memory { capacity_bytes: 4096, available_bytes: 1024, used_bytes: 3500 }),
            disk: Some(FileSystem {
                capacity_bytes: 10_000,
                available_bytes: 4_000,
                used_bytes: 5_500,
                inodes: 100,
                inodes_free: 70,
            }),
        },
        pods: vec![PodUsage {
            namespace: "default".into(),
            name: "cats".into(),
            uid: "u-1".into(),
            started_at: Some(at(990)),
            containers: vec![container("facts", 1_500, Some(5), 65_536), container("side", 250, Some(7), 131_072)],
        }],
        exited: 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use krustlet_logs::Progress;
    use krustlet_pods::PodView;

    #[test]
    fn a_pod_is_the_sum_of_its_containers() {
        let usage = example();
        let pod = &usage.pods[0];
        assert_eq!((pod.cpu(), pod.memory_bytes()), (Duration::from_millis(1_750), 196_608));
        assert_eq!((pod.nano_cores(), usage.running()), (Some(12), 2));
        let mut young = pod.clone();
        young.containers[0].nano_cores = None;
        assert_eq!(young.nano_cores(), None);
    }

    #[test]
    fn a_server_at_rest_uses_something() {
        let rests = ContainerUsage::of("c", Timestamp::UNIX_EPOCH, krustlet_runtime::Usage::default(), None);
        assert_eq!((rests.cpu, rests.memory_bytes), (Duration::from_micros(1), 1));
    }

    #[test]
    fn the_machine_is_there_and_pods_that_run_nothing_are_not() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::default();
        let container = ContainerView {
            name: "c".into(),
            init: false,
            progress: Some(Progress { attempt: 0, ended: true, finished: true }),
            ended: true,
            waiting: None,
            started_at: None,
            guest: None,
            answering: None,
        };
        let pod = PodView { uid: "u".into(), dir: "/d".into(), pod: Arc::default(), containers: vec![container] };
        directory.set("n", "p", pod);
        let usages = Usages::new(directory, root.path().into());
        usages.sample(Instant::now());
        usages.sample(Instant::now() + Duration::from_secs(2));
        let usage = usages.now();
        assert_eq!((usage.pods.len(), usage.exited, usage.running()), (0, 1, 0));
        assert!(usage.node.cpu.is_some() && usage.node.nano_cores.is_some());
        assert!(usage.node.memory.is_some() && usage.node.disk.is_some() && usage.node.started_at.is_some());
    }
}
