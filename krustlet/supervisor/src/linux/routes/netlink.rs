//! The two requests to the kernel that are needed.
//!
//! <https://man7.org/linux/man-pages/man7/rtnetlink.7.html>

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netdevice::name_to_index;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

use super::wanted::Route;

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const NLMSG_ERROR: u16 = 2;
const AF_INET: u8 = 2;
const RT_TABLE_MAIN: u8 = 254;
const RT_TABLE_LOCAL: u8 = 255;
/// What the kernel has others' routes for; it is shown by `ip route`, and nobody else's here.
const PROTOCOL: u8 = 107;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_HOST: u8 = 254;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
/// Of a message: length, type, flags, number, sender.
const HEADER: usize = 16;

/// A connection to the kernel's routes.
pub struct Netlink {
    socket: OwnedFd,
    /// The index of the loopback interface.
    loopback: u32,
}

impl Netlink {
    /// # Errors
    /// The kernel's.
    pub fn open() -> io::Result<Self> {
        // That of routes is protocol 0: none.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        let loopback = name_to_index(&socket, "lo")?;
        Ok(Self { socket, loopback })
    }

    /// Makes a route, in the place of one to the same network.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add(&self, route: Route) -> io::Result<()> {
        self.ask(&message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route, self.loopback))
    }

    /// # Errors
    /// The kernel's.
    pub fn remove(&self, route: Route) -> io::Result<()> {
        self.ask(&message(RTM_DELROUTE, 0, route, self.loopback))
    }

    /// Each request has one answer: its error, which is none where that is 0.
    fn ask(&self, message: &[u8]) -> io::Result<()> {
        sendto(&self.socket, message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut answer = [0; 1024];
        let (length, _) = recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
        outcome(&answer[..length])
    }
}

fn outcome(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let error = answer.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, error) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(error)) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        _ => Err(io::Error::other("the kernel's answer is none")),
    }
}

fn message(kind: u16, flags: u16, route: Route, loopback: u32) -> Vec<u8> {
    let (network, table, scope, type_) = match route {
        Route::Local(network) => (network, RT_TABLE_LOCAL, RT_SCOPE_HOST, RTN_LOCAL),
        Route::Via(network, _) => (network, RT_TABLE_MAIN, RT_SCOPE_UNIVERSE, RTN_UNICAST),
    };
    let mut body = vec![AF_INET, network.prefix, 0, 0, table, PROTOCOL, scope, type_, 0, 0, 0, 0];
    let mut attribute = |kind: u16, value: [u8; 4]| {
        body.extend([8_u16.to_ne_bytes(), kind.to_ne_bytes()].concat());
        body.extend(value);
    };
    attribute(RTA_DST, network.address.octets());
    match route {
        Route::Local(_) => attribute(RTA_OIF, loopback.to_ne_bytes()),
        Route::Via(_, gateway) => attribute(RTA_GATEWAY, gateway.octets()),
    }
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
    // Number and sender, which are of interest to whoever asks for several things at once.
    message.extend([0; 8]);
    message.extend(body);
    message
}
