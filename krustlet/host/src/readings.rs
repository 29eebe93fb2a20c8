//! What of the machine is in use: read anew each time.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use krustlet_core::node::{FileSystem, Memory};

/// Memory as it is now; `None` when the kernel does not say.
pub fn memory() -> Option<Memory> {
    memory_from(&read("/proc/meminfo"), &read("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"))
}

/// The file system that holds `path`.
///
/// # Errors
/// As `statvfs(3)`.
pub fn file_system(path: &Path) -> io::Result<FileSystem> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(FileSystem {
        capacity_bytes: bytes(stat.f_blocks),
        available_bytes: bytes(stat.f_bavail),
        used_bytes: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
        inodes: stat.f_files,
        inodes_free: stat.f_ffree,
    })
}

/// Time that the machine's processors have worked since it was started.
pub fn cpu_time() -> Option<Duration> {
    let ticks = busy_ticks(&read("/proc/stat"))?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Resident memory of this process, in bytes.
pub fn resident_bytes() -> Option<u64> {
    let pages: u64 = read("/proc/self/statm").split(' ').nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// Memory of this process that no file stands behind: what it and its programs have touched. Bytes.
pub fn anonymous_bytes() -> Option<u64> {
    Some(field(&read("/proc/self/status"), "RssAnon:")? * 1024)
}

/// When the machine was started.
pub fn boot_time() -> Option<Timestamp> {
    let stat = read("/proc/stat");
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// The file's text, or none.
pub fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn memory_from(meminfo: &str, own_cgroup: &str, mount: &Path) -> Option<Memory> {
    let capacity_bytes = field(meminfo, "MemTotal:")? * 1024;
    let free = field(meminfo, "MemFree:").unwrap_or(0) * 1024;
    let machine = Memory {
        capacity_bytes,
        available_bytes: field(meminfo, "MemAvailable:").map_or(free, |kibibytes| kibibytes * 1024),
        used_bytes: capacity_bytes.saturating_sub(free),
    };
    let groups = cgroups(own_cgroup, mount).into_iter().filter_map(|group| group.memory());
    let limiting = groups.filter(|group| group.capacity_bytes < machine.capacity_bytes);
    Some(limiting.fold(machine, |least, group| Memory {
        capacity_bytes: least.capacity_bytes.min(group.capacity_bytes),
        available_bytes: least.available_bytes.min(group.available_bytes),
        used_bytes: group.used_bytes,
    }))
}

/// A control group with a memory controller.
/// <https://docs.kernel.org/admin-guide/cgroup-v2.html>, <https://docs.kernel.org/admin-guide/cgroup-v1/memory.html>
#[derive(Debug, PartialEq, Eq)]
struct Group {
    dir: PathBuf,
    unified: bool,
}

impl Group {
    /// `None` where there is no limit.
    fn memory(&self) -> Option<Memory> {
        let (limit, usage, inactive) = match self.unified {
            true => ("memory.max", "memory.current", "inactive_file"),
            false => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        };
        let number = |file: &str| read(self.dir.join(file)).trim().parse::<u64>().ok();
        let (capacity_bytes, used_bytes) = (number(limit)?, number(usage)?);
        let cache = field(&read(self.dir.join("memory.stat")), inactive).unwrap_or(0);
        let working_set = used_bytes.saturating_sub(cache);
        Some(Memory { capacity_bytes, available_bytes: capacity_bytes.saturating_sub(working_set), used_bytes })
    }
}

/// The groups that this process is in, from the outermost inwards, by `/proc/self/cgroup`. Those that cannot be seen from inside
/// a container are named all the same.
fn cgroups(own: &str, mount: &Path) -> Vec<Group> {
    let mut groups = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (base, unified) = match controllers {
            "" => (mount.to_path_buf(), true),
            some if some.split(',').any(|controller| controller == "memory") => (mount.join("memory"), false),
            _ => continue,
        };
        let inner: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != "..").collect();
        for depth in 0..=inner.len() {
            groups.push(Group { dir: inner[..depth].iter().fold(base.clone(), |dir, part| dir.join(part)), unified });
        }
    }
    groups
}

/// The number after `name` at the begin of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()?.parse().ok())?)
}

