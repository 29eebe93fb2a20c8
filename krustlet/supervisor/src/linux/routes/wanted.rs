//! What an agent may ask for. Pure.
//!
//! The file has a line for each wish:
//!
//! ```text
//! range 10.244.1.0/24
//! route 10.244.0.0/24 via 172.18.0.2
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// How many addresses pods of a node may have: 65,536 to 4.
const PREFIXES: RangeInclusive<u8> = 16..=30;
/// No cluster has as many nodes.
const MOST_ROUTES: usize = 1024;

/// A network of IPv4: `10.244.1.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    /// Its first address.
    pub address: Ipv4Addr,
    /// How many bits of that are the same in all its addresses.
    pub prefix: u8,
}

impl Network {
    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    fn contains(self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.address.to_bits()) & self.mask() == 0
    }

    fn overlaps(self, other: Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

impl FromStr for Network {
    type Err = String;

    /// One of a private network, of a size that pods of a node have.
    fn from_str(text: &str) -> Result<Self, String> {
        let fault = |what| format!("{text:?} {what}");
        let (address, prefix) = text.split_once('/').ok_or_else(|| fault("is no range of addresses"))?;
        let address: Ipv4Addr = address.parse().map_err(|_| fault("is no range of addresses of IPv4"))?;
        let prefix = prefix.parse().ok().filter(|prefix| PREFIXES.contains(prefix));
        let network = Self { address, prefix: prefix.ok_or_else(|| fault("has no prefix from 16 to 30"))? };
        match () {
            () if address.to_bits() & !network.mask() != 0 => Err(fault("is more than a prefix")),
            // A shorter prefix of the third of them would be more than private.
            () if !address.is_private() => Err(fault("is not private (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16)")),
            () => Ok(network),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// All of its addresses are this namespace's own.
    Local(Network),
    /// They are reached through another node.
    Via(Network, Ipv4Addr),
}

impl fmt::Display for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(range) => write!(formatter, "range {range}"),
            Self::Via(range, gateway) => write!(formatter, "route {range} via {gateway}"),
        }
    }
}

/// What is asked for, as far as it may be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What is to be made.
    pub routes: BTreeSet<Route>,
    /// What is not, and why: a sentence each.
    pub faults: Vec<String>,
}

impl Wanted {
    /// Reads and checks them; `networks` are those of the namespace's interfaces.
    pub fn read(text: &str, networks: &[Network]) -> Self {
        let (mut wanted, mut taken) = (Self::default(), networks.to_vec());
        for line in text.lines() {
            match checked(line, networks, &taken) {
                Ok(_) if taken.len() - networks.len() >= MOST_ROUTES => {
                    wanted.faults.push(format!("more than {MOST_ROUTES} lines: the rest of them is left out"));
                    break;
                }
                Ok(route) => {
                    let (Route::Local(network) | Route::Via(network, _)) = route;
                    taken.push(network);
                    wanted.routes.insert(route);
                }
                Err(fault) => wanted.faults.push(fault),
            }
        }
        wanted
    }
}

fn checked(line: &str, networks: &[Network], taken: &[Network]) -> Result<Route, String> {
    let words: Vec<&str> = line.split(' ').collect();
    let (network, gateway) = match words[..] {
        ["range", range] => (range.parse()?, None),
        ["route", range, "via", gateway] => {
            let gateway: Ipv4Addr = gateway.parse().map_err(|_| format!("{gateway:?} is no address of IPv4"))?;
            (range.parse()?, Some(gateway))
        }
        _ => return Err(format!("{line:?} is neither \"range NETWORK\" nor \"route NETWORK via ADDRESS\"")),
    };
    let network: Network = network;
    if let Some(other) = taken.iter().find(|other| other.overlaps(network)) {
        return Err(format!("{network} overlaps {other}, which is an interface's own or asked for before"));
    }
    match gateway {
        None => Ok(Route::Local(network)),
        Some(gateway) if networks.iter().any(|own| own.contains(gateway)) => Ok(Route::Via(network, gateway)),
        Some(gateway) => Err(format!("{gateway} is on no network of this namespace's interfaces")),
    }
}

