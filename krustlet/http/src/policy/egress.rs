//! Where a host lets its guests connect to, whatever their permission says: not to the host itself, nor to what is for it alone.
//!
//! The permission of a guest may come from whoever wrote the guest: it names origins, and an origin may be any address. What listens
//! on the host's loopback address, or a cloud's metadata service, takes every program of the host for the host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::{io, iter};

use ipnet::IpNet;

use crate::policy::address::{embedded, special};
use crate::served::Served;

/// Where clouds keep credentials of the host besides 169.254.0.0/16: Alibaba Cloud, Azure, Oracle Cloud, Amazon (instances, pods),
/// Google Cloud.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// An address that nobody has (RFC 5737): a host that binds it binds any.
const NOBODYS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A range of addresses: `10.0.0.0/8`, `fd12::/64`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr(IpNet);

/// What is wrong with a [`Cidr`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no range of addresses: give an IPv4 or IPv6 address, with /PREFIX for more than one (127.0.0.1, 10.0.0.0/8)"
)]
pub struct CidrError(String);

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let range = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        range.map(Self).map_err(|_| CidrError(text.to_owned()))
    }
}

/// Where guests may connect to as far as their host is concerned. By default everywhere but to loopback and link-local addresses,
/// to where clouds keep the host's credentials, and to the host's own addresses, as it has them at that moment, unless it is one of its
/// guests that listens there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// Ranges that are open all the same. An IPv4 address counts as such however it is written.
    pub allowed: Vec<Cidr>,
}

impl Egress {
    /// Everything is open: for who runs what is their own on their own machine.
    pub fn anywhere() -> Self {
        let all = |address: IpAddr| IpNet::new_assert(address, 0);
        Self { allowed: vec![Cidr(all(Ipv4Addr::UNSPECIFIED.into())), Cidr(all(Ipv6Addr::UNSPECIFIED.into()))] }
    }

    /// What an address is, if nobody may connect to it.
    pub(crate) fn refuses(&self, at: SocketAddr, served: &Served) -> Option<&'static str> {
        let address = at.ip().to_canonical();
        // A gateway on the way would make that of it.
        let both = || iter::once(address).chain(embedded(address).map(IpAddr::from));
        if self.allowed.iter().any(|range| both().any(|address| range.0.contains(&address))) {
            return None;
        }
        match special(address) {
            Some(what @ ("an unspecified address" | "a loopback address" | "a link-local address")) => Some(what),
            _ if both().any(|address| METADATA.contains(&address)) => Some("an address of a cloud's metadata service"),
            _ if both().any(|address| is_own(&bound(address)))
                && bound(NOBODYS).is_err()
                && !served.has(SocketAddr::new(address, at.port())) =>
            {
                Some("an address of this node")
            }
            _ => None,
        }
    }
}

fn bound(address: IpAddr) -> io::Result<UdpSocket> {
    UdpSocket::bind((address, 0))
}

