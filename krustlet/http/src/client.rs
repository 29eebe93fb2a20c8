//! The client: one for all guests, with a session for each.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::access::MOST_SOCKETS;
use crate::body::{Bounds, Connection, Held, RequestBody, ResponseBody, TooLarge, limited};
use crate::connect::{Connector, Names};
use crate::policy::network::Network;
use crate::refusals::Refusals;
use crate::request::{MAX_REDIRECTS, check_headers, check_length, check_method, is_redirect, redirected};
use crate::served::{Served, Serving};
use crate::sockets::Known;
use crate::target::{Target, named_origin};
use crate::tls::{CaFileError, Trust};
use crate::{Egress, HttpAccess, HttpError, HttpLimits, Origin};

/// The most bytes that the names and values of a response's headers may have together, and of what is read ahead of its body.
pub const MAX_RESPONSE_HEADER_BYTES: usize = 64 * 1024;

/// The most headers of a response.
pub const MAX_RESPONSE_HEADERS: usize = 100;

/// How many names a guest may have looked up at once.
const LOOKUPS: usize = 4;

/// Sends requests in the name of guests. Clones are the same client. It knows no proxy, keeps no cookie, and has no
/// connection that one request could inherit from another.
#[derive(Clone, Debug)]
pub struct Client(Arc<Connector>, Arc<Semaphore>);

impl Client {
    /// A client that trusts the host's certificate authorities and those of `ca_file`, a file in PEM, and connects where `egress`
    /// lets all guests, which have no more than `max_sockets` open together, but for the first four of each.
    ///
    /// # Errors
    ///
    /// [`CaFileError`] when the file cannot be read, or holds what is no certificate.
    pub fn new(
        ca_file: Option<&Path>,
        network: Arc<dyn Network>,
        egress: Egress,
        max_sockets: usize,
    ) -> Result<Self, CaFileError> {
        let connector = Connector { network, egress, served: Served::default(), trust: Trust::new(ca_file)? };
        Ok(Self(Arc::new(connector), Arc::new(Semaphore::new(max_sockets.min(Semaphore::MAX_PERMITS)))))
    }

    /// A guest listens there, so that others may connect to it also where the address is the host's own, as long as the result is kept.
    pub fn serves(&self, address: SocketAddr) -> Serving {
        self.0.served.begin(address)
    }

    /// What one guest sends its requests with.
    pub fn session(&self, access: HttpAccess) -> Session {
        let slots = slots(&access);
        let held = u32::try_from(access.limits.max_request_body_bytes).unwrap_or(u32::MAX);
        Session(Arc::new(Guest {
            connector: self.0.clone(),
            slots: Arc::new(Semaphore::new(slots)),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            held: Arc::new(Semaphore::new(held as usize)),
            sockets: Arc::new(Semaphore::new(most_sockets(&access))),
            all_sockets: self.1.clone(),
            accepted: Arc::default(),
            listening: Mutex::default(),
            known: Mutex::default(),
            refusals: Refusals::new(access.name.clone()),
            access,
        }))
    }
}

/// One guest's permission, and what it has under way.
#[derive(Clone, Debug)]
pub struct Session(pub(crate) Arc<Guest>);

#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) connector: Arc<Connector>,
    pub(crate) access: HttpAccess,
    slots: Arc<Semaphore>,
    pub(crate) lookups: Arc<Semaphore>,
    /// Counts the bytes of request bodies that are held.
    held: Arc<Semaphore>,
    pub(crate) sockets: Arc<Semaphore>,
    /// Of all guests of the client.
    pub(crate) all_sockets: Arc<Semaphore>,
    /// One more of it for each connection that was accepted.
    pub(crate) accepted: Arc<()>,
    /// Where its sockets listen.
    pub(crate) listening: Mutex<Vec<SocketAddr>>,
    /// What its sockets may be connected to.
    pub(crate) known: Mutex<Known>,
    pub(crate) refusals: Refusals,
}

/// What a refusal in the host's log is about.
const REQUEST: &str = "an HTTP request";

/// A request that was found good, and is under way from now on. Nothing has been sent yet.
#[derive(Debug)]
pub struct Prepared {
    guest: Arc<Guest>,
    target: Target,
    method: Method,
    headers: HeaderMap,
    limits: HttpLimits,
    deadline: Instant,
    permit: OwnedSemaphorePermit,
}

