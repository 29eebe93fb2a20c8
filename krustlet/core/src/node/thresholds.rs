//! How little is too little: `--eviction-hard`. Pure.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#hard-eviction-thresholds>

use super::host::{FileSystem, Host, Memory};
use super::reserve;
use crate::quantity;

/// From where on the node acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// `memory.available`
    pub memory: Threshold,
    /// `nodefs.available`, of the file system of the agent's data.
    pub disk: Threshold,
    /// `nodefs.inodesFree`, of the same.
    pub inodes: Threshold,
}

/// The least that there must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// So much.
    Amount(u64),
    /// So many thousandths of a percent of all.
    Percent(u64),
}

/// What there can be too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Bytes of memory.
    Memory,
    /// Bytes of disk.
    Storage,
    /// Files that can still be made.
    Inodes,
}

impl Resource {
    /// As Kubernetes calls it in messages, and where pods ask for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Storage => "ephemeral-storage",
            Self::Inodes => "inodes",
        }
    }

    /// So much of it, as Kubernetes writes it.
    pub fn text(self, amount: u64) -> String {
        quantity::text(amount, self != Self::Inodes)
    }
}

/// There is too little of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Of what.
    pub resource: Resource,
    /// How much there should be.
    pub threshold: u64,
    /// How much there is.
    pub available: u64,
}

impl Shortage {
    fn of(resource: Resource, threshold: u64, available: u64) -> Option<Self> {
        (available < threshold).then_some(Self { resource, threshold, available })
    }

    /// How much would have to come back.
    pub fn missing(&self) -> u64 {
        self.threshold.saturating_sub(self.available)
    }
}

impl Threshold {
    /// So much, of `capacity` in all.
    pub fn of(self, capacity: u64) -> u64 {
        match self {
            Self::Amount(amount) => amount,
            Self::Percent(thousandths) => {
                u64::try_from(u128::from(capacity) * u128::from(thousandths) / 100_000).unwrap_or(u64::MAX)
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(percent) => quantity::milli(percent).filter(|thousandths| *thousandths < 100_000).map(Self::Percent),
            None => quantity::bytes(text).map(Self::Amount),
        }
    }
}

impl Thresholds {
    /// What `--eviction-hard` is when it is not given: the kubelet's.
    pub const DEFAULT: &str = "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%";

    const KUBELETS: Self = Self {
        memory: Threshold::Amount(100 << 20),
        disk: Threshold::Percent(10_000),
        inodes: Threshold::Percent(5_000),
    };

    /// Reads `memory.available<100Mi,nodefs.available<10%`, the syntax of the kubelet's flag. What is not named has its default, and
    /// 0 means never.
    ///
    /// # Errors
    /// One line for each fault.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut thresholds = Self::KUBELETS;
        let (mut faults, mut seen) = (Vec::new(), Vec::new());
        for statement in text.split(',').map(str::trim).filter(|statement| !statement.is_empty()) {
            let Some((signal, amount)) = statement.split_once('<').map(|(name, amount)| (name.trim(), amount.trim()))
            else {
                faults.push(format!("{statement:?} is no SIGNAL<QUANTITY"));
                continue;
            };
            if seen.contains(&signal) {
                faults.push(format!("{signal} is given twice"));
            }
            seen.push(signal);
            let field = match signal {
                "memory.available" => &mut thresholds.memory,
                "nodefs.available" => &mut thresholds.disk,
                "nodefs.inodesFree" => &mut thresholds.inodes,
                _ => {
                    faults.push(format!(
                        "{signal:?} is not looked at: only memory.available, nodefs.available and nodefs.inodesFree are (modules are \
                         on the same file system as all else)"
                    ));
                    continue;
                }
            };
            match Threshold::parse(amount) {
                Some(threshold) => *field = threshold,
                None => faults
                    .push(format!("{signal}: {amount:?} is no quantity such as 100Mi, and no percentage below 100%")),
            }
        }
        if faults.is_empty() { Ok(thresholds) } else { Err(faults) }
    }

