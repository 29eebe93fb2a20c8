//! The command line of `krustlet-wasi run`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use krustlet_core::quantity;
use krustlet_pods::most_requests;
use krustlet_pods::origins;
use krustlet_runtime::{DEFAULT_MAX_CONCURRENT_REQUESTS, Mount};

const EXAMPLES: &str = "\
The program gets what is named here, and nothing else of this machine: no file, no variable, no network. Its standard input is
empty. It runs until it ends, or until Ctrl-C.

Examples:
  krustlet-wasi run hello-world.wasm
  krustlet-wasi run -a https://catfact.ninja -e RUST_LOG=info cat-facts.wasm
  krustlet-wasi run --dir ./data::/data --dir ./conf::/etc/conf:ro ghcr.io/you/report:v1 -- --year 2026
  krustlet-wasi run --listen 127.0.0.1:7000 echo.wasm
  krustlet-wasi run --plain-http localhost:5001 localhost:5001/demo/hello-world:v1

Exit code: the program's own; 134 after a trap, 137 when it ran out of memory, 130 after Ctrl-C, 128 when it could not be
started, 2 for a bad command line.";

/// Run a program on this machine as a Wasm node runs it: without a cluster, a node or root
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, next_line_help = true)]
pub struct Flags {
    #[command(flatten)]
    pub(super) given: Given,

    /// An address and port of this machine where the program may listen by TCP sockets of its own; it may name any address (0.0.0.0, ::) with that port; may be repeated
    /// [default: none]
    #[arg(short = 'l', long, value_name = "ADDRESS:PORT", value_parser = place)]
    pub(super) listen: Vec<SocketAddr>,

    /// The program's arguments, after its name
    #[arg(last = true, value_name = "ARGS")]
    pub(super) args: Vec<String>,
}

/// A program, and what it is given.
#[derive(Args, Clone, Debug)]
pub(super) struct Given {
    /// The program: a .wasm file, or where there is none of that name, a reference of a registry
    /// (registry/repository:tag or registry/repository@sha256:…), whose module is pulled, verified, and not kept
    #[arg(value_name = "FILE|REF")]
    pub(super) program: String,

    /// An origin that the program may send HTTP requests to (https://catfact.ninja, http://localhost:8080), or tcp://host:port and udp://host:port for sockets; may be repeated
    /// [default: none, and every request is refused]
    #[arg(short = 'a', long, value_name = "ORIGIN", value_parser = origin)]
    pub(super) allowed_origin: Vec<origins::Read>,

    /// How many HTTP requests of its own it may have under way at once, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_CONCURRENT_REQUESTS, value_parser = most_requests)]
    pub(super) max_concurrent_requests: NonZeroUsize,

    /// A variable of its environment; NAME alone takes the value that it has here; may be repeated [default: none]
    #[arg(short = 'e', long, value_name = "NAME[=VALUE]", value_parser = variable)]
    pub(super) env: Vec<Variable>,

    /// A folder of this machine and where the program finds it, an absolute path; with :ro it cannot change it; may be repeated
    /// [default: no files]
    #[arg(long, value_name = "HOST::GUEST[:ro]", value_parser = mount)]
    pub(super) dir: Vec<Mount>,

    /// The most linear memory that it may have, as a quantity of Kubernetes: 64Mi, 1G [default: 4Gi]
    #[arg(long, value_name = "QUANTITY", value_parser = bytes)]
    pub(super) memory_limit: Option<u64>,

    /// A registry that is spoken to in plain HTTP, as REF names it (localhost:5001); may be repeated
    #[arg(long, value_name = "REGISTRY", value_parser = registry)]
    pub(super) plain_http: Vec<String>,

    /// Certificate authorities (PEM) that are trusted besides this machine's own, for registries and for HTTP requests
    #[arg(long, value_name = "FILE", env = "KRUSTLET_TRUSTED_CA_FILE")]
    pub(super) trusted_ca_file: Option<PathBuf>,
}

/// A variable as it is given: with its value, or to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    name: String,
    value: Option<String>,
}

impl Variable {
    /// Name and value; one without a value has the one that `look_up` knows.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn resolve(&self, look_up: impl Fn(&str) -> Option<String>) -> Result<(String, String), String> {
        let value = self.value.clone().or_else(|| look_up(&self.name));
        value.map(|value| (self.name.clone(), value)).ok_or_else(|| {
            let name = &self.name;
            format!(
                "--env {name}: {name} is not set here, or is not UTF-8; set it, or give a value with --env {name}=VALUE"
            )
        })
    }
}

fn origin(text: &str) -> Result<origins::Read, String> {
    origins::read(text).map_err(|error| error.to_string())
}

fn place(text: &str) -> Result<SocketAddr, String> {
    let place = text.parse().ok().filter(|place: &SocketAddr| place.port() > 0);
    place.ok_or_else(|| "an IP address and a port are wanted, for example 127.0.0.1:7000 or [::1]:7000".into())
}

/// The text is not repeated in an error, as it may hold a secret.
fn variable(text: &str) -> Result<Variable, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("a name must stand before the =".into());
    }
    Ok(Variable { name: name.into(), value })
}

