use super::*;

#[test]
fn an_origin_is_scheme_host_and_port() {
    let cases = [
        ("https://catfact.ninja", "https://catfact.ninja", 443),
        ("https://catfact.ninja/", "https://catfact.ninja", 443),
        ("https://catfact.ninja:443", "https://catfact.ninja", 443),
        ("HTTPS://CatFact.Ninja:8443", "https://catfact.ninja:8443", 8443),
        ("http://catfact.ninja", "http://catfact.ninja", 80),
        ("http://catfact.ninja:443", "http://catfact.ninja:443", 443),
        ("http://my_service.example", "http://my_service.example", 80),
        ("https://bücher.example", "https://xn--bcher-kva.example", 443),
        ("https://BÜCHER.example", "https://xn--bcher-kva.example", 443),
        ("https://日本.example:1", "https://xn--wgv71a.example:1", 1),
        ("http://localhost:5000", "http://localhost:5000", 5000),
        ("http://127.0.0.1:80", "http://127.0.0.1", 80),
        ("http://169.254.169.254", "http://169.254.169.254", 80),
        ("http://[::1]:8080/", "http://[::1]:8080", 8080),
        ("http://[2001:DB8:0::1]", "http://[2001:db8::1]", 80),
        ("http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]", 80),
    ];
    for (text, shown, port) in cases {
        let origin: Origin = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((origin.to_string().as_str(), origin.port()), (shown, port), "{text}");
        assert_eq!(origin.to_string().parse::<Origin>().unwrap(), origin, "{text}");
    }
}

#[test]
fn what_is_no_origin_is_refused_with_what_is_wrong() {
    let cases = [
        ("", "does not begin with http"),
        ("catfact.ninja", "does not begin with http"),
        ("//catfact.ninja", "does not begin with http"),
        ("https:catfact.ninja", "does not begin with http"),
        ("ftp://catfact.ninja", "its scheme is ftp, not http or https"),
        ("file:///etc/passwd", "it has a path"),
        ("https://", "it has no host"),
        ("https:///", "it has no host"),
        ("https:///catfact.ninja", "it has a path"),
        ("https://:443", "it has no host"),
        ("https://*.ninja", "no wildcards"),
        ("*", "no wildcards"),
        ("insecure:allow-all", "does not begin with http"),
        ("https://user@catfact.ninja", "a user name"),
        ("https://@catfact.ninja", "a user name"),
        ("https://catfact.ninja/fact", "a path"),
        ("https://catfact.ninja//", "a path"),
        ("https://catfact.ninja?", "a query or a fragment"),
        ("https://catfact.ninja#", "a query or a fragment"),
        ("https://catfact.ninja:", "its port is no number from 1 to 65535"),
        ("https://catfact.ninja:0", "its port is no number from 1 to 65535"),
        ("https://catfact.ninja:65536", "its port is no number from 1 to 65535"),
        ("https://catfact.ninja:x", "its port is no number from 1 to 65535"),
        (" https://catfact.ninja", "white space"),
        ("https://cat fact.ninja", "white space"),
        ("https://catfact.ninja\n", "white space"),
        ("https:\\\\catfact.ninja", "does not begin with http"),
        ("https://catfact.ninja\\@evil.example", "a user name"),
        ("https://catfact.ninja\\", "a backslash"),
        ("https://%63atfact.ninja", "a percent sign"),
        ("https://catfact.ninja.", "ends in a dot"),
        ("https://cat..ninja", "no valid name"),
        ("https://cat'fact.ninja", "no valid name"),
        ("https://xn--a.example", "no valid name"),
        ("http://2130706433", "not written as 127.0.0.1"),
        ("http://0177.0.0.1", "not written as 127.0.0.1"),
        ("http://0x7f.1", "not written as 127.0.0.1"),
        ("http://127.1", "not written as 127.0.0.1"),
        ("http://127.0.0.1.", "not written as 127.0.0.1"),
        ("http://256.0.0.1", "invalid IPv4 address"),
        ("http://[::1", "invalid IPv6 address"),
        ("http://::1", "it has no host"),
        ("http://0.0.0.0", "0.0.0.0 is not the address of a host"),
        ("http://[ff02::1]", "ff02::1 is not the address of a host"),
    ];
    for (text, expected) in cases {
        let error = text.parse::<Origin>().expect_err(text).to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
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
