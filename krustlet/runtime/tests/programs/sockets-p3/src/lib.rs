//! A guest that uses sockets by WASI 0.3. It is `sockets` once more, and says the same where both can.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wasip3::cli::{environment, stdout};
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket, UdpSocket,
};
use wasip3::wit_bindgen::StreamReader;
use wasip3::wit_stream;

wasip3::cli::command::export!(Program);

struct Program;

impl wasip3::exports::cli::run::Guest for Program {
    async fn run() -> Result<(), ()> {
        let args = environment::get_arguments();
        let args: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
        let text = run(&args).await.unwrap_or_else(|error| error);
        let (mut to, from) = wit_stream::new();
        let end = stdout::write_via_stream(from);
        to.write_all(format!("{text}\n").into()).await;
        drop(to);
        end.await.map_err(|_| ())
    }
}

/// An error as that of the standard library.
fn said(error: ErrorCode) -> String {
    match error {
        ErrorCode::AccessDenied => "error PermissionDenied".into(),
        error => format!("error {error:?}"),
    }
}

async fn run(args: &[&str]) -> Result<String, String> {
    Ok(match args {
        ["resolve", name] => {
            let found = look_up(name).await?;
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
        ["tcp", address, text] => tcp(address, text).await?,
        ["tcp-after", name, times, address, text] => {
            for _ in 0..times.parse().unwrap() {
                let _ = look_up(name).await;
            }
            tcp(address, text).await?
        }
        ["udp", address, text] => {
            let (socket, to) = (UdpSocket::create(IpAddressFamily::Ipv4).map_err(said)?, resolved(address).await?);
            socket.send(text.as_bytes().to_vec(), Some(to)).await.map_err(said)?;
            String::from_utf8(socket.receive().await.map_err(said)?.0).unwrap()
        }
        ["udp-connected", address, text] => {
            let (socket, to) = (UdpSocket::create(IpAddressFamily::Ipv4).map_err(said)?, resolved(address).await?);
            socket.connect(to).map_err(said)?;
            socket.send(text.as_bytes().to_vec(), None).await.map_err(said)?;
            String::from_utf8(socket.receive().await.map_err(said)?.0).unwrap()
        }
        ["udp-large", address, bytes] => {
            let (socket, to) = (UdpSocket::create(IpAddressFamily::Ipv4).map_err(said)?, resolved(address).await?);
            socket.connect(to).map_err(said)?;
            let large = socket.send(vec![b'x'; bytes.parse().unwrap()], None).await;
            socket.send(b"small".to_vec(), None).await.map_err(said)?;
            format!("{large:?} {}", String::from_utf8(socket.receive().await.map_err(said)?.0).unwrap())
        }
        ["udp-heard", address] => {
            let (socket, to) = (UdpSocket::create(IpAddressFamily::Ipv4).map_err(said)?, resolved(address).await?);
            socket.bind(given("0.0.0.0:0")).map_err(said)?;
            let IpSocketAddress::Ipv4(own) = socket.get_local_address().map_err(said)? else { panic!("not IPv4") };
            socket.send(own.port.to_string().into_bytes(), Some(to)).await.map_err(said)?;
            String::from_utf8(socket.receive().await.map_err(said)?.0).unwrap()
        }
        ["tcp-bind"] => {
            let socket = TcpSocket::create(IpAddressFamily::Ipv4).map_err(said)?;
            socket.bind(given("0.0.0.0:0")).map_err(said)?;
            "bound".into()
        }
        ["udp-bind", address] => {
            let socket = UdpSocket::create(IpAddressFamily::Ipv4).map_err(said)?;
            socket.bind(given(address)).map_err(said)?;
            "bound".into()
        }
        // Answers so many clients, one after the other.
        ["listen", address, clients] => {
            let (socket, mut accepted) = listen(address)?;
            for _ in 0..clients.parse().unwrap() {
                answer(accepted.next().await.unwrap()).await?;
            }
            let IpSocketAddress::Ipv4(at) = socket.get_local_address().map_err(said)? else { panic!("not IPv4") };
            let (a, b, c, d) = at.address;
            format!("listened at {a}.{b}.{c}.{d}:{}", at.port)
        }
        // Takes what comes, says so to each, and keeps all of it for ever.
        ["keep", address] => {
            let (_socket, mut accepted) = listen(address)?;
            let mut kept = Vec::new();
            while let Some(socket) = accepted.next().await {
                let (mut out, data) = wit_stream::new();
                let sent = socket.send(data);
                out.write_all(b"k".to_vec()).await;
                kept.push((socket, out, sent));
            }
            "no more".into()
        }
        // Connects somewhere and keeps that, greets whoever comes, and lets each go when it goes.
        ["relay", there, address] => {
            let kept = TcpSocket::create(IpAddressFamily::Ipv4).map_err(said)?;
            kept.connect(resolved(there).await?).await.map_err(said)?;
            let (_socket, mut accepted) = listen(address)?;
            while let Some(socket) = accepted.next().await {
                let (mut out, data) = wit_stream::new();
                let sent = socket.send(data);
                out.write_all(b"k".to_vec()).await;
                drop(out);
                sent.await.map_err(said)?;
                let (heard, end) = socket.receive();
                heard.collect().await;
                end.await.map_err(said)?;
            }
            drop(kept);
            "no more".into()
        }
        // Twice at one place, one listener after the other.
        ["listen-again", address] => {
            for _ in 0..2 {
                let (_socket, mut accepted) = listen(address)?;
                let socket = accepted.next().await.unwrap();
                let (mut out, data) = wit_stream::new();
                let sent = socket.send(data);
                out.write_all(b"again".to_vec()).await;
                drop(out);
                sent.await.map_err(said)?;
            }
            "twice".into()
        }
        // Gives back each socket that listens, and keeps the streams of what they accept: how many there were.
        ["listen-drop", addresses @ ..] => {
            let mut kept = Vec::new();
            for address in addresses {
                match listen(address) {
                    Ok((_, accepted)) => kept.push(accepted),
                    Err(error) => return Ok(format!("{} {error}", kept.len())),
                }
            }
            format!("{} all", kept.len())
        }
        // So often at one place, and gives both the socket and its stream back each time.
        ["listen-often", address, times] => {
            for _ in 0..times.parse().unwrap() {
                listen(address)?;
            }
            many("tcp", usize::MAX, true)
        }
        // The same, and each has one client that is kept.
        ["listen-keep", address, times] => {
            let mut kept = Vec::new();
            for _ in 0..times.parse().unwrap() {
                let (_socket, mut accepted) = listen(address)?;
                kept.push(accepted.next().await.unwrap());
            }
            many("tcp", usize::MAX, true)
        }
        // The same, and after each comes one that is closed, as is what listened for it.
        ["listen-by-turns", address, times] => {
            let mut kept = Vec::new();
            for turn in 0..2 * times.parse::<usize>().unwrap() {
                let (_socket, mut accepted) = listen(address)?;
                let connection = accepted.next().await.unwrap();
                if turn % 2 == 0 {
                    kept.push(connection);
                }
            }
            many("tcp", usize::MAX, true)
        }
        // The same, and a client has come each time that is not taken.
        ["listen-ready", address, times] => {
            for _ in 0..times.parse().unwrap() {
                let (_socket, mut accepted) = listen(address)?;
                // It is only asked whether there is one.
                accepted.read(Vec::new()).await;
            }
            many("tcp", usize::MAX, true)
        }
        // Takes so many clients and keeps them; then what fails, and gives that back.
        ["accept-failing", address, clients] => {
            let (_socket, mut accepted) = listen(address)?;
            let mut kept = Vec::new();
            for _ in 0..clients.parse().unwrap() {
                kept.push(accepted.next().await.unwrap());
            }
            for _ in 0..10 {
                let failed = accepted.next().await.unwrap();
                assert!(failed.get_local_address().is_err(), "it has failed");
                let (_, end) = failed.receive();
                end.await.unwrap_err();
            }
            many("tcp", usize::MAX, true)
        }
        // Listens without a place of its own choice.
        ["listen-unbound"] => {
            let socket = TcpSocket::create(IpAddressFamily::Ipv4).map_err(said)?;
            socket.listen().map_err(said)?;
            "listening".into()
        }
        ["many", kind] => many(kind, usize::MAX, true),
        ["churn", kind, count] => many(kind, count.parse().unwrap(), false),
        ["buffers"] => buffers(),
        // Gives handles back, and keeps the streams; then gives these back one by one.
        ["streams", address] => streams(address).await?,
        _ => panic!("no such command: {args:?}"),
    })
}

async fn look_up(name: &str) -> Result<Vec<IpAddr>, String> {
    let found = resolve_addresses(name.to_owned()).await.map_err(|error| format!("error {error:?}"))?;
    let address = |address| match address {
        IpAddress::Ipv4((a, b, c, d)) => IpAddr::from([a, b, c, d]),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => IpAddr::from([a, b, c, d, e, f, g, h]),
    };
    Ok(found.into_iter().map(address).collect())
}

/// An IPv4 address and its port.
fn given(text: &str) -> IpSocketAddress {
    let address: SocketAddr = text.parse().unwrap();
    of(address)
}

fn of(address: SocketAddr) -> IpSocketAddress {
    let IpAddr::V4(ip) = address.ip() else { panic!("not IPv4") };
    let [a, b, c, d] = Ipv4Addr::octets(&ip);
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port: address.port(), address: (a, b, c, d) })
}

