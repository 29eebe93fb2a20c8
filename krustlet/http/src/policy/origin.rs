//! Origins: the places that a guest may send requests to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use url::{Host, Url};

use crate::policy::address;

/// The two schemes there are for HTTP, and those of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// In the clear; port 80 where none is named.
    Http,
    /// Over TLS; port 443 where none is named.
    Https,
    /// A stream socket. Its port has to be named.
    Tcp,
    /// A datagram socket. Its port has to be named.
    Udp,
}

impl Scheme {
    /// As it stands in a URL: `http`, `https`, `tcp` or `udp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// The port that is meant where a URL names none.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https => Some(443),
            Self::Tcp | Self::Udp => None,
        }
    }

    /// Whether it is one of the two of HTTP.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

/// A scheme, a host and a port (<https://url.spec.whatwg.org/#origin>). Two origins are the same when all three are.
///
/// Read from `scheme://host[:port]`, where the scheme is `http` or `https`; the host a DNS name (in any alphabet, which is
/// turned into ASCII, and any case), an IPv4 address of four decimal numbers or an IPv6 address in brackets; and the port the
/// scheme's own where there is none. A single `/` may follow. There are no wildcards: each host is named. What sockets may be
/// connected to is written likewise, `tcp://host:port` and `udp://host:port`, always with the port.
///
/// ```
/// # use krustlet_http::Origin;
/// let origin: Origin = "https://Bücher.example/".parse()?;
/// assert_eq!(origin.to_string(), "https://xn--bcher-kva.example");
/// assert_eq!(origin.port(), 443);
/// assert!("https://*.example".parse::<Origin>().is_err());
/// assert_eq!("tcp://db.example:5432".parse::<Origin>()?.to_string(), "tcp://db.example:5432");
/// # Ok::<(), krustlet_http::OriginError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
}

/// Why a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no origin: {reason}; give scheme://host or scheme://host:port, as in https://catfact.ninja, for sockets tcp://host:port \
     or udp://host:port"
)]
pub struct OriginError {
    given: String,
    reason: String,
}

impl Origin {
    /// `http` or `https`, or that of a socket.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host as it stands in a URL: a name in lower-case ASCII, `192.0.2.1`, or `[2001:db8::1]`.
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The port, filled in where the text named none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The origin of a URL, if it is one of HTTP.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        Some(Self { scheme, host: url.host()?.to_owned(), port: url.port_or_known_default()? })
    }

    /// That of a socket to an address.
    pub(crate) fn at(scheme: Scheme, address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        };
        Self { scheme, host, port: address.port() }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.contains('*') {
            return Err("there are no wildcards, each host has to be named".into());
        }
        if text.contains('?') || text.contains('#') {
            return Err("it has a query or a fragment, which no origin has".into());
        }
        if let Some(problem) = unreadable(text) {
            return Err(problem.into());
        }
        if text.contains(runs_from_right_to_left) {
            return Err("it is not in ASCII but from right to left: write its host as xn--…".into());
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("it does not begin with http:// or https://".into());
        };
        let authority = match rest.split_once('/') {
            Some((authority, "")) => authority,
            Some(_) => return Err("it has a path, which no origin has".into()),
            None => rest,
        };
        if authority.contains('@') {
            return Err("it has a user name, which no origin has".into());
        }
        let socket = match scheme.to_ascii_lowercase().as_str() {
            "tcp" => Some(Scheme::Tcp),
            "udp" => Some(Scheme::Udp),
            _ => None,
        };
        // The URL standard has no rules for the hosts of other schemes than the web's.
        let url = match socket {
            Some(_) => plain_url(&format!("http://{rest}"))?,
            None => plain_url(text)?,
        };
        let mut origin =
            Self::of(&url).ok_or_else(|| format!("its scheme is {}, not http, https, tcp or udp", url.scheme()))?;
        if let Some(scheme) = socket {
            if host_of(authority) == authority {
                return Err(format!("it has no port, which {}:// has to have", scheme.as_str()));
            }
            origin.scheme = scheme;
        }
        match literal(&origin.host) {
            None if origin.host().ends_with('.') => Err("its host ends in a dot".into()),
            Some(address) if !address::is_of_a_host(address) => {
                Err(format!("its host, {address}, is not the address of a host"))
            }
            _ => Ok(origin),
        }
    }
}

