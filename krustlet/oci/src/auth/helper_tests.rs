use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

/// Helpers of a folder's own, beside the programs of every system.
fn helpers(folder: &Path, limit: Duration) -> Helpers {
    Helpers::new(limit, Some(format!("{}:/usr/bin:/bin", folder.display()).into()))
}

fn script(folder: &Path, name: &str, text: &str) {
    let path = folder.join(format!("docker-credential-{name}"));
    std::fs::write(&path, format!("#!/bin/sh\ncd {}\n{text}\n", folder.display())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What a helper's end means.
type Meaning = Result<Option<Who>, String>;

#[test]
fn every_end_of_a_helper_has_a_meaning() {
    let basic = |user: &str, password: &str| Ok(Some(Who::Basic { user: user.into(), password: password.into() }));
    let identity = |token: &str| Ok(Some(Who::Identity { user: String::new(), token: token.into() }));
    let error = |problem: &str| Err(problem.to_owned());
    let table: [(bool, &str, &str, Meaning); 13] = [
        (true, r#"{ "ServerURL": "r.io", "Username": "me", "Secret": "hunter2" }"#, "", basic("me", "hunter2")),
        (true, "{\"Username\":\"me\",\"Secret\":\"a\\nb\"}\n", "a warning", basic("me", "a\nb")),
        (true, r#"{ "Username": "<token>", "Secret": "r3fresh" }"#, "", identity("r3fresh")),
        (true, r#"{ "Username": "", "Secret": "r3fresh" }"#, "", identity("r3fresh")),
        (true, r#"{ "Username": "", "Secret": "" }"#, "", Ok(None)),
        (true, r#"{ "Username": "me" }"#, "", Ok(None)),
        (true, "hunter2", "", error("its answer is not JSON with Username and Secret")),
        (true, r#"{ "Username": 12345 }"#, "", error("its answer is not JSON with Username and Secret")),
        (false, "credentials not found in native keychain\n", "exit status 1", Ok(None)),
        (false, "the keychain is locked\nmore", "", error("it says: the keychain is locked")),
        (false, "", "\nno such host\n", error("it says: no such host")),
        (false, "", "", error("it failed without a word")),
        (false, r#"{ "Username": "me", "Secret": "hunter2" }"#, "", error("it failed")),
    ];
    for (success, stdout, stderr, expected) in table {
        assert_eq!(login(success, stdout.as_bytes(), stderr.as_bytes()), expected, "{stdout} {stderr}");
    }
}

#[tokio::test]
async fn a_name_is_a_name_and_never_a_path() {
    let helpers = Helpers::new(LIMIT, None);
    for name in ["", "../evil", "a/b", "a b", "x;y"] {
        let error = helpers.get(name, "r.io").await.unwrap_err();
        assert!(error.starts_with("its name may have"), "{name}: {error}");
    }
    let error = helpers.get("krustlet-no-such-helper", "r.io").await.unwrap_err();
    assert_eq!(error, "there is no such program on PATH");
}

#[tokio::test]
async fn one_answer_is_for_all_who_ask_at_the_same_time_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let answer = r#"server=$(cat); echo "$1 $server" >> asked; sleep 0.2; echo '{"Username":"me","Secret":"hunter2"}'"#;
    script(folder.path(), "good", answer);
    let helpers = helpers(folder.path(), LIMIT);
    let expected = Ok(Some(Who::Basic { user: "me".into(), password: "hunter2".into() }));
    let all = futures::future::join_all((0..10).map(|_| helpers.get("good", "r.io"))).await;
    assert!(all.iter().all(|answer| *answer == expected), "{all:?}");
    assert_eq!(helpers.get("good", "r.io").await, expected);
    assert_eq!(helpers.get("good", "other.io:5000").await, expected);
    assert_eq!(std::fs::read_to_string(folder.path().join("asked")).unwrap(), "get r.io\nget other.io:5000\n");
}

#[tokio::test]
async fn one_that_hangs_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    // Its child holds the pipes open, and would outlive it.
    script(folder.path(), "hangs", "sleep 300 & echo $! > started; wait");
    script(folder.path(), "leaves", "sleep 300 & echo $! > started; exit 1");
    for name in ["hangs", "leaves"] {
        let _ = std::fs::remove_file(folder.path().join("started"));
        let start = Instant::now();
        let error = helpers(folder.path(), Duration::from_secs(3)).get(name, "r.io").await.unwrap_err();
        assert_eq!(error, "it gave no answer within 3 s");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        let child = std::fs::read_to_string(folder.path().join("started")).unwrap();
        let status = format!("/proc/{}/stat", child.trim());
        let gone = || std::fs::read_to_string(&status).map_or(true, |stat| stat.contains(") Z "));
        for _ in 0..50 {
            if gone() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(gone(), "{name}: its child runs on");
    }
}

#[tokio::test]
async fn what_says_too_much_or_reads_nothing_ends_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    script(folder.path(), "endless", "cat /dev/zero");
    script(folder.path(), "deaf", "exec <&-; echo '{\"Username\":\"me\",\"Secret\":\"x\"}'");
    let helpers = helpers(folder.path(), LIMIT);
    assert_eq!(helpers.get("endless", "r.io").await.unwrap_err(), "it said more than 1048576 bytes");
    assert!(helpers.get("deaf", "r.io").await.unwrap().is_some());
}
