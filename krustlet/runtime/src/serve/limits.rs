//! What a server's clients may take of it.

use std::time::Duration;

/// What a server gives its clients at most. The defaults are meant for everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections that are open at once. One more is closed as soon as it is accepted. Default: 1024.
    pub max_connections: usize,
    /// Requests that are under way at once, and with them instances, as each request has one of its own, by WASI 0.3 a share of one. One more is answered with
    /// 503 and `Retry-After`, and not kept waiting. A request is under way until its instance is gone. Of responses that outlast their
    /// instance, as their client is slow, there may be some more: eight times as many in all. Default: 256.
    ///
    /// By it the instances share what costs the host something: each may hold 32,768 resources of WASI divided by this number, but 64 in
    /// any case and no more than [`RunSpec::open_resources`](crate::RunSpec::open_resources).
    pub max_concurrent_requests: usize,
    /// A request's line and headers, in bytes; past it is 431. HTTP/1.1 has no less than 8 KiB. Default: 32 KiB.
    pub max_header_bytes: usize,
    /// A request's body, in bytes; past it is 413. It is never held in memory whole. Default: 64 MiB.
    pub max_body_bytes: u64,
    /// How long a client may take to send a request's headers, from the connection's start or from their first byte. Then the
    /// connection is closed. Default: 10 s.
    pub header_timeout: Duration,
    /// How long a connection may be open without a request. Default: 75 s.
    pub idle_timeout: Duration,
    /// How long a client may keep the program waiting for more of a request's body, which is 408; and how long it may take nothing of
    /// what is sent to it, which ends the connection, or by HTTP/2 the stream (there, of what the program has written at once, up to
    /// 32 KiB, all is to be taken in that time). Default: 30 s.
    pub body_timeout: Duration,
    /// How long a request may take, from its headers to the end of its instance: 504, or the end of a response that has begun.
    /// Default: 300 s.
    pub request_timeout: Duration,
}

/// How many resources of WASI all instances of a server may hold together, and how many each may in any case.
const OPEN_RESOURCES: usize = 32 * 1024;
const LEAST_OPEN_RESOURCES: usize = 64;

impl ServerLimits {
    /// How many resources an instance may hold, of those that the program was given.
    pub(crate) fn open_resources(&self, given: usize) -> usize {
        given.min((OPEN_RESOURCES / self.max_concurrent_requests.max(1)).max(LEAST_OPEN_RESOURCES))
    }
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_concurrent_requests: 256,
            max_header_bytes: 32 * 1024,
            max_body_bytes: 64 << 20,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(300),
        }
    }
}
