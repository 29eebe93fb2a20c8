//! Calls of the host: how many there may be, and those that nobody may make.

use std::task::Poll;

use wasip3::sockets::ip_name_lookup;
use wasip3::sockets::types::{IpAddressFamily, TcpSocket, UdpSocket};
use wasip3::wit_stream;

use crate::sleep;

/// Begins as many sleeps, and ends when all have begun.
pub async fn sleeps(count: usize) -> String {
    let mut sleeps: Vec<_> = (0..count).map(|_| Box::pin(sleep(3_600_000))).collect();
    std::future::poll_fn(|context| {
        for sleep in &mut sleeps {
            assert!(sleep.as_mut().poll(context).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    format!("{count} calls")
}

/// Makes as many streams, and keeps both ends of each.
pub fn streams(count: usize) -> String {
    let streams: Vec<_> = (0..count).map(|_| wit_stream::new::<u8>()).collect();
    format!("{} streams", streams.len())
}

/// What is said to who wants the network.
pub async fn sockets() -> String {
    let tcp = TcpSocket::create(IpAddressFamily::Ipv4).map(|_| ());
    let udp = UdpSocket::create(IpAddressFamily::Ipv6).map(|_| ());
    let name = ip_name_lookup::resolve_addresses("localhost".into()).await;
    let address = ip_name_lookup::resolve_addresses("127.0.0.1".into()).await;
    format!("{tcp:?} {udp:?} {name:?} {address:?}")
}
