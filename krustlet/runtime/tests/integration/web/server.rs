//! Servers of the tests, well-behaved and hostile ones, on this machine's loopback addresses.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Ports of the web, and what serves them.
#[derive(Debug)]
pub struct Servers {
    plain: SocketAddr,
    tls: SocketAddr,
    self_signed: SocketAddr,
    wrong_name: SocketAddr,
    expired: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// How many requests were read.
    requests: AtomicUsize,
    /// How many clients of `/never` have left.
    closed: AtomicUsize,
}

/// The private CA of the web.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn get() -> &'static Self {
        static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
            let mut params = CertificateParams::new([]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
        });
        &AUTHORITY
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn server(&self, params: CertificateParams, by_itself: bool) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = if by_itself { params.self_signed(&key) } else { params.signed_by(&key, &self.0) };
        let certificates = vec![certificate.unwrap().der().clone()];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates, PrivateKeyDer::try_from(key.serialize_der()).unwrap());
        TlsAcceptor::from(Arc::new(config.unwrap()))
    }
}

impl Servers {
    pub async fn start() -> Self {
        let authority = Authority::get();
        let counts = Arc::<Counts>::default();
        let names = |names: &[&str]| {
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
        };
        let good = ["allowed.example", "friend.example", "xn--bcher-kva.example", "localhost", "127.0.0.1"];
        let mut expired = names(&good);
        expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
        expired.not_before = rcgen::date_time_ymd(2019, 1, 1);
        Self {
            plain: listen(None, &counts).await,
            tls: listen(Some(authority.server(names(&good), false)), &counts).await,
            self_signed: listen(Some(authority.server(names(&good), true)), &counts).await,
            wrong_name: listen(Some(authority.server(names(&["other.example"]), false)), &counts).await,
            expired: listen(Some(authority.server(expired, false)), &counts).await,
            counts,
        }
    }

    pub fn by_port(&self, port: u16) -> Option<SocketAddr> {
        match port {
            80 | 8080 => Some(self.plain),
            443 | 4443 => Some(self.tls),
            5443 => Some(self.self_signed),
            6443 => Some(self.wrong_name),
            7443 => Some(self.expired),
            _ => None,
        }
    }

    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::Relaxed)
    }

    pub fn closed(&self) -> usize {
        self.counts.closed.load(Ordering::Relaxed)
    }
}

async fn listen(tls: Option<TlsAcceptor>, counts: &Arc<Counts>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let counts = counts.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, counts) = (tls.clone(), counts.clone());
            tokio::spawn(async move {
                match tls {
                    None => serve(stream, &counts).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => serve(stream, &counts).await,
                        Err(_) => return,
                    },
                };
            });
        }
    });
    address
}

/// A request as it was read.
struct Asked {
    line: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("-", |(_, value)| value)
    }

    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut body = bytes.split_off(end + 4);
        let mut lines = head.lines();
        let line = lines.next()?.to_owned();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let path = line.split(' ').nth(1)?.to_owned();
        let mut asked = Self { line, path, headers, body: String::new() };
        if asked.header("transfer-encoding") == "chunked" {
            while !body.ends_with(b"0\r\n\r\n") {
                if stream.read_buf(&mut body).await.ok()? == 0 {
                    return None;
                }
            }
            body = dechunked(&body);
        } else {
            let length = asked.header("content-length").parse().unwrap_or(0);
            while body.len() < length {
                if stream.read_buf(&mut body).await.ok()? == 0 {
                    return None;
                }
            }
        }
        asked.body = String::from_utf8(body).unwrap();
        Some(asked)
    }
}

fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..][..length]);
        body = &body[end + 2 + length + 2..];
    }
}

