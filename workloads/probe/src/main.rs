//! Does what its arguments say, one command after the other, and ends with exit code 0 when none is left.
//!
//! ```text
//! print TEXT            TEXT on standard output               error TEXT            the same on standard error
//! args                  every argument, one a line, the program's name first
//! env NAME              NAME=value, or "NAME is not set"      env-all               every variable, sorted by name
//! cat FILE              a file's content, ended by a line end
//! ls DIR                the names in a folder, sorted, without hidden ones; those of folders end with a slash
//! write FILE TEXT       a file of TEXT and a line end         append FILE TEXT      a line more in a file
//! fill FILE MIB         a file of so many mebibytes
//! litter DIR N          N empty files                         nest DIR N            N folders, each in the one before
//! open FILE N           makes a file, opens it N times, and keeps it open until the program ends
//! watch FILE MS         the content, and again whenever it has changed: looked at every MS milliseconds, without end
//! attempt FILE N        counts up the number in FILE (none is 0) and prints it; below N it ends with exit code 1
//! sleep MS              nothing, for MS milliseconds          loop                  computes without end
//! ticks MS N            "tick 1" to "tick N", one every MS milliseconds; an N of 0 is without end
//! lines N BYTES         N numbered lines of BYTES bytes each, the line end included: "00000001 xxx…"
//! both N                N lines, in turn on standard output ("out 1", "out 3" …) and standard error ("err 2" …)
//! alloc MIB             takes and touches so many mebibytes of memory, and keeps them
//! random                16 hexadecimal digits                 clock                 milliseconds since 1970
//! stdin                 "stdin: N bytes": all of standard input is read
//! connect HOST PORT     "connected", or "not connected: " and why
//! listen PORT           answers TCP at that port of any address, without end: what a client says, line by line, in capitals
//! get URL               "200 BODY": an HTTP request; or "no answer: " and why
//! get-both URL URL      the same for two: the second is sent while the first is under way
//! recurse               calls itself until it is ended        trap                  ends by a trap
//! exit CODE             ends with CODE
//! ```
//!
//! What cannot be done (a file that is not there or must not be written) is said on standard error, as `probe: ` and the
//! command, and ends the program with exit code 74. A command that is not known or lacks an argument ends it with 64.
//!
//! Built for `wasm32-wasip1` it is a WASI preview 1 module, for `wasm32-wasip2` a WASI 0.2 component; for the host it is an
//! ordinary program for a container, in which a kubelet runs it. That has no `get`, but
//!
//! ```text
//! serve PORT            answers HTTP requests without end, as workloads/hello-http does
//! ```

mod files;
#[cfg(target_os = "wasi")]
mod http;
#[cfg(not(target_os = "wasi"))]
mod serve;

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::{BuildHasher, Hasher};
use std::hint::{black_box, spin_loop};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{abort, exit};
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Exit code of a command line that cannot be understood (`EX_USAGE`).
const USAGE: i32 = 64;
/// Exit code of an operation that the host refused (`EX_IOERR`).
const REFUSED: i32 = 74;

fn main() {
    let mut words = Words(env::args().skip(1).collect::<Vec<_>>().into_iter());
    let mut held = Vec::new();
    while let Some(command) = words.0.next() {
        if let Err(error) = run(&command, &mut words, &mut held) {
            eprintln!("probe: {command}: {error}");
            exit(REFUSED);
        }
    }
    black_box(held);
}

