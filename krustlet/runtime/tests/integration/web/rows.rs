//! The table of `docs/http.md`: bad and hostile requests, and what each gets.

use std::num::NonZeroUsize;

use krustlet_runtime::HttpAccess;

use super::access;

/// What every row allows, unless it says otherwise.
pub const USUAL: [&str; 3] = ["http://allowed.example", "https://allowed.example", "https://friend.example"];

/// One request, or one course of them.
pub struct Row {
    /// What is tried.
    pub what: &'static str,
    /// The words that the guests understand.
    pub words: Vec<String>,
    /// Instead of a URL of a megabyte.
    pub shown: Option<&'static str>,
    /// Allowed besides the usual origins.
    pub also: Option<&'static str>,
    /// Whether the usual ones are allowed.
    pub usual: bool,
    /// What the module prints.
    pub module: &'static str,
    /// What the component prints.
    pub component: &'static str,
    /// What that of WASI 0.3 prints, where it is something else.
    pub p3: Option<&'static str>,
}

impl Row {
    pub fn access(&self) -> HttpAccess {
        let usual: &[&str] = if self.usual { &USUAL } else { &[] };
        let mut access = access(&[usual, self.also.as_slice()].concat());
        access.max_concurrent_requests = NonZeroUsize::new(42).unwrap();
        access
    }

    /// The request as the table has it.
    pub fn request(&self) -> String {
        if let Some(shown) = self.shown {
            return shown.into();
        }
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let text = match words[..] {
            ["send", method, url, "", ""] => format!("{method} {url}"),
            ["send", method, url, headers, ""] => format!("{method} {url} {headers}"),
            ["twice", url] => format!("GET {url}, twice"),
            ["open", count, url] => format!("GET {url}, {count} at once"),
            ["upload", url, bytes] => format!("POST {url}, {bytes} bytes"),
            _ => panic!("{words:?}"),
        };
        text.chars()
            .map(|letter| if letter.is_control() { letter.escape_debug().to_string() } else { letter.into() })
            .collect()
    }

    fn also(mut self, origin: &'static str) -> Self {
        self.also = Some(origin);
        self
    }

    fn nothing_allowed(mut self) -> Self {
        self.usual = false;
        self
    }

    fn p3(mut self, text: &'static str) -> Self {
        self.p3 = Some(text);
        self
    }

    fn shown(mut self, text: &'static str) -> Self {
        self.shown = Some(text);
        self
    }
}

fn row(what: &'static str, words: &[&str], module: &'static str, component: &'static str) -> Row {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Row { what, words, shown: None, also: None, usual: true, module, component, p3: None }
}

fn get(what: &'static str, url: &str, module: &'static str, component: &'static str) -> Row {
    row(what, &["send", "GET", url, "", ""], module, component)
}

fn with(what: &'static str, headers: &str, module: &'static str, component: &'static str) -> Row {
    row(what, &["send", "GET", "http://allowed.example/", headers, ""], module, component)
}

const DENIED: &str = "error 7 destination-not-allowed";
const DENIED_C: &str = "error http-request-denied";
const URL: &str = "error 10 invalid-url";
const URL_C: &str = "error http-request-uri-invalid";
const ADDRESS_C: &str = "error destination-ip-prohibited";
const FAILED: &str = "error 11 request-error";
const ENCODING: &str = "error 9 invalid-encoding";
const AUTHORITY_C: &str = "set-authority fails";

/// A name that an origin allows, and which stands for what it must not stand for.
fn name(what: &'static str, name: &'static str, origin: &'static str) -> Row {
    get(what, &format!("http://{name}/"), DENIED, ADDRESS_C).also(origin)
}

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        get("nothing is allowed", "http://allowed.example/", DENIED, DENIED_C).nothing_allowed(),
        get("allowed, for comparison", "http://allowed.example/", "200 hello", "200 hello"),
        get("allowed, by TLS", "https://allowed.example/", "200 hello", "200 hello"),
        get("upper case", "HTTPS://ALLOWED.Example:443/", "200 hello", "200 hello"),
        get("a name in another alphabet", "https://bücher.example/", "200 hello", AUTHORITY_C)
            .also("https://bücher.example"),
        get("the same in ASCII", "https://xn--bcher-kva.example/", "200 hello", "200 hello")
            .also("https://bücher.example"),
        get("its first address refuses, its second answers", "http://two.example/", "200 hello", "200 hello")
            .also("http://two.example"),
    ];
    rows.extend(where_to());
    rows.extend(urls());
    rows.extend(addresses());
    rows.extend(redirects());
    rows.extend(requests());
    rows.extend(responses());
    rows
}