/// Clock ticks in which any processor worked, for itself or for guests of this machine's host.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; time of virtual machines is in user already.
    (ticks.len() >= 4).then(|| ticks.iter().take(8).sum::<u64>() - ticks[3] - ticks.get(4).unwrap_or(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:        1000 kB\nMemFree:          200 kB\nMemAvailable:     600 kB\n";

    fn write(dir: &Path, files: &[(&str, &str)]) {
        std::fs::create_dir_all(dir).unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(dir.join(name), text).unwrap());
    }

    #[test]
    fn the_machines_own_memory() {
        let root = tempfile::tempdir().unwrap();
        let memory = memory_from(MEMINFO, "0::/a.slice\n", root.path()).unwrap();
        let wanted = Memory { capacity_bytes: 1000 * 1024, available_bytes: 600 * 1024, used_bytes: 800 * 1024 };
        assert_eq!(memory, wanted);
        assert_eq!(memory.working_set_bytes(), 400 * 1024);
        assert_eq!(memory_from("nothing", "", root.path()), None);
    }

    #[test]
    fn the_tightest_group_counts_wherever_it_is() {
        let root = tempfile::tempdir().unwrap();
        let outer = [
            ("memory.max", "500000\n"),
            ("memory.current", "450000\n"),
            ("memory.stat", "anon 1\ninactive_file 50000\n"),
        ];
        write(&root.path().join("a.slice"), &outer);
        write(&root.path().join("a.slice/b.service"), &[("memory.max", "max\n"), ("memory.current", "1\n")]);
        let memory = memory_from(MEMINFO, "0::/a.slice/b.service\n", root.path()).unwrap();
        assert_eq!(memory, Memory { capacity_bytes: 500_000, available_bytes: 100_000, used_bytes: 450_000 });
    }

    #[test]
    fn groups_of_the_first_version_seen_from_inside_a_container() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("memory.limit_in_bytes", "300000\n"),
            ("memory.usage_in_bytes", "100000\n"),
            ("memory.stat", "inactive_file 7\ntotal_inactive_file 40000\n"),
        ];
        write(&root.path().join("memory"), &files);
        let own = "12:cpu,cpuacct:/docker/x\n5:memory:/docker/x\n0::/docker/x\n";
        let memory = memory_from(MEMINFO, own, root.path()).unwrap();
        assert_eq!((memory.capacity_bytes, memory.available_bytes), (300_000, 240_000));
    }

    #[test]
    fn a_group_without_limit_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let files = [("memory.limit_in_bytes", "9223372036854771712\n"), ("memory.usage_in_bytes", "100000\n")];
        write(&root.path().join("memory"), &files);
        let memory = memory_from(MEMINFO, "5:memory:/\n", root.path()).unwrap();
        assert_eq!(memory.capacity_bytes, 1000 * 1024);
    }

    #[test]
    fn ticks_of_work() {
        assert_eq!(busy_ticks("cpu  10 1 20 1000 500 2 3 4 10 0\ncpu0 1\nbtime 7\n"), Some(40));
        assert_eq!(busy_ticks("cpu0 1"), None);
    }

    #[test]
    fn this_machine_says_something() {
        let memory = memory().unwrap();
        assert!(memory.available_bytes > 0 && memory.available_bytes <= memory.capacity_bytes);
        assert!(cpu_time().unwrap() > Duration::ZERO);
        assert!(boot_time().unwrap() < Timestamp::now());
        let root = tempfile::tempdir().unwrap();
        let disk = file_system(root.path()).unwrap();
        assert!(disk.capacity_bytes >= disk.available_bytes && disk.capacity_bytes > 1 << 20);
        assert!(file_system(Path::new("/no/such/path")).is_err());
    }
}
