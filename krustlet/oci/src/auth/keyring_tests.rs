use super::*;

fn basic(user: &str) -> Who {
    Who::Basic { user: user.into(), password: "secret".into() }
}

fn found(keyring: &Keyring, image: &str) -> Vec<Who> {
    keyring.logins(&image.parse().unwrap()).unwrap().into_iter().map(|login| login.who).collect()
}

/// A keyring with a user for each key, named as the key itself.
fn keyring(keys: &[&str]) -> Keyring {
    let entry = |key: &&str| ((*key).to_owned(), serde_json::json!({ "username": key, "password": "secret" }));
    let auths: serde_json::Map<_, _> = keys.iter().map(entry).collect();
    let mut keyring = Keyring::default();
    keyring.add_docker_config_json(serde_json::json!({ "auths": auths }).to_string().as_bytes()).unwrap();
    keyring
}

#[test]
fn a_key_is_for_a_host_a_port_and_a_path() {
    let table: &[(&str, &str, bool)] = &[
        ("ghcr.io", "ghcr.io/org/app:v1", true),
        ("GHCR.io", "ghcr.io/org/app:v1", true),
        ("https://ghcr.io", "ghcr.io/org/app", true),
        ("https://ghcr.io/v2/", "ghcr.io/org/app", true),
        ("ghcr.io", "notghcr.io/org/app", false),
        ("ghcr.io", "x.ghcr.io/org/app", false),
        ("ghcr.io", "ghcr.io:5000/org/app", false),
        ("localhost:5000", "localhost:5000/app", true),
        ("localhost:5000", "localhost:5001/app", false),
        ("localhost", "localhost:5000/app", false),
        ("[::1]:5000", "[::1]:5000/app", true),
        ("[::1]:5000", "[::1]:5001/app", false),
        // Paths.
        ("ghcr.io/org", "ghcr.io/org/app", true),
        ("ghcr.io/org/", "ghcr.io/org/app", true),
        (
            "ghcr.io/org/app",
            "ghcr.io/org/app@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            true,
        ),
        ("ghcr.io/org", "ghcr.io/other/app", false),
        ("ghcr.io/v2/org", "ghcr.io/org/app", true),
        // Docker Hub, under all of its names.
        ("https://index.docker.io/v1/", "hello-world", true),
        ("docker.io", "me/app", true),
        ("registry-1.docker.io", "docker.io/me/app", true),
        ("docker.io/me", "me/app", true),
        ("docker.io/me", "you/app", false),
        // Patterns.
        ("*.example.com", "a.example.com/app", true),
        ("*.example.com", "example.com/app", false),
        ("*.example.com", "a.b.example.com/app", false),
        ("*.*.example.com", "a.b.example.com/app", true),
        ("reg*.example.com", "registry.example.com/app", true),
        ("reg*.example.com", "my-reg.example.com/app", false),
        ("*.example.com:5000", "a.example.com:5000/app", true),
        ("*.example.com", "a.example.com:5000/app", false),
        ("reg?.example.com", "reg1.example.com/app", true),
        ("reg?.example.com", "reg12.example.com/app", false),
        ("reg[1-3].example.com", "reg2.example.com/app", true),
        ("reg[1-3].example.com", "reg4.example.com/app", false),
        ("reg[^1-3].example.com", "reg4.example.com/app", true),
        ("reg[.example.com", "reg1.example.com/app", false),
        ("*", "localhost:5000/app", false),
        ("*", "example.com/app", false),
        ("*.example.com/org", "a.example.com/org/app", true),
        ("*.example.com/org", "a.example.com/other/app", false),
    ];
    for (key, image, expected) in table {
        let seen = found(&keyring(&[key]), image);
        let wanted = if *expected { vec![basic(key)] } else { vec![] };
        assert_eq!(seen, wanted, "{key} for {image}");
    }
}

#[test]
fn the_most_specific_login_comes_first() {
    let keys = ["ghcr.io", "*.io", "ghcr.io/org/app", "ghcr.io/org", "*.io/org", "docker.io"];
    let found = found(&keyring(&keys), "ghcr.io/org/app:v1");
    assert_eq!(found, ["ghcr.io/org/app", "ghcr.io/org", "*.io/org", "ghcr.io", "*.io"].map(basic));
}