/// The first address of a name, or that which it is.
async fn resolved(text: &str) -> Result<IpSocketAddress, String> {
    let (host, port) = text.rsplit_once(':').unwrap();
    let ip = match host.parse() {
        Ok(ip) => ip,
        Err(_) => look_up(host).await?[0],
    };
    Ok(of(SocketAddr::new(ip, port.parse().unwrap())))
}

async fn tcp(address: &str, text: &str) -> Result<String, String> {
    let to = resolved(address).await?;
    let socket = TcpSocket::create(IpAddressFamily::Ipv4).map_err(said)?;
    socket.connect(to).await.map_err(said)?;
    let (mut out, data) = wit_stream::new();
    let sent = socket.send(data);
    out.write_all(text.as_bytes().to_vec()).await;
    drop(out);
    sent.await.map_err(said)?;
    let (answer, end) = socket.receive();
    let answer = answer.collect().await;
    end.await.map_err(said)?;
    Ok(String::from_utf8(answer).unwrap())
}

fn listen(address: &str) -> Result<(TcpSocket, StreamReader<TcpSocket>), String> {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4).map_err(said)?;
    socket.bind(given(address)).map_err(said)?;
    let accepted = socket.listen().map_err(said)?;
    Ok((socket, accepted))
}

async fn answer(socket: TcpSocket) -> Result<(), String> {
    let (heard, end) = socket.receive();
    let heard = heard.collect().await;
    end.await.map_err(said)?;
    let (mut out, data) = wit_stream::new();
    let sent = socket.send(data);
    out.write_all(heard.to_ascii_uppercase()).await;
    drop(out);
    sent.await.map_err(said)
}

