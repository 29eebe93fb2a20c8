//! What a guest may do with HTTP, and with sockets.

use std::any::Any;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::{AllowedOrigins, Discovery};

/// How many requests a guest may have under way at once where nothing else is said.
pub const DEFAULT_MAX_CONCURRENT_REQUESTS: NonZeroUsize = NonZeroUsize::new(50).unwrap();

/// The most sockets of a guest, whatever number of requests it may have under way.
pub const MOST_SOCKETS: usize = 128;

/// A port, as long as it is kept.
pub type Lease = Box<dyn Any + Send + Sync>;

/// Who knows whose a port is.
pub trait Leases: Debug + Send + Sync {
    /// The port of this address for the guest.
    ///
    /// # Errors
    ///
    /// Whose it is.
    fn take(&self, at: SocketAddr) -> Result<Lease, String>;
}

/// What a guest may do with HTTP, and with sockets. By default nothing: no origin is allowed.
#[derive(Clone, Debug)]
pub struct HttpAccess {
    /// Where requests may go, and sockets: by origins of `tcp` and `udp`. Default: nowhere.
    pub allowed: AllowedOrigins,
    /// Where TCP sockets may listen. Default: nowhere.
    pub listens: Vec<SocketAddr>,
    /// Who is asked for a port of these when a socket is bound to it. Default: nobody, they are the guest's.
    pub leases: Option<Arc<dyn Leases>>,
    /// How many sockets may be open, if that is not more than [`MOST_SOCKETS`] and `max_concurrent_requests`. Default: [`MOST_SOCKETS`], 128.
    pub max_sockets: usize,
    /// How many requests may be under way at once. A response counts until the guest has closed it, or dropped its body; the
    /// next request past the limit is refused and not kept waiting. So many sockets may be open besides. Default: [`DEFAULT_MAX_CONCURRENT_REQUESTS`], 50.
    pub max_concurrent_requests: NonZeroUsize,
    /// How long things may take and how large they may be. The defaults are meant for everybody.
    pub limits: HttpLimits,
    /// Who is asked for a name before the host's resolver is. Default: nobody.
    pub discovery: Option<Arc<dyn Discovery>>,
    /// What the guest is called in the host's log, where its refused requests are noted: `default/cat-facts/main`. Default: no
    /// name.
    pub name: String,
}

impl Default for HttpAccess {
    fn default() -> Self {
        Self {
            allowed: AllowedOrigins::default(),
            listens: Vec::new(),
            leases: None,
            max_sockets: MOST_SOCKETS,
            max_concurrent_requests: DEFAULT_MAX_CONCURRENT_REQUESTS,
            limits: HttpLimits::default(),
            discovery: None,
            name: String::new(),
        }
    }
}

/// How long the parts of a request may take, and how large they may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Until there is a connection: looking the name up, and TCP and TLS with the first address that answers. Default: 10 s.
    pub connect_timeout: Duration,
    /// From the connection until the response's header section is there, for each hop of a redirect. Default: 120 s.
    pub response_timeout: Duration,
    /// How long the guest may wait for the next piece of a response's body. Default: 30 s.
    pub idle_timeout: Duration,
    /// From the request to the end of the response's body, redirects and the guest's own pauses included. Default: 10 min.
    pub total_timeout: Duration,
    /// The most bytes of a request's body. Default: 16 MiB.
    ///
    /// The body of a preview 1 guest is copied out of its memory, and all such copies together are bounded by this number too.
    /// A component's is streamed.
    pub max_request_body_bytes: u64,
    /// The most bytes of a response's body. It is streamed, never held as a whole. Default: 256 MiB.
    pub max_response_body_bytes: u64,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(600),
            max_request_body_bytes: 16 << 20,
            max_response_body_bytes: 256 << 20,
        }
    }
}
