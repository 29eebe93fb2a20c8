//! Which addresses a name may stand for. A name that an origin allows is looked up at every request, and whoever owns the name
//! chooses the answer: it must not lead a guest to the node itself, to its neighbours or to the cloud's metadata service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is, if it is none that a name of the public DNS has any business with; `None` for all others. An IPv6 address
/// that stands for one of IPv4 is what that one is.
///
/// After the registries of special addresses
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry/>, <https://www.iana.org/assignments/iana-ipv6-special-registry/>).
/// Addresses for documentation are left out of it: nobody has them.
pub(crate) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// Whether one host may have this address as its own: all but unspecified, multicast and broadcast ones.
pub(crate) fn is_of_a_host(address: IpAddr) -> bool {
    !matches!(special(address), Some("an unspecified address" | "a multicast address" | "a reserved address"))
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("an unspecified address"),
        [127, ..] => Some("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("a private address"),
        [100, 64..=127, ..] => Some("a shared address (carrier-grade NAT)"),
        [169, 254, ..] => Some("a link-local address"),
        [192, 0, 0, _] | [198, 18..=19, ..] | [192, 88, 99, _] => Some("a special-purpose address"),
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..] => Some("a reserved address"),
        _ => None,
    }
}

/// The address of IPv4 that one of IPv6 stands for.
pub(crate) fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let (high, low) = match address.segments() {
        // IPv4-mapped (RFC 4291), and the well-known prefix of NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => (high, low),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(address) = embedded(address.into()) {
        return special_v4(address);
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // IPv4-compatible and IPv4-translated ones, NAT64 of a network's own, Teredo and benchmarking: each stands for, or leads
        // to, something that cannot be told from here.
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 1, ..] | [0x2001, 0 | 2, ..] => {
            Some("a special-purpose address")
        }
        [0x0100, 0, 0, 0, ..] => Some("a special-purpose address"),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Some("a private address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_is() {
        let cases = [
            ("0.0.0.0", "an unspecified address"),
            ("0.1.2.3", "an unspecified address"),
            ("127.0.0.1", "a loopback address"),
            ("127.255.255.254", "a loopback address"),
            ("10.0.0.1", "a private address"),
            ("172.16.0.1", "a private address"),
            ("172.31.255.255", "a private address"),
            ("192.168.0.1", "a private address"),
            ("100.64.0.1", "a shared address (carrier-grade NAT)"),
            ("100.127.255.255", "a shared address (carrier-grade NAT)"),
            ("169.254.169.254", "a link-local address"),
            ("192.0.0.8", "a special-purpose address"),
            ("192.88.99.1", "a special-purpose address"),
            ("198.18.0.1", "a special-purpose address"),
            ("224.0.0.1", "a multicast address"),
            ("240.0.0.1", "a reserved address"),
            ("255.255.255.255", "a reserved address"),
            ("::", "an unspecified address"),
            ("::1", "a loopback address"),
            ("::7f00:1", "a special-purpose address"),
            ("::ffff:127.0.0.1", "a loopback address"),
            ("::ffff:10.1.2.3", "a private address"),
            ("::ffff:0:7f00:1", "a special-purpose address"),
            ("64:ff9b::10.1.2.3", "a private address"),
            ("64:ff9b::169.254.169.254", "a link-local address"),
            ("64:ff9b:1::8.8.8.8", "a special-purpose address"),
            ("2002:7f00:1::1", "a loopback address"),
            ("2002:c0a8:101::1", "a private address"),
            ("2001::1", "a special-purpose address"),
            ("2001:2::1", "a special-purpose address"),
            ("100::1", "a special-purpose address"),
            ("fc00::1", "a private address"),
            ("fd12:3456::1", "a private address"),
            ("fec0::1", "a private address"),
            ("fe80::1", "a link-local address"),
            ("ff02::1", "a multicast address"),
        ];
        for (address, expected) in cases {
            assert_eq!(special(address.parse().unwrap()), Some(expected), "{address}");
        }
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "169.253.1.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.1.1",
            "192.0.1.1",
            "198.17.1.1",
            "198.20.1.1",
            "203.0.113.7",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2606:4700::1111",
            "2001:db8::1",
            "2001:4860:4860::8888",
            "fbff::1",
            "fe00::1",
        ];
        for address in public {
            assert_eq!(special(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn an_origin_names_the_address_of_a_host() {
        for (address, expected) in
            [("127.0.0.1", true), ("10.0.0.1", true), ("169.254.169.254", true), ("::1", true), ("203.0.113.7", true)]
        {
            assert_eq!(is_of_a_host(address.parse().unwrap()), expected, "{address}");
        }
        for address in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0"] {
            assert!(!is_of_a_host(address.parse().unwrap()), "{address}");
        }
    }
}
