//! `wasi_experimental_http`, which programs of preview 1 use by the crate `wasi-experimental-http` 0.10: six functions on plain
//! memory (<https://github.com/deislabs/wasi-experimental-http/blob/main/witx/wasi_experimental_http.witx>).
//!
//! Whatever a guest hands over, it gets a number back: 0, or that of an [`Errno`].

use bytes::Buf;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use krustlet_http::{HttpError, MAX_REQUEST_HEADER_BYTES, MAX_REQUEST_HEADERS};
use wasmtime::{Caller, Extern, Linker, Memory};

use super::{OpenResponse, Responses};
use crate::run::State;

const MODULE: &str = "wasi_experimental_http";

/// The errors of the interface, with their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errno {
    /// There is no such response, or not any more.
    InvalidHandle = 1,
    /// The module exports no memory named `memory`.
    MemoryNotFound = 2,
    /// A pointer and its length lead out of the memory.
    MemoryAccessError = 3,
    /// What is asked for does not fit the buffer.
    BufferTooSmall = 4,
    /// The response has no such header.
    HeaderNotFound = 5,
    /// A text is not UTF-8.
    Utf8Error = 6,
    /// The request may not go there.
    DestinationNotAllowed = 7,
    /// The method is none, or not allowed.
    InvalidMethod = 8,
    /// The request's headers are not well formed, or not the guest's to set.
    InvalidEncoding = 9,
    /// The URL is none.
    InvalidUrl = 10,
    /// The request failed.
    RequestError = 11,
    /// There are as many requests under way as there may be.
    TooManySessions = 13,
}

impl From<HttpError> for Errno {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Url(_) | HttpError::UrlTooLong => Self::InvalidUrl,
            HttpError::Method => Self::InvalidMethod,
            HttpError::Header(_) | HttpError::HeadersTooLarge => Self::InvalidEncoding,
            HttpError::NotAllowed | HttpError::Downgrade | HttpError::Address(_) | HttpError::Egress(_) => {
                Self::DestinationNotAllowed
            }
            HttpError::TooMany(_) => Self::TooManySessions,
            _ => Self::RequestError,
        }
    }
}

/// Adds the functions of the interface.
pub(crate) fn add_to_modules(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        "req",
        |mut caller: Caller<'_, State>,
         (url, url_length, method, method_length, headers, headers_length, body, body_length, status, handle): (
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
        )| {
            let asked = Asked {
                url: Span(url, url_length),
                method: Span(method, method_length),
                headers: Span(headers, headers_length),
                body: Span(body, body_length),
            };
            Box::new(async move { number(request(&mut caller, asked, Span(status, 2), Span(handle, 4)).await) })
        },
    )?;
    linker.func_wrap(MODULE, "close", |mut caller: Caller<'_, State>, handle: u32| {
        let open = caller.data_mut().http.responses.open.remove(&handle);
        number(open.map(drop).ok_or(Errno::InvalidHandle))
    })?;
    linker.func_wrap(
        MODULE,
        "header_get",
        |mut caller: Caller<'_, State>, handle: u32, name: u32, name_length: u32, to: u32, room: u32, written: u32| {
            number(header(&mut caller, handle, Span(name, name_length), Span(to, room), Span(written, 4)))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "headers_get_all",
        |mut caller: Caller<'_, State>, handle: u32, to: u32, room: u32, written: u32| {
            number(all_headers(&mut caller, handle, Span(to, room), Span(written, 4)))
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "body_read",
        |mut caller: Caller<'_, State>, (handle, to, room, written): (u32, u32, u32, u32)| {
            Box::new(async move { number(read(&mut caller, handle, Span(to, room), Span(written, 4)).await) })
        },
    )?;
    Ok(())
}

fn number(result: Result<(), Errno>) -> u32 {
    result.map_or_else(|error| error as u32, |()| 0)
}

/// A place in the guest's memory: pointer and length.
#[derive(Clone, Copy)]
struct Span(u32, u32);

impl Span {
    fn of(self, memory: &[u8]) -> Result<&[u8], Errno> {
        let end = (self.0 as usize).checked_add(self.1 as usize);
        end.and_then(|end| memory.get(self.0 as usize..end)).ok_or(Errno::MemoryAccessError)
    }

    fn text(self, memory: &[u8]) -> Result<&str, Errno> {
        std::str::from_utf8(self.of(memory)?).map_err(|_| Errno::Utf8Error)
    }

    fn of_mut(self, memory: &mut [u8]) -> Result<&mut [u8], Errno> {
        let end = (self.0 as usize).checked_add(self.1 as usize);
        end.and_then(|end| memory.get_mut(self.0 as usize..end)).ok_or(Errno::MemoryAccessError)
    }

    /// Fills the beginning with `bytes`.
    fn put(self, memory: &mut [u8], bytes: &[u8]) -> Result<(), Errno> {
        let place = self.of_mut(memory)?.get_mut(..bytes.len()).ok_or(Errno::BufferTooSmall)?;
        place.copy_from_slice(bytes);
        Ok(())
    }
}

