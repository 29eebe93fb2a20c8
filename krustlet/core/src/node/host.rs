//! What the machine is and has, as somebody has measured it.

/// Facts about the machine, in the units that a Node reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Processors that this process may use, by affinity and cgroup.
    pub cpus: u64,
    /// Memory in bytes: the machine's, or the cgroup's limit when that is less.
    pub memory_bytes: u64,
    /// Size in bytes of the file system that holds the agent's data.
    pub storage_bytes: u64,
    /// How many files that file system can hold; 0 when there is no such limit.
    pub inodes: u64,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// The machine's own number, from its firmware; [`machine_id`](Self::machine_id) where that cannot be read.
    pub system_uuid: String,
    /// Of this boot.
    pub boot_id: String,
    /// `uname -r`.
    pub kernel_version: String,
    /// Name of the distribution.
    pub os_image: String,
}

/// Memory for this process and its neighbours: the machine's, or that of the control group which leaves the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What there is: bytes.
    pub capacity_bytes: u64,
    /// What could still be had without swapping, caches given up: bytes.
    pub available_bytes: u64,
    /// What is taken, caches included: bytes.
    pub used_bytes: u64,
}

impl Memory {
    /// What cannot be given up.
    pub fn working_set_bytes(&self) -> u64 {
        self.capacity_bytes.saturating_sub(self.available_bytes)
    }
}

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its size: bytes.
    pub capacity_bytes: u64,
    /// What users other than root may still fill: bytes.
    pub available_bytes: u64,
    /// What is taken: bytes.
    pub used_bytes: u64,
    /// How many files there can be; 0 when there is no such limit.
    pub inodes: u64,
    /// How many more files there can be.
    pub inodes_free: u64,
}
