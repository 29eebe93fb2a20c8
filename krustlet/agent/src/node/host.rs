//! What the machine is and has.

use std::path::Path;

/// Facts about the machine, in the units that a Node reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Processors that this process may use, by affinity and cgroup.
    pub cpus: u64,
    /// Memory in bytes: the machine's, or the cgroup's limit when that is less.
    pub memory_bytes: u64,
    /// Size in bytes of the file system that holds the agent's data.
    pub storage_bytes: u64,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// Of this boot.
    pub boot_id: String,
    /// `uname -r`.
    pub kernel_version: String,
    /// Name of the distribution.
    pub os_image: String,
}

impl Host {
    /// Looks at this machine. What cannot be found out is empty or zero. `data_dir` must exist.
    pub fn look(data_dir: &Path) -> Self {
        let memory = meminfo_total(&read("/proc/meminfo")).unwrap_or(0);
        let limit = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
            .iter()
            .filter_map(|path| read(path).trim().parse().ok())
            .fold(memory, u64::min);
        let storage = rustix::fs::statvfs(data_dir).map(|stat| stat.f_blocks.saturating_mul(stat.f_frsize));
        Self {
            cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64),
            memory_bytes: limit,
            storage_bytes: storage.unwrap_or(0),
            machine_id: read("/etc/machine-id").trim().to_string(),
            boot_id: read("/proc/sys/kernel/random/boot_id").trim().to_string(),
            kernel_version: read("/proc/sys/kernel/osrelease").trim().to_string(),
            os_image: os_name(&read("/etc/os-release")).unwrap_or_else(|| "Linux".into()),
        }
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Bytes of `MemTotal` in `/proc/meminfo`.
fn meminfo_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// `PRETTY_NAME` of `/etc/os-release`.
fn os_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim().trim_matches(['"', '\'']).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_and_the_distribution_are_read() {
        assert_eq!(meminfo_total("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2048 * 1024));
        assert_eq!(meminfo_total("nothing"), None);
        assert_eq!(os_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n").as_deref(), Some("Debian GNU/Linux 12"));
    }

    #[test]
    fn this_machine_has_something() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::look(root.path());
        assert!(host.cpus >= 1 && host.memory_bytes > 1 << 20 && host.storage_bytes > 1 << 20);
        assert!(!host.kernel_version.is_empty() && !host.boot_id.is_empty());
    }
}
