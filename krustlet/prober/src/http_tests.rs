use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// A server that gives one answer after the other, a connection each, and then none. It tells each request, and whether the whole answer was
/// taken.
async fn server(answers: Vec<Vec<u8>>) -> (SocketAddr, mpsc::UnboundedReceiver<(String, bool)>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let taken = async {
                for part in answer.chunks(1024) {
                    stream.write_all(part).await?;
                    // So that one that has gone away is noticed.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                std::io::Result::Ok(())
            };
            let taken = taken.await.is_ok();
            tell.send((String::from_utf8(request).unwrap(), taken)).unwrap();
        }
    });
    (address, told)
}

async fn answers(answers: &[&str]) -> Result<(), String> {
    let (address, _told) = server(answers.iter().map(|answer| answer.as_bytes().to_vec()).collect()).await;
    get(address, "/", &[]).await.map_err(|fault| fault.to_string().replace(&address.to_string(), "HERE"))
}

#[tokio::test]
async fn a_status_tells() {
    for good in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 204 \r\n\r\n", "HTTP/1.0 399 x\r\n\r\n"] {
        assert_eq!(answers(&[good]).await, Ok(()), "{good}");
    }
    let failed = |code| Err(format!("HTTP probe failed with statuscode: {code}"));
    assert_eq!(answers(&["HTTP/1.1 400 x\r\n\r\n"]).await, failed(400));
    assert_eq!(answers(&["HTTP/1.1 502 x\r\n\r\n"]).await, failed(502));
    for broken in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"] {
        assert!(answers(&[broken]).await.unwrap_err().starts_with("Get \"http://HERE/\": "), "{broken}");
    }
}

#[tokio::test]
async fn an_answer_is_taken_to_its_end_and_not_without_one() {
    let long = |bytes: usize| {
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n").into_bytes(), vec![b'a'; bytes]].concat()
    };
    let (address, mut told) = server(vec![long(9 * 1024), long(64 * 1024 * 1024)]).await;
    get(address, "/", &[]).await.unwrap();
    assert!(told.recv().await.unwrap().1, "it was all taken");
    get(address, "/", &[]).await.unwrap();
    assert!(!told.recv().await.unwrap().1, "nobody waits for the end of this one");
}

#[tokio::test]
async fn redirects_are_followed_at_the_same_server_only() {
    let to = |location: &str| format!("HTTP/1.1 302 x\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    let failed = Err("HTTP probe failed with statuscode: 500".to_owned());
    let bad = "HTTP/1.1 500 x\r\n\r\n";
    assert_eq!(answers(&[&to("/login"), bad]).await, failed);
    assert_eq!(answers(&[&to("a?b=c"), &to("../d"), bad]).await, failed);
    for elsewhere in ["http://192.0.2.1/", "http://127.0.0.1:1/", "https://HERE/", "http://[", ""] {
        assert_eq!(answers(&[&to(elsewhere)]).await.map_err(|_| elsewhere), Ok(()), "an answer as good as any");
    }
    let around = to("/");
    let fault = answers(&[around.as_str(); 11]).await.unwrap_err();
    assert_eq!(fault, "Get \"http://HERE/\": stopped after 10 redirects");
}

#[tokio::test]
async fn headers_of_the_spec_go_before_our_own() {
    let (address, mut told) = server(vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec()]).await;
    let headers = [("Host", "web.test"), ("X-A", "b")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    get(address, "/up?x=%20", &headers).await.unwrap();
    let request = told.recv().await.unwrap().0;
    assert!(request.starts_with("GET /up?x=%20 HTTP/1.1\r\n"), "{request}");
    for (line, count) in
        [("host: ", 1), ("host: web.test\r\n", 1), ("x-a: b\r\n", 1), ("user-agent: kube-probe/krustlet-wasi-", 1)]
    {
        assert_eq!(request.to_lowercase().matches(line).count(), count, "{request}");
    }
}
