use super::*;

#[test]
fn phases() {
    let table: [(&str, &[&[Did]], bool, &str); 19] = [
        ("Always", &[QUEUED, QUEUED], false, "Pending"),
        ("Always", &[RUNS, PREPARES], false, "Pending"),
        ("Always", &[RUNS, &[Begin, FailToPull]], false, "Pending"),
        ("Always", &[RUNS, RUNS], false, "Running"),
        ("Always", &[SUCCEEDED, RUNS], false, "Running"),
        ("Always", &[SUCCEEDED, SUCCEEDED], false, "Running"),
        ("Always", &[CRASH_LOOP, CRASH_LOOP], false, "Running"),
        ("OnFailure", &[SUCCEEDED, SUCCEEDED], false, "Succeeded"),
        ("OnFailure", &[SUCCEEDED, FAILED], false, "Running"),
        ("Never", &[SUCCEEDED, RUNS], false, "Running"),
        ("Never", &[SUCCEEDED, SUCCEEDED], false, "Succeeded"),
        ("Never", &[SUCCEEDED, FAILED], false, "Failed"),
        // Ended with the agent: it goes on with the next.
        ("Always", &[STOPPED, STOPPED], false, "Running"),
        ("Never", &[STOPPED, STOPPED], false, "Failed"),
        // Deleted.
        ("Always", &[SUCCEEDED, &[Begin, Start, Stop, Exit(0)]], true, "Succeeded"),
        ("Always", &[STOPPED, SUCCEEDED], true, "Failed"),
        ("Always", &[RUNS, SUCCEEDED], true, "Running"),
        ("Always", &[STOPPED, NEVER_RAN], true, "Failed"),
        ("Always", &[NEVER_RAN, NEVER_RAN], true, "Failed"),
    ];
    for (policy, mains, terminal, wanted) in table {
        let case = Case { terminal, ..Case::new(policy, mains) };
        assert_eq!(case.status().phase.as_deref(), Some(wanted), "{policy} {mains:?} {terminal}");
    }
}

#[test]
fn phases_with_containers_before_the_main_ones() {
    type Row = (&'static str, Role, &'static [Did], &'static [Did], &'static str);
    let table: [Row; 13] = [
        ("Always", Role::Init, QUEUED, QUEUED, "Pending"),
        ("Always", Role::Init, RUNS, QUEUED, "Pending"),
        ("Always", Role::Init, CRASH_LOOP, QUEUED, "Pending"),
        ("OnFailure", Role::Init, FAILED, QUEUED, "Pending"),
        ("Never", Role::Init, FAILED, &[Stop], "Failed"),
        ("Always", Role::Init, SUCCEEDED, PREPARES, "Pending"),
        ("Always", Role::Init, SUCCEEDED, RUNS, "Running"),
        ("Never", Role::Init, SUCCEEDED, SUCCEEDED, "Succeeded"),
        ("Always", Role::Sidecar, PREPARES, QUEUED, "Pending"),
        ("Always", Role::Sidecar, RUNS, QUEUED, "Pending"),
        ("Always", Role::Sidecar, CRASH_LOOP, RUNS, "Running"),
        ("Never", Role::Sidecar, RUNS, SUCCEEDED, "Running"),
        ("Never", Role::Sidecar, STOPPED, SUCCEEDED, "Succeeded"),
    ];
    for (policy, role, first, main, wanted) in table {
        let status = Case::new(policy, &[main]).first("i", role, first).status();
        assert_eq!(status.phase.as_deref(), Some(wanted), "{policy} {role:?} {first:?} {main:?}");
    }
}

#[test]
fn that_the_node_ended_a_pod_is_said_with_its_end() {
    let disrupted = |verdict: Verdict, mains: &[&[Did]]| {
        let verdict = Some(Verdict { disruption: true, ..verdict });
        Case { verdict, terminal: true, ..Case::new("Never", mains) }.status()
    };
    let evicted = || Verdict::over_limit("no memory");
    let ended = disrupted(evicted(), &[STOPPED]);
    assert_eq!((ended.phase.as_deref(), ended.reason.as_deref()), (Some("Failed"), Some("Evicted")));
    assert_eq!(says(&ended, "DisruptionTarget"), said("True", "TerminationByKubelet", "no memory"));
    let has = |status: &PodStatus| status.conditions.iter().flatten().any(|found| found.type_ == "DisruptionTarget");
    assert!(!has(&disrupted(evicted(), &[RUNS])), "a Job decides when the pod has failed, and must have both then");
    let own = Case { verdict: Some(evicted()), terminal: true, ..Case::new("Never", &[STOPPED]) };
    assert!(!has(&own.status()), "what a pod brings upon itself it would do again");
}