impl Session {
    /// Checks a request to the URL of this text. Neither waits nor sends.
    ///
    /// # Errors
    ///
    /// What is wrong with the method, the headers or the URL; [`NotAllowed`](HttpError::NotAllowed);
    /// [`TooMany`](HttpError::TooMany).
    pub fn prepare(&self, url: &str, method: Method, headers: HeaderMap) -> Result<Prepared, HttpError> {
        let target = Target::parse(url, &self.0.access.allowed);
        self.prepared(target, || named_origin(url), method, headers)
    }

    /// As [`prepare`](Self::prepare), with an absolute URI, whose path and query are sent as they are.
    ///
    /// # Errors
    ///
    /// As those of [`prepare`](Self::prepare).
    pub fn prepare_uri(&self, uri: &Uri, method: Method, headers: HeaderMap) -> Result<Prepared, HttpError> {
        let target = Target::of_uri(uri, &self.0.access.allowed);
        self.prepared(target, || named_origin(&uri.to_string()), method, headers)
    }

    fn prepared(
        &self,
        target: Result<Target, HttpError>,
        named: impl FnOnce() -> Option<Origin>,
        method: Method,
        headers: HeaderMap,
    ) -> Result<Prepared, HttpError> {
        let guest = &self.0;
        check_method(&method)?;
        check_headers(&headers)?;
        let target = target.inspect_err(|error| {
            if let Some(origin) = named() {
                guest.refusals.note(REQUEST, &origin, error);
            }
        })?;
        let permit = guest.slots.clone().try_acquire_owned().map_err(|_| {
            let error = HttpError::TooMany(guest.access.max_concurrent_requests.get());
            guest.refusals.note(REQUEST, &target.origin, &error);
            error
        })?;
        let limits = guest.access.limits.clone();
        let deadline = Instant::now() + limits.total_timeout;
        Ok(Prepared { guest: guest.clone(), target, method, headers, limits, deadline, permit })
    }
}

impl Prepared {
    /// Its headers, for what the host has to say in them. They are not checked again: [`fits`](crate::fits) says whether there is room.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// Sets the guest's own limits on time, where they are shorter: for connecting, for the response to begin, and between two
    /// pieces of its body.
    pub fn shorten(&mut self, connect: Option<Duration>, response: Option<Duration>, idle: Option<Duration>) {
        let limits = &mut self.limits;
        for (limit, own) in [
            (&mut limits.connect_timeout, connect),
            (&mut limits.response_timeout, response),
            (&mut limits.idle_timeout, idle),
        ] {
            *limit = own.map_or(*limit, |own| own.min(*limit));
        }
    }

    /// Sends it with this body, and gives the response whatever its status is; redirects are not followed.
    ///
    /// # Errors
    ///
    /// What went wrong until the response's headers were there. What goes wrong later is an error of its body.
    pub async fn send(self, body: RequestBody) -> Result<Response<ResponseBody>, HttpError> {
        self.guest.note(&self.target.origin, self.hop(body).await).map(|response| self.counted(response))
    }

    /// Sends it with this body, of which a copy is held meanwhile, and follows up to [`MAX_REDIRECTS`](crate::MAX_REDIRECTS)
    /// redirects: to allowed origins only, never from `https` to `http`, and without credentials to another origin. A redirect
    /// that names no place is given as it is.
    ///
    /// # Errors
    ///
    /// As those of [`send`](Self::send), and where a redirect must not be followed.
    pub async fn follow(mut self, body: &[u8]) -> Result<Response<ResponseBody>, HttpError> {
        check_length(&mut self.headers, body.len())?;
        let mut body = self.guest.hold(body)?;
        for _ in 0..=MAX_REDIRECTS {
            let full = Full::new(body.clone()).map_err(|never| match never {}).boxed_unsync();
            let response = self.guest.note(&self.target.origin, self.hop(full).await)?;
            let location = response.0.headers().get(LOCATION).filter(|_| is_redirect(response.0.status()));
            let Some(location) = location else { return Ok(self.counted(response)) };
            let next = self.target.redirect(location, &self.guest.access.allowed).inspect_err(|error| {
                self.guest.refusals.note(REQUEST, &self.target.origin, error);
            })?;
            let same_origin = next.origin == self.target.origin;
            if redirected(response.0.status(), same_origin, &mut self.method, &mut self.headers) {
                body = Bytes::new();
            }
            self.target = next;
        }
        Err(HttpError::TooManyRedirects)
    }

