//! What guests, and servers in redirects, name: read here as whoever connects reads it.
//!
//! Each is tried with a few hundred texts; `PROPTEST_CASES` says how many.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use proptest::prelude::*;

use crate::policy::address::special;
use crate::request::{check_headers, check_length};
use crate::served::Served;
use crate::target::{Target, named_origin};
use crate::{AllowedOrigins, Egress, MAX_REQUEST_HEADER_BYTES, MAX_REQUEST_HEADERS, Origin};

const ALLOWED: [&str; 5] =
    ["https://a.example", "http://a.example", "http://b.example:8080", "http://[2001:db8::7]", "tcp://a.example:80"];

fn allowed() -> AllowedOrigins {
    ALLOWED.iter().map(|text| text.parse().unwrap()).collect()
}

/// Something like a URL of one of the allowed hosts, or of one that only looks like it.
fn like_a_url() -> impl Strategy<Value = String> {
    let scheme =
        prop::sample::select(vec!["http:", "https:", "tcp:", "udp:", "HTTP:", "ftp:", "", "http:http:", "\thttp:"]);
    let slashes = prop::sample::select(vec!["//", "///", "/", "\\\\", "/\\", ""]);
    let user = prop::sample::select(vec!["", "", "", "user@", "a.example:80@", "a.example\\@", "@"]);
    let host = prop::sample::select(vec![
        "a.example",
        "A.Example",
        "a.example.",
        "b.example:8080",
        "b.example",
        "c.example",
        "a.example:80",
        "a.example:0080",
        "a.example:443",
        "a%2eexample",
        "a\u{3002}example",
        "\u{ff41}.example",
        "a.example\u{ad}",
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "[::1]",
        "[2001:db8::7]",
        "[2001:db8:0::7]",
        "localhost",
        "a.example#@c.example",
        "a.example;c.example",
    ]);
    let path = "(/|\\?|#|:|@|\\\\)?(/?[a-z@:%.\\\\]{0,6}(\\.\\./)?){0,2}";
    prop_oneof![
        4 => (scheme, slashes, user, host, path).prop_map(|(scheme, slashes, user, host, path)| format!("{scheme}{slashes}{user}{host}{path}")),
        1 => "\\PC{0,40}",
    ]
}

/// Of a header, hardly ever one that only the host may set.
fn header_name() -> impl Strategy<Value = String> {
    prop_oneof![400 => "x-[a-zA-Z-]{1,20}", 1 => "host|transfer-encoding|content-length|connection"]
}

proptest! {
    /// And what is sent names it.
    #[test]
    fn what_is_taken_is_allowed(text in like_a_url()) {
        let Ok(target) = Target::parse(&text, &allowed()) else { return Ok(()) };
        prop_assert!(ALLOWED.iter().any(|allowed| allowed.parse::<Origin>().unwrap() == target.origin));
        prop_assert_eq!(named_origin(&text), Some(target.origin.clone()));
        let sent: Uri = format!("{}://{}{}", target.origin.scheme().as_str(), target.authority(), target.path()).parse().unwrap();
        prop_assert_eq!(sent.host(), Some(&*target.origin.host()));
        prop_assert!(target.path().as_str().starts_with('/'));
    }

    /// A reader of another kind would go to the same host.
    #[test]
    fn two_readers_agree(text in like_a_url()) {
        if let (Ok(target), Ok(uri)) = (Target::parse(&text, &allowed()), text.parse::<Uri>()) {
            let host = uri.host().unwrap_or_default().to_ascii_lowercase();
            let plain = host.is_ascii() && !host.contains('%') && !host.ends_with('.') && !host.starts_with('[');
            prop_assert!(!plain || host == target.origin.host(), "{:?}: {} and {}", text, host, target.origin.host());
        }
    }

    #[test]
    fn a_redirect_leads_to_what_is_allowed(from in like_a_url(), location in prop_oneof![like_a_url(), Just("//c.example".into()), "[a-z:/@\\\\.]{0,20}"]) {
        let Ok(target) = Target::parse(&from, &allowed()) else { return Ok(()) };
        let Ok(location) = HeaderValue::from_str(&location) else { return Ok(()) };
        if let Ok(next) = target.redirect(&location, &allowed()) {
            prop_assert!(ALLOWED.iter().any(|allowed| allowed.parse::<Origin>().unwrap() == next.origin));
            prop_assert!(target.origin.scheme().as_str() == "http" || next.origin.scheme().as_str() == "https");
        }
    }

    #[test]
    fn an_origin_reads_back_as_it_is_written(text in like_a_url()) {
        if let Ok(origin) = text.parse::<Origin>() {
            prop_assert_eq!(origin.to_string().parse::<Origin>().unwrap(), origin);
        }
    }

    #[test]
    fn a_list_is_one_or_refused(text in "\\[(\"[a-z:/.0-9]{0,20}\",?){0,4}\\]|\\PC{0,40}") {
        if let Ok(list) = AllowedOrigins::from_json(&text) {
            prop_assert!(list.iter().all(|origin| list.allows(origin)));
        }
    }

    /// However it is written as one of IPv6: mapped, as NAT64 or 6to4 has it.
    #[test]
    fn an_address_is_what_it_stands_for(octets: [u8; 4]) {
        let v4 = Ipv4Addr::from(octets);
        let [high, low] = [u16::from_be_bytes([octets[0], octets[1]]), u16::from_be_bytes([octets[2], octets[3]])];
        let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
        let six_to_four = Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1);
        let closed = |address: IpAddr| Egress::default().refuses(SocketAddr::new(address, 80), &Served::default()).is_some();
        for other in [v4.to_ipv6_mapped(), nat64, six_to_four] {
            prop_assert_eq!(special(other.into()).is_some(), special(v4.into()).is_some(), "{}", other);
            prop_assert!(!closed(v4.into()) || closed(other.into()), "{}", other);
        }
    }

    #[test]
    fn headers_that_pass_are_bounded_and_no_others_than_the_guests(
        headers in prop::collection::vec((header_name(), prop_oneof![40 => "[ -~]{0,40}", 1 => "[ -~]{1500,3000}"]), 0..130)
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        if check_headers(&map).is_ok() && check_length(&mut map, 7).is_ok() {
            let bytes: usize = map.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
            prop_assert!(map.len() <= MAX_REQUEST_HEADERS + 1 && bytes <= MAX_REQUEST_HEADER_BYTES + 64);
            prop_assert!(!map.contains_key("host") && !map.contains_key("transfer-encoding") && !map.contains_key("connection"));
        }
    }
}
