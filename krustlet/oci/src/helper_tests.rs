use super::*;

#[test]
fn every_end_of_a_helper_has_a_meaning() {
    let basic = |user: &str, password: &str| Ok(Some(Who::Basic { user: user.into(), password: password.into() }));
    let identity = |token: &str| Ok(Some(Who::Identity { user: String::new(), token: token.into() }));
    let error = |problem: &str| Err(problem.to_owned());
    let table: [(bool, &str, &str, Result<Option<Who>, String>); 13] = [
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
    let helpers = Helpers::new(LIMIT);
    for name in ["", "../evil", "a/b", "a b", "x;y"] {
        let error = helpers.get(name, "r.io").await.unwrap_err();
        assert!(error.starts_with("its name may have"), "{name}: {error}");
    }
    let error = helpers.get("krustlet-no-such-helper", "r.io").await.unwrap_err();
    assert_eq!(error, "there is no such program on PATH");
}
