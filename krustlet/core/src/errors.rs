//! Errors, as people read them.

use std::error::Error;
use std::iter::successors;

/// An error and all that is behind it, in one line: what was to be done first, what was the matter last.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let all: Vec<String> = successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    all.join(": ")
}