#[test]
fn files_that_are_added_later_come_later_where_they_are_equally_specific() {
    let mut keyring = Keyring::default();
    keyring.add_docker_cfg(br#"{ "ghcr.io": { "username": "a", "password": "secret" } }"#).unwrap();
    keyring.add_docker_cfg(br#"{ "ghcr.io": { "username": "b", "password": "secret" } }"#).unwrap();
    keyring.add_docker_cfg(br#"{ "https://ghcr.io": { "username": "a", "password": "secret" } }"#).unwrap();
    keyring.add_docker_cfg(br#"{ "ghcr.io/x": { "username": "c", "password": "secret" } }"#).unwrap();
    assert_eq!(found(&keyring, "ghcr.io/x/y"), ["c", "a", "b"].map(basic));
}

#[test]
fn a_pattern_of_many_stars_costs_no_time() {
    let (pattern, text) = ("*a".repeat(5000), "a".repeat(60) + "b");
    let start = std::time::Instant::now();
    assert!(!crate::auth::registry_key::matches(&pattern, &text));
    assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
    assert!(crate::auth::registry_key::matches("*a*a*", "xaxa"));
}

#[test]
fn every_form_of_an_entry_is_read() {
    let login = |fields: &str| {
        let mut keyring = Keyring::default();
        keyring.add_docker_config_json(format!(r#"{{ "auths": {{ "r.io": {fields} }} }}"#).as_bytes())?;
        Ok::<_, OciError>(found(&keyring, "r.io/x"))
    };
    let user = |user: &str, password: &str| Who::Basic { user: user.into(), password: password.into() };
    // By `printf me:hunter2 | base64`, and so on.
    let identity = |user: &str| Who::Identity { user: user.into(), token: "r3fresh".into() };
    let table: [(&str, Vec<Who>); 12] = [
        (r#"{ "auth": "bWU6aHVudGVyMg==" }"#, vec![user("me", "hunter2")]),
        (r#"{ "auth": "bWU6aHVudGVyMg" }"#, vec![user("me", "hunter2")]),
        (r#"{ "auth": "bWU6YTpi" }"#, vec![user("me", "a:b")]),
        (r#"{ "username": "me", "password": "plain", "email": "me@example.com" }"#, vec![user("me", "plain")]),
        (r#"{ "registrytoken": "t0ken" }"#, vec![Who::Token("t0ken".into())]),
        (r#"{ "username": "me" }"#, vec![]),
        // What `az acr login` leaves: a user without a password, and the refresh token.
        (r#"{ "auth": "bWU6", "identitytoken": "r3fresh" }"#, vec![identity("me")]),
        (r#"{ "auth": "bWU6" }"#, vec![]),
        (r#"{ "identitytoken": "r3fresh" }"#, vec![identity("")]),
        (r#"{ "username": "<token>", "password": "r3fresh" }"#, vec![identity("")]),
        // A key of a service account is JSON with lines of its own.
        (
            r#"{ "username": "_json_key", "password": "{\n  \"type\": \"service_account\"\n}\n" }"#,
            vec![user("_json_key", "{\n  \"type\": \"service_account\"\n}\n")],
        ),
        ("{}", vec![]),
    ];
    for (fields, expected) in table {
        assert_eq!(login(fields).unwrap(), expected, "{fields}");
    }
}

#[test]
fn nothing_is_null_too() {
    for content in [r#"{ "auths": null }"#, r#"{ "auths": { "r.io": null } }"#, "{}"] {
        let mut keyring = Keyring::default();
        keyring.add_docker_config_json(content.as_bytes()).unwrap();
        assert_eq!(found(&keyring, "r.io/x"), [], "{content}");
    }
}

#[test]
fn damage_of_an_entry_is_told_without_a_secret_to_whoever_asks_for_its_registry() {
    let entries = [
        (r#"{ "auth": 12345 }"#, "there is no JSON of docker's in the entry"),
        (r#"{ "auth": "aHVudGVyMg==" }"#, "there is no user:password in base64 in the \"auth\""),
        (r#""hunter2""#, "there is no JSON of docker's in the entry"),
    ];
    for (entry, expected) in entries {
        let mut keyring = Keyring::default();
        keyring.set_source("f");
        let content =
            format!(r#"{{ "auths": {{ "ghcr.io": {entry}, "r.io": {{ "username": "me", "password": "secret" }} }} }}"#);
        keyring.add_docker_config_json(content.as_bytes()).unwrap();
        assert_eq!(found(&keyring, "r.io/x"), [basic("me")]);
        let error = keyring.logins(&"ghcr.io/x".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("of \"ghcr.io\" in f"), "{error}");
        for secret in ["12345", "hunter2", "aHVudGVyMg"] {
            assert!(!error.contains(secret), "{error}");
        }
    }
}

#[test]
fn damage_is_told_without_a_secret() {
    for content in [br#"{ "auths": "hunter2" }"#.as_slice(), b"hunter2"] {
        let error = Keyring::default().add_docker_config_json(content).unwrap_err().to_string();
        assert!(error.contains("not the JSON that docker writes (line 1)"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let debug = format!("{:?} {:?}", keyring(&["ghcr.io"]), basic("me"));
    assert!(debug.contains("ghcr.io") && !debug.contains("secret"), "{debug}");
}

#[test]
fn helpers_that_a_secret_names_are_ignored() {
    let mut keyring = Keyring::default();
    let content = br#"{ "credsStore": 5, "credHelpers": { "r.io": "evil" }, "auths": { "r.io": {} } }"#;
    keyring.add_docker_config_json(content).unwrap();
    assert_eq!(found(&keyring, "r.io/x"), []);
}

#[test]
fn a_login_tells_where_it_comes_from() {
    let mut keyring = Keyring::default();
    keyring.set_source("imagePullSecret 1 of 1");
    keyring.add_docker_cfg(br#"{ "r.io": { "username": "me", "password": "hunter2" } }"#).unwrap();
    let login = &keyring.logins(&"r.io/x".parse().unwrap()).unwrap()[0];
    assert_eq!(login.described(), "user \"me\" of imagePullSecret 1 of 1");
}