/// The networks that interfaces are on, in the kernel's words (`/proc/net/route`): addresses are numbers in this machine's order of bytes.
pub fn networks_in(table: &str) -> Vec<Network> {
    let own = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |field: usize| u32::from_str_radix(fields.get(field)?, 16).ok();
        let address = |field: usize| Some(Ipv4Addr::from(number(field)?.to_ne_bytes()));
        let (network, gateway, mask) = (address(1)?, number(2)?, address(7)?);
        let prefix = u8::try_from(mask.to_bits().count_ones()).ok()?;
        // What is reached through another one is not its own, nor is everything.
        (gateway == 0 && prefix > 0).then_some(Network { address: network, prefix })
    });
    own.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Network = Network { address: Ipv4Addr::new(172, 18, 0, 0), prefix: 16 };

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let wanted = Wanted::read(text, &[OWN]);
        (wanted.routes.iter().map(ToString::to_string).collect(), wanted.faults)
    }

    #[test]
    fn a_range_and_ways_to_others_are_read() {
        let text = "range 10.244.1.0/24\nroute 10.244.0.0/24 via 172.18.0.2\nroute 10.244.2.0/24 via 172.18.255.254\n";
        let lines: Vec<String> = text.lines().map(Into::into).collect();
        assert_eq!(read(text), (lines, vec![]));
        assert_eq!(read(""), (vec![], vec![]));
    }

    #[test]
    fn what_is_not_to_be_had_is_left_out_and_the_rest_is_made() {
        let table = [
            ("range 10.244.1.0", "\"10.244.1.0\" is no range of addresses"),
            ("range fd00::/24", "\"fd00::/24\" is no range of addresses of IPv4"),
            ("range 10.244.0.0/15", "\"10.244.0.0/15\" has no prefix from 16 to 30"),
            ("range 10.244.1.0/31", "\"10.244.1.0/31\" has no prefix from 16 to 30"),
            ("range 0.0.0.0/0", "\"0.0.0.0/0\" has no prefix from 16 to 30"),
            ("range 10.244.1.1/24", "\"10.244.1.1/24\" is more than a prefix"),
            ("range 11.0.0.0/24", "\"11.0.0.0/24\" is not private (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16)"),
            ("range 127.0.1.0/24", "\"127.0.1.0/24\" is not private (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16)"),
            ("range 172.32.0.0/16", "\"172.32.0.0/16\" is not private (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16)"),
            (
                "range 172.18.4.0/24",
                "172.18.4.0/24 overlaps 172.18.0.0/16, which is an interface's own or asked for before",
            ),
            (
                "route 10.9.0.0/24 via 172.18.0.3",
                "10.9.0.0/24 overlaps 10.9.0.0/16, which is an interface's own or asked for before",
            ),
            ("route 10.1.0.0/24 via 172.19.0.1", "172.19.0.1 is on no network of this namespace's interfaces"),
            ("route 10.1.0.0/24 via web", "\"web\" is no address of IPv4"),
            (
                "route 10.1.0.0/24",
                "\"route 10.1.0.0/24\" is neither \"range NETWORK\" nor \"route NETWORK via ADDRESS\"",
            ),
            ("", "\"\" is neither \"range NETWORK\" nor \"route NETWORK via ADDRESS\""),
        ];
        for (line, fault) in table {
            let (routes, faults) = read(&format!("range 10.9.0.0/16\n{line}\nroute 10.2.0.0/24 via 172.18.0.2\n"));
            let wanted = ["range 10.9.0.0/16", "route 10.2.0.0/24 via 172.18.0.2"];
            assert_eq!((routes, faults), (wanted.map(Into::into).to_vec(), vec![fault.to_owned()]), "{line}");
        }
    }

    #[test]
    fn there_are_not_more_than_a_cluster_has() {
        let line = |number: usize| format!("route 10.{}.{}.0/24 via 172.18.0.2\n", number / 256, number % 256);
        let (routes, faults) = read(&(0..MOST_ROUTES + 2).map(line).collect::<String>());
        assert_eq!((routes.len(), faults.len()), (MOST_ROUTES, 1));
    }

    #[test]
    fn the_interfaces_networks_are_read() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0001F40A\t020012AC\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        assert_eq!(networks_in(table), [OWN]);
    }
}
