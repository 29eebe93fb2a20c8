use super::*;
use serde_json::{Value, json};

fn pod(metadata: Value, spec: Value) -> Pod {
    serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
}

fn deleted(grace: i64) -> Pod {
    pod(
        json!({ "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace }),
        json!({ "containers": [] }),
    )
}

fn running() -> Course {
    Course { mounted: true, ..Course::new(false) }
}

const START: Timestamp = Timestamp::UNIX_EPOCH;

#[test]
fn the_table() {
    let now = Instant::now();
    let verdict = Some(Verdict::over_limit("too big"));
    let (soon, past) = (Some(now + seconds(1)), Some(now));
    let table = [
        (Course::new(false), Orders::Hold),
        (running(), Orders::Run),
        (Course { held: true, ..running() }, Orders::Hold),
        (Course { over: true, ..running() }, Orders::Stop),
        (Course { gone: true, ..running() }, Orders::Stop),
        (Course { shutdown: past, ..running() }, Orders::Stop),
        (Course { shutdown: soon, ..running() }, Orders::Retire),
        (Course { shutdown: soon, grace_ends: past, ..running() }, Orders::Stop),
        (Course { shutdown: past, grace_ends: soon, ..running() }, Orders::Stop),
        (Course { verdict: verdict.clone(), ..running() }, Orders::Stop),
        (Course { grace_ends: soon, ..running() }, Orders::Retire),
        (Course { grace_ends: soon, mounted: false, ..running() }, Orders::Retire),
        (Course { grace_ends: soon, held: true, ..running() }, Orders::Retire),
        (Course { grace_ends: past, ..running() }, Orders::Stop),
        (Course { grace_ends: soon, gone: true, ..running() }, Orders::Stop),
        (Course { grace_ends: soon, verdict, ..running() }, Orders::Stop),
    ];
    for (course, wanted) in table {
        assert_eq!(course.orders(now), wanted, "{course:?}");
    }
}

#[test]
fn the_grace_period_counts_from_the_first_news_and_only_gets_shorter() {
    let (mut course, now) = (running(), Instant::now());
    course.set_deadlines(&deleted(30), START, now, START);
    assert_eq!(course.next_deadline(now), Some(now + seconds(30)));
    course.set_deadlines(&deleted(30), START, now + seconds(10), START);
    assert_eq!(course.next_deadline(now), Some(now + seconds(30)), "an unchanged pod changes nothing");
    course.set_deadlines(&deleted(5), START, now + seconds(11), START);
    assert_eq!(course.next_deadline(now), Some(now + seconds(16)));
    assert_eq!(course.orders(now + seconds(16)), Orders::Stop);
    assert_eq!(course.next_deadline(now + seconds(16)), None);
}

#[test]
fn endless_limits_are_limits_too() {
    let (mut course, now) = (running(), Instant::now());
    course.set_deadlines(&deleted(i64::MAX), START, now, START);
    assert_eq!(course.orders(now), Orders::Retire);
    let limit = pod(json!({}), json!({ "containers": [], "activeDeadlineSeconds": i64::MAX }));
    let mut course = running();
    course.set_deadlines(&limit, START, now, START);
    assert!(course.next_deadline(now).is_some());
}

#[test]
fn no_grace_means_at_once() {
    let (mut course, now) = (running(), Instant::now());
    course.set_deadlines(&deleted(0), START, now, START);
    assert_eq!(course.orders(now), Orders::Stop);
}

#[test]
fn the_active_deadline_counts_from_the_start_time_and_may_be_shortened() {
    let limited = |limit: i64| pod(json!({}), json!({ "containers": [], "activeDeadlineSeconds": limit }));
    let (mut course, now) = (running(), Instant::now());
    let time = Timestamp::from_second(20).unwrap();
    course.set_deadlines(&limited(60), START, now, time);
    assert_eq!(course.next_deadline(now), Some(now + seconds(40)));
    course.set_deadlines(&limited(30), START, now, time);
    assert_eq!(course.next_deadline(now), Some(now + seconds(10)));
    assert!(!course.look(now + seconds(9)));
    assert!(course.look(now + seconds(10)));
    assert!(!course.look(now + seconds(10)), "it is news once");
    assert_eq!(course.verdict().unwrap().reason, "DeadlineExceeded");
    assert_eq!((course.orders(now), course.next_deadline(now)), (Orders::Stop, None));

    let mut late = running();
    late.set_deadlines(&limited(5), START, now, time);
    assert!(late.look(now), "it was over while no agent ran");
}

#[test]
fn what_ends_already_does_not_fail_besides() {
    for mut course in [
        Course::new(true),
        Course { gone: true, ..running() },
        Course { shutdown: Some(Instant::now()), ..running() },
        Course { grace_ends: Some(Instant::now()), ..running() },
    ] {
        assert!(!course.fail(Verdict::over_limit("too big"), Instant::now()), "{course:?}");
        assert_eq!(course.verdict(), None);
    }
    // It may run for long yet, and take what others need.
    let now = Instant::now();
    let mut course = Course { shutdown: Some(now + seconds(600)), ..running() };
    assert!(course.fail(Verdict::evicted("short"), now));
    assert_eq!(course.orders(now), Orders::Stop);
}

#[test]
fn a_stopping_agent_gives_grace_to_what_comes_to_its_end() {
    let now = Instant::now();
    let pod_of = |grace: i64| pod(json!({}), json!({ "containers": [], "terminationGracePeriodSeconds": grace }));
    // The agent's grace, whether it finishes, the pod's grace; then what it gets: seconds.
    for (agents, finishes, pods, wanted) in
        [(30, true, 60, 30), (60, true, 10, 10), (60, false, 10, 0), (0, true, 10, 0), (60, true, 0, 0)]
    {
        let mut course = running();
        course.shut_down(now + seconds(agents), finishes, &pod_of(pods), now);
        assert!(course.shutting_down() && course.leaving());
        // Said again it changes nothing.
        course.shut_down(now + seconds(90), true, &pod_of(90), now + seconds(1));
        assert_eq!(course.stops(), Some(now + seconds(wanted)), "{agents} {finishes} {pods}");
    }
}

#[test]
fn what_no_other_agent_goes_on_with_fails_when_its_grace_is_over() {
    let (mut course, now) = (running(), Instant::now());
    course.end_with_node(now);
    assert_eq!(course.verdict(), None, "the agent goes on");
    course.shut_down(now + seconds(5), true, &pod(json!({}), json!({ "containers": [] })), now);
    course.end_with_node(now + seconds(4));
    assert_eq!(course.verdict(), None);
    course.end_with_node(now + seconds(5));
    let verdict = course.verdict().unwrap();
    assert_eq!((verdict.reason.as_str(), verdict.disruption), ("Terminated", true));
    assert_eq!(verdict.message, "Pod was terminated in response to imminent node shutdown.");

    for mut course in [
        Course { over: true, ..running() },
        Course { gone: true, ..running() },
        Course { grace_ends: Some(now), ..running() },
    ] {
        course.shut_down(now, true, &Pod::default(), now);
        course.end_with_node(now);
        assert_eq!(course.verdict(), None, "{course:?}");
    }
}

#[test]
fn a_verdict_that_an_earlier_agent_wrote_can_be_read() {
    let verdict: Verdict = serde_json::from_str(r#"{"reason":"Evicted","message":"too big"}"#).unwrap();
    assert_eq!(verdict, Verdict::over_limit("too big"));
}
