//! The cat-facts workload: asks a service for a fact about cats at each interval, and logs it.
//!
//! A program brings the request, since modules of WASI preview 1 and components of WASI 0.2 have different ways of making
//! one, and hands over to [`run`]. From the environment:
//!
//! | Variable                     | Meaning                                         | Default                      |
//! | ---------------------------- | ----------------------------------------------- | ---------------------------- |
//! | `CAT_FACTS_URL`              | where facts are had, `http://…` or `https://…`  | `https://catfact.ninja/fact` |
//! | `CAT_FACTS_INTERVAL_SECONDS` | pause between two facts, seconds, 1 to 86400    | 60                           |
//! | `RUST_LOG`                   | what is logged, as `env_logger` reads it        | `info`                       |
//!
//! The log goes to standard error. What goes wrong with a fact is logged as an error, and the next one is asked for when its
//! time comes. A variable that makes no sense ends the program at once, with exit code 1.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod fact;
mod settings;
mod url;

use std::process::ExitCode;
use std::thread::sleep;

pub use fact::{Answer, BODY_LIMIT_BYTES, Fault, read_limited};
pub use settings::Settings;
pub use url::Url;

/// What the log's lines are by: `RUST_LOG=cat_facts=error`.
const NAME: &str = "cat_facts";

/// Asks for facts without end. `get` sends a GET request to a URL and returns the answer, whatever its status; its error is for
/// people. Returns only when the environment makes no sense.
pub fn run<E: std::fmt::Display>(get: impl Fn(&Url) -> Result<Answer, E>) -> ExitCode {
    env_logger::Builder::new()
        // It tells of each request at the level of facts. Who wants that asks for it by this name.
        .filter_module("wasi_experimental_http", log::LevelFilter::Warn)
        .parse_env(env_logger::Env::default().default_filter_or("info"))
        .init();
    let settings = match Settings::read(|name| std::env::var_os(name)) {
        Ok(settings) => settings,
        Err(faults) => {
            faults.iter().for_each(|fault| log::error!(target: NAME, "{fault}"));
            return ExitCode::FAILURE;
        }
    };
    loop {
        match fact::of(get(&settings.url)) {
            Ok(fact) => log::info!(target: NAME, "Cat Fact: {fact}"),
            Err(fault) => log::error!(target: NAME, "no fact from {}: {fault}", settings.url),
        }
        sleep(settings.interval);
    }
}
