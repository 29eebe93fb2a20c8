//! A server of the tests, of WASI 0.3: does what the request's path says, by `wasi:http/handler`, in the words of `http-server`.

use std::sync::atomic::{AtomicU32, Ordering};

use wasip3::cli::{environment, exit, stdout};
use wasip3::clocks::monotonic_clock;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::wit_bindgen::rt::async_support::StreamWriter;
use wasip3::{spawn_local, wit_future, wit_stream};

wasip3::http::service::export!(Server);

struct Server;

/// How many requests this instance has had.
static REQUESTS: AtomicU32 = AtomicU32::new(0);

impl wasip3::exports::http::handler::Guest for Server {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let count = REQUESTS.fetch_add(1, Ordering::Relaxed) + 1;
        let path = request.get_path_with_query().unwrap_or_default();
        let words: Vec<&str> = path.split('/').skip(1).collect();
        Ok(match words[..] {
            [""] => text(200, "hello\n"),
            ["count"] => text(200, &count.to_string()),
            ["inspect"] => text(200, &inspect(&request)),
            ["env", name] => {
                let env = environment::get_environment();
                let value = env.into_iter().find(|(known, _)| known == name).map(|(_, value)| value);
                text(200, &value.unwrap_or_else(|| "not set".into()))
            }
            ["print", word] => {
                println(word).await;
                text(200, "")
            }
            ["status", code] => text(number(code), ""),
            ["echo"] => echo(request),
            ["drain"] => text(200, &read(request).await.len().to_string()),
            ["ignore"] => text(200, "ignored"),
            ["sleep", milliseconds] => {
                println("sleeps").await;
                pause(number(milliseconds)).await;
                text(200, "slept")
            }
            ["spin"] => loop {
                std::hint::spin_loop();
            },
            ["allocate", mebibytes, milliseconds] => {
                let memory = vec![1_u8; number::<usize>(mebibytes) << 20];
                pause(number(milliseconds)).await;
                text(200, &memory.len().to_string())
            }
            ["big", bytes] => {
                let bytes = vec![b'x'; number(bytes)];
                send(200, &[], async move |mut body| drop(body.write_all(bytes).await))
            }
            ["stream", count, milliseconds] => {
                let (count, milliseconds) = (number(count), number(milliseconds));
                send(200, &[], async move |mut body| {
                    for index in 1..=count {
                        if !body.write_all(format!("{index}\n").into()).await.is_empty() {
                            return;
                        }
                        pause(milliseconds).await;
                    }
                })
            }
            ["after", milliseconds] => {
                let milliseconds = number(milliseconds);
                send(200, &[], async move |mut body| {
                    body.write_all(b"done".to_vec()).await;
                    drop(body);
                    pause(milliseconds).await;
                    println("after").await;
                })
            }
            ["length", length, bytes] => {
                let bytes = vec![b'x'; number(bytes)];
                send(200, &[("content-length", length)], async move |mut body| drop(body.write_all(bytes).await))
            }
            ["hold", count] => {
                let held: Vec<Fields> = (0..number(count)).map(|_| Fields::new()).collect();
                text(200, &held.len().to_string())
            }
            ["streams", count] => {
                let held: Vec<_> = (0..number(count)).map(|_| wit_stream::new::<u8>()).collect();
                text(200, &held.len().to_string())
            }
            ["trap"] => panic!("as it was told"),
            ["trap-midway"] => send(200, &[], async |mut body| {
                body.write_all(b"a part".to_vec()).await;
                // So that it is sent by then.
                pause(1000).await;
                panic!("as it was told");
            }),
            ["trap-after"] => send(200, &[], async |mut body| {
                body.write_all(b"done".to_vec()).await;
                drop(body);
                pause(200).await;
                panic!("as it was told");
            }),
            ["exit", code] => {
                exit::exit_with_code(number(code));
                unreachable!("it has ended")
            }
            ["error"] => return Err(ErrorCode::InternalError(Some("as it was told".into()))),
            ["header", name] => text(200, &format!("{:?}", Fields::new().append(name, b"value"))),
            ["fetch", authority] => text(200, &fetch(authority, Fields::new()).await),
            ["relay", authority] => text(200, &fetch(authority, trace(&request)).await),
            _ => text(404, "what?\n"),
        })
    }
}

fn number<N: std::str::FromStr<Err: std::fmt::Debug>>(word: &str) -> N {
    word.parse().unwrap()
}

async fn pause(milliseconds: u64) {
    monotonic_clock::wait_for(milliseconds * 1_000_000).await;
}

async fn println(text: &str) {
    let (mut to, from) = wit_stream::new();
    let end = stdout::write_via_stream(from);
    to.write_all(format!("{text}\n").into()).await;
    drop(to);
    end.await.unwrap();
}

/// A response whose body is written while it is sent.
fn send(status: u16, headers: &[(&str, &str)], write: impl AsyncFnOnce(StreamWriter<u8>) + 'static) -> Response {
    let fields = Fields::new();
    for (name, value) in headers {
        fields.append(name, value.as_bytes()).unwrap();
    }
    let ((body, contents), (_, trailers)) = (wit_stream::new(), wit_future::new(|| Ok(None)));
    let (response, _) = Response::new(fields, Some(contents), trailers);
    response.set_status_code(status).unwrap();
    spawn_local(async move { write(body).await });
    response
}

fn text(status: u16, text: &str) -> Response {
    let text = text.as_bytes().to_vec();
    send(status, &[], async move |mut body| drop(body.write_all(text).await))
}

fn inspect(request: &Request) -> String {
    let mut lines = vec![format!(
        "{:?} {:?} {} {}",
        request.get_method(),
        request.get_scheme().unwrap(),
        request.get_authority().unwrap_or_default(),
        request.get_path_with_query().unwrap_or_default()
    )];
    let headers = request.get_headers().copy_all().into_iter();
    lines.extend(headers.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(&value))));
    lines[1..].sort();
    lines.join("\n")
}

/// The whole body.
async fn read(request: Request) -> Vec<u8> {
    let (_done, result) = wit_future::new(|| Ok(()));
    let (stream, _) = Request::consume_body(request, result);
    stream.collect().await
}

/// Sends the body back as it comes, and its trailers.
fn echo(request: Request) -> Response {
    let (_, result) = wit_future::new(|| Ok(()));
    let (contents, trailers) = Request::consume_body(request, result);
    let fields = Fields::new();
    fields.append("trailer", b"x-check").unwrap();
    Response::new(fields, Some(contents), trailers).0
}

/// What a request says of its trace.
fn trace(request: &Request) -> Fields {
    let (given, own) = (request.get_headers(), Fields::new());
    for name in ["traceparent", "tracestate"] {
        given.get(name).iter().for_each(|value| own.append(name, value).unwrap());
    }
    own
}

/// Sends a request of its own.
async fn fetch(authority: &str, headers: Fields) -> String {
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (request, _) = Request::new(headers, None, trailers, None);
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some("/")).unwrap();
    match client::send(request).await {
        Ok(response) => response.get_status_code().to_string(),
        Err(error) => format!("{error:?}"),
    }
}