fn where_to() -> Vec<Row> {
    vec![
        get("other scheme", "http://friend.example/", DENIED, DENIED_C),
        get("other port", "http://allowed.example:8080/", DENIED, DENIED_C),
        get("the port of the other scheme", "http://allowed.example:443/", DENIED, DENIED_C),
        get("other host", "https://evil.test/", DENIED, DENIED_C),
        get("allowed host as a prefix", "https://allowed.example.evil.test/", DENIED, DENIED_C),
        get("allowed host as a suffix", "https://evil-allowed.example/", DENIED, DENIED_C),
        get("a host below an allowed one", "https://sub.allowed.example/", DENIED, DENIED_C),
        get("a dot after the host", "https://allowed.example./", DENIED, DENIED_C),
        get("a scheme that is not HTTP", "file:///etc/passwd", URL, AUTHORITY_C),
        get("its address instead of its name", "http://203.0.113.7/", DENIED, DENIED_C),
    ]
}

fn urls() -> Vec<Row> {
    let long = format!("http://allowed.example/{}", "a".repeat(1 << 20));
    let long_host = format!("http://{}.example/", "a".repeat(9000));
    vec![
        get("allowed host as a user", "https://allowed.example@evil.test/", URL, URL_C),
        get("allowed host as a user with password", "https://allowed.example:443@evil.test/", URL, URL_C)
            .p3(AUTHORITY_C),
        get("a user for an allowed host", "https://user:secret@allowed.example/", URL, URL_C).p3(AUTHORITY_C),
        get("backslash before a user", "https://allowed.example\\@evil.test/", URL, AUTHORITY_C),
        get("backslash for a slash", "https:\\\\allowed.example/", URL, AUTHORITY_C),
        get("white space in the host", "https://allowed.example .evil.test/", URL, AUTHORITY_C),
        get("line end in the host", "https://allowed.example\r\n.evil.test/", URL, AUTHORITY_C),
        get(
            "line end in the path",
            "http://allowed.example/a HTTP/1.1\r\nx: y\r\n\r\n",
            URL,
            "set-path-with-query fails",
        ),
        get("tab in the scheme", "ht\ttp://allowed.example/", URL, "set-scheme fails"),
        get("percent-encoded host", "https://allowed%2eexample/", URL, AUTHORITY_C),
        get("no host", "https:///allowed.example", URL, AUTHORITY_C),
        get("port 0", "http://allowed.example:0/", URL, URL_C),
        get("port 65616, which is 80 cut to 16 bits", "http://allowed.example:65616/", URL, URL_C).p3(AUTHORITY_C),
        get("URL of 1 MiB", &long, URL, "set-path-with-query fails").shown("GET http://allowed.example/aaa…"),
        get("host of 9 KB", &long_host, URL, AUTHORITY_C).shown("GET http://aaa….example/"),
        get("URL of 9 KB", &long[..9000], URL, "error http-request-uri-too-long")
            .shown("GET http://allowed.example/aaa…"),
    ]
}

