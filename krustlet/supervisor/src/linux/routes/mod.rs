//! Keeps the routes that an agent without rights asks for, in the network namespace that is its container's own: by one of them all addresses
//! of its pod range are this namespace's, by the others what other nodes' pods are answered finds its way.
//!
//! It may change this network, and is therefore all that may: the agent writes what it wants into a file, and that is checked.

mod netlink;
mod wanted;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::set_name;

use self::netlink::Netlink;
use self::wanted::{Network, Route, Wanted};

/// More is no file of an agent's: bytes.
const LONGEST_FILE: u64 = 1 << 16;

/// Keeps what the file asks for, until its parent has ended.
///
/// # Errors
/// The file's folder cannot be watched, or it cannot be read.
pub fn keep(file: &Path) -> io::Result<Infallible> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_name(c"pod-routes")?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let changes = inotify::init(CreateFlags::CLOEXEC)?;
    // A file that is written in one step comes by a rename.
    inotify::add_watch(&changes, folder, WatchFlags::MOVED_TO)?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut changes = Reader::new(changes, &mut buffer);
    let mut keeper = Keeper { netlink: Netlink::open()?, made: BTreeSet::new() };
    let mut before = None;
    loop {
        let text = read(file)?;
        if text != before {
            keeper.apply(text.as_deref().unwrap_or_default(), &networks()?);
            before = text;
        }
        changes.next()?;
        while !changes.is_buffer_empty() {
            changes.next()?;
        }
    }
}

struct Keeper {
    netlink: Netlink,
    /// Those of this process: its namespace is as old as it.
    made: BTreeSet<Route>,
}

impl Keeper {
    /// What is wrong is said, and left as if it were not asked for.
    fn apply(&mut self, text: &str, networks: &[Network]) {
        let wanted = Wanted::read(text, networks);
        for fault in wanted.faults {
            eprintln!("krustlet-supervisor: pod routes: {fault}");
        }
        let gone: Vec<_> = self.made.difference(&wanted.routes).copied().collect();
        for route in gone {
            self.made.remove(&route);
            told("removed", route, self.netlink.remove(route));
        }
        for route in wanted.routes {
            if !self.made.contains(&route) && told("made", route, self.netlink.add(route)) {
                self.made.insert(route);
            }
        }
    }
}

/// Whether it was done.
fn told(what: &str, route: Route, outcome: io::Result<()>) -> bool {
    match &outcome {
        Ok(()) => eprintln!("krustlet-supervisor: {route}: {what}"),
        Err(error) => eprintln!("krustlet-supervisor: {route}: not {what}: {error}"),
    }
    outcome.is_ok()
}

/// `None`: it is not there. What is too long is cut, and its last line wrong.
fn read(file: &Path) -> io::Result<Option<String>> {
    let opened = match fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    opened.take(LONGEST_FILE).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The networks that this namespace's interfaces are on.
fn networks() -> io::Result<Vec<Network>> {
    Ok(wanted::networks_in(&fs::read_to_string("/proc/net/route")?))
}