/// What a request is made of, all of it in the guest's memory.
#[derive(Clone, Copy)]
struct Asked {
    url: Span,
    method: Span,
    headers: Span,
    body: Span,
}

fn memory(caller: &mut Caller<'_, State>) -> Result<Memory, Errno> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(Errno::MemoryNotFound),
    }
}

async fn request(caller: &mut Caller<'_, State>, asked: Asked, status: Span, handle: Span) -> Result<(), Errno> {
    let memory = memory(caller)?;
    let (bytes, state) = memory.data_and_store_mut(&mut *caller);
    // Where the answer goes is looked at first: once the request is sent it is too late.
    status.of(bytes)?;
    handle.of(bytes)?;
    let body = asked.body.of(bytes)?;
    let url = asked.url.text(bytes)?;
    let method = Method::from_bytes(asked.method.text(bytes)?.as_bytes()).map_err(|_| Errno::InvalidMethod)?;
    let headers = headers(asked.headers.text(bytes)?)?;
    let prepared = state.http.session.prepare(url, method, headers)?;
    let response = prepared.follow(body).await?;

    let (head, body) = response.into_parts();
    let open =
        OpenResponse { headers: head.headers, body: body.into_data_stream(), rest: bytes::Bytes::new(), failed: false };
    let number = state.http.responses.keep(open);
    status.put(bytes, &head.status.as_u16().to_le_bytes())?;
    handle.put(bytes, &number.to_le_bytes())
}

/// Headers as they are handed over: `name:value`, one a line.
fn headers(text: &str) -> Result<HeaderMap, Errno> {
    // Some room for the separators, and for white space around the values.
    if text.len() > MAX_REQUEST_HEADER_BYTES + 8 * MAX_REQUEST_HEADERS {
        return Err(Errno::InvalidEncoding);
    }
    let mut headers = HeaderMap::new();
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(Errno::InvalidEncoding)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Errno::InvalidEncoding)?;
        let value = HeaderValue::from_str(value.trim_matches([' ', '\t'])).map_err(|_| Errno::InvalidEncoding)?;
        headers.try_append(name, value).map_err(|_| Errno::InvalidEncoding)?;
    }
    Ok(headers)
}

fn header(caller: &mut Caller<'_, State>, handle: u32, name: Span, to: Span, written: Span) -> Result<(), Errno> {
    let memory = memory(caller)?;
    let (bytes, state) = memory.data_and_store_mut(&mut *caller);
    let response = state.http.responses.get(handle)?;
    let name = name.text(bytes)?;
    let value = response.headers.get(name).ok_or(Errno::HeaderNotFound)?;
    let value = std::str::from_utf8(value.as_bytes()).map_err(|_| Errno::Utf8Error)?;
    answer(bytes, value.as_bytes(), to, written)
}

fn all_headers(caller: &mut Caller<'_, State>, handle: u32, to: Span, written: Span) -> Result<(), Errno> {
    let memory = memory(caller)?;
    let (bytes, state) = memory.data_and_store_mut(&mut *caller);
    let response = state.http.responses.get(handle)?;
    let mut all = String::new();
    for (name, value) in &response.headers {
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| Errno::Utf8Error)?;
        all.extend([name.as_str(), ":", value, "\n"]);
    }
    answer(bytes, all.as_bytes(), to, written)
}

/// Writes a value and its length.
fn answer(memory: &mut [u8], value: &[u8], to: Span, written: Span) -> Result<(), Errno> {
    written.of(memory)?;
    to.put(memory, value)?;
    let length = u32::try_from(value.len()).map_err(|_| Errno::BufferTooSmall)?;
    written.put(memory, &length.to_le_bytes())
}

/// Hands over what there is of the body, at least a byte if the buffer has room for one; nothing at all is its end.
async fn read(caller: &mut Caller<'_, State>, handle: u32, to: Span, written: Span) -> Result<(), Errno> {
    let memory = memory(caller)?;
    let (bytes, state) = memory.data_and_store_mut(&mut *caller);
    written.of(bytes)?;
    let buffer = to.of_mut(bytes)?;
    let response = state.http.responses.get(handle)?;
    while response.rest.is_empty() && !buffer.is_empty() {
        if response.failed {
            return Err(Errno::RequestError);
        }
        match response.body.next().await {
            Some(Ok(piece)) => response.rest = piece,
            Some(Err(_)) => response.failed = true,
            None => break,
        }
    }
    let length = response.rest.len().min(buffer.len());
    response.rest.copy_to_slice(&mut buffer[..length]);
    written.put(bytes, &u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes())
}

impl Responses {
    fn keep(&mut self, response: OpenResponse) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1);
            // After four thousand million of them from the beginning again, past 0 and those that are open.
            if self.last != 0 && !self.open.contains_key(&self.last) {
                self.open.insert(self.last, response);
                return self.last;
            }
        }
    }

    fn get(&mut self, handle: u32) -> Result<&mut OpenResponse, Errno> {
        self.open.get_mut(&handle).ok_or(Errno::InvalidHandle)
    }
}