/// Whether this host has an address, by whether it could be bound: then, and only then, it can. A host that could not try, for it has no
/// more files, memory or free ports, has it: guests have sockets of their own, and may have taken these.
fn is_own(bound: &io::Result<UdpSocket>) -> bool {
    /// What the host has no protocol for it has no address of.
    const EAFNOSUPPORT: i32 = 97;
    bound.as_ref().map_or_else(
        |error| error.kind() != io::ErrorKind::AddrNotAvailable && error.raw_os_error() != Some(EAFNOSUPPORT),
        |_| true,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(allowed: &[&str]) -> Egress {
        Egress { allowed: allowed.iter().map(|range| range.parse().unwrap()).collect() }
    }

    /// By a host none of whose guests listens anywhere.
    fn refuses(egress: &Egress, address: IpAddr) -> Option<&'static str> {
        egress.refuses(SocketAddr::new(address, 80), &Served::default())
    }

    #[test]
    fn the_host_and_what_is_for_it_are_closed() {
        let table = [
            ("127.0.0.1", "a loopback address"),
            ("127.8.9.1", "a loopback address"),
            ("::1", "a loopback address"),
            ("::ffff:127.0.0.1", "a loopback address"),
            ("64:ff9b::127.0.0.1", "a loopback address"),
            ("2002:7f00:1::", "a loopback address"),
            ("0.0.0.0", "an unspecified address"),
            ("::", "an unspecified address"),
            ("169.254.169.254", "a link-local address"),
            ("169.254.170.2", "a link-local address"),
            ("::ffff:169.254.169.254", "a link-local address"),
            ("fe80::1", "a link-local address"),
            ("febf::1", "a link-local address"),
            ("fd00:ec2::254", "an address of a cloud's metadata service"),
            ("100.100.100.200", "an address of a cloud's metadata service"),
            ("::ffff:168.63.129.16", "an address of a cloud's metadata service"),
            ("64:ff9b::168.63.129.16", "an address of a cloud's metadata service"),
            ("2002:a83f:8110::", "an address of a cloud's metadata service"),
        ];
        for (address, what) in table {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(refuses(&Egress::default(), address), Some(what), "{address}");
            assert_eq!(refuses(&Egress::anywhere(), address), None, "{address}");
        }
        for address in
            ["10.77.99.77", "172.31.99.77", "192.168.99.77", "100.64.0.1", "203.0.113.7", "fd00::1", "2001:db8::1"]
        {
            assert_eq!(refuses(&Egress::default(), address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn the_hosts_own_addresses_are_closed() {
        // The address by which this machine would send; connecting a UDP socket sends nothing.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let own = socket.connect("203.0.113.7:9").and_then(|()| socket.local_addr());
        // A machine without a network has none.
        let Ok(own) = own.map(|own| own.ip()) else { return };
        if !own.is_loopback() {
            assert_eq!(refuses(&Egress::default(), own), Some("an address of this node"));
        }
        let IpAddr::V4(v4) = own else { unreachable!() };
        let mut nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0).octets();
        nat64[12..].copy_from_slice(&v4.octets());
        for same in [v4.to_ipv6_mapped(), nat64.into()] {
            assert!(refuses(&Egress::default(), same.into()).is_some(), "{same}");
            assert_eq!(refuses(&egress(&[&own.to_string()]), same.into()), None, "{same}");
        }
        assert_eq!(refuses(&egress(&[&own.to_string()]), own), None);
    }

    #[test]
    fn a_host_that_cannot_tell_has_every_address() {
        assert!(is_own(&bound(Ipv4Addr::LOCALHOST.into())));
        assert!(!is_own(&bound("203.0.113.7".parse().unwrap())));
        // No memory, files or buffers, no free port, not allowed to, and what nobody has thought of.
        for code in [12, 23, 24, 105, 98, 1, 13, 5] {
            assert!(is_own(&Err(io::Error::from_raw_os_error(code))), "{code}");
        }
        // There is no such address here, or no IPv6 at all.
        for code in [99, 97] {
            assert!(!is_own(&Err(io::Error::from_raw_os_error(code))), "{code}");
        }
    }

    #[test]
    fn where_a_guest_of_the_host_listens_is_open_as_long_as_it_does() {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let own = socket.connect("203.0.113.7:9").and_then(|()| socket.local_addr());
        // A machine without a network has none.
        let Ok(own) = own.map(|own| own.ip()) else { return };
        let (served, egress) = (Served::default(), Egress::default());
        let refuses = |address: IpAddr, port: u16| egress.refuses(SocketAddr::new(address, port), &served);
        let IpAddr::V4(v4) = own else { unreachable!() };
        let mapped = IpAddr::from(v4.to_ipv6_mapped());
        let (first, second) = (served.begin(SocketAddr::new(own, 80)), served.begin(SocketAddr::new(own, 80)));
        let loopback = served.begin("127.0.0.1:80".parse().unwrap());
        assert_eq!((refuses(own, 80), refuses(mapped, 80)), (None, None));
        assert!(refuses(own, 81).is_some(), "another port is not a guest's");
        assert!(refuses(loopback.address().ip(), 80).is_some(), "loopback addresses are the host's alone");
        drop(first);
        assert_eq!(refuses(own, 80), None);
        drop(second);
        assert!(refuses(own, 80).is_some());
    }

    #[test]
    fn what_is_allowed_is_open_and_nothing_beside_it() {
        let egress = egress(&["127.0.0.0/30", "169.254.169.254", "fd00:ec2::/32", "::1/128"]);
        for open in ["127.0.0.1", "::ffff:127.0.0.3", "169.254.169.254", "fd00:ec2::254", "::1"] {
            assert_eq!(refuses(&egress, open.parse().unwrap()), None, "{open}");
        }
        for closed in ["127.0.0.4", "169.254.169.253", "fe80::1", "::ffff:169.254.1.1"] {
            assert!(refuses(&egress, closed.parse().unwrap()).is_some(), "{closed}");
        }
    }

    #[test]
    fn ranges_are_read() {
        for good in ["10.0.0.0/8", "10.1.2.3", "10.1.2.3/32", "::/0", "fd12::1", "0.0.0.0/0"] {
            good.parse::<Cidr>().unwrap();
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "localhost",
            "10.0.0.1-10.0.0.9",
            "10.0.0.0/",
            "10.0.0.0/255.0.0.0",
            " ::1",
            "[::1]",
        ] {
            let error = bad.parse::<Cidr>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{bad:?} is no range of addresses: ")), "{error}");
        }
    }
}
