//! The disk of the agent's data, and how many files it can hold: modules that nobody uses go first, then logs of pods that have ended, then
//! pods.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use krustlet_core::eviction::rank::Candidate;
use krustlet_core::node::{Resource, Shortage};
use krustlet_core::pod;
use krustlet_host::readings;
use krustlet_volumes::Taken;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Evictor;
use crate::PodView;

/// How often it is looked at, as by a kubelet.
const LOOK: Duration = Duration::from_secs(10);
/// How long a pod may take to end and to have its files removed, before the next one is asked to go.
const LEAVING: Duration = Duration::from_secs(60);
/// Time between two looks for the files of one that has ended.
const PAUSE: Duration = Duration::from_millis(200);

/// Keeps the disk from getting full, for ever.
pub async fn run(mut evictor: Evictor) {
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match look(&evictor).await {
            Some(shortage) => {
                evictor.shared.pressure.note(shortage.resource, Instant::now());
                relieve(&mut evictor).await;
            }
            None => evictor.helpless = false,
        }
    }
}

async fn relieve(evictor: &mut Evictor) {
    evictor.shared.images.reclaim().await;
    let Some(shortage) = look(evictor).await else { return };
    // One that has only been stopped, because the agent stops, goes on with the next one.
    let over = |view: &PodView| view.has_ended() && pod::is_terminal(&view.pod);
    let ended: Vec<PathBuf> = views(evictor).filter(over).flat_map(|view| folders(&view)).collect();
    blocking(move || remove_logs(ended, &shortage)).await;
    let Some(shortage) = look(evictor).await else { return };
    let views: Vec<PodView> = views(evictor).filter(|view| !view.has_ended()).collect();
    let measure = move || views.into_iter().filter_map(|view| candidate(&view, &shortage)).collect::<Vec<_>>();
    let candidates = blocking(measure).await.unwrap_or_default();
    let since = Instant::now();
    let victim = evictor.evict(candidates, &shortage, LEAVING, PodView::has_ended).await;
    if let Some(victim) = victim {
        // Its files are what it was asked to go for.
        let folder = krustlet_volumes::folder_of_all(&victim.dir);
        while since.elapsed() < LEAVING && exists(folder.clone()).await {
            sleep(PAUSE).await;
        }
    // Once: a disk may be as full as that for good.
    } else if !std::mem::replace(&mut evictor.helpless, true) {
        tracing::warn!(
            "{} is short, and no pod has enough of it that its end would help: {} where {} should be",
            shortage.resource.name(),
            shortage.resource.text(shortage.available),
            shortage.resource.text(shortage.threshold)
        );
    }
}

async fn look(evictor: &Evictor) -> Option<Shortage> {
    let folder = evictor.shared.pods_dir.clone();
    let disk = blocking(move || nearest(&folder).and_then(|folder| readings::file_system(folder).ok())).await??;
    evictor.shared.pressure.thresholds().disk_shortage(&disk)
}

async fn exists(folder: PathBuf) -> bool {
    blocking(move || folder.exists()).await.unwrap_or(false)
}

/// The folder itself, or what it will be made in.
fn nearest(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.exists())
}

fn views(evictor: &Evictor) -> impl Iterator<Item = PodView> {
    evictor.shared.directory.all().into_iter().map(|(_, view)| view)
}

/// Where the logs of its containers are.
fn folders(view: &PodView) -> Vec<PathBuf> {
    view.containers.iter().map(|container| view.container_dir(&container.name)).collect()
}

/// Removes the largest of these logs, until what is missing has come back: those whose end would help, as a pod's would.
fn remove_logs(folders: Vec<PathBuf>, shortage: &Shortage) {
    let size = |taken: &Taken| amount(taken, shortage.resource);
    let mut logs: Vec<(u64, PathBuf)> =
        folders.into_iter().filter_map(|folder| Some((size(&krustlet_volumes::taken(&folder)?), folder))).collect();
    logs.sort_by(|(one, _), (other, _)| other.cmp(one));
    let mut missing = shortage.missing();
    for (size, folder) in logs {
        if missing == 0 || size.saturating_mul(100) < shortage.missing() {
            return;
        }
        tracing::info!(folder = %folder.display(), "removing the logs of a container that has ended: the disk is full");
        krustlet_logs::remove(&folder);
        missing = missing.saturating_sub(size);
    }
}

/// What of a pod's files counts for it, as a kubelet has it: logs by container, emptyDirs besides. What cannot be measured now is no
/// candidate.
fn candidate(view: &PodView, shortage: &Shortage) -> Option<Candidate> {
    let resource = shortage.resource;
    let logs = view.containers.iter().map(|container| {
        let taken = krustlet_volumes::taken(&view.container_dir(&container.name))?;
        Some((container.name.clone(), amount(&taken, resource)))
    });
    let logs: Vec<(String, u64)> = logs.collect::<Option<_>>()?;
    let volumes = view.pod.spec.as_ref()?.volumes.iter().flatten().filter(|volume| volume.empty_dir.is_some());
    let mut besides = 0u64;
    for volume in volumes {
        let taken = krustlet_volumes::taken(&krustlet_volumes::folder_of_all(&view.dir).join(&volume.name))?;
        besides = besides.saturating_add(amount(&taken, resource));
    }
    // The kubelet's words know containers' bytes alone.
    match resource {
        Resource::Inodes => {
            let all = logs.iter().fold(besides, |sum, (_, files)| sum.saturating_add(*files));
            Candidate::of(&view.pod, resource, [], all)
        }
        _ => Candidate::of(&view.pod, resource, logs, besides),
    }
}

fn amount(taken: &Taken, resource: Resource) -> u64 {
    match resource {
        Resource::Inodes => taken.files,
        _ => taken.bytes,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_largest_logs_go_until_there_is_enough() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str, kibibytes: usize| {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("0.log"), vec![1; kibibytes << 10]).unwrap();
            fs::write(folder.join("0.json"), "{}").unwrap();
            folder
        };
        let all = [folder("small", 1), folder("large", 400), folder("middle", 300), folder("largest", 500)];
        let short = Shortage { resource: Resource::Storage, threshold: 800 << 10, available: 0 };
        remove_logs(all.to_vec(), &short);
        let kept = |name: &str| root.path().join(name).join("0.log").exists();
        assert_eq!(["small", "large", "middle", "largest"].map(kept), [true, false, true, false]);
        // All that would help, when it is never enough; what happened is remembered.
        remove_logs(all.to_vec(), &Shortage { threshold: 20 << 20, ..short });
        assert_eq!(["small", "middle"].map(kept), [true, false]);
        assert!(all.iter().all(|folder| folder.join("0.json").exists()));
    }
}
