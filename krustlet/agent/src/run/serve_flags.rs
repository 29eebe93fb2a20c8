//! The command line of `krustlet-wasi serve`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use krustlet_runtime::ServerLimits;

use super::flags::{Given, bytes};
use crate::traces::TraceFlags;

const EXAMPLES: &str = "\
The program is a component that exports wasi:http/incoming-handler of WASI 0.2 (the world wasi:http/proxy), or wasi:http/handler of 0.3
(wasi:http/service). Each request has an instance of its own, by 0.3 a share of one, which gets what is named here, and nothing else of
this machine.

Examples:
  krustlet-wasi serve hello-http.wasm
  krustlet-wasi serve --addr 127.0.0.1:9000 -e GREETING=Hi hello-http.wasm
  krustlet-wasi serve --addr 127.0.0.1:0 ghcr.io/you/hello-http:v1

Ctrl-C and SIGTERM end it gracefully: it takes no connection any more, and requests under way have --grace-period-seconds to end. A
second one ends it at once.

Exit code: 0 when all requests have ended; 130 after Ctrl-C and 143 after SIGTERM when some had to be ended; 128 when it could not
be started; 2 for a bad command line.";

/// Answer HTTP requests on this machine with a program, as a Wasm node runs it: without a cluster, a node or root
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, next_line_help = true)]
pub struct ServeFlags {
    #[command(flatten)]
    pub(super) given: Given,

    /// Where to listen, in plain HTTP/1.1 and HTTP/2; port 0 is one that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(super) addr: SocketAddr,

    /// How long requests under way may take to end after Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds())]
    grace_period_seconds: u64,

    /// Say each request on standard error, once it has ended
    #[arg(long)]
    pub(super) access_log: bool,

    #[command(flatten)]
    pub(super) traces: TraceFlags,

    #[command(flatten)]
    limits: Limits,
}

/// What clients may take. The defaults are those of [`ServerLimits`], which a test keeps so.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits for its clients")]
struct Limits {
    /// Connections that are open at once; one more is closed
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = number())]
    max_connections: u64,

    /// Requests that are answered at once; one more gets 503
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = number())]
    max_requests: u64,

    /// Headers of a request; more gets 431
    #[arg(long, value_name = "QUANTITY", default_value = "32Ki", value_parser = bytes)]
    max_header_size: u64,

    /// Body of a request; more gets 413
    #[arg(long, value_name = "QUANTITY", default_value = "64Mi", value_parser = bytes)]
    max_body_size: u64,

    /// How long the headers of a request may take to come
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = seconds())]
    header_timeout_seconds: u64,

    /// How long a connection may be open without a request
    #[arg(long, value_name = "SECONDS", default_value_t = 75, value_parser = seconds())]
    idle_timeout_seconds: u64,

    /// How long a client may keep a body waiting, its own (408) or the response's
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds())]
    body_timeout_seconds: u64,

    /// How long a request may take; more gets 504, or the end of its response
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = seconds())]
    request_timeout_seconds: u64,
}

impl ServeFlags {
    pub(super) fn grace_period(&self) -> Duration {
        Duration::from_secs(self.grace_period_seconds)
    }

    pub(super) fn limits(&self) -> ServerLimits {
        let limits = &self.limits;
        let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
        ServerLimits {
            max_connections: size(limits.max_connections),
            max_concurrent_requests: size(limits.max_requests),
            max_header_bytes: size(limits.max_header_size),
            max_body_bytes: limits.max_body_size,
            header_timeout: Duration::from_secs(limits.header_timeout_seconds),
            idle_timeout: Duration::from_secs(limits.idle_timeout_seconds),
            body_timeout: Duration::from_secs(limits.body_timeout_seconds),
            request_timeout: Duration::from_secs(limits.request_timeout_seconds),
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address and a port are wanted, for example 127.0.0.1:8080 or [::1]:8080".into())
}

fn number() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..=100_000)
}

/// A day at most: what takes longer is no request.
fn seconds() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..=86_400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        flags: ServeFlags,
    }

    fn parse(argv: &[&str]) -> Result<ServeFlags, String> {
        let argv = std::iter::once(&"serve").chain(argv);
        Cli::try_parse_from(argv).map(|cli| cli.flags).map_err(|error| error.to_string())
    }

    #[test]
    fn without_flags_it_listens_on_this_machine_alone_with_the_runtimes_limits() {
        let flags = parse(&["hello.wasm"]).unwrap();
        assert_eq!((flags.given.program.as_str(), flags.addr.to_string().as_str()), ("hello.wasm", "127.0.0.1:8080"));
        assert_eq!(flags.limits(), ServerLimits::default());
        assert_eq!((flags.grace_period(), flags.traces.read()), (Duration::from_secs(30), Ok(None)));
    }

    #[test]
    fn every_flag_arrives() {
        let flags = parse(&[
            "--addr=[::1]:0",
            "--grace-period-seconds=1",
            "--access-log",
            "--max-connections=2",
            "--max-requests=3",
            "--max-header-size=4Ki",
            "--max-body-size=5Ki",
            "--header-timeout-seconds=6",
            "--idle-timeout-seconds=7",
            "--body-timeout-seconds=8",
            "--request-timeout-seconds=9",
            "--otlp-endpoint=http://localhost:4318",
            "--otlp-sampling-ratio=0.5",
            "-e=A=B",
            "a.wasm",
        ])
        .unwrap();
        let expected = ServerLimits {
            max_connections: 2,
            max_concurrent_requests: 3,
            max_header_bytes: 4096,
            max_body_bytes: 5120,
            header_timeout: Duration::from_secs(6),
            idle_timeout: Duration::from_secs(7),
            body_timeout: Duration::from_secs(8),
            request_timeout: Duration::from_secs(9),
        };
        assert_eq!(flags.limits(), expected);
        assert_eq!((flags.addr.to_string().as_str(), flags.grace_period()), ("[::1]:0", Duration::from_secs(1)));
        assert!(flags.access_log && flags.traces.read().unwrap().is_some());
        assert_eq!(flags.given.env.len(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_do() {
        let table = [
            (&[][..], "<FILE|REF>"),
            (&["--addr=8080", "a.wasm"], "for example 127.0.0.1:8080"),
            (&["--addr=localhost:8080", "a.wasm"], "for example 127.0.0.1:8080"),
            (&["--max-requests=0", "a.wasm"], "0 is not in 1..=100000"),
            (&["--request-timeout-seconds=0", "a.wasm"], "0 is not in 1..=86400"),
            (&["--max-body-size=much", "a.wasm"], "for example 64Mi"),
            (&["a.wasm", "--", "argument"], "unexpected argument"),
        ];
        for (argv, wanted) in table {
            let message = parse(argv).unwrap_err();
            assert!(message.contains(wanted), "{argv:?}: {message}");
        }
    }
}
