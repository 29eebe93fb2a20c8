//! One look at a container, by what its probe does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::grpc;
use super::probes::Action;

/// Who asks.
pub const USER_AGENT_OF_PROBES: &str = concat!("kube-probe/krustlet-wasi-", env!("CARGO_PKG_VERSION"));

/// `HTTP/1.1 200`
const STATUS_LENGTH: usize = 12;

/// Does it once, at this address.
///
/// # Errors
/// Why it is no success, in the kubelet's words.
pub async fn check(action: &Action, address: IpAddr, limit: Duration) -> Result<(), String> {
    let done = async {
        match action {
            Action::Tcp { port } => connect(address, *port).await.map(|_| ()),
            Action::Grpc { port, service } => grpc::check(connect(address, *port).await?, service).await,
            Action::Http { port, path, headers } => get(address, *port, path, headers).await,
        }
    };
    timeout(limit, done).await.unwrap_or_else(|_| Err("it did not answer in time".into()))
}

async fn connect(address: IpAddr, port: u16) -> Result<TcpStream, String> {
    let address = SocketAddr::new(address, port);
    TcpStream::connect(address).await.map_err(|error| format!("dial tcp {address}: {error}"))
}

/// Any status from 200 to 399 is good. What it says besides is of no interest.
async fn get(address: IpAddr, port: u16, path: &str, headers: &[(String, String)]) -> Result<(), String> {
    let mut stream = connect(address, port).await?;
    let broken = |error| format!("Get \"http://{}{path}\": {error}", SocketAddr::new(address, port));
    stream.write_all(request(SocketAddr::new(address, port), path, headers).as_bytes()).await.map_err(broken)?;
    let mut status = [0; STATUS_LENGTH];
    stream.read_exact(&mut status).await.map_err(broken)?;
    match code(&status) {
        Some(200..400) => Ok(()),
        Some(code) => Err(format!("HTTP probe failed with statuscode: {code}")),
        None => Err("what it answers is no HTTP".into()),
    }
}

/// A header of the spec goes before one of ours.
fn request(address: SocketAddr, path: &str, headers: &[(String, String)]) -> String {
    let host = address.to_string();
    let own =
        [("Host", host.as_str()), ("User-Agent", USER_AGENT_OF_PROBES), ("Accept", "*/*"), ("Connection", "close")];
    let own = own.into_iter().filter(|(name, _)| !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)));
    let given = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let lines: String = own.chain(given).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET {path} HTTP/1.1\r\n{lines}\r\n")
}

fn code(status: &[u8; STATUS_LENGTH]) -> Option<u16> {
    let text = std::str::from_utf8(status).ok()?;
    text.strip_prefix("HTTP/1.1 ").or_else(|| text.strip_prefix("HTTP/1.0 "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const LIMIT: Duration = Duration::from_secs(10);

    /// A server that answers one request so; `None` is never.
    async fn server(answer: Option<&'static str>) -> u16 {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                None => std::future::pending().await,
            }
        });
        port
    }

    async fn http(answer: Option<&'static str>, limit: Duration) -> Result<(), String> {
        let action = Action::Http { port: server(answer).await, path: "/".into(), headers: Vec::new() };
        check(&action, HERE, limit).await
    }

    #[tokio::test]
    async fn a_status_tells() {
        for good in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 204\r\n\r\n", "HTTP/1.0 399 x\r\n\r\n"] {
            assert_eq!(http(Some(good), LIMIT).await, Ok(()), "{good}");
        }
        let failed = |code| Err(format!("HTTP probe failed with statuscode: {code}"));
        assert_eq!(http(Some("HTTP/1.1 400 x\r\n\r\n"), LIMIT).await, failed(400));
        assert_eq!(http(Some("HTTP/1.1 502 x\r\n\r\n"), LIMIT).await, failed(502));
        assert_eq!(http(Some("SSH-2.0-OpenSSH"), LIMIT).await, Err("what it answers is no HTTP".into()));
        assert!(http(Some("HTTP/1"), LIMIT).await.unwrap_err().starts_with("Get \"http://127.0.0.1:"));
        assert_eq!(http(None, Duration::from_millis(50)).await, Err("it did not answer in time".into()));
    }

    #[tokio::test]
    async fn a_connection_tells() {
        assert_eq!(check(&Action::Tcp { port: server(None).await }, HERE, LIMIT).await, Ok(()));
        let closed = TcpListener::bind((HERE, 0)).await.unwrap().local_addr().unwrap().port();
        let fault = check(&Action::Tcp { port: closed }, HERE, LIMIT).await.unwrap_err();
        assert!(fault.starts_with(&format!("dial tcp 127.0.0.1:{closed}: ")), "{fault}");
    }

    #[test]
    fn headers_of_the_spec_go_before_our_own() {
        let headers = [("host", "web.test"), ("X-A", "b")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let text = request(SocketAddr::new(HERE, 80), "/up", &headers);
        assert!(text.starts_with("GET /up HTTP/1.1\r\nUser-Agent: kube-probe/"), "{text}");
        assert!(text.ends_with("Connection: close\r\nhost: web.test\r\nX-A: b\r\n\r\n"), "{text}");
    }
}