    /// One request and its response, with a connection of their own.
    async fn hop(&self, body: RequestBody) -> Result<Hop, HttpError> {
        if body.size_hint().lower() > self.limits.max_request_body_bytes {
            return Err(HttpError::RequestTooLarge);
        }
        let now = Instant::now();
        let connected = self.deadline.min(now + self.limits.connect_timeout);
        let names = Names { discovery: self.guest.access.discovery.clone(), lookups: self.guest.lookups.clone() };
        let stream = self.guest.connector.connect(&self.target.origin, names, connected).await?;
        let answered = self.deadline.min(Instant::now() + self.limits.response_timeout);

        let too_large = TooLarge::default();
        let request = self.request(limited(body, self.limits.max_request_body_bytes, &too_large))?;
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(MAX_RESPONSE_HEADERS)
            .max_buf_size(MAX_RESPONSE_HEADER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| HttpError::of_hyper(&error))?;
        let deadline = self.deadline;
        // How it ends is told by the response, or by its body.
        let connection = Connection(tokio::spawn(async move {
            let _ = timeout_at(deadline, connection).await;
        }));
        let response = match timeout_at(answered, sender.send_request(request)).await {
            Ok(response) => response.map_err(|error| too_large.or(HttpError::of_hyper(&error)))?,
            Err(_) if answered == self.deadline => return Err(HttpError::TotalTimeout),
            Err(_) => return Err(HttpError::ResponseTimeout),
        };
        // hyper's own limit is on what it reads in one go, and lets up to twice as much pass.
        let bytes: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if bytes > MAX_RESPONSE_HEADER_BYTES {
            return Err(HttpError::ResponseHeadersTooLarge);
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(HttpError::Protocol);
        }
        if response.body().size_hint().lower() > self.limits.max_response_body_bytes {
            return Err(HttpError::ResponseTooLarge);
        }
        Ok(Hop(response, connection, too_large))
    }

    fn request(&self, body: RequestBody) -> Result<Request<RequestBody>, HttpError> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from(self.target.path().clone());
        let authority = HeaderValue::from_str(&self.target.authority());
        let headers = request.headers_mut();
        headers.insert(HOST, authority.map_err(|error| HttpError::Url(error.to_string()))?);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.extend(self.headers.clone());
        Ok(request)
    }

    /// The response to the guest, whose body is what counts as under way from now on.
    fn counted(self, Hop(response, connection, too_large): Hop) -> Response<ResponseBody> {
        let bounds = Bounds {
            max_bytes: self.limits.max_response_body_bytes,
            idle_timeout: self.limits.idle_timeout,
            deadline: self.deadline,
        };
        response.map(|incoming| ResponseBody::new(incoming, bounds, too_large, connection, self.permit))
    }
}

/// A response, with what it hangs on.
struct Hop(Response<hyper::body::Incoming>, Connection, TooLarge);

/// How many requests a guest may have under way.
fn slots(access: &HttpAccess) -> usize {
    access.max_concurrent_requests.get().min(Semaphore::MAX_PERMITS)
}

fn most_sockets(access: &HttpAccess) -> usize {
    slots(access).min(access.max_sockets).min(MOST_SOCKETS)
}

impl Guest {
    pub(crate) fn most_sockets(&self) -> usize {
        most_sockets(&self.access)
    }

    fn note(&self, origin: &Origin, result: Result<Hop, HttpError>) -> Result<Hop, HttpError> {
        result.inspect_err(|error| {
            tracing::debug!(guest = %self.access.name, %origin, "an HTTP request failed: {error}");
            self.refusals.note(REQUEST, origin, error);
        })
    }

    /// A copy of a body, if it fits in with those that are held already.
    fn hold(&self, body: &[u8]) -> Result<Bytes, HttpError> {
        if body.is_empty() {
            return Ok(Bytes::new());
        }
        let length = u32::try_from(body.len()).map_err(|_| HttpError::RequestTooLarge)?;
        let permit = self.held.clone().try_acquire_many_owned(length).map_err(|_| HttpError::RequestTooLarge)?;
        Ok(Bytes::from_owner(Held { bytes: body.to_vec(), _permit: permit }))
    }
}