/// One command. `held` is memory that stays taken.
fn run(command: &str, words: &mut Words, held: &mut Vec<Vec<u8>>) -> io::Result<()> {
    match command {
        "print" => println!("{}", words.text(command)),
        "error" => eprintln!("{}", words.text(command)),
        "args" => env::args().for_each(|arg| println!("{arg}")),
        "env" => {
            let name = words.text(command);
            match env::var(&name) {
                Ok(value) => println!("{name}={value}"),
                Err(_) => println!("{name} is not set"),
            }
        }
        "env-all" => {
            let mut all: Vec<_> = env::vars().collect();
            all.sort();
            all.iter().for_each(|(name, value)| println!("{name}={value}"));
        }
        "cat" => files::cat(&words.text(command))?,
        "ls" => files::ls(&words.text(command))?,
        "write" => files::write(&words.text(command), &words.text(command))?,
        "append" => files::append(&words.text(command), &words.text(command))?,
        "fill" => files::fill(&words.text(command), words.number(command))?,
        "litter" => files::litter(&words.text(command), words.number(command))?,
        "nest" => files::nest(words.text(command), words.number(command))?,
        "open" => files::open(&words.text(command), words.number(command))?,
        "watch" => files::watch(&words.text(command), words.milliseconds(command))?,
        "attempt" => files::attempt(&words.text(command), words.number(command))?,
        "sleep" => sleep(words.milliseconds(command)),
        "loop" => loop {
            spin_loop();
        },
        "ticks" => ticks(words.milliseconds(command), words.number(command)),
        "lines" => lines(words.number(command), words.number(command))?,
        "both" => both(words.number(command)),
        "alloc" => {
            for _ in 0..words.number::<usize>(command) {
                held.push(black_box(vec![1; 1 << 20]));
            }
        }
        // The keys of a hash table are what the standard library takes from the host's source of random numbers.
        "random" => println!("{:016x}", RandomState::new().build_hasher().finish()),
        "clock" => println!("{}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()),
        "stdin" => {
            let mut input = Vec::new();
            io::stdin().read_to_end(&mut input)?;
            println!("stdin: {} bytes", input.len());
        }
        "connect" => match TcpStream::connect((words.text(command), words.number(command))) {
            Ok(_) => println!("connected"),
            Err(error) => println!("not connected: {error}"),
        },
        "listen" => listen(words.number(command))?,
        #[cfg(target_os = "wasi")]
        "get" => println!("{}", http::told(http::get(&words.text(command)))),
        #[cfg(target_os = "wasi")]
        "get-both" => {
            let urls = (words.text(command), words.text(command));
            for answer in http::both(&urls.0, &urls.1) {
                println!("{}", http::told(answer));
            }
        }
        #[cfg(not(target_os = "wasi"))]
        "serve" => serve::serve(words.number(command))?,
        "recurse" => {
            black_box(recurse(0));
        }
        "trap" => abort(),
        "exit" => exit(words.number(command)),
        _ => misused(&format!("there is no command {command:?}")),
    }
    Ok(())
}

/// One client after the other.
fn listen(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    println!("listening at {}", listener.local_addr()?);
    for client in listener.incoming() {
        let client = client?;
        for line in BufReader::new(&client).lines() {
            // A client may go whenever it likes.
            let Ok(line) = line else { break };
            if writeln!(&client, "{}", line.to_uppercase()).is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// The arguments that no command has taken yet.
struct Words(std::vec::IntoIter<String>);

impl Words {
    fn text(&mut self, command: &str) -> String {
        self.0.next().unwrap_or_else(|| misused(&format!("{command} lacks an argument")))
    }

    fn number<T: FromStr>(&mut self, command: &str) -> T {
        let word = self.text(command);
        word.parse().unwrap_or_else(|_| misused(&format!("{command} takes a number, not {word:?}")))
    }

    fn milliseconds(&mut self, command: &str) -> Duration {
        Duration::from_millis(self.number(command))
    }
}

fn misused(what: &str) -> ! {
    eprintln!("probe: {what}");
    exit(USAGE)
}

fn ticks(interval: Duration, count: u64) {
    let mut tick = 0;
    while count == 0 || tick < count {
        tick += 1;
        println!("tick {tick}");
        if tick != count {
            sleep(interval);
        }
    }
}

fn lines(count: u64, bytes: usize) -> io::Result<()> {
    let padding = "x".repeat(bytes.saturating_sub("00000001 \n".len()));
    let mut out = io::stdout().lock();
    for line in 1..=count {
        writeln!(out, "{line:08} {padding}")?;
    }
    Ok(())
}

fn both(count: u64) {
    for line in 1..=count {
        match line % 2 {
            1 => println!("out {line}"),
            _ => eprintln!("err {line}"),
        }
    }
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    recurse(black_box(depth + 1)).wrapping_add(frame[black_box(0)])
}
