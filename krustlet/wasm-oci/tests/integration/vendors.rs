//! `wasm-oci` against registries that answer as each vendor's do, under their own names, over TLS of a private authority.

use crate::support::{AZURE_USER, JSON_KEY, World};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// Pushes, pushes again, pulls by digest and compares; the requests of the first push.
fn round_trip(world: &World, repository: &str) -> Vec<String> {
    let name = format!("{repository}:v1");
    world.seen();
    let pushed = world.json(&["push", "hello.wasm", &name]);
    let seen = world.seen();
    assert_eq!(pushed["alreadyPresent"], json!(false));
    assert_eq!(world.json(&["push", "hello.wasm", &name])["alreadyPresent"], json!(true));
    assert!(world.seen().iter().all(|line| !line.starts_with("PUT")), "an unchanged module sends nothing");
    let reference = pushed["reference"].as_str().unwrap();
    world.json(&["pull", reference, "-o", "back.wasm"]);
    assert_eq!(std::fs::read(world.path("back.wasm")).unwrap(), std::fs::read(world.path("hello.wasm")).unwrap());
    assert_eq!(world.json(&["resolve", &name])["digest"], pushed["digest"]);
    seen
}

#[test]
fn github() {
    let world = World::new();
    world.log_in("ghcr.io", "me", "s3cret-write");
    let seen = round_trip(&world, "ghcr.io/me/app");
    // The registry asks for pull alone, and the token is for push all the same: one for reading, one for writing.
    assert_eq!(seen.iter().filter(|line| line.ends_with("ghcr.io/token")).count(), 2, "{seen:#?}");

    world.log_in("ghcr.io", "me", "s3cret-read");
    world.json(&["pull", "ghcr.io/me/app:v1", "-o", "back.wasm"]);
    let config = world.path("docker/config.json").display().to_string();
    world.module("other.wasm", "other");
    world.fails(
        &["push", "other.wasm", "ghcr.io/me/app:v1"],
        &[
            "does not allow this for ghcr.io/me/app:v1",
            "permission_denied: The token provided does not match expected scopes.",
            &format!("asked as user \"me\" of {config}"),
            "`docker login ghcr.io`",
            "for a push write:packages",
        ],
    );
    world.log_in("ghcr.io", "me", "s3cret-wrong");
    world.fails(
        &["resolve", "ghcr.io/me/app:v1"],
        &["its token server says: HTTP status 403 denied", "asked as user \"me\""],
    );

    // Nobody gets what is not public, and what is.
    world.docker_config(&json!({}));
    world.fails(
        &["resolve", "ghcr.io/me/app:v1"],
        &[
            "requested access to the resource is denied",
            &format!("asked as nobody, since no login for ghcr.io is in {config}"),
        ],
    );
    world.log_in("ghcr.io", "me", "s3cret-write");
    world.json(&["push", "hello.wasm", "ghcr.io/me/public:v1"]);
    world.docker_config(&json!({}));
    world.json(&["pull", "ghcr.io/me/public:v1", "-o", "back.wasm"]);
    world.log_in("ghcr.io", "me", "s3cret-wrong");
    world.json(&["pull", "ghcr.io/me/public:v1", "-o", "back.wasm"]);

    world.log_in("ghcr.io", "me", "s3cret-write");
    world.fails(&["delete", "ghcr.io/me/app:v1"], &["refuses to delete", "The operation is unsupported."]);
}