fn addresses() -> Vec<Row> {
    let literal = "http://127.0.0.1:8080";
    vec![
        get("loopback address", "http://127.0.0.1/", DENIED, DENIED_C),
        get("loopback address that an origin names", "http://127.0.0.1:8080/", "200 hello", "200 hello").also(literal),
        get("the same as one number", "http://2130706433:8080/", URL, URL_C).also(literal),
        get("the same in octal", "http://0177.0.0.1:8080/", URL, URL_C).also(literal),
        get("the same in hexadecimal", "http://0x7f.0.0.1:8080/", URL, URL_C).also(literal),
        get("the same, short", "http://127.1:8080/", URL, URL_C).also(literal),
        get("the same, mapped into IPv6", "http://[::ffff:127.0.0.1]:8080/", DENIED, DENIED_C).also(literal),
        get("another loopback address", "http://127.0.0.2:8080/", DENIED, DENIED_C).also(literal),
        get("IPv6 loopback", "http://[::1]/", DENIED, DENIED_C),
        get("… that an origin names and the node does not open", "http://[::1]/", DENIED, ADDRESS_C)
            .also("http://[::1]"),
        get("the cloud's metadata that an origin names", "http://169.254.169.254/", DENIED, ADDRESS_C)
            .also("http://169.254.169.254"),
        get("… mapped into IPv6", "http://[::ffff:169.254.169.254]/", DENIED, ADDRESS_C)
            .also("http://[::ffff:169.254.169.254]"),
        get("… by its IPv6 address", "http://[fd00:ec2::254]/", DENIED, ADDRESS_C).also("http://[fd00:ec2::254]"),
        get("IPv6 with a zone", "http://[fe80::1%25eth0]/", URL, URL_C),
        get("localhost", "http://localhost:8080/", DENIED, DENIED_C),
        get("localhost that an origin names", "http://localhost:8080/", "200 hello", "200 hello")
            .also("http://localhost:8080"),
        name("allowed name for a private address", "private.example", "http://private.example"),
        name("… for one of carrier-grade NAT", "shared.example", "http://shared.example"),
        name("… for the cloud's metadata", "metadata.example", "http://metadata.example"),
        name("… for a loopback address", "loopback.example", "http://loopback.example"),
        name("… for IPv6 loopback", "loopback6.example", "http://loopback6.example"),
        name("… for loopback mapped into IPv6", "mapped.example", "http://mapped.example"),
        name("… for a private address by NAT64", "nat64.example", "http://nat64.example"),
        name("… for loopback by 6to4", "sixtofour.example", "http://sixtofour.example"),
        name("… for a unique local address", "local.example", "http://local.example"),
        name("… for the unspecified address", "unspecified.example", "http://unspecified.example"),
        name("… for a multicast address", "multicast.example", "http://multicast.example"),
        name("… for a public and a private one", "mixed.example", "http://mixed.example"),
        row(
            "DNS rebinding: public first, loopback next",
            &["twice", "http://rebind.example/"],
            "200 hello / error 7 destination-not-allowed",
            "200 hello / error destination-ip-prohibited",
        )
        .also("http://rebind.example"),
        get("name without an address", "http://empty.example/", FAILED, "error dns-error").also("http://empty.example"),
        get("name that is not there", "http://absent.example/", FAILED, "error dns-error")
            .also("http://absent.example"),
        get("name whose look-up has no end", "http://slow-name.example/", FAILED, "error connection-timeout")
            .also("http://slow-name.example"),
    ]
}

fn redirects() -> Vec<Row> {
    let to = |what, url: &str, module| get(what, &format!("https://allowed.example/302?{url}"), module, "302");
    vec![
        to("redirect to an allowed origin", "https://friend.example/", "200 hello"),
        to("redirect to a path", "/hello", "200 hello"),
        to("redirect to another host", "https://evil.test/", DENIED),
        to("redirect to another host, without a scheme", "//evil.test/", DENIED),
        to("redirect to an allowed host, without a scheme", "//friend.example/", "200 hello"),
        to("redirect to another port", "https://allowed.example:4443/", DENIED),
        to("redirect from https to allowed http", "http://allowed.example/", DENIED),
        to("redirect to a loopback address", "https://127.0.0.1/", DENIED),
        to("redirect with a user", "https://friend.example@evil.test/", FAILED),
        get("redirect with a backslash", "https://allowed.example/302-backslash", FAILED, "302"),
        to("redirect to a file", "file:///etc/passwd", FAILED),
        to("redirect to an allowed name for a private address", "https://private.example/", DENIED)
            .also("https://private.example"),
        get("redirect to itself for ever", "http://allowed.example/loop", FAILED, "302"),
        get("10 redirects", "http://allowed.example/hops?10", "200 hello", "302"),
        get("11 redirects", "http://allowed.example/hops?11", FAILED, "302"),
        get("redirect to nowhere", "http://allowed.example/302-to-nowhere", "302 stay", "302 stay"),
    ]
}

