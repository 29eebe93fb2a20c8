//! Why pods have no addresses of their own.

use std::io;
use std::path::PathBuf;

use super::range::Range;

/// Why a pod has the node's address instead of one of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// Nothing is known of the node's range.
    #[error("the node's pod range is not known yet")]
    Unknown,
    /// The API server does not tell of nodes.
    #[error("the nodes of the cluster cannot be listed: {0}")]
    Unlisted(String),
    /// This node is not among them.
    #[error("the API server has no Node of this name")]
    NoNode,
    /// It is, and has no range.
    #[error("its Node has no spec.podCIDR: the cluster gives nodes no ranges")]
    NoRange,
    /// Its range is of no use.
    #[error("{0:?} is no range of addresses of IPv4")]
    NotIpv4(String),
    /// The same.
    #[error("the range {0} is none of a node's pods, whose prefixes are from 16 to 29")]
    Size(String),
    /// Nobody can be asked for its routes.
    #[error("the routes of the pods cannot be asked for: {0}")]
    NotAsked(String),
    /// Somebody was asked, and has not made them.
    #[error("nobody has made the addresses of the node's pod range {0} this machine's")]
    NotMade(Range),
    /// Other pods have them all.
    #[error("no address of the node's pod range {0} is free")]
    AllTaken(Range),
}

/// Why nobody looks after the addresses of pods any more.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file by which routes are asked for cannot be read.
    #[error("{}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// The addresses that were given are not the node's any more.
    #[error("the range of this node's pods has become {0}: the agent begins anew")]
    OtherRange(String),
}
