use super::*;

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

fn running(policy: RestartPolicy) -> (Machine, Instant) {
    let (mut machine, now) = (Machine::new(policy), Instant::now());
    assert_eq!(machine.on(started(), now), Action::None);
    (machine, now)
}

fn reason(machine: &Machine) -> &'static str {
    match &machine.state {
        State::Waiting(waiting) => waiting.reason,
        other => panic!("not waiting: {other:?}"),
    }
}

#[test]
fn policies() {
    let table = [
        (RestartPolicy::Always, true, true),
        (RestartPolicy::OnFailure, false, true),
        (RestartPolicy::Never, false, false),
    ];
    for (policy, after_success, after_failure) in table {
        assert_eq!(policy.restarts(0), after_success);
        assert_eq!(policy.restarts(1), after_failure);
    }
    assert_eq!(RestartPolicy::of(None), RestartPolicy::Always);
    assert_eq!(RestartPolicy::of(Some("Never")), RestartPolicy::Never);
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
    let (mut machine, now) = (Machine::new(RestartPolicy::Never), Instant::now());
    machine.on(Event::PullFailed("ErrImagePull", "no such tag".into()), now);
    assert_eq!(reason(&machine), "ErrImagePull");
    assert_eq!(machine.on(Event::Timer, now + seconds(2)), Action::None);
    assert_eq!(reason(&machine), "ImagePullBackOff");
    assert_eq!(machine.next_deadline(), Some(now + seconds(10)));
    assert_eq!(machine.on(Event::Timer, now + seconds(10)), Action::Prepare);
    let later = now + seconds(10);
    machine.on(Event::PullFailed("ErrImagePull", "no such tag".into()), later);
    machine.on(Event::Timer, later + seconds(2));
    assert_eq!(machine.next_deadline(), Some(later + seconds(20)));
    assert_eq!(machine.on(Event::SpecChanged, later), Action::Prepare);
    assert_eq!(machine.attempts, 0);
}

#[test]
fn a_bad_configuration_is_looked_at_again() {
    let (mut machine, now) = (Machine::new(RestartPolicy::Always), Instant::now());
    machine.on(Event::ConfigInvalid("no such secret".into()), now);
    assert_eq!(reason(&machine), "CreateContainerConfigError");
    assert_eq!(machine.on(Event::Timer, now + CONFIG_RETRY), Action::Prepare);
}

#[test]
fn a_module_that_cannot_start_counts_as_an_attempt() {
    let (mut machine, now) = (Machine::new(RestartPolicy::Never), Instant::now());
    machine.on(ended(128, 0), now);
    assert!(machine.ended());
    assert_eq!(machine.attempts, 1);
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
fn stopping_ends_every_state_and_nothing_starts_again() {
    let (mut machine, now) = running(RestartPolicy::Always);
    assert_eq!(machine.on(Event::Stop, now), Action::Stop);
    assert!(!machine.ended());
    assert_eq!(machine.on(ended(137, 1), now), Action::None);
    assert!(machine.ended());

    let mut preparing = Machine::new(RestartPolicy::Always);
    assert_eq!(preparing.on(Event::Stop, now), Action::Abort);
    assert!(preparing.ended());
    assert_eq!(preparing.on(started(), now), Action::None);
    assert!(preparing.ended());

    let mut waiting = Machine::new(RestartPolicy::Always);
    waiting.on(Event::PullFailed("ErrImagePull", String::new()), now);
    assert_eq!(waiting.on(Event::Stop, now), Action::Abort);
    assert_eq!(waiting.next_deadline(), None);
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
