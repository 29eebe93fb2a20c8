//! The command line.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// How it is called.
pub const USAGE: &str =
    "usage: krustlet-supervisor [--user=UID:GID [--pod-routes=FILE]] [--log-file=FILE] -- PROGRAM ARGUMENT...";

/// Whom a process belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub uid: u32,
    /// The id of its one group.
    pub gid: u32,
}

impl User {
    /// `1000:1000`
    fn parse(text: &str) -> Option<Self> {
        let (uid, gid) = text.split_once(':')?;
        // The last one means nobody to the kernel.
        let id = |text: &str| text.parse().ok().filter(|id| *id != u32::MAX);
        Some(Self { uid: id(uid)?, gid: id(gid)? })
    }
}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.uid, self.gid)
    }
}

/// What it is told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whom it becomes, and what it runs.
    pub user: Option<User>,
    /// By this file the program asks for routes.
    pub pod_routes: Option<PathBuf>,
    /// Where it and what it runs print.
    pub log_file: Option<PathBuf>,
    /// What it runs, with its arguments; nothing: it keeps the routes, and runs nothing.
    pub program: Vec<OsString>,
}

impl Options {
    /// Reads them; `None` is what makes no sense.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let (mut options, mut arguments) = (Self::default(), arguments);
        while let Some(argument) = arguments.next() {
            let value = |name: &str| argument.as_bytes().strip_prefix(name.as_bytes()).map(OsStr::from_bytes);
            if argument == "--" {
                options.program = arguments.by_ref().collect();
                if options.program.is_empty() {
                    return None;
                }
            } else if let Some(user) = value("--user=") {
                options.user = Some(User::parse(user.to_str()?)?);
            } else if let Some(file) = value("--pod-routes=") {
                options.pod_routes = Some(file.into());
            } else if let Some(file) = value("--log-file=") {
                options.log_file = Some(file.into());
            } else {
                return None;
            }
        }
        // Whoever may make routes is to be nobody who runs programs.
        let complete = if options.pod_routes.is_some() { options.user.is_some() } else { !options.program.is_empty() };
        complete.then_some(options)
    }

    /// Those of the process that keeps the routes for this one.
    pub fn of_keeper(&self) -> Vec<OsString> {
        let flag = |name: &str, value: &OsStr| {
            let mut flag = OsString::from(name);
            flag.push(value);
            flag
        };
        let user = self.user.map(|user| flag("--user=", user.to_string().as_ref()));
        let routes = self.pod_routes.as_ref().map(|file| flag("--pod-routes=", file.as_os_str()));
        let log = self.log_file.as_ref().map(|file| flag("--log-file=", file.as_os_str()));
        [user, routes, log].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Option<Options> {
        Options::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn a_user_is_two_numbers() {
        assert_eq!(User::parse("1000:100").unwrap().to_string(), "1000:100");
        for text in ["", "1", "1:", ":1", "1:2:3", "root:root", "-1:0", "4294967295:0", "0:4294967295", " 1:1"] {
            assert_eq!(User::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_told_is_read_and_handed_on_to_the_keeper() {
        let all = parse(&["--user=1:2", "--pod-routes=/r", "--log-file=/l", "--", "/p", "--user=3:4"]).unwrap();
        let wanted = Options {
            user: User::parse("1:2"),
            pod_routes: Some("/r".into()),
            log_file: Some("/l".into()),
            program: vec!["/p".into(), "--user=3:4".into()],
        };
        assert_eq!(all, wanted);
        let keeper = Options::parse(all.of_keeper().into_iter()).unwrap();
        assert_eq!(keeper, Options { program: Vec::new(), ..wanted });
        assert_eq!(parse(&["--", "/p"]).unwrap().program, ["/p"]);
    }

    #[test]
    fn what_makes_no_sense_is_not_read() {
        let table: [&[&str]; 8] = [
            &[],
            &["--"],
            &["/p"],
            &["--user=1:2"],
            &["--user=root", "--", "/p"],
            &["--pod-routes=/r", "--", "/p"],
            &["--pod-routes=/r"],
            &["--else=1", "--", "/p"],
        ];
        for arguments in table {
            assert_eq!(parse(arguments), None, "{arguments:?}");
        }
    }
}