/// Parses a URL whose authority is written plainly. The URL standard is lenient where people and programs read differently:
/// `\` is a `/`, tabs and line ends vanish, `%61` in a host is an `a`, `2130706433` and `0177.1` are `127.0.0.1`. All of
/// that is refused here. The error says what is wrong, without the text itself.
pub(crate) fn plain_url(text: &str) -> Result<Url, String> {
    if let Some(problem) = unreadable(text) {
        return Err(problem.into());
    }
    let Some((_, rest)) = text.split_once("://") else {
        return Err("it does not begin with http:// or https://".into());
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // The standard would take what follows for the host.
    if authority.is_empty() {
        return Err("it has no host".into());
    }
    if authority.contains('@') {
        return Err("it holds a user name or a password before the host".into());
    }
    if authority.contains('%') {
        return Err("its host holds a percent sign".into());
    }
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::EmptyHost if authority.starts_with(':') => "it has no host".to_owned(),
        url::ParseError::EmptyHost => "its host is no valid name".to_owned(),
        url::ParseError::InvalidPort => "its port is no number from 1 to 65535".to_owned(),
        url::ParseError::IdnaError | url::ParseError::InvalidDomainCharacter => "its host is no valid name".to_owned(),
        url::ParseError::InvalidIpv4Address => "its host is a number, but no IPv4 address".to_owned(),
        url::ParseError::InvalidIpv6Address => "its host is no IPv6 address".to_owned(),
        url::ParseError::RelativeUrlWithoutBase => "it does not begin with http:// or https://".to_owned(),
        error => error.to_string(),
    })?;
    if authority.ends_with(':') || url.port() == Some(0) {
        return Err("its port is no number from 1 to 65535".into());
    }
    match url.host() {
        None => Err("it has no host".into()),
        Some(Host::Ipv4(address)) if host_of(authority) != address.to_string() => {
            Err(format!("its host is a number, but not written as {address}"))
        }
        Some(Host::Domain(name)) if !is_name(name) => Err("its host is no valid name".into()),
        Some(_) => Ok(url),
    }
}

/// Characters that people and programs read differently.
fn unreadable(text: &str) -> Option<&'static str> {
    // The byte order mark is white space to some.
    let blank = |character: char| character.is_whitespace() || character.is_control() || character == '\u{feff}';
    if text.contains(blank) {
        return Some("it holds white space or a control character");
    }
    text.contains('\\').then_some("it holds a backslash")
}

/// The blocks of letters and digits that run from right to left: programs differ about which names may hold which of them.
fn runs_from_right_to_left(character: char) -> bool {
    matches!(character, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
        || matches!(character, '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// The host of an authority without a user: what is before the port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The lengths of RFC 1035, section 2.3.4, and letters that are no surprise in a log: letters, digits, `-` and `_`.
fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.len() <= 253 && name.split('.').all(|label| !label.is_empty() && label.len() <= 63 && label.bytes().all(plain))
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        Self::parse(text).map_err(|reason| OriginError { given: shortened(text), reason })
    }
}

/// Enough of a text to know it again.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 100;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    // A password has no business in an error, also when it stood where it is not allowed.
    match (shown.find("://"), shown.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}…{}", &shown[..scheme + 3], &shown[at..]),
        _ => shown,
    }
}

impl fmt::Display for Origin {
    /// As it is written in a URL: without the port where it is the scheme's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if Some(self.port) == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// The address that a host is, where it is no name.
pub(crate) fn literal(host: &Host<String>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(IpAddr::V6(*address)),
    }
}

/// The addresses that `localhost` has without being looked up (RFC 6761, section 6.3).
pub(crate) const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

#[cfg(test)]
#[path = "origin_tests.rs"]
mod tests;
