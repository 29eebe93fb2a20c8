use super::*;
use crate::lifecycle::policy::RestartPolicy;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn started() -> Event {
    Event::Started { at: Timestamp::UNIX_EPOCH, image_id: "i".into(), container_id: "c".into() }
}

fn ended(exit_code: i32, ran_seconds: i64) -> Event {
    Event::Exited(Termination {
        exit_code,
        reason: "x".into(),
        message: None,
        started_at: Some(Timestamp::UNIX_EPOCH),
        finished_at: Timestamp::from_second(ran_seconds).unwrap(),
        container_id: None,
    })
}

fn not_started(reason: Reason, message: &str) -> Event {
    Event::NotStarted(NotStarted::new(reason, message), Timestamp::UNIX_EPOCH)
}

fn begun(policy: RestartPolicy) -> (Machine, Instant) {
    let (mut machine, now) = (Machine::new(policy), Instant::now());
    assert_eq!(machine.on(Event::Begin, now), Action::Prepare);
    (machine, now)
}

fn running(policy: RestartPolicy) -> (Machine, Instant) {
    let (mut machine, now) = begun(policy);
    assert_eq!(machine.on(started(), now), Action::None);
    (machine, now)
}

fn reason(machine: &Machine) -> &'static str {
    match &machine.state {
        State::Waiting(waiting) => waiting.cause.reason(),
        other => panic!("not waiting: {other:?}"),
    }
}

#[test]
fn a_job_runs_once() {
    let (mut machine, now) = running(RestartPolicy::Never);
    assert!(matches!(machine.state, State::Running { .. }));
    assert_eq!(machine.on(ended(3, 1), now), Action::None);
    assert!(machine.ended());
    assert_eq!(machine.last.as_ref().unwrap().exit_code, 3);
    assert_eq!((machine.attempts, machine.restart_count()), (1, 0));
    assert_eq!(machine.on(Event::SpecChanged, now), Action::None);
}

#[test]
fn a_crash_loop_backs_off() {
    let (mut machine, mut now) = running(RestartPolicy::OnFailure);
    assert_eq!(machine.on(ended(1, 1), now), Action::Prepare);
    for pause in [10, 20, 40, 80, 160, 300, 300] {
        machine.on(started(), now);
        assert_eq!(machine.on(ended(1, 1), now), Action::None);
        assert_eq!(reason(&machine), "CrashLoopBackOff");
        assert_eq!(machine.next_deadline(), Some(now + seconds(pause)));
        assert_eq!(machine.on(Event::Timer, now + seconds(pause - 1)), Action::None);
        now += seconds(pause);
        assert_eq!(machine.on(Event::Timer, now), Action::Prepare);
    }
    assert_eq!(machine.restart_count(), 7);
    machine.on(started(), now);
    assert_eq!(machine.on(ended(1, 600), now), Action::Prepare, "a long run starts the count anew");
    machine.on(started(), now);
    machine.on(ended(0, 1), now);
    assert!(machine.ended());
}

#[test]
fn a_failed_pull_shows_its_words_then_backs_off() {
    let (mut machine, now) = begun(RestartPolicy::Never);
    machine.on(not_started(Reason::ErrImagePull, "no such tag"), now);
    assert_eq!(reason(&machine), "ErrImagePull");
    assert_eq!(machine.on(Event::Timer, now + seconds(2)), Action::None);
    assert_eq!(reason(&machine), "ImagePullBackOff");
    assert_eq!(machine.next_deadline(), Some(now + seconds(10)));
    assert_eq!(machine.on(Event::Timer, now + seconds(10)), Action::Prepare);
    let shown = State::Preparing(Some(Cause::PullBackOff("no such tag".into())));
    assert_eq!(machine.state, shown, "what it waited for stays visible until it runs");
    let later = now + seconds(10);
    machine.on(not_started(Reason::ErrImagePull, "no such tag"), later);
    machine.on(Event::Timer, later + seconds(2));
    assert_eq!(machine.next_deadline(), Some(later + seconds(20)));
    assert_eq!(machine.on(Event::SpecChanged, later), Action::Prepare);
    assert_eq!(machine.attempts, 0);
}

#[test]
fn a_bad_configuration_is_looked_at_again() {
    let (mut machine, now) = begun(RestartPolicy::Always);
    machine.on(not_started(Reason::CreateContainerConfigError, "no such secret"), now);
    assert_eq!(reason(&machine), "CreateContainerConfigError");
    assert_eq!(machine.on(Event::Timer, now + CONFIG_RETRY - seconds(1)), Action::None);
    assert_eq!(machine.on(Event::Timer, now + CONFIG_RETRY), Action::Prepare);
    machine.on(not_started(Reason::CreateContainerConfigError, "no such secret"), now);
    assert!(machine.waits_for_config());
    assert_eq!(machine.on(Event::ConfigChanged, now), Action::Prepare, "at once, if there is hope");
    machine.on(not_started(Reason::ErrImagePull, ""), now);
    assert!(!machine.waits_for_config());
    assert_eq!(machine.on(Event::ConfigChanged, now), Action::None);
}

#[test]
fn a_module_that_cannot_start_counts_as_an_attempt() {
    let (mut machine, now) = begun(RestartPolicy::Never);
    machine.on(not_started(Reason::StartError, "no _start"), now);
    assert!(machine.ended());
    assert_eq!(machine.attempts, 1);
    let last = machine.last.unwrap();
    assert_eq!((last.exit_code, last.reason.as_str(), last.message.as_deref()), (128, "StartError", Some("no _start")));
}

