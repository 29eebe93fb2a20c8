//! Through which HTTP proxy registries are asked: the environment's, as Go's and Docker's clients read it.
//!
//! The match with `NO_PROXY` is not reqwest's, which knows no ports there.

use std::net::IpAddr;

use reqwest::Url;

use crate::OciError;

/// The proxies that the environment names.
#[derive(Clone, Debug)]
pub(crate) struct Proxies {
    https: Option<Url>,
    http: Option<Url>,
    excepted: Vec<Excepted>,
}

/// An entry of `NO_PROXY`.
#[derive(Clone, Debug)]
struct Excepted {
    hosts: Hosts,
    /// Unset: any.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Hosts {
    All,
    /// The addresses that begin with so many bits of this one.
    Range(IpAddr, u32),
    /// A domain with all below it.
    Domain(String),
    /// What is below a domain, which begins with its dot.
    Below(String),
}

impl Proxies {
    /// What `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say, or the same in lower case.
    ///
    /// # Errors
    /// [`OciError::Setup`], which does not repeat the address: it may hold a password.
    pub(crate) fn of(environment: impl Fn(&str) -> Option<String>) -> Result<Self, OciError> {
        let set = |name: &str| {
            let filled = |name: &str| environment(name).filter(|value| !value.is_empty());
            filled(name).or_else(|| filled(&name.to_lowercase()))
        };
        let proxy = |name: &str| {
            let parse = |address: String| {
                let full = if address.contains("://") { address } else { format!("http://{address}") };
                let url = Url::parse(&full).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
                url.ok_or_else(|| OciError::Setup(format!("{name} must be http://HOST:PORT or https://HOST:PORT")))
            };
            set(name).map(parse).transpose()
        };
        let excepted = set("NO_PROXY").unwrap_or_default();
        Ok(Self {
            https: proxy("HTTPS_PROXY")?,
            http: proxy("HTTP_PROXY")?,
            excepted: excepted.split(',').filter_map(|entry| Excepted::of(&entry.trim().to_lowercase())).collect(),
        })
    }

    /// The same, but for these hosts (`host` or `host:port`), which are asked without one.
    pub(crate) fn except<'a>(mut self, hosts: impl Iterator<Item = &'a String>) -> Self {
        self.excepted.extend(hosts.filter_map(|host| Excepted::of(&host.to_lowercase())));
        self
    }

    /// The proxy for a URL. None for this machine, which no proxy could reach as itself.
    pub(crate) fn proxy_of(&self, url: &Url) -> Option<Url> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        let host = url.host_str()?.trim_matches(['[', ']']).to_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        let here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let port = url.port_or_known_default();
        let excepted = here || self.excepted.iter().any(|entry| entry.names(&host, address, port));
        proxy.clone().filter(|_| !excepted)
    }
}

impl Excepted {
    /// Of an entry in lower case; `None`: it names nothing.
    fn of(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self { hosts: Hosts::All, port: None });
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let (address, bits) = (address.parse().ok()?, bits.parse().ok()?);
            return (bits <= width(address)).then_some(Self { hosts: Hosts::Range(address, bits), port: None });
        }
        let bare: Option<IpAddr> = entry.parse().ok();
        let with_port = entry.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = match with_port {
            Some((host, port)) if bare.is_none() => (host, Some(port)),
            _ => (entry, None),
        };
        let host = host.trim_matches(['[', ']']);
        let host = if host.starts_with("*.") { &host[1..] } else { host };
        let hosts = match host.parse::<IpAddr>() {
            Ok(address) => Hosts::Range(address, width(address)),
            Err(_) if host.is_empty() => return None,
            Err(_) if host.starts_with('.') => Hosts::Below(host.to_owned()),
            Err(_) => Hosts::Domain(host.to_owned()),
        };
        Some(Self { hosts, port })
    }

    fn names(&self, host: &str, address: Option<IpAddr>, port: Option<u16>) -> bool {
        let named = match (&self.hosts, address) {
            (Hosts::All, _) => true,
            (Hosts::Range(first, bits), Some(address)) => begins_alike(*first, address, *bits),
            (Hosts::Domain(domain), None) => {
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Hosts::Below(domain), None) => host.ends_with(domain.as_str()),
            _ => false,
        };
        named && self.port.is_none_or(|own| Some(own) == port)
    }
}

/// How many bits an address has.
fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Whether two addresses are of one kind, and their first bits are the same.
fn begins_alike(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    let left = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return false,
    };
    left >= bits
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The table that the steps' rule (steps/lib/proxy.ts) is held to, too.
    fn table<T: serde::de::DeserializeOwned>(name: &str) -> T {
        let mut tables: serde_json::Value = serde_json::from_str(include_str!("../../testdata/proxies.json")).unwrap();
        serde_json::from_value(tables[name].take()).unwrap()
    }

    #[test]
    fn the_environment_names_a_proxy_for_a_url() {
        let cases: Vec<(String, HashMap<String, String>, Option<String>)> = table("proxies");
        for (url, environment, expected) in cases {
            let proxies = Proxies::of(|name| environment.get(name).cloned()).unwrap();
            let found = proxies.proxy_of(&Url::parse(&url).unwrap()).map(String::from);
            assert_eq!(found, expected, "{url} with {environment:?}");
        }
    }

    #[test]
    fn a_host_that_is_excepted_is_asked_without_one() {
        let proxies = Proxies::of(|name| (name == "HTTP_PROXY").then(|| "p:1".into())).unwrap();
        let proxies = proxies.except(["registry:5000".to_owned()].iter());
        let asked = |url: &str| proxies.proxy_of(&Url::parse(url).unwrap()).is_some();
        assert_eq!([asked("http://registry:5000/v2/"), asked("http://registry:5001/v2/")], [false, true]);
    }

    #[test]
    fn one_that_cannot_be_used_is_told_without_its_password() {
        for address in table::<Vec<String>>("refused") {
            for variable in ["HTTPS_PROXY", "http_proxy"] {
                let error = Proxies::of(|name| (name == variable).then(|| address.clone())).unwrap_err().to_string();
                let told = format!("{} must be http://", variable.to_uppercase());
                assert!(error.contains(&told) && !error.contains("hunter2"), "{error}");
            }
        }
    }
}
