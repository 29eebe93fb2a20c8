//! What the tests of `krustlet-wasi run` share: real programs, and the command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// workloads/probe as a module of WASI preview 1, and as a component of WASI 0.2.
pub static PROBES: LazyLock<[PathBuf; 2]> = LazyLock::new(|| ["wasm32-wasip1", "wasm32-wasip2"].map(probe));

pub fn module() -> &'static str {
    PROBES[0].to_str().unwrap()
}

/// workloads/hello-http, a component that answers HTTP requests.
pub static HELLO_HTTP: LazyLock<PathBuf> =
    LazyLock::new(|| workload("hello-http", "wasm32-wasip2").join("hello_http.wasm"));

fn probe(target: &str) -> PathBuf {
    workload("probe", target).join("probe.wasm")
}

/// Builds a workload: the folder of its release build.
fn workload(name: &str, target: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads").join(name);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--locked", "--target", target])
        .current_dir(source)
        .env("CARGO_TARGET_DIR", &folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo build of {name} failed; is the target there (rustup target add {target})?\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    folder.join(target).join("release")
}

/// `krustlet-wasi` with these arguments, in an environment that has nothing but a home of its own.
pub struct Cli {
    command: Command,
    pub home: tempfile::TempDir,
}

impl Cli {
    pub fn new<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_krustlet-wasi"));
        command.args(args).env_clear().env("HOME", home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, home }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end: exit code, standard output, standard error.
    pub fn end(mut self) -> (i32, String, String) {
        ended(self.command.output().unwrap())
    }

    /// Starts it, and waits for its first line on standard output.
    pub fn begin(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        let first = first_line(child.stdout.as_mut().unwrap());
        Running { child, first, _home: self.home }
    }

    /// Starts it, and waits for its first line on standard error: where it serves.
    pub fn begin_to_serve(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        let first = first_line(child.stderr.as_mut().unwrap());
        Running { child, first, _home: self.home }
    }
}

/// Byte by byte, so that the rest is still there for others.
fn first_line(stream: &mut impl Read) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while !line.ends_with(b"\n") && stream.read(&mut byte).unwrap() > 0 {
        line.extend(byte);
    }
    String::from_utf8(line).unwrap()
}

/// One that runs.
pub struct Running {
    child: Child,
    pub first: String,
    _home: tempfile::TempDir,
}

impl Running {
    /// Sends it a signal, and waits for its end: the exit code.
    pub fn signal(self, signal: rustix::process::Signal) -> i32 {
        self.send(signal);
        self.end().0
    }

    pub fn send(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: exit code, and what else it wrote.
    pub fn end(self) -> (i32, String, String) {
        ended(self.child.wait_with_output().unwrap())
    }
}

fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// A server that answers every request with 200 and `hello`.
pub struct Server {
    pub origin: String,
    asked: Arc<AtomicUsize>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { origin, asked }
    }

    /// How many requests came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
