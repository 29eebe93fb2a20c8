//! Looks at the machine.

use std::path::Path;

use krustlet_core::node::Host;
use krustlet_host::readings::{self, read};

/// Looks at this machine. What cannot be found out is empty or zero. `data_dir` must exist.
pub fn look(data_dir: &Path) -> Host {
    let machine_id = ["/etc/machine-id", "/var/lib/dbus/machine-id"].map(|path| read(path).trim().to_string());
    let machine_id = machine_id.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
    // Only root may read it.
    let uuid = read("/sys/class/dmi/id/product_uuid").trim().to_string();
    let disk = readings::file_system(data_dir).ok();
    Host {
        cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64),
        memory_bytes: readings::memory().map_or(0, |memory| memory.capacity_bytes),
        storage_bytes: disk.map_or(0, |disk| disk.capacity_bytes),
        inodes: disk.map_or(0, |disk| disk.inodes),
        system_uuid: if uuid.is_empty() { machine_id.clone() } else { uuid },
        machine_id,
        boot_id: read("/proc/sys/kernel/random/boot_id").trim().to_string(),
        kernel_version: read("/proc/sys/kernel/osrelease").trim().to_string(),
        os_image: os_name(&read("/etc/os-release")).unwrap_or_else(|| "Linux".into()),
    }
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
    fn the_name_of_the_distribution() {
        assert_eq!(os_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n").as_deref(), Some("Debian GNU/Linux 12"));
        assert_eq!(os_name("ID=x\n"), None);
    }

    #[test]
    fn this_machine_has_something() {
        let root = tempfile::tempdir().unwrap();
        let host = look(root.path());
        assert!(host.cpus >= 1 && host.memory_bytes > 1 << 20 && host.storage_bytes > 1 << 20);
        assert!(!host.kernel_version.is_empty() && !host.boot_id.is_empty());
    }
}
