//! HTTP for guests, by the two interfaces there are for it. Both hand their requests to one client, which has the rules.

mod component;
mod module;
mod setters;
mod trace;

use std::collections::HashMap;

use http_body_util::BodyDataStream;
use krustlet_http::{ResponseBody, Session};
use wasmtime_wasi_http::WasiHttpCtx;

pub(crate) use component::add_to_components;
pub(crate) use module::add_to_modules;
pub(crate) use trace::Outgoing;

/// What a guest is to HTTP, which decides which headers it may see and set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It sends requests.
    Client,
    /// It answers one, and may send others.
    Server,
}

/// What a guest's store holds for it.
pub(crate) struct GuestHttp {
    /// For modules: the responses that they have open.
    responses: Responses,
    /// For components.
    hooks: component::Hooks,
    fields: WasiHttpCtx,
    session: Session,
}

/// Open responses by handle. A number is given once and never again, so that a closed one cannot be mistaken for another.
#[derive(Default)]
struct Responses {
    open: HashMap<u32, OpenResponse>,
    last: u32,
}

struct OpenResponse {
    headers: http::HeaderMap,
    body: BodyDataStream<ResponseBody>,
    /// What was received and not yet read.
    rest: bytes::Bytes,
    /// Once its body has failed it does not come to an end any more.
    failed: bool,
}

impl GuestHttp {
    /// `traces` is who records what it sends.
    pub(crate) fn new(session: Session, side: Side, traces: Option<Outgoing>) -> Self {
        let mut fields = WasiHttpCtx::new();
        fields.set_field_size_limit(component::FIELDS_BYTES);
        let hooks = component::Hooks::new(session.clone(), side, traces);
        Self { responses: Responses::default(), hooks, fields, session }
    }

    /// What the guest may do, and has under way.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }
}
