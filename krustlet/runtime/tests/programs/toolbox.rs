//! A guest of the tests: does what its arguments say and prints what came of it. Built by `rustc` alone.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(text) => println!("{text}"),
        Err(error) => {
            println!("error: {}", error.kind());
            std::process::exit(1);
        }
    }
}

fn run(args: &[&str]) -> io::Result<String> {
    let done = |result: io::Result<()>| result.map(|()| "done".to_owned());
    match args {
        ["read", path] => fs::read_to_string(path),
        ["write", path, text] => done(fs::write(path, text)),
        ["append", path, text] => done(OpenOptions::new().append(true).open(path)?.write_all(text.as_bytes())),
        ["list", path] => {
            let names: io::Result<Vec<_>> =
                fs::read_dir(path)?.map(|item| Ok(item?.file_name().into_string().unwrap())).collect();
            let mut names = names?;
            names.sort();
            Ok(names.join(" "))
        }
        ["mkdir", path] => done(fs::create_dir(path)),
        ["rmdir", path] => done(fs::remove_dir(path)),
        ["remove", path] => done(fs::remove_file(path)),
        ["rename", from, to] => done(fs::rename(from, to)),
        ["link", from, to] => done(fs::hard_link(from, to)),
        // On a file that was opened for reading alone, so that opening it is not what fails.
        ["truncate", path] => done(File::open(path)?.set_len(0)),
        ["touch", path] => done(File::open(path)?.set_times(FileTimes::new().set_modified(UNIX_EPOCH))),
        ["watch", path, last] => watch(path, last),
        ["open-many", path, count] => {
            let files: io::Result<Vec<File>> = (0..count.parse().unwrap()).map(|_| File::open(path)).collect();
            files.map(|files| format!("{} files", files.len()))
        }
        ["greet-and-stay"] => {
            println!("Hello, World!");
            sleep(Duration::from_secs(3600));
            Ok("done".into())
        }
        ["env", name] => Ok(std::env::var(name).unwrap_or_else(|_| "unset".into())),
        ["stdin"] => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| format!("{text:?}"))
        }
        ["random"] => Ok(RandomState::new().build_hasher().finish().to_string()),
        ["clocks"] => {
            let start = Instant::now();
            sleep(Duration::from_millis(20));
            let slept = start.elapsed();
            assert!(slept >= Duration::from_millis(20) && slept < Duration::from_secs(10), "{slept:?}");
            Ok(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string())
        }
        ["allocate", megabytes] => {
            let mut blocks = Vec::new();
            for done in 1..=megabytes.parse::<usize>().unwrap() {
                blocks.push(vec![1_u8; 1 << 20]);
                println!("{done}");
            }
            sleep(Duration::from_secs(3600));
            Ok(format!("{}", blocks.len()))
        }
        ["recurse"] => Ok(recurse(1).to_string()),
        ["recurse-with-output"] => Ok(recurse_with_output(1).to_string()),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Prints what the file holds whenever it has changed, until it holds `last`.
fn watch(path: &str, last: &str) -> io::Result<String> {
    let mut before = String::new();
    loop {
        let now = fs::read_to_string(path)?;
        if now != before {
            println!("{now}");
            before = now;
        }
        if before == last {
            return Ok("seen".into());
        }
        sleep(Duration::from_millis(5));
    }
}

/// Never returns by itself, and is no loop to the compiler.
fn recurse(depth: u64) -> u64 {
    if std::hint::black_box(depth) == 0 { 0 } else { recurse(depth + 1) + std::hint::black_box(1) }
}

/// Calls the host at each depth, so that the host's own functions run at the end of the stack too.
fn recurse_with_output(depth: u64) -> u64 {
    let _ = fs::metadata(".");
    io::stderr().write_all(b".").unwrap();
    if std::hint::black_box(depth) == 0 { 0 } else { recurse_with_output(depth + 1) + std::hint::black_box(1) }
}
