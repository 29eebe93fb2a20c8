//! Names that an embedder knows, and no resolver of the host.

use std::fmt;
use std::net::SocketAddr;

use futures::future::BoxFuture;

use crate::Scheme;

/// One of the places where a name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What is connected to: the port need not be that of the request.
    pub address: SocketAddr,
    /// Whether it may be a private or shared address, where no name leads otherwise. Where the host lets no guest connect to, see
    /// [`Egress`](crate::Egress), it leads in no case.
    pub private: bool,
}

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: it is looked up as any other.
    Unknown,
    /// It leads nowhere, as a name without an address.
    Nowhere,
    /// In the order in which they are tried. None is as if all had refused the connection.
    At(Vec<Endpoint>),
}

/// The names that a guest's embedder knows: those of a cluster's services, say.
pub trait Discovery: fmt::Debug + Send + Sync + 'static {
    /// Where a name leads, for a request to this port of it, or a socket of this kind. The name is in lower case, is no address, and an
    /// origin that the guest may send requests to, or connect sockets to, has it.
    fn find(&self, scheme: Scheme, name: &str, port: u16) -> BoxFuture<'static, Found>;
}