fn requests() -> Vec<Row> {
    let method = |what, method, module, component| {
        row(what, &["send", method, "http://allowed.example/", "", ""], module, component)
    };
    let many = "x-a:b\n".repeat(101);
    let long = format!("x-a:{}", "b".repeat(40_000));
    let longer = format!("{}:b", "x".repeat(40_000));
    let long_method = "A".repeat(9000);
    let get_with = "GET http://allowed.example/ …";
    vec![
        with("Host of another", "host:evil.test", ENCODING, "fields.append: forbidden"),
        with("Transfer-Encoding", "transfer-encoding:chunked", ENCODING, "fields.append: forbidden"),
        with("Connection", "connection:keep-alive", ENCODING, "fields.append: forbidden"),
        with("Upgrade", "upgrade:h2c", ENCODING, "fields.append: forbidden"),
        with("Expect", "expect:100-continue", ENCODING, "fields.append: forbidden"),
        with("a length that is not the body's", "content-length:5", ENCODING, "error http-protocol-error"),
        with("a length that is no number", "content-length:+0", ENCODING, "fields.append: invalidsyntax"),
        with("line end in a value", "x-a:b\r\nhost:evil.test", ENCODING, "fields.append: invalidsyntax"),
        with("control character in a value", "x-a:b\u{1}c", ENCODING, "fields.append: invalidsyntax"),
        with("space in a name", "x a:b", ENCODING, "fields.append: invalidsyntax"),
        with("no name", ":b", ENCODING, "fields.append: invalidsyntax"),
        with("101 headers", &many, ENCODING, "error http-request-header-section-size").shown(get_with),
        with("a value of 40 KB", &long, ENCODING, "error http-request-header-section-size").shown(get_with),
        with("a name of 40 KB", &longer, ENCODING, "error http-request-header-section-size").shown(get_with),
        method("method of its own", "FROBNICATE", "200 hello", "200 hello"),
        method("CONNECT", "CONNECT", "error 8 invalid-method", "error http-request-method-invalid"),
        method("TRACE", "TRACE", "error 8 invalid-method", "error http-request-method-invalid"),
        method("space in the method", "GET /x HTTP/1.1\r\n", "error 8 invalid-method", "set-method fails"),
        method("no method", "", "error 8 invalid-method", "set-method fails"),
        method("a method of 9 KB", &long_method, "error 8 invalid-method", "set-method fails")
            .shown("AAA… http://allowed.example/"),
        row(
            "43 at once where 42 are allowed",
            &["open", "43", "http://allowed.example/"],
            "42 open, error 13 too-many-sessions; with one closed 200",
            "42 open, error connection-limit-reached; with one closed 200",
        ),
        row(
            "a body of 1 MiB, the limit",
            &["upload", "http://allowed.example/size", "1048576"],
            "200 1048576",
            "200 1048576",
        ),
        row(
            "a byte more",
            &["upload", "http://allowed.example/size", "1048577"],
            FAILED,
            "error http-request-body-size",
        ),
    ]
}

fn responses() -> Vec<Row> {
    let http =
        |what, path: &str, module, component| get(what, &format!("http://allowed.example{path}"), module, component);
    let sections = "error http-response-header-section-size";
    let tls = "error tls-certificate-error";
    let protocol = "error http-protocol-error";
    vec![
        http("200 headers", "/many-headers", FAILED, sections),
        http("a header of 100 KB", "/long-header", FAILED, sections),
        http("headers without an end", "/endless-headers", FAILED, sections),
        http("informational responses without an end", "/endless-informational", FAILED, "error http-response-timeout"),
        http(
            "body without an end",
            "/endless-body",
            "200 and 1048576 bytes, then error 11 request-error",
            "200 and 1048576 bytes, then HTTP response body size exceeds limit",
        )
        .p3("200 and 1048576 bytes, then error http-response-body-size"),
        http("length of 1 TiB", "/huge", FAILED, "error http-response-body-size"),
        http(
            "body that stops in the middle",
            "/slow-body",
            "200 he, then error 11 request-error",
            "200 he, then connection read timeout",
        )
        .p3("200 he, then error connection-read-timeout"),
        http(
            "body shorter than its length",
            "/short-body",
            "200 hello, then error 11 request-error",
            "200 hello, then HTTP protocol error",
        )
        .p3("200 hello, then error http-protocol-error"),
        http("two lengths", "/two-lengths", FAILED, protocol),
        http("no answer", "/never", FAILED, "error http-response-timeout"),
        http("connection closed without an answer", "/hang-up", FAILED, protocol),
        http("another protocol's answer", "/garbage", FAILED, protocol),
        http("an upgrade that nobody asked for", "/upgrade", FAILED, protocol),
        http("gzip: it is not unpacked", "/gzip", "200 [1f, 8b, 08, 00]", "200 [1f, 8b, 08, 00]"),
        get("connection refused", "http://allowed.example:82/", FAILED, "error connection-refused")
            .also("http://allowed.example:82"),
        get("connection not answered", "http://allowed.example:81/", FAILED, "error connection-timeout")
            .also("http://allowed.example:81"),
        get("self-signed certificate", "https://allowed.example:5443/", FAILED, tls)
            .also("https://allowed.example:5443"),
        get("certificate for another name", "https://allowed.example:6443/", FAILED, tls)
            .also("https://allowed.example:6443"),
        get("expired certificate", "https://allowed.example:7443/", FAILED, tls).also("https://allowed.example:7443"),
        get("https to a port without TLS", "https://allowed.example:8080/", FAILED, "error connection-timeout")
            .also("https://allowed.example:8080"),
    ]
}
