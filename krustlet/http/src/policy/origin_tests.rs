use super::*;
use crate::AllowedOrigins;

/// The table that the components' rule (components/workload/origin.ts) is held to, too.
fn table(name: &str) -> Vec<(String, String)> {
    let mut tables: serde_json::Value = serde_json::from_str(include_str!("../../testdata/origins.json")).unwrap();
    serde_json::from_value(tables[name].take()).unwrap()
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    for (text, shown) in table("origins") {
        let origin: Origin = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(origin.to_string(), shown, "{text}");
        assert_eq!(shown.parse::<Origin>().unwrap(), origin, "{text}");
    }
    for (text, port) in [("https://a", 443), ("http://a", 80), ("http://a:443", 443), ("https://a:8443/", 8443)] {
        assert_eq!(text.parse::<Origin>().unwrap().port(), port, "{text}");
    }
}

#[test]
fn what_is_no_origin_is_refused_with_what_is_wrong() {
    for (text, expected) in table("refused") {
        let error = text.parse::<Origin>().expect_err(&text).to_string();
        assert!(error.contains(&expected), "{text:?}: {error}");
        assert!(error.contains("give scheme://host"), "{error}");
    }
}

#[test]
fn an_error_tells_no_password_and_no_novel() {
    let error = "https://me:hunter2@catfact.ninja".parse::<Origin>().unwrap_err().to_string();
    assert!(error.contains("\"https://…@catfact.ninja\"") && !error.contains("hunter2"), "{error}");
    let error = "x".repeat(10_000).parse::<Origin>().unwrap_err().to_string();
    assert!(error.len() < 400, "{error}");
}

#[test]
fn a_list_is_a_json_array() {
    let list = AllowedOrigins::from_json(r#"["https://b.example", "http://a.example:80/", "https://B.example:443"]"#);
    let shown: Vec<_> = list.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["http://a.example", "https://b.example"]);
    assert!(AllowedOrigins::from_json("[]").unwrap().is_empty());
    assert_eq!(AllowedOrigins::from_json(" [ ] ").unwrap(), AllowedOrigins::default());
    for (text, expected) in [
        ("", "no JSON array of origins"),
        ("https://a.example", "no JSON array of origins"),
        (r#""https://a.example""#, "no JSON array of origins"),
        ("{}", "no JSON array of origins"),
        (r#"["https://a.example", 7]"#, "element 2 of the list of origins is no string"),
        (r#"["https://a.example", "b.example"]"#, "element 2 of the list of origins: \"b.example\" is no origin"),
    ] {
        let error = AllowedOrigins::from_json(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn scheme_host_and_port_must_all_match() {
    let allowed: AllowedOrigins = ["https://allowed.example".parse().unwrap()].into_iter().collect();
    for (origin, expected) in [
        ("https://allowed.example", true),
        ("https://ALLOWED.example:443/", true),
        ("http://allowed.example", false),
        ("http://allowed.example:443", false),
        ("https://allowed.example:444", false),
        ("https://sub.allowed.example", false),
        ("https://allowed.example.evil.test", false),
        ("https://evil-allowed.example", false),
    ] {
        assert_eq!(allowed.allows(&origin.parse().unwrap()), expected, "{origin}");
    }
}
