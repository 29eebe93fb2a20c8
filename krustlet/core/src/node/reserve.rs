//! What of the machine is not for pods: <https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/>

use super::host::Host;
use crate::quantity;

/// What the machine keeps for itself and the agent. Default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserve {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Bytes.
    pub memory_bytes: u64,
    /// Bytes of the file system that holds the agent's data.
    pub storage_bytes: u64,
}

impl Reserve {
    /// What `--system-reserved` is when it is not given.
    pub const DEFAULT: &str = "cpu=100m,memory=128Mi,ephemeral-storage=1Gi";

    /// Reads `cpu=100m,memory=128Mi,ephemeral-storage=1Gi`, the syntax of the kubelet's flag of that name. What is not named is
    /// not reserved.
    ///
    /// # Errors
    /// One line for each fault.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut reserve = Self::default();
        let (mut faults, mut seen) = (Vec::new(), Vec::new());
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((name, amount)) = pair.split_once('=').map(|(name, amount)| (name.trim(), amount.trim())) else {
                faults.push(format!("{pair:?} is no NAME=QUANTITY"));
                continue;
            };
            if seen.contains(&name) {
                faults.push(format!("{name} is given twice"));
            }
            seen.push(name);
            let (field, value) = match name {
                "cpu" => (&mut reserve.cpu_millis, millis(amount)),
                "memory" => (&mut reserve.memory_bytes, quantity::bytes(amount)),
                "ephemeral-storage" => (&mut reserve.storage_bytes, quantity::bytes(amount)),
                _ => {
                    faults.push(format!("{name:?} cannot be reserved: only cpu, memory and ephemeral-storage can"));
                    continue;
                }
            };
            match value {
                Some(value) => *field = value,
                None => faults.push(format!("{name}: {amount:?} is no quantity from 0 on, such as 100m, 128Mi or 1")),
            }
        }
        if faults.is_empty() { Ok(reserve) } else { Err(faults) }
    }

    /// Whether `host` has that much.
    ///
    /// # Errors
    /// One line for each resource of which there is less.
    pub fn check(&self, host: &Host) -> Result<(), Vec<String>> {
        let rows = [
            ("cpu", format!("{}m", self.cpu_millis), self.cpu_millis, host.cpus * 1000, format!("{}", host.cpus)),
            ("memory", bytes(self.memory_bytes), self.memory_bytes, host.memory_bytes, bytes(host.memory_bytes)),
            (
                "ephemeral-storage",
                bytes(self.storage_bytes),
                self.storage_bytes,
                host.storage_bytes,
                bytes(host.storage_bytes),
            ),
        ];
        let faults: Vec<String> = rows
            .into_iter()
            .filter(|(_, _, wanted, there, _)| wanted > there)
            .map(|(name, wanted, _, _, there)| {
                format!("--system-reserved: {name}: {wanted} is more than the machine has, {there}")
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// Thousandths of a processor.
pub fn cpu(millis: u64) -> String {
    if millis.is_multiple_of(1000) { (millis / 1000).to_string() } else { format!("{millis}m") }
}

/// Bytes, in Ki if that is exact.
pub fn bytes(bytes: u64) -> String {
    if bytes.is_multiple_of(1024) { format!("{}Ki", bytes / 1024) } else { bytes.to_string() }
}

/// A quantity in thousandths, rounded up.
fn millis(text: &str) -> Option<u64> {
    if let Some(millis) = text.strip_suffix('m') {
        return millis.parse().ok();
    }
    let value: f64 = text.parse().ok()?;
    let millis = (value * 1000.0).ceil();
    // No machine has more processors than a float can count.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0..1e12).contains(&millis).then_some(millis as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelets_syntax() {
        let table = [
            (Reserve::DEFAULT, (100, 128 << 20, 1 << 30)),
            ("", (0, 0, 0)),
            ("cpu=2", (2000, 0, 0)),
            ("cpu=0.25", (250, 0, 0)),
            ("memory=1Gi", (0, 1 << 30, 0)),
            (" ephemeral-storage = 5G , cpu=1500m,", (1500, 0, 5_000_000_000)),
        ];
        for (text, (cpu_millis, memory_bytes, storage_bytes)) in table {
            assert_eq!(Reserve::parse(text), Ok(Reserve { cpu_millis, memory_bytes, storage_bytes }), "{text}");
        }
    }

    #[test]
    fn every_fault_is_named() {
        let faults = Reserve::parse("cpu=x,memory=-1,pods=3,disk,cpu=1").unwrap_err();
        for (fault, part) in
            faults.iter().zip(["cpu: \"x\"", "memory: \"-1\"", "\"pods\"", "\"disk\"", "cpu is given twice"])
        {
            assert!(fault.contains(part), "{fault}");
        }
        assert_eq!(faults.len(), 5);
        for text in ["cpu=", "cpu=-1", "cpu=1e99", "cpu=NaN", "cpu=1.5m", "memory=1Q"] {
            assert_eq!(Reserve::parse(text).unwrap_err().len(), 1, "{text}");
        }
    }

    #[test]
    fn more_than_there_is() {
        let host = Host { cpus: 2, memory_bytes: 1 << 30, storage_bytes: 100, ..Host::default() };
        let reserve = Reserve { cpu_millis: 2001, memory_bytes: 1 << 30, storage_bytes: 1 << 20 };
        let faults = reserve.check(&host).unwrap_err();
        assert_eq!(
            faults,
            [
                "--system-reserved: cpu: 2001m is more than the machine has, 2",
                "--system-reserved: ephemeral-storage: 1024Ki is more than the machine has, 100",
            ]
        );
        assert_eq!(Reserve { cpu_millis: 2000, storage_bytes: 100, ..reserve }.check(&host), Ok(()));
    }

    #[test]
    fn amounts_as_kubernetes_writes_them() {
        assert_eq!((cpu(2000), cpu(1900), cpu(0)), ("2".into(), "1900m".into(), "0".into()));
        assert_eq!((bytes(2048), bytes(2049)), ("2Ki".into(), "2049".into()));
    }
}