#[test]
fn a_new_image_replaces_the_container_without_a_pause() {
    let (mut machine, now) = running(RestartPolicy::Always);
    assert_eq!(machine.on(Event::SpecChanged, now), Action::Stop);
    assert_eq!(machine.on(ended(137, 1), now), Action::Prepare);
    machine.on(started(), now);
    assert_eq!(machine.restart_count(), 1);
}

#[test]
fn stopping_and_retiring_end_every_state_and_nothing_starts_again() {
    for end in [Event::Stop, Event::Retire] {
        let stops = matches!(end, Event::Stop);
        let (mut machine, now) = running(RestartPolicy::Always);
        let todo = if stops { Action::Stop } else { Action::None };
        assert_eq!(machine.on(end.clone(), now), todo);
        assert_eq!(machine.on(end.clone(), now), Action::None, "once is enough");
        assert!(machine.running() && machine.retired() && machine.stopping() == stops);
        assert_eq!(machine.on(ended(3, 1), now), Action::None);
        assert!(machine.ended());
        assert_eq!(machine.last.as_ref().unwrap().exit_code, 3, "its own code, if it ended by itself");

        let queued = Machine::new(RestartPolicy::Always);
        let (preparing, _) = begun(RestartPolicy::Always);
        let (mut waiting, _) = begun(RestartPolicy::Always);
        waiting.on(not_started(Reason::ErrImagePull, ""), now);
        for mut machine in [queued, preparing, waiting] {
            assert_eq!(machine.on(end.clone(), now), Action::Abort);
            assert!(machine.ended());
            assert_eq!(machine.next_deadline(), None);
            assert_eq!(machine.on(started(), now), Action::None);
            assert_eq!(machine.on(Event::Begin, now), Action::None);
            assert!(machine.ended());
        }
    }
}

#[test]
fn one_that_was_to_go_on_until_it_ends_can_still_be_stopped() {
    let (mut machine, now) = running(RestartPolicy::OnFailure);
    machine.on(Event::Retire, now);
    assert_eq!(machine.on(Event::Stop, now), Action::Stop);
    machine.on(ended(137, 1), now);
    assert!(machine.ended());
    assert!(machine.would_restart(), "but for its pod's end");
}

#[test]
fn what_comes_to_its_end_and_what_a_stop_takes_for_good() {
    let table = [
        (RestartPolicy::Always, false, false),
        (RestartPolicy::OnFailure, true, false),
        (RestartPolicy::Never, true, true),
    ];
    for (policy, finishes, lost) in table {
        let (mut machine, now) = running(policy);
        assert_eq!((machine.finishes(), machine.lost_when_stopped()), (finishes, lost), "{policy:?}");
        machine.on(ended(0, 600), now);
        assert!(!machine.finishes() && !machine.lost_when_stopped(), "{policy:?}");
    }
}

#[test]
fn a_new_image_does_not_start_what_is_not_to_go_on() {
    let (mut machine, now) = running(RestartPolicy::Always);
    machine.on(Event::SpecChanged, now);
    machine.on(Event::Retire, now);
    assert_eq!(machine.on(ended(137, 1), now), Action::None);
    assert!(machine.ended());
}

/// Whatever comes in whatever order, some things hold.
#[test]
fn no_order_of_events_breaks_it() {
    let events = [
        Event::Begin,
        started(),
        ended(0, 1),
        ended(1, 1),
        not_started(Reason::ErrImagePull, ""),
        not_started(Reason::CreateContainerConfigError, ""),
        not_started(Reason::StartError, ""),
        Event::Timer,
        Event::ConfigChanged,
        Event::SpecChanged,
        Event::Retire,
        Event::Stop,
    ];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..20_000 {
        let policy = [RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never][round % 3];
        let (mut machine, mut now) = (Machine::new(policy), Instant::now());
        for _ in 0..24 {
            // Marsaglia's xorshift: the same sequence in every run.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let event = events[usize::try_from(random >> 33).unwrap() % events.len()].clone();
            now += seconds(random % 400);
            let before = machine.clone();
            let action = machine.on(event.clone(), now);
            let shown = format!("{before:?} {event:?} {action:?} {machine:?}");
            assert!(!before.ended() || machine.ended(), "an end is for good: {shown}");
            assert!(
                !before.retired() || action != Action::Prepare,
                "nothing starts after its end was ordered: {shown}"
            );
            assert!(action != Action::Stop || before.running(), "only what runs is stopped: {shown}");
            assert!(action != Action::Prepare || matches!(machine.state, State::Preparing(_)), "{shown}");
            assert!(machine.attempts >= before.attempts, "{shown}");
            assert!(!machine.running() || machine.attempts > 0, "{shown}");
            assert!(machine.next_deadline().is_none_or(|at| at >= now || !matches!(event, Event::Timer)), "{shown}");
        }
    }
}

#[test]
fn the_two_last_endings_are_kept() {
    let (mut machine, now) = running(RestartPolicy::Always);
    machine.on(ended(1, 1), now);
    machine.on(started(), now);
    machine.on(ended(2, 1), now);
    let codes = (machine.before_last.unwrap().exit_code, machine.last.unwrap().exit_code);
    assert_eq!(codes, (1, 2));
}