#[test]
fn azure() {
    let world = World::new();
    world.log_in("me.azurecr.io", "admin", "s3cret");
    round_trip(&world, "me.azurecr.io/team/admin");

    // A refresh token as the password of the user of zeros, as a pod's Secret has it.
    world.log_in("me.azurecr.io", AZURE_USER, "s3cret-refresh");
    round_trip(&world, "me.azurecr.io/team/zeros");

    // The same as an identity token, as `az acr login` leaves it.
    let user = STANDARD.encode(format!("{AZURE_USER}:"));
    world.docker_config(&json!({ "auths": { "me.azurecr.io": { "auth": user, "identitytoken": "s3cret-refresh" } } }));
    round_trip(&world, "me.azurecr.io/team/identity");

    // And from a helper, which calls its user <token>.
    world.docker_config(&json!({ "credHelpers": { "me.azurecr.io": "acr-env" } }));
    world.helper("acr-env", r#"cat >/dev/null; echo '{"Username":"<token>","Secret":"s3cret-refresh"}'"#);
    let seen = round_trip(&world, "me.azurecr.io/team/helper");
    assert!(seen.iter().any(|line| line == "POST me.azurecr.io/oauth2/token"), "{seen:#?}");

    world.log_in("me.azurecr.io", AZURE_USER, "s3cret-ended");
    world.fails(
        &["resolve", "me.azurecr.io/team/zeros:v1"],
        &["authentication required", &format!("asked as user \"{AZURE_USER}\""), "`az acr login --name me`", "AcrPush"],
    );
}

#[test]
fn a_tag_of_a_registry_that_deletes_manifests_alone() {
    let world = World::new();
    world.log_in("me.azurecr.io", "admin", "s3cret");
    let name = |tag: &str| format!("me.azurecr.io/team/many:{tag}");
    for tag in ["a", "b", "c", "d", "v1"] {
        world.json(&["push", "hello.wasm", &name(tag)]);
    }
    world.module("other.wasm", "other");
    for tag in ["e", "f", "g"] {
        world.json(&["push", "other.wasm", &name(tag)]);
    }
    world.fails(
        &["delete", &name("v1")],
        &["cannot delete the tag", "in use under a, b, c, d, too: nothing was deleted", "--manifest"],
    );
    world.json(&["resolve", &name("v1")]);
    world.json(&["push", "hello.wasm", &name("v2")]);
    for tag in ["f", "g"] {
        world.json(&["push", "hello.wasm", &name(tag)]);
    }
    // Now nothing else has the other module.
    let deleted = world.json(&["delete", &name("e")]);
    assert_eq!(deleted["manifest"], json!(true));
    world.json(&["resolve", &name("v1")]);
    let outcome = world.run(&["resolve", &name("e")]);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    world.json(&["delete", "--manifest", &name("v1")]);
    assert_eq!(world.run(&["resolve", &name("a")]).code, 3);
}

#[test]
fn google() {
    let world = World::new();
    let host = "europe-docker.pkg.dev";
    world.log_in(host, "_json_key", JSON_KEY);
    round_trip(&world, &format!("{host}/project/repo/key"));
    // As `docker login` stores it.
    world.docker_config(&json!({ "auths": { host: { "auth": STANDARD.encode(format!("_json_key:{JSON_KEY}")) } } }));
    round_trip(&world, &format!("{host}/project/repo/auth"));
    world.log_in(host, "_json_key_base64", &STANDARD.encode(JSON_KEY));
    round_trip(&world, &format!("{host}/project/repo/base64"));
    world.docker_config(&json!({ "credHelpers": { host: "gcloud" } }));
    world.helper("gcloud", r#"cat >/dev/null; echo '{"Username":"oauth2accesstoken","Secret":"s3cret-ya29"}'"#);
    round_trip(&world, &format!("{host}/project/repo/gcloud"));

    // From standard input, with the line's end that an editor left.
    let name = format!("{host}/project/repo/stdin:v1");
    let login = ["--username", "_json_key", "--password-stdin"];
    let outcome = world.run_with(&[&["push", "hello.wasm", &name], &login[..]].concat(), &format!("{JSON_KEY}\n"));
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let outcome = world.run_with(&[&["resolve", &name], &login[..]].concat(), "s3cret-wrong");
    assert_eq!(outcome.code, 1);
    for word in ["authentication failed", "asked as user \"_json_key\" of --username", "gcloud auth configure-docker"] {
        assert!(outcome.stderr.contains(word), "{}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains("s3cret"), "{}", outcome.stderr);

    world.fails(
        &["push", "hello.wasm", &format!("{host}/project/other/app:v1")],
        &["has no repository", "Repository \"other\" not found", "gcloud artifacts repositories create"],
    );
    assert_eq!(world.json(&["delete", &format!("{host}/project/repo/key:v1")])["manifest"], json!(false));
}

#[test]
fn docker_hub() {
    let world = World::new();
    world.log_in("https://index.docker.io/v1/", "me", "s3cret");
    // Without a host, as every tool of this field reads it.
    let seen = round_trip(&world, "me/app");
    assert_eq!(seen[0], "HEAD registry-1.docker.io/v2/me/app/manifests/v1");
    assert_eq!(seen[1], "GET auth.docker.io/token");

    // The library, which is not this user's: a token comes, and it is for nothing.
    world.seen();
    world.fails(
        &["push", "hello.wasm", "private-hello"],
        &["docker.io wants other credentials for library/private-hello", "asked as user \"me\"", "Read & Write"],
    );
    let seen = world.seen();
    let tokens = seen.iter().filter(|line| line.ends_with("/token")).count();
    assert!(tokens <= 8, "one for each of four requests, as two users: {seen:#?}");

    world.log_in("https://index.docker.io/v1/", "me", "s3cret-wrong");
    world.fails(&["resolve", "me/app:v1"], &["its token server says: HTTP status 401 incorrect username or password"]);

    // A helper knows Docker Hub by docker's name for it.
    world.docker_config(&json!({ "credsStore": "store" }));
    world.helper(
        "store",
        r#"[ "$1" = get ] && [ "$(cat)" = https://index.docker.io/v1/ ] && echo '{"Username":"me","Secret":"s3cret"}' && exit
           echo "credentials not found in native keychain"; exit 1"#,
    );
    round_trip(&world, "docker.io/me/helper");
    // For others it has nothing, which is no error.
    world.fails(&["resolve", "ghcr.io/me/app:v1"], &["asked as nobody, since no login for ghcr.io is in"]);
}

#[test]
fn one_more_token_where_a_registry_wants_more() {
    let world = World::new();
    world.log_in("scopes.example.com", "me", "s3cret");
    world.json(&["push", "hello.wasm", "scopes.example.com/app:v1"]);
    world.seen();
    world.json(&["resolve", "scopes.example.com/app:v1"]);
    let manifest = "HEAD scopes.example.com/v2/app/manifests/v1";
    let token = "GET scopes.example.com/token";
    assert_eq!(world.seen(), [manifest, token, manifest, token, manifest]);
}

#[test]
fn basic_and_what_is_pushed_is_made_sure_of() {
    let world = World::new();
    world.log_in("basic.example.com", "me", "s3cret");
    round_trip(&world, "basic.example.com/app");
    let bad = ["push", "hello.wasm", "basic.example.com/bad:v1"];
    world.state.lock().unwrap().exchange = true;
    world.fails(&bad, &["the digest of what the registry has as basic.example.com/bad:v1 is sha256:"]);

    // What broke off goes on where it was: the blobs are there.
    world.state.lock().unwrap().failures = 3;
    let again = ["push", "hello.wasm", "basic.example.com/again:v1"];
    world.fails(&again, &["HTTP status 503 come again"]);
    world.seen();
    assert_eq!(world.json(&again)["alreadyPresent"], json!(false));
    let sent: Vec<_> =
        world.seen().into_iter().filter(|line| line.starts_with("PUT") || line.starts_with("POST")).collect();
    assert!(!sent.is_empty() && sent.iter().all(|line| line.ends_with("/manifests/v1")), "{sent:?}");

    // Within one call, too.
    world.state.lock().unwrap().failures = 2;
    world.json(&["push", "hello.wasm", "basic.example.com/soon:v1"]);
}

#[test]
fn a_helper_that_fails_is_told_unless_another_login_opens() {
    let world = World::new();
    let failing = |helper: &str, words: &[&str]| {
        world.docker_config(&json!({ "credHelpers": { "basic.example.com": helper } }));
        world.fails(&["resolve", "basic.example.com/app:v1"], words);
    };
    failing("none", &["docker-credential-none", "names for basic.example.com", "there is no such program on PATH"]);
    failing("../evil", &["its name may have letters"]);
    world.helper("locked", "echo the keychain is locked; exit 1");
    failing("locked", &["docker-credential-locked", "it says: the keychain is locked"]);
    world.helper("odd", "echo s3cret");
    failing("odd", &["its answer is not JSON with Username and Secret"]);
    world.helper("leaky", r#"echo '{"Username":"me","Secret":"s3cret"}'; exit 1"#);
    failing("leaky", &["it failed"]);

    world.docker_config(&json!({
        "credHelpers": { "basic.example.com": "none" },
        "auths": { "basic.example.com": { "username": "me", "password": "s3cret" } },
    }));
    world.json(&["push", "hello.wasm", "basic.example.com/app:v1"]);
    // With a user of one's own no helper is asked, and nobody else.
    let login = ["resolve", "basic.example.com/app:v1", "--username", "you", "--password-stdin"];
    let outcome = world.run_with(&login, "s3cret");
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("asked as user \"you\" of --username"), "{}", outcome.stderr);
}

#[test]
fn a_certificate_of_an_unknown_authority_is_told_and_never_taken() {
    let world = World::new();
    world.log_in("basic.example.com", "me", "s3cret");
    // Another authority than the one that signed.
    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
    std::fs::write(world.path("ca.crt"), other.cert.pem()).unwrap();
    world.fails(&["resolve", "basic.example.com/app:v1"], &["cannot be reached", "certificate", "wasm-oci --ca-file"]);
    assert!(world.seen().is_empty());
}
