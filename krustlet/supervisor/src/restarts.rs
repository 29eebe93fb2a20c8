//! What follows from a program's end.

use std::fmt;
use std::time::Duration;

/// A program that has run for so long has come to work once: from then on its end is a fault, not an answer to its arguments.
const STEADY: Duration = Duration::from_secs(10);
/// One that has run for so long is not the one that fails again and again.
const HEALTHY: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Of one that is killed, however often: it is back within five seconds.
const LONGEST_PAUSE: Duration = Duration::from_millis(3200);
/// Of one that gives up by itself each time: its log tells why, and is not to be full of it.
const LONGEST_PAUSE_OF_FAILURES: Duration = Duration::from_millis(51_200);
/// With this exit code a program says that it has nothing more to do here, ever.
const OVER: u8 = 3;

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// With an exit code.
    Exited(u8),
    /// By a signal.
    Signalled(i32),
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(formatter, "ended with exit code {code}"),
            Self::Signalled(signal) => write!(formatter, "was ended by signal {signal}"),
        }
    }
}

/// What is done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The supervisor ends too, with that code.
    Exit(u8),
    /// The program is started again after a pause.
    Again(Duration),
}

/// What is remembered from one end to the next.
#[derive(Debug, Default)]
pub struct Restarts {
    came_to_work: bool,
    last_pause: Option<Duration>,
}

impl Restarts {
    /// What follows when the program has ended after it `ran` for so long.
    pub fn after(&mut self, ran: Duration, end: &End) -> Next {
        self.came_to_work |= ran >= STEADY;
        let longest = match end {
            End::Exited(OVER) => return Next::Exit(OVER),
            // It cannot do what it was told: whoever started it is to hear that, and its log says why.
            End::Exited(code) if !self.came_to_work => return Next::Exit(*code),
            End::Exited(_) => LONGEST_PAUSE_OF_FAILURES,
            End::Signalled(_) => LONGEST_PAUSE,
        };
        let pause = match self.last_pause {
            Some(last) if ran < HEALTHY => (last * 2).min(longest),
            _ => FIRST_PAUSE,
        };
        self.last_pause = Some(pause);
        Next::Again(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(ends: &[(u64, End)]) -> Vec<Next> {
        let mut restarts = Restarts::default();
        ends.iter().map(|(ran, end)| restarts.after(Duration::from_secs(*ran), end)).collect()
    }

    fn again(milliseconds: u64) -> Next {
        Next::Again(Duration::from_millis(milliseconds))
    }

    #[test]
    fn one_that_cannot_do_what_it_was_told_ends_the_supervisor() {
        assert_eq!(pauses(&[(0, End::Exited(1))]), [Next::Exit(1)]);
        assert_eq!(pauses(&[(9, End::Exited(0))]), [Next::Exit(0)]);
    }

    #[test]
    fn one_that_was_killed_comes_back_at_any_time() {
        assert_eq!(pauses(&[(0, End::Signalled(9))]), [again(100)]);
    }

    #[test]
    fn one_that_came_to_work_comes_back_however_it_ends() {
        assert_eq!(pauses(&[(10, End::Exited(1)), (0, End::Exited(1))]), [again(100), again(200)]);
        assert_eq!(pauses(&[(11, End::Exited(0))]), [again(100)]);
    }

    #[test]
    fn one_that_fails_again_and_again_waits_longer_and_is_back_within_five_seconds() {
        let ends: Vec<_> = (0..8).map(|_| (20, End::Signalled(6))).collect();
        assert_eq!(
            pauses(&ends),
            [again(100), again(200), again(400), again(800), again(1600), again(3200), again(3200), again(3200)]
        );
    }

    #[test]
    fn one_that_gives_up_again_and_again_is_left_alone_for_longer() {
        let ends: Vec<_> = (0..12).map(|_| (20, End::Exited(1))).collect();
        let last = pauses(&ends).split_off(8);
        assert_eq!(last, [again(25_600), again(51_200), again(51_200), again(51_200)]);
    }

    #[test]
    fn one_that_has_nothing_more_to_do_is_not_started_again() {
        assert_eq!(pauses(&[(600, End::Exited(3))]), [Next::Exit(3)]);
        assert_eq!(pauses(&[(600, End::Signalled(9)), (600, End::Exited(3))]), [again(100), Next::Exit(3)]);
    }

    #[test]
    fn one_that_was_healthy_comes_back_at_once() {
        assert_eq!(
            pauses(&[(20, End::Signalled(6)), (20, End::Signalled(6)), (60, End::Signalled(6))]),
            [again(100), again(200), again(100)]
        );
    }

    #[test]
    fn an_end_is_told() {
        assert_eq!(End::Exited(3).to_string(), "ended with exit code 3");
        assert_eq!(End::Signalled(9).to_string(), "was ended by signal 9");
    }
}
