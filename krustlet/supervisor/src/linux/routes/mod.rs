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
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::set_name;

use self::netlink::Netlink;
use self::wanted::{Network, Route, Wanted};

/// How often it is looked what is asked for. To be told of changes takes something of the user's of which there are few, and others take all of
/// them.
const PAUSE: Duration = Duration::from_millis(250);
/// More is no file of an agent's: bytes.
const LONGEST_FILE: u64 = 1 << 16;

/// Keeps what the file asks for, until its parent has ended. What goes wrong is said once, and tried again.
///
/// # Errors
/// There is no way to change the network at all.
pub fn keep(file: &Path) -> io::Result<Infallible> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_name(c"pod-routes")?;
    let mut keeper = Keeper { netlink: Netlink::open()?, made: BTreeSet::new() };
    let mut said = Vec::new();
    loop {
        let faults = match read(file).and_then(|text| Ok((text, networks()?))) {
            Ok((text, networks)) => keeper.apply(&text.unwrap_or_default(), &networks),
            Err(error) => vec![error.to_string()],
        };
        for fault in faults.iter().filter(|fault| !said.contains(*fault)) {
            say(fault);
        }
        said = faults;
        sleep(PAUSE);
    }
}

struct Keeper {
    netlink: Netlink,
    /// Those of this process: its namespace is as old as it.
    made: BTreeSet<Route>,
}

impl Keeper {
    /// What is wrong with what is asked for, or could not be done. It is left as if it were not asked for.
    fn apply(&mut self, text: &str, networks: &[Network]) -> Vec<String> {
        let Wanted { routes, mut faults } = Wanted::read(text, networks);
        let gone: Vec<_> = self.made.difference(&routes).copied().collect();
        for route in gone {
            match self.netlink.remove(route) {
                Ok(()) => say(&format!("{route}: removed")),
                Err(error) => faults.push(format!("{route}: not removed: {error}")),
            }
            self.made.remove(&route);
        }
        for route in routes.difference(&self.made.clone()).copied() {
            match self.netlink.add(route) {
                Ok(()) => {
                    say(&format!("{route}: made"));
                    self.made.insert(route);
                }
                Err(error) => faults.push(format!("{route}: not made: {error}")),
            }
        }
        faults
    }
}

fn say(what: &str) {
    eprintln!("krustlet-supervisor: pod routes: {what}");
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
