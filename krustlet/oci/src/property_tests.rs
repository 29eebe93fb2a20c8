//! What strangers write, and this crate reads: names, challenges, keyrings, manifests, the words of a registry.
//!
//! Each is tried with a few hundred texts; `PROPTEST_CASES` says how many.

use http_auth::ChallengeParser;
use proptest::prelude::*;
use serde_json::json;

use crate::auth::keyring::Keyring;
use crate::auth::login::Who;
use crate::auth::parameter;
use crate::auth::registry_key::{RegistryKey, matches};
use crate::auth::scope::{Right, Scopes};
use crate::manifest::artifact::{module_layer, wasm_entry};
use crate::manifest::document::{ImageIndex, ImageManifest};
use crate::transport::words::{own_words, said};
use crate::{OciError, Reference};

/// The longest error that a registry can make, whatever it has sent: it goes into events and statuses.
const WORDS: usize = 4096;

fn reference() -> Reference {
    "r.example/team/app:v1".parse().unwrap()
}

/// Something like a reference, or anything.
fn like_a_reference() -> impl Strategy<Value = String> {
    "([a-zA-Z0-9.-]{1,12}(:[0-9]{1,6})?/)?[a-z0-9._/-]{1,20}(:[a-zA-Z0-9._-]{0,12})?(@sha256:[0-9a-f]{63,65})?|[a-z:/@.]{0,20}|\\PC{0,40}"
}

/// JSON of a few levels.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        "\\PC{0,20}".prop_map(|value| json!(value)),
    ];
    let keys = "auths|auth|username|password|layers|config|manifests|mediaType|digest|size|platform|errors|message|r.example|\\PC{0,8}";
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|values| json!(values)),
            prop::collection::btree_map(keys, inner, 0..6).prop_map(|values| json!(values)),
        ]
    })
}