/// One request a connection; the path says what it gets.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, Counts { requests, closed }: &Counts) -> Option<()> {
    let asked = Asked::read(&mut stream).await?;
    requests.fetch_add(1, Ordering::Relaxed);
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let long = Duration::from_secs(60);
    match path {
        "/never" => {
            let mut byte = [0];
            let gone = tokio::time::timeout(long, stream.read(&mut byte)).await;
            closed.fetch_add(usize::from(gone.is_ok()), Ordering::Relaxed);
        }
        "/hang-up" => {}
        "/garbage" => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await.ok()?,
        "/upgrade" => answer(&mut stream, "101 Switching Protocols", "upgrade: websocket\r\n", b"").await?,
        // `/302?https://…`: to there, by this status.
        "/301" | "/302" | "/303" | "/307" | "/308" => {
            let head = format!("location: {query}\r\n");
            answer(&mut stream, &format!("{} Elsewhere", &path[1..]), &head, b"").await?;
        }
        "/302-backslash" => answer(&mut stream, "302 Elsewhere", "location: /\\evil.test/\r\n", b"").await?,
        "/302-to-nowhere" => answer(&mut stream, "302 Elsewhere", "", b"stay").await?,
        // As many redirects in a row as the query says.
        "/hops" => match query.parse::<usize>().unwrap() {
            0 => answer(&mut stream, "200 OK", "", b"hello").await?,
            left => answer(&mut stream, "302 Elsewhere", &format!("location: /hops?{}\r\n", left - 1), b"").await?,
        },
        "/loop" => answer(&mut stream, "302 Elsewhere", "location: /loop\r\n", b"").await?,
        "/many-headers" => answer(&mut stream, "200 OK", &"x-more: x\r\n".repeat(200), b"hello").await?,
        "/long-header" => answer(&mut stream, "200 OK", &format!("x-long: {}\r\n", "x".repeat(100_000)), b"").await?,
        "/endless-headers" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await.ok()?;
            loop {
                stream.write_all(b"x-more: and more\r\n").await.ok()?;
            }
        }
        "/endless-informational" => loop {
            stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await.ok()?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        },
        "/endless-body" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
            let piece = format!("1000\r\n{}\r\n", "x".repeat(4096));
            loop {
                stream.write_all(piece.as_bytes()).await.ok()?;
            }
        }
        "/slow-body" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe").await.ok()?;
            stream.flush().await.ok()?;
            tokio::time::sleep(long).await;
        }
        "/short-body" => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello").await.ok()?,
        "/huge" => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\nhello").await.ok()?,
        "/two-lengths" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 50\r\n\r\nhello").await.ok()?;
        }
        // The beginning of a gzip stream: what it would grow to is nobody's business here.
        "/gzip" => answer(&mut stream, "200 OK", "content-encoding: gzip\r\n", b"\x1f\x8b\x08\0").await?,
        "/kinds" => {
            let head = "x-kind: one\r\nx-kind: two\r\nset-cookie: a=b\r\n";
            answer(&mut stream, "200 OK", head, b"hello").await?;
        }
        "/binary-header" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-binary: \xff\xfe\r\ncontent-length: 0\r\n\r\n").await.ok()?;
        }
        "/echo" => {
            let names = ["host", "authorization", "cookie", "content-type", "x-own"];
            let headers = names.map(|name| format!("{name}={}", asked.header(name))).join(" ");
            let echo = format!("{} | {headers} | {}", asked.line, asked.body.chars().take(100).collect::<String>());
            answer(&mut stream, "200 OK", "", echo.as_bytes()).await?;
        }
        // All headers, as they came.
        "/raw" => {
            let all: Vec<_> = asked.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            answer(&mut stream, "200 OK", "", all.join("; ").as_bytes()).await?;
        }
        "/size" => answer(&mut stream, "200 OK", "", asked.body.len().to_string().as_bytes()).await?,
        _ => answer(&mut stream, "200 OK", "", b"hello").await?,
    }
    stream.shutdown().await.ok()
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), status: &str, headers: &str, body: &[u8]) -> Option<()> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await.ok()
}