fn mount(text: &str) -> Result<Mount, String> {
    let Some((host, guest)) = text.split_once("::") else {
        return Err("HOST::GUEST is wanted, for example ./data::/data, or ./data::/data:ro".into());
    };
    let (guest, read_only) = match guest.strip_suffix(":ro") {
        Some(guest) => (guest, true),
        None => (guest, false),
    };
    if !guest.starts_with('/') {
        return Err(format!("the program's path {guest:?} must be absolute, for example /data"));
    }
    if !Path::new(host).is_dir() {
        return Err(format!("{host:?} is no folder of this machine"));
    }
    Ok(Mount { host: host.into(), guest: guest.into(), read_only })
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    quantity::bytes(text)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "a quantity of bytes is wanted, for example 64Mi or 1G".into())
}

fn registry(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('/') || text.contains(char::is_whitespace) {
        return Err("host or host:port is wanted, without scheme and path, for example localhost:5001".into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        flags: Flags,
    }

    fn parse(argv: &[&str]) -> Result<Flags, String> {
        let argv = std::iter::once(&"run").chain(argv);
        Cli::try_parse_from(argv).map(|cli| cli.flags).map_err(|error| error.to_string())
    }

    #[test]
    fn a_program_alone_gets_nothing() {
        let Flags { given: flags, listen, args } = parse(&["hello.wasm"]).unwrap();
        assert_eq!(flags.program, "hello.wasm");
        assert!(flags.allowed_origin.is_empty() && flags.env.is_empty() && flags.dir.is_empty() && args.is_empty());
        assert_eq!((flags.memory_limit, flags.max_concurrent_requests), (None, DEFAULT_MAX_CONCURRENT_REQUESTS));
        assert!(flags.plain_http.is_empty() && listen.is_empty());
    }

    #[test]
    fn every_flag_arrives() {
        let Flags { given: flags, listen, args } = parse(&[
            "-a=https://a.example",
            "--allowed-origin",
            "http://localhost:8080/x",
            "--max-concurrent-requests=2",
            "-e=A=1=2",
            "--env=B=",
            "--env",
            "C",
            "--dir=.::/here",
            "--dir=/::/all:ro",
            "--memory-limit=64Mi",
            "--plain-http=localhost:5001",
            "-l=127.0.0.1:7000",
            "--listen=[::1]:7000",
            "--trusted-ca-file=/ca.pem",
            "localhost:5001/demo/hello:v1",
            "--",
            "-a",
            "--dir",
            "x",
        ])
        .unwrap();
        let origins: Vec<_> =
            flags.allowed_origin.iter().map(|(origin, note)| (origin.to_string(), note.is_some())).collect();
        assert_eq!(origins, [("https://a.example".into(), false), ("http://localhost:8080".into(), true)]);
        assert_eq!(flags.max_concurrent_requests.get(), 2);
        let env: Vec<_> =
            flags.env.iter().map(|variable| variable.resolve(|name| Some(format!("its {name}"))).unwrap()).collect();
        let wanted = [("A", "1=2"), ("B", ""), ("C", "its C")];
        assert_eq!(env, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mount = |host: &str, guest: &str, read_only| Mount { host: host.into(), guest: guest.into(), read_only };
        assert_eq!(flags.dir, [mount(".", "/here", false), mount("/", "/all", true)]);
        assert_eq!(flags.memory_limit, Some(64 << 20));
        assert_eq!(flags.plain_http, ["localhost:5001"]);
        assert_eq!(flags.trusted_ca_file, Some("/ca.pem".into()));
        assert_eq!(flags.program, "localhost:5001/demo/hello:v1");
        assert_eq!(listen, ["127.0.0.1:7000".parse().unwrap(), "[::1]:7000".parse().unwrap()]);
        assert_eq!(args, ["-a", "--dir", "x"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_do() {
        let table = [
            (&[][..], "<FILE|REF>"),
            (&["a.wasm", "b"], "unexpected argument 'b'"),
            (&["-a", "catfact.ninja", "a.wasm"], "give scheme://host"),
            (&["--max-concurrent-requests=0", "a.wasm"], "no whole number from 1 to 1000"),
            (&["-e", "=1", "a.wasm"], "a name must stand before the ="),
            (&["--dir=/tmp", "a.wasm"], "HOST::GUEST is wanted"),
            (&["--dir=/tmp::data", "a.wasm"], "must be absolute"),
            (&["--dir=/no/such/folder::/data", "a.wasm"], "\"/no/such/folder\" is no folder of this machine"),
            (&["--dir=/etc/passwd::/data", "a.wasm"], "is no folder"),
            (&["--memory-limit=much", "a.wasm"], "for example 64Mi"),
            (&["--memory-limit=0", "a.wasm"], "for example 64Mi"),
            (&["--plain-http=http://x", "a.wasm"], "host or host:port"),
            (&["--listen=7000", "a.wasm"], "for example 127.0.0.1:7000"),
            (&["--listen=127.0.0.1:0", "a.wasm"], "for example 127.0.0.1:7000"),
        ];
        for (argv, wanted) in table {
            let message = parse(argv).unwrap_err();
            assert!(message.contains(wanted), "{argv:?}: {message}");
        }
    }

    #[test]
    fn a_variable_that_is_not_set_here_is_named() {
        let fault = variable("NONE").unwrap().resolve(|_| None).unwrap_err();
        assert!(fault.starts_with("--env NONE: NONE is not set here"), "{fault}");
    }
}
