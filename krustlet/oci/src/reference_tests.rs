use super::*;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What was given; the registry, repository, tag and digest that it means.
fn parts(given: &str) -> (String, String, Option<String>, Option<String>) {
    let reference: Reference = given.parse().unwrap();
    let again: Reference = reference.to_string().parse().unwrap();
    assert_eq!(again, reference, "{given} must read back as itself");
    (reference.registry, reference.repository, reference.tag, reference.digest)
}

fn expect(given: &str, registry: &str, repository: &str, tag: Option<&str>, digest: Option<&str>) {
    assert_eq!(
        parts(given),
        (registry.into(), repository.into(), tag.map(Into::into), digest.map(Into::into)),
        "{given}"
    );
}

#[test]
fn every_form_of_a_name_is_understood() {
    let digest = format!("sha256:{HEX}");
    expect("localhost:5000/hello:v1", "localhost:5000", "hello", Some("v1"), None);
    expect("localhost:5000/hello", "localhost:5000", "hello", Some("latest"), None);
    expect("localhost/a/b/c", "localhost", "a/b/c", Some("latest"), None);
    expect("127.0.0.1:5001/x/y:1.0-rc.1", "127.0.0.1:5001", "x/y", Some("1.0-rc.1"), None);
    expect("[::1]:5000/x", "[::1]:5000", "x", Some("latest"), None);
    expect("ghcr.io/org/app:V_1", "ghcr.io", "org/app", Some("V_1"), None);
    expect(&format!("ghcr.io/org/app@{digest}"), "ghcr.io", "org/app", None, Some(&digest));
    expect(&format!("r.example:443/a:t@{digest}"), "r.example:443", "a", Some("t"), Some(&digest));
    expect("registry.example/a__b/c---d/e.f_g", "registry.example", "a__b/c---d/e.f_g", Some("latest"), None);
}

#[test]
fn docker_hub_is_the_default() {
    expect("alpine", "docker.io", "library/alpine", Some("latest"), None);
    expect("alpine:3", "docker.io", "library/alpine", Some("3"), None);
    expect("org/app", "docker.io", "org/app", Some("latest"), None);
    expect("docker.io/alpine", "docker.io", "library/alpine", Some("latest"), None);
    expect("index.docker.io/org/app", "docker.io", "org/app", Some("latest"), None);
}

#[test]
fn each_fault_is_named() {
    let long = "a".repeat(256);
    let upper = HEX.to_uppercase();
    let cases = [
        ("", "it is empty"),
        ("https://ghcr.io/a", "no scheme"),
        ("ghcr.io/", "the repository is missing"),
        ("ghcr.io/Org/app", "must be in lower case"),
        ("ghcr.io//app", "must be parts of letters and digits"),
        ("ghcr.io/a..b", "must be parts of letters and digits"),
        ("ghcr.io/-a", "must be parts of letters and digits"),
        ("ghcr.io/a b", "must be parts of letters and digits"),
        ("ghcr.io/../etc", "must be parts of letters and digits"),
        ("ghcr.io/a?b", "must be parts of letters and digits"),
        ("ghcr.io/a:", "the tag \"\""),
        ("ghcr.io/a:.b", "the tag \".b\""),
        ("ghcr.io/a:b c", "the tag \"b c\""),
        ("ghcr.io/a@sha256:12", "the digest \"sha256:12\""),
        ("ghcr.io/a@md5:12", "the digest \"md5:12\""),
        (&format!("ghcr.io/a@sha256:{upper}"), "64 hexadecimal digits in lower case"),
        (&format!("ghcr.io/a@sha256:{HEX}@sha256:{HEX}"), "the digest"),
        ("localhost:0/a", "port \"0\""),
        ("localhost:99999/a", "port \"99999\""),
        ("user:hunter2@host/a", "\"…@host/a\" is not a reference to an artifact: it holds no user"),
        ("-x.example/a", "not a host name"),
        ("[::g]:5000/a", "not a host name"),
        ("[::1]x/a", "not a host name"),
        (&format!("ghcr.io/{long}"), "longer than 255"),
    ];
    for (given, expected) in cases {
        let error = given.parse::<Reference>().unwrap_err().to_string();
        assert!(error.contains(expected), "{given}: {error}");
        assert!(error.contains("write registry/repository:tag"), "{given}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_digest_wins_over_a_tag_and_each_can_be_had_alone() {
    let digest = format!("sha256:{HEX}");
    let both: Reference = format!("localhost:5000/a:t@{digest}").parse().unwrap();
    assert_eq!(crate::manifest::path(&both), format!("manifests/{digest}"));
    let other = both.with_tag("u").unwrap();
    assert_eq!((other.to_string().as_str(), both.with_tag("../x")), ("localhost:5000/a:u", None));
    assert_eq!(both.by_tag().unwrap().to_string(), "localhost:5000/a:t");
    let pinned = both.by_digest(digest.clone());
    assert_eq!(pinned.to_string(), format!("localhost:5000/a@{digest}"));
    assert_eq!(pinned.by_tag(), None);
}

#[test]
fn the_api_of_docker_hub_has_a_host_of_its_own() {
    for (given, host) in [
        ("hello-world", "registry-1.docker.io"),
        ("index.docker.io/me/app", "registry-1.docker.io"),
        ("ghcr.io/me/app", "ghcr.io"),
        ("localhost:5000/app", "localhost:5000"),
    ] {
        assert_eq!(given.parse::<Reference>().unwrap().api_host(), host, "{given}");
    }
}
