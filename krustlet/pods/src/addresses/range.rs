//! The range of a node's pods: `spec.podCIDR` of its Node. Pure.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;

use super::NoAddress;

/// How many of its first addresses are nobody's: the network's own, and the one that elsewhere is the node's bridge's.
const LEFT_OUT: u32 = 2;

/// A range of IPv4 with room for pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range(Ipv4Net);

impl Range {
    /// Whether pods may have this address of it.
    pub fn has(&self, address: Ipv4Addr) -> bool {
        (self.first()..self.end()).contains(&address.to_bits())
    }

    /// One that has it all, if any does.
    pub fn one(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first())
    }

    /// One of its addresses, by chance: who begins there meets none that an earlier agent gave last.
    pub fn somewhere(&self) -> Ipv4Addr {
        // Every state is seeded at random.
        let random = u32::try_from(RandomState::new().hash_one(0) % u64::from(self.room())).unwrap_or(0);
        Ipv4Addr::from_bits(self.first() + random)
    }

    /// All addresses for pods, those after this one first.
    pub fn after(&self, last: Ipv4Addr) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let (first, end, room) = (self.first(), self.end(), self.room());
        let last = if self.has(last) { last.to_bits() } else { end - 1 };
        (1..=room).map(move |step| Ipv4Addr::from_bits(first + (last - first + step) % room))
    }

    fn first(&self) -> u32 {
        self.0.network().to_bits() + LEFT_OUT
    }

    /// The last one is everybody's: the broadcast address.
    fn end(&self) -> u32 {
        self.0.broadcast().to_bits()
    }

    fn room(&self) -> u32 {
        self.end() - self.first()
    }
}

impl FromStr for Range {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let net: Ipv4Net = text.parse().map_err(|_| NoAddress::NotIpv4(text.into()))?;
        // Of longer ones no address is left; shorter ones are whole clusters'.
        if !(16..=29).contains(&net.prefix_len()) {
            return Err(NoAddress::Size(text.into()));
        }
        Ok(Self(net.trunc()))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(range: &str, last: &str) -> Vec<String> {
        let range: Range = range.parse().unwrap();
        range.after(last.parse().unwrap()).map(|address| address.to_string()).collect()
    }

    #[test]
    fn pods_have_all_but_the_first_two_and_the_last_in_turn() {
        assert_eq!(after("10.1.0.0/29", "10.1.0.3"), ["10.1.0.4", "10.1.0.5", "10.1.0.6", "10.1.0.2", "10.1.0.3"]);
        assert_eq!(after("10.1.0.0/29", "10.1.0.6")[0], "10.1.0.2");
        assert_eq!(after("10.1.0.8/29", "10.9.9.9")[0], "10.1.0.10");
        assert_eq!((after("10.1.0.0/24", "10.1.0.2").len(), after("10.1.0.0/16", "10.1.0.2").len()), (253, 65_533));
    }

    #[test]
    fn one_begins_anywhere_in_it() {
        let range: Range = "10.1.0.0/24".parse().unwrap();
        let some: Vec<_> = (0..64).map(|_| range.somewhere()).collect();
        assert!(some.iter().all(|address| range.has(*address)));
        assert!(some.iter().any(|address| *address != some[0]));
        for left_out in ["10.1.0.0", "10.1.0.1", "10.1.0.255", "10.1.1.7", "10.0.255.255"] {
            assert!(!range.has(left_out.parse().unwrap()), "{left_out}");
        }
    }

    #[test]
    fn what_is_of_no_nodes_size_is_none() {
        for text in ["", "fd00::/64", "10.1.0.0", "10.1.0.0/30", "10.0.0.0/15", "10.1.0.1/32"] {
            text.parse::<Range>().unwrap_err();
        }
        assert_eq!("10.1.0.7/24".parse::<Range>().unwrap().to_string(), "10.1.0.0/24");
    }
}
