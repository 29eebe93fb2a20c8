//! Requests over HTTP, by what each kind of program has for it.

/// What was answered: the status and the body.
pub type Answer = Result<(u16, Vec<u8>), String>;

/// An answer as it is printed.
pub fn told(answer: Answer) -> String {
    match answer {
        Ok((status, body)) => format!("{status} {}", String::from_utf8_lossy(&body)),
        Err(why) => format!("no answer: {why}"),
    }
}

/// Asks one address, and before that answer is read, another.
pub fn both(first: &str, second: &str) -> [Answer; 2] {
    let (first, second) = (kind::ask(first), kind::ask(second));
    [first, second].map(|begun| begun.and_then(kind::read))
}

pub fn get(url: &str) -> Answer {
    kind::ask(url).and_then(kind::read)
}

/// A module of WASI preview 1: the host functions of `wasi-experimental-http`. A request is over when its answer begins.
#[cfg(target_env = "p1")]
mod kind {
    use wasi_experimental_http::{Response, request};

    pub fn ask(url: &str) -> Result<Response, String> {
        let wanted = http::Request::get(url).body(None).map_err(|error| error.to_string())?;
        request(wanted).map_err(|error| error.to_string())
    }

    pub fn read(mut response: Response) -> super::Answer {
        let body = response.body_read_all().map_err(|error| error.to_string())?;
        Ok((response.status_code.as_u16(), body))
    }
}

/// A component of WASI 0.2: `wasi:http`. A request begins, and its answer is waited for later.
#[cfg(target_env = "p2")]
mod kind {
    use wasip2::http::outgoing_handler;
    use wasip2::http::types::{Fields, FutureIncomingResponse, OutgoingRequest, Scheme};
    use wasip2::io::streams::StreamError;

    pub fn ask(url: &str) -> Result<FutureIncomingResponse, String> {
        let refused = |()| "the URL is not taken".to_string();
        let (scheme, rest) = url.split_once("://").ok_or("no URL")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let request = OutgoingRequest::new(Fields::new());
        let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
        request.set_scheme(Some(&scheme)).map_err(refused)?;
        request.set_authority(Some(authority)).map_err(refused)?;
        request.set_path_with_query(Some(path)).map_err(refused)?;
        outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))
    }

    pub fn read(pending: FutureIncomingResponse) -> super::Answer {
        let failed = |()| "the answer was taken twice".to_string();
        pending.subscribe().block();
        let response =
            pending.get().ok_or("no answer is there")?.map_err(failed)?.map_err(|error| format!("{error:?}"))?;
        let incoming = response.consume().map_err(failed)?;
        let stream = incoming.stream().map_err(failed)?;
        let mut body = Vec::new();
        loop {
            match stream.blocking_read(4096) {
                Ok(bytes) => body.extend(bytes),
                Err(StreamError::Closed) => return Ok((response.status(), body)),
                Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
            }
        }
    }
}
