//! In a container the supervisor begins as root with a few rights, gives up all of them, and leaves one to a process of its own.

mod rights;
mod routes;

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;

use rustix::thread::CapabilitySet;

use self::rights::become_user;
use crate::options::Options;
use crate::{end_of, named, print_into};

/// Becomes the user that is named, without any right. Where routes are to be kept, who does that begins first, with the rights of before.
///
/// # Errors
/// It may not become that user, or the other process does not begin.
pub fn give_up_rights(options: &Options) -> io::Result<()> {
    let keeper = match options.pod_routes {
        Some(_) => Some(Command::new(std::env::current_exe()?).args(options.of_keeper()).spawn()?),
        None => None,
    };
    become_with(options, CapabilitySet::empty())?;
    if let Some(keeper) = keeper {
        thread::spawn(move || wait_for(keeper));
    }
    Ok(())
}

/// Becomes the user that is named, with the right to change this network alone, and keeps the routes.
///
/// # Errors
/// It may not, or what is asked for cannot be read.
pub fn keep_routes(options: &Options) -> io::Result<Infallible> {
    become_with(options, CapabilitySet::NET_ADMIN)?;
    print_into(options.log_file.as_deref())?;
    let file = options.pod_routes.as_deref().unwrap_or(Path::new(""));
    routes::keep(file).map_err(|error| named(file, &error))
}

fn become_with(options: &Options, kept: CapabilitySet) -> io::Result<()> {
    let Some(user) = options.user else { return Ok(()) };
    become_user(user, kept).map_err(|error| io::Error::other(format!("cannot become user {user}: {error}")))
}

/// What it has made stays. Nobody is left who might start it again.
fn wait_for(mut keeper: Child) {
    let how = keeper.wait().map_or_else(|error| error.to_string(), |status| end_of(status).to_string());
    eprintln!(
        "krustlet-supervisor: what keeps the pods' routes {how}; they stay as they are until the container is started again"
    );
}