/// Whether a pattern takes a text, as its definition reads.
fn takes(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => takes(rest, text) || !text.is_empty() && takes(pattern, &text[1..]),
        (['?', pattern @ ..], [_, text @ ..]) => takes(pattern, text),
        ([one, pattern @ ..], [other, text @ ..]) => one == other && takes(pattern, text),
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_reference_reads_back_as_it_is_written_and_is_safe_in_a_path(text in like_a_reference()) {
        let Ok(read) = text.parse::<Reference>() else { return Ok(()) };
        prop_assert_eq!(&read.to_string().parse::<Reference>().unwrap(), &read);
        prop_assert!(read.tag().is_some() || read.digest().is_some());
        for part in [Some(read.repository()), read.tag(), read.digest()].into_iter().flatten() {
            prop_assert!(part.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:".contains(c)), "{}", part);
            prop_assert!(part.split('/').all(|part| !part.is_empty() && part != "." && part != ".."), "{}", part);
        }
    }

    #[test]
    fn a_password_in_a_reference_is_not_repeated(user in "[a-z]{1,8}", password in "[A-Z]{12}", rest in "[a-z/.:]{0,12}") {
        if let Err(error) = format!("{user}:{password}@{rest}").parse::<Reference>() {
            prop_assert!(!error.to_string().contains(&password), "{}", error);
        }
    }

    #[test]
    fn a_challenge_is_read_or_passed_over(text in "(Bearer |basic |Negotiate |, ?){0,3}([a-z]{1,8}=(\"[^\"]{0,20}\"|[a-z]{0,5})[, ]{0,2}){0,4}|\\PC{0,60}") {
        for challenge in ChallengeParser::new(&text).flatten() {
            let _ = (parameter(&challenge, "realm"), parameter(&challenge, "service"));
            let asked = parameter(&challenge, "scope");
            for right in [Right::Read, Right::Write, Right::Delete] {
                let _ = Scopes::wanted(asked.as_deref(), right, &reference());
            }
        }
    }

    /// What a registry asks for beside it does not take the place of what a request needs.
    #[test]
    fn a_token_is_for_what_the_request_needs(asked in "((repository|registry):[a-z/]{0,8}:[a-z,*]{0,8} ?){0,3}|\\PC{0,40}") {
        let needed = Scopes::wanted(None, Right::Write, &reference());
        let wanted = Scopes::wanted(Some(&asked), Right::Write, &reference());
        prop_assert!(wanted.cover(&needed));
        let again = Scopes::wanted(Some(&wanted.written().join(" ")), Right::Write, &reference());
        prop_assert_eq!(again, wanted);
    }

    #[test]
    fn a_pattern_takes_what_its_definition_takes(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(matches(&pattern, &text), takes(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn a_key_is_for_its_own_registry(host in "[a-z]{1,8}(\\.[a-z]{1,8}){1,3}(:[1-9][0-9]{0,3})?", scheme in "(https?://)?", version in "(/v[12]/)?") {
        let key = RegistryKey::new(&format!("{scheme}{host}{version}"));
        let own: Reference = format!("{host}/team/app").parse().unwrap();
        let other: Reference = format!("x{host}/team/app").parse().unwrap();
        prop_assert!(key.is_for(&own) && !key.is_for(&other));
    }

    #[test]
    fn a_login_comes_back_as_it_was_given(user in "[^:\\p{Cc}]{1,20}", password in "\\PC{1,40}") {
        let mut keyring = Keyring::default();
        let auth = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{user}:{password}"));
        keyring.add_docker_config_json(json!({ "auths": { "r.example": { "auth": auth } } }).to_string().as_bytes()).unwrap();
        let logins = keyring.logins(&reference()).unwrap();
        let given = |who: &Who| matches!(who, Who::Basic { user: u, password: p } if *u == user && *p == password);
        prop_assert!(logins.len() == 1 && given(&logins[0].who));
        let shown = format!("{keyring:?} {logins:?}");
        prop_assert!(!shown.contains(&auth));
    }

    #[test]
    fn a_keyring_takes_whatever_a_secret_holds(content in json(), noise in prop::collection::vec(any::<u8>(), 0..60)) {
        for bytes in [content.to_string().as_bytes(), &noise] {
            let mut keyring = Keyring::default();
            let _ = (keyring.add_docker_config_json(bytes), keyring.add_docker_cfg(bytes));
            let _ = keyring.logins(&reference());
        }
    }

    /// Not even in part: a value where docker has none may be a password at the wrong place.
    #[test]
    fn an_error_of_a_keyring_repeats_no_value(secret in "[A-Z]{16}", field in "auth|username|password|identitytoken|other") {
        for entry in [json!({ &field: &secret }), json!({ &field: [&secret] }), json!([&secret]), json!(&secret)] {
            let mut keyring = Keyring::default();
            let added = keyring.add_docker_config_json(json!({ "auths": { "r.example": entry } }).to_string().as_bytes());
            let found = added.and_then(|()| keyring.logins(&reference()).map(|_| ()));
            prop_assert!(found.err().is_none_or(|error| !error.to_string().contains(&secret)));
        }
    }

    #[test]
    fn a_manifest_is_one_or_an_error_of_few_words(content in json(), types in prop::collection::vec("[a-z/+.]{0,200}", 0..300)) {
        let short = |error: OciError| {
            prop_assert!(error.to_string().len() <= WORDS);
            Ok(())
        };
        for document in [content, json!({ "config": { "mediaType": "", "digest": "", "size": -1 },
            "layers": types.iter().map(|of| json!({ "mediaType": of, "digest": of, "size": i64::MAX })).collect::<Vec<_>>(),
            "manifests": types.iter().map(|of| json!({ "digest": of, "platform": { "os": of, "architecture": of } })).collect::<Vec<_>>() })]
        {
            let text = document.to_string();
            if let Ok(manifest) = serde_json::from_str::<ImageManifest>(&text) {
                module_layer(&manifest, &reference()).map(|_| ()).or_else(short)?;
            }
            if let Ok(index) = serde_json::from_str::<ImageIndex>(&text) {
                wasm_entry(&index.manifests, &reference()).map(|_| ()).or_else(short)?;
            }
        }
    }

    #[test]
    fn a_registrys_words_are_few_and_on_one_line(body in json(), noise in "\\PC{0,2000}|(?s).{0,200}", status in any::<u16>()) {
        for body in [body.to_string(), json!({ "errors": [{ "code": noise, "message": noise }], "message": noise }).to_string(), noise] {
            let told = [own_words(&body), said(status, &body)];
            prop_assert!(told.iter().all(|told| told.len() <= WORDS && !told.contains(['\n', '\r', '\u{1b}'])), "{:?}", told);
        }
    }
}