/// Makes up to so many sockets, and keeps them or not: how many there were, and what was said then.
fn many(kind: &str, count: usize, keep: bool) -> String {
    let (mut tcp, mut udp) = (Vec::new(), Vec::new());
    for made in 0..count {
        let failed = match kind {
            "tcp" => TcpSocket::create(IpAddressFamily::Ipv4).map(|socket| tcp.push(socket)).err(),
            "udp" => UdpSocket::create(IpAddressFamily::Ipv4).map(|socket| udp.push(socket)).err(),
            _ => panic!("no such kind: {kind}"),
        };
        if let Some(error) = failed {
            return format!("{made} {error:?}");
        }
        if !keep {
            tcp.clear();
            udp.clear();
        }
    }
    format!("{count} made")
}

/// What becomes of buffers of a gigabyte.
fn buffers() -> String {
    let tcp = TcpSocket::create(IpAddressFamily::Ipv4).unwrap();
    let udp = UdpSocket::create(IpAddressFamily::Ipv4).unwrap();
    tcp.set_receive_buffer_size(1 << 30).unwrap();
    tcp.set_send_buffer_size(1 << 30).unwrap();
    udp.set_receive_buffer_size(1 << 30).unwrap();
    udp.set_send_buffer_size(1 << 30).unwrap();
    let sizes = [
        tcp.get_receive_buffer_size(),
        tcp.get_send_buffer_size(),
        udp.get_receive_buffer_size(),
        udp.get_send_buffer_size(),
    ];
    sizes.map(|size| size.unwrap().to_string()).join(" ")
}

async fn streams(address: &str) -> Result<String, String> {
    let to = resolved(address).await?;
    let (mut kept, mut counts) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        while let Ok(socket) = TcpSocket::create(IpAddressFamily::Ipv4) {
            socket.connect(to).await.map_err(said)?;
            let (answer, end) = socket.receive();
            let (out, data) = wit_stream::new();
            let sent = socket.send(data);
            drop(socket);
            kept.push((answer, end, out, sent));
        }
        counts.push(kept.len().to_string());
        for (answer, end, out, sent) in kept.drain(..) {
            drop(out);
            sent.await.map_err(said)?;
            drop(answer);
            end.await.map_err(said)?;
        }
    }
    Ok(counts.join(" "))
}
