//! What the agent itself uses.

use std::time::Duration;

use krustlet_host::readings::{self, read};

/// This process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Process {
    /// Processor time of all its threads, guests included.
    pub cpu: Duration,
    /// Resident memory: bytes.
    pub resident_bytes: u64,
    /// When it was started: seconds since 1970.
    pub start_seconds: f64,
}

impl Process {
    /// As it is now; `None` when the kernel does not say.
    pub fn now() -> Option<Self> {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let boot = readings::boot_time()?.as_second();
        let stat = parse(&read("/proc/self/stat"))?;
        Some(Self {
            cpu: Duration::from_secs_f64(stat.busy as f64 / ticks),
            resident_bytes: readings::resident_bytes()?,
            start_seconds: boot as f64 + stat.started as f64 / ticks,
        })
    }
}

/// Of `/proc/<pid>/stat`, in clock ticks.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    busy: u64,
    /// Since the machine was started.
    started: u64,
}

fn parse(stat: &str) -> Option<Stat> {
    // The name of the program may hold anything, parentheses too.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The third field of the line is the first here.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat { busy: field(14)? + field(15)?, started: field(22)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_kernel() {
        let line = "7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 100 20 30 40 20 0 9 0 555 1000 20 0\n";
        assert_eq!(parse(line), Some(Stat { busy: 120, started: 555 }));
        assert_eq!(parse("7 (a) S 1"), None);
    }

    #[test]
    fn this_process() {
        let process = Process::now().unwrap();
        assert!(process.resident_bytes > 1 << 20);
        let now = k8s_openapi::jiff::Timestamp::now().as_second() as f64;
        assert!(process.start_seconds <= now + 1.0 && process.start_seconds > now - 3600.0);
    }
}