    /// Whether `host` can ever have as much.
    ///
    /// # Errors
    /// One line for each threshold that it cannot stay above.
    pub fn check(&self, host: &Host) -> Result<(), Vec<String>> {
        let rows = [
            ("memory.available", self.memory, host.memory_bytes, reserve::bytes as fn(u64) -> String),
            ("nodefs.available", self.disk, host.storage_bytes, reserve::bytes),
            ("nodefs.inodesFree", self.inodes, host.inodes, |inodes| inodes.to_string()),
        ];
        let beyond = rows.into_iter().filter(|(_, threshold, there, _)| *there > 0 && threshold.of(*there) >= *there);
        let faults: Vec<String> = beyond
            .map(|(signal, threshold, there, text)| {
                let (wanted, there) = (text(threshold.of(there)), text(there));
                format!("--eviction-hard: {signal}: {wanted} is all that the machine has ({there}), or more")
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Whether there is too little memory.
    pub fn memory_shortage(&self, memory: &Memory) -> Option<Shortage> {
        Shortage::of(Resource::Memory, self.memory.of(memory.capacity_bytes), memory.available_bytes)
    }

    /// Whether there is too little of a file system.
    pub fn disk_shortage(&self, disk: &FileSystem) -> Option<Shortage> {
        let bytes = Shortage::of(Resource::Storage, self.disk.of(disk.capacity_bytes), disk.available_bytes);
        // Some file systems have no such number.
        let inodes = || Shortage::of(Resource::Inodes, self.inodes.of(disk.inodes), disk.inodes_free);
        bytes.or_else(|| inodes().filter(|_| disk.inodes > 0))
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::KUBELETS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelets_syntax() {
        use Threshold::{Amount, Percent};
        assert_eq!(Thresholds::parse(Thresholds::DEFAULT), Ok(Thresholds::default()));
        let table = [
            ("", (Amount(100 << 20), Percent(10_000), Percent(5_000))),
            ("memory.available<1Gi", (Amount(1 << 30), Percent(10_000), Percent(5_000))),
            ("memory.available<5%", (Percent(5_000), Percent(10_000), Percent(5_000))),
            (" nodefs.available < 0 , nodefs.inodesFree<0%,", (Amount(100 << 20), Amount(0), Percent(0))),
            ("nodefs.available<2.5%", (Amount(100 << 20), Percent(2_500), Percent(5_000))),
            ("nodefs.inodesFree<10k", (Amount(100 << 20), Percent(10_000), Amount(10_000))),
        ];
        for (text, (memory, disk, inodes)) in table {
            assert_eq!(Thresholds::parse(text), Ok(Thresholds { memory, disk, inodes }), "{text}");
        }
    }

    #[test]
    fn every_fault_is_named() {
        let faults = Thresholds::parse(
            "memory.available=5,imagefs.available<5%,memory.available<x,nodefs.available<100%,memory.available<1",
        );
        let faults = faults.unwrap_err();
        let parts =
            ["no SIGNAL<QUANTITY", "\"imagefs.available\" is not looked at", "\"x\"", "\"100%\"", "given twice"];
        for (fault, part) in faults.iter().zip(parts) {
            assert!(fault.contains(part), "{fault}");
        }
        assert_eq!(faults.len(), 5);
        for text in ["memory.available<", "memory.available<-1", "memory.available<-1%", "memory.available<%", "x<1"] {
            assert_eq!(Thresholds::parse(text).unwrap_err().len(), 1, "{text}");
        }
    }

    #[test]
    fn what_the_machine_can_never_have_is_refused() {
        let host = Host { memory_bytes: 1 << 30, storage_bytes: 1 << 40, ..Host::default() };
        assert_eq!(Thresholds::default().check(&host), Ok(()));
        assert_eq!(Thresholds::default().check(&Host::default()), Ok(()), "of such a machine nothing is known");
        let host = Host { inodes: 1000, ..host };
        let all = Thresholds::parse("memory.available<1Gi,nodefs.available<2Ti,nodefs.inodesFree<1k").unwrap();
        let faults = all.check(&host).unwrap_err();
        assert_eq!(
            faults,
            [
                "--eviction-hard: memory.available: 1048576Ki is all that the machine has (1048576Ki), or more",
                "--eviction-hard: nodefs.available: 2147483648Ki is all that the machine has (1073741824Ki), or more",
                "--eviction-hard: nodefs.inodesFree: 1000 is all that the machine has (1000), or more",
            ]
        );
    }

    #[test]
    fn below_and_not_at_the_threshold() {
        const MI: u64 = 1 << 20;
        let thresholds = Thresholds::default();
        let memory = |available_bytes| Memory { capacity_bytes: 1 << 30, available_bytes, used_bytes: 0 };
        assert_eq!(thresholds.memory_shortage(&memory(100 * MI)), None);
        let short = thresholds.memory_shortage(&memory(100 * MI - 1)).unwrap();
        assert_eq!((short.resource, short.threshold, short.missing()), (Resource::Memory, 100 * MI, 1));
        let disk = |available_bytes, inodes_free, inodes| {
            let disk = FileSystem { capacity_bytes: 1000, available_bytes, used_bytes: 0, inodes, inodes_free };
            thresholds.disk_shortage(&disk).map(|short| (short.resource, short.threshold, short.available))
        };
        let table = [
            (disk(100, 100, 1000), None),
            (disk(99, 100, 1000), Some((Resource::Storage, 100, 99))),
            (disk(100, 50, 1000), None),
            (disk(100, 49, 1000), Some((Resource::Inodes, 50, 49))),
            (disk(99, 49, 1000), Some((Resource::Storage, 100, 99))),
            // btrfs has no such number.
            (disk(100, 0, 0), None),
        ];
        for (found, wanted) in table {
            assert_eq!(found, wanted);
        }
        let amount = Thresholds { inodes: Threshold::Amount(10_000), ..thresholds };
        let disk = FileSystem { capacity_bytes: 1000, available_bytes: 100, used_bytes: 0, inodes: 0, inodes_free: 0 };
        assert_eq!(amount.disk_shortage(&disk), None, "nor is it short of them by an amount");
    }
}
