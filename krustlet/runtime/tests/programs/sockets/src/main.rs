//! A guest that uses sockets: by the standard library, as programs do, and by WASI's own functions where only a hostile one would.

use std::io::{Read, Result, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp_create_socket::create_udp_socket;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let said = run(&args).unwrap_or_else(|error| format!("error {:?}", error.kind()));
    println!("{said}");
}

fn run(args: &[&str]) -> Result<String> {
    Ok(match args {
        ["resolve", names @ ..] => {
            let each = |name: &&str| match (*name, 0).to_socket_addrs() {
                Ok(found) => found.map(|address| address.ip().to_string()).collect::<Vec<_>>().join(","),
                Err(error) => format!("error {:?}", error.kind()),
            };
            names.iter().map(each).collect::<Vec<_>>().join(" ")
        }
        ["tcp", address, text] => tcp(address, text)?,
        // Looks a name up so many times before.
        ["tcp-after", name, times, address, text] => {
            for _ in 0..times.parse().unwrap() {
                let _ = (*name, 0).to_socket_addrs();
            }
            tcp(address, text)?
        }
        ["udp", address, text] => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.send_to(text.as_bytes(), address)?;
            let mut bytes = [0; 2000];
            let (length, _) = socket.recv_from(&mut bytes)?;
            String::from_utf8_lossy(&bytes[..length]).into()
        }
        ["udp-connected", address, text] => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect(address)?;
            socket.send(text.as_bytes())?;
            let mut bytes = [0; 2000];
            let length = socket.recv(&mut bytes)?;
            String::from_utf8_lossy(&bytes[..length]).into()
        }
        // Sends one of so many bytes, and then a small one.
        ["udp-large", address, bytes] => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect(address)?;
            let large = socket.send(&vec![b'x'; bytes.parse().unwrap()]);
            socket.send(b"small")?;
            let mut bytes = [0; 2000];
            let length = socket.recv(&mut bytes)?;
            format!("{:?} {}", large.map_err(|error| error.to_string()), String::from_utf8_lossy(&bytes[..length]))
        }
        // Hears from a stranger before it hears from whom it has written to.
        ["udp-heard", address] => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.send_to(socket.local_addr()?.port().to_string().as_bytes(), address)?;
            let mut bytes = [0; 2000];
            let (length, _) = socket.recv_from(&mut bytes)?;
            String::from_utf8_lossy(&bytes[..length]).into()
        }
        ["udp-bind", address] => UdpSocket::bind(address).map(|_| "bound".to_owned())?,
        ["tcp-bind"] => {
            let socket = create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
            let any = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (0, 0, 0, 0) });
            match socket.start_bind(&instance_network(), any).and_then(|()| socket.finish_bind()) {
                Ok(()) => "bound".into(),
                Err(ErrorCode::AccessDenied) => "error PermissionDenied".into(),
                Err(error) => format!("error {error:?}"),
            }
        }
        // Answers so many clients, one after the other.
        ["listen", address, clients] => {
            let listener = TcpListener::bind(address)?;
            let at = listener.local_addr()?;
            for _ in 0..clients.parse().unwrap() {
                let (mut stream, _) = listener.accept()?;
                let mut text = String::new();
                stream.read_to_string(&mut text)?;
                stream.write_all(text.to_uppercase().as_bytes())?;
            }
            format!("listened at {at}")
        }
        // Takes what comes, says so to each, and keeps all of it for ever.
        ["keep", address] => {
            let listener = TcpListener::bind(address)?;
            let mut kept = Vec::new();
            loop {
                let (mut stream, _) = listener.accept()?;
                stream.write_all(b"k")?;
                kept.push(stream);
            }
        }
        // Connects somewhere and keeps that, greets whoever comes, and lets each go when it goes.
        ["relay", there, address] => {
            let _kept = TcpStream::connect(there)?;
            let listener = TcpListener::bind(address)?;
            loop {
                let (mut stream, _) = listener.accept()?;
                stream.write_all(b"k")?;
                stream.read_to_end(&mut Vec::new())?;
            }
        }
        // Twice at one place, one listener after the other.
        ["listen-again", address] => {
            for _ in 0..2 {
                let (mut stream, _) = TcpListener::bind(address)?.accept()?;
                stream.write_all(b"again")?;
            }
            "twice".into()
        }
        ["many", kind] => many(kind, usize::MAX, true),
        ["churn", kind, count] => many(kind, count.parse().unwrap(), false),
        ["buffers"] => buffers(),
        ["abandon", address] => {
            // Ends with open sockets.
            let stream = TcpStream::connect(address)?;
            std::mem::forget(stream);
            "gone".into()
        }
        ["hold", address] => {
            let mut stream = TcpStream::connect(address)?;
            println!("connected");
            let _ = stream.read(&mut [0]);
            "read".into()
        }
        _ => panic!("no such command: {args:?}"),
    })
}

fn tcp(address: &str, text: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(text.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Makes up to so many sockets, and keeps them or not: how many there were, and what was said then.
fn many(kind: &str, count: usize, keep: bool) -> String {
    let (mut tcp, mut udp) = (Vec::new(), Vec::new());
    for made in 0..count {
        let failed = match kind {
            "tcp" => create_tcp_socket(IpAddressFamily::Ipv4).map(|socket| tcp.push(socket)).err(),
            "udp" => create_udp_socket(IpAddressFamily::Ipv4).map(|socket| udp.push(socket)).err(),
            _ => panic!("no such kind: {kind}"),
        };
        if let Some(error) = failed {
            // As the program of 0.3 has it.
            let name = match error {
                ErrorCode::NewSocketLimit => "NewSocketLimit",
                ErrorCode::AccessDenied => "AccessDenied",
                other => other.name(),
            };
            return format!("{made} ErrorCode::{name}");
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
    let tcp = create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
    let udp = create_udp_socket(IpAddressFamily::Ipv4).unwrap();
    let any = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (0, 0, 0, 0) });
    udp.start_bind(&instance_network(), any).unwrap();
    udp.finish_bind().unwrap();
    tcp.set_receive_buffer_size(1 << 30).unwrap();
    tcp.set_send_buffer_size(1 << 30).unwrap();
    udp.set_receive_buffer_size(1 << 30).unwrap();
    udp.set_send_buffer_size(1 << 30).unwrap();
    let sizes = [tcp.receive_buffer_size(), tcp.send_buffer_size(), udp.receive_buffer_size(), udp.send_buffer_size()];
    sizes.map(|size| size.unwrap().to_string()).join(" ")
}
