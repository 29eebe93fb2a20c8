//! Pods that serve, and a client.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use super::{World, condition};

/// A port of this machine that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether it is.
pub fn ready(pod: &Value) -> bool {
    condition(pod, "Ready") == "True"
}

/// The status code of an answer at the node's address.
pub fn get(port: u16) -> Option<String> {
    get_at("127.0.0.1", port)
}

/// The status code of an answer at an address.
pub fn get_at(address: &str, port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((address, port)).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.get(9..12).map(str::to_owned)
}

/// The spec of a pod whose one container `main` listens on that port.
pub fn serving(world: &World, guest: &str, port: u16, part: Value) -> Value {
    let mut main = world.container("main", guest);
    main["ports"] = json!([{ "containerPort": port, "name": "http" }]);
    main.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    json!({ "restartPolicy": "Always", "containers": [main] })
}

/// A probe of each second.
pub fn probe(failures: u32) -> Value {
    json!({ "httpGet": { "port": "http", "path": "/" }, "periodSeconds": 1, "failureThreshold": failures })
}
