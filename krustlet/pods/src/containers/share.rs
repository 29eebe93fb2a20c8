//! What a container gets of what the process has for all. Pure.

use krustlet_runtime::DEFAULT_OPEN_RESOURCES;

/// The containers of a pod together have at most such a part of the files that the process may open.
const PART_OF_POD: u64 = 16;
/// A container has always so many.
const LEAST: usize = 64;

/// How many files and the like one of so many `containers` of a pod may hold at once, where the process may open so many `files`.
pub fn open_resources(files: Option<u64>, containers: usize) -> usize {
    let of_pod = files.and_then(|files| usize::try_from(files / PART_OF_POD).ok()).unwrap_or(usize::MAX);
    (of_pod.min(DEFAULT_OPEN_RESOURCES) / containers.max(1)).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pod_takes_the_nodes_files() {
        let table = [
            // Files of the process, containers of the pod, what each gets.
            (None, 1, 1024),
            (Some(1_048_576), 1, 1024),
            (Some(1_048_576), 2, 512),
            (Some(20_000), 1, 1024),
            (Some(20_000), 24, 64),
            (Some(4_096), 1, 256),
            (Some(1_024), 1, 64),
            (Some(1_024), 3, 64),
            (Some(1_024), 0, 64),
        ];
        for (files, containers, wanted) in table {
            assert_eq!(open_resources(files, containers), wanted, "{files:?} {containers}");
        }
    }
}
