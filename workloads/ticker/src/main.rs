//! Prints `tick 1`, `tick 2`, … at each interval, then ends with an exit code of your choice.
//!
//! Usage: `ticker [INTERVAL_MS [COUNT [EXIT_CODE]]]`; by default 1000, 0 (without end) and 0. Anything that is not a number
//! is an error on standard error and exit code 2.

use std::env::args;
use std::process::exit;
use std::thread::sleep;
use std::time::Duration;

fn main() {
    let interval = Duration::from_millis(number(1, "INTERVAL_MS", 1000));
    let count: u64 = number(2, "COUNT", 0);
    let code: i32 = number(3, "EXIT_CODE", 0);
    let mut tick: u64 = 0;
    while count == 0 || tick < count {
        tick += 1;
        println!("tick {tick}");
        if tick != count {
            sleep(interval);
        }
    }
    exit(code);
}

/// The argument at a position, or its default when there is none.
fn number<T: std::str::FromStr>(position: usize, name: &str, default: T) -> T {
    match args().nth(position) {
        None => default,
        Some(given) => given.parse().unwrap_or_else(|_| {
            eprintln!("ticker: {name} must be a whole number, not \"{given}\"; usage: ticker [INTERVAL_MS [COUNT [EXIT_CODE]]]");
            exit(2)
        }),
    }
}
