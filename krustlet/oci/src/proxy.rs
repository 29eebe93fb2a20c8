//! Through which HTTP proxy registries are asked: the environment's, as Go's and Docker's clients read it.

use reqwest::{NoProxy, Proxy};

use crate::OciError;

/// This machine, which no proxy could reach as itself.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// The proxies that `HTTPS_PROXY` and `HTTP_PROXY` name (or the same in lower case), each with what `NO_PROXY` excepts and this
/// machine.
///
/// # Errors
/// [`OciError::Setup`], which does not repeat the address: it may hold a password.
pub(crate) fn proxies(environment: impl Fn(&str) -> Option<String>) -> Result<Vec<Proxy>, OciError> {
    let set = |name: &str| {
        let filled = |name: &str| environment(name).filter(|value| !value.is_empty());
        filled(name).or_else(|| filled(&name.to_lowercase())).map(|value| (name.to_owned(), value))
    };
    let excepted = format!("{},{LOOPBACK}", set("NO_PROXY").map(|(_, value)| value).unwrap_or_default());
    let proxy = |(name, address): (String, String), make: fn(&str) -> reqwest::Result<Proxy>| {
        let address = if address.contains("://") { address } else { format!("http://{address}") };
        let served = ["http://", "https://"].iter().any(|scheme| address.to_lowercase().starts_with(scheme));
        match make(&address) {
            Ok(proxy) if served => Ok(proxy.no_proxy(NoProxy::from_string(&excepted))),
            _ => Err(OciError::Setup(format!("{name} must be http://HOST:PORT or https://HOST:PORT"))),
        }
    };
    let https = set("HTTPS_PROXY").map(|named| proxy(named, |address| Proxy::https(address)));
    let http = set("HTTP_PROXY").map(|named| proxy(named, |address| Proxy::http(address)));
    https.into_iter().chain(http).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(set: &'static [(&str, &str)]) -> Result<Vec<Proxy>, OciError> {
        proxies(move |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_names_one_for_each_protocol() {
        assert_eq!(found(&[]).unwrap().len(), 0);
        assert_eq!(found(&[("HTTPS_PROXY", ""), ("NO_PROXY", "*"), ("ALL_PROXY", "http://p:1")]).unwrap().len(), 0);
        assert_eq!(found(&[("HTTPS_PROXY", "http://p:1"), ("http_proxy", "p:1")]).unwrap().len(), 2);
    }

    #[test]
    fn one_that_cannot_be_used_is_told_without_its_password() {
        let sets: [&'static [(&str, &str)]; 2] =
            [&[("HTTPS_PROXY", "socks5://me:hunter2@p:1")], &[("HTTP_PROXY", "http://me:hunter2@:x:y")]];
        for set in sets {
            let error = found(set).err().unwrap().to_string();
            assert!(error.contains("_PROXY must be http://") && !error.contains("hunter2"), "{error}");
        }
    }
}
