//! A guest of the tests: sends the HTTP requests that its arguments say, by the functions of `wasi_experimental_http`, and prints
//! what came of each. Built by `rustc` alone. `http-component` is the same as a component.

mod host {
    #[link(wasm_import_module = "wasi_experimental_http")]
    unsafe extern "C" {
        pub fn req(
            url: *const u8,
            url_length: usize,
            method: *const u8,
            method_length: usize,
            headers: *const u8,
            headers_length: usize,
            body: *const u8,
            body_length: usize,
            status: *mut u16,
            handle: *mut u32,
        ) -> u32;
        pub fn close(handle: u32) -> u32;
        pub fn header_get(handle: u32, name: *const u8, length: usize, to: *mut u8, room: usize, written: *mut usize)
        -> u32;
        pub fn headers_get_all(handle: u32, to: *mut u8, room: usize, written: *mut usize) -> u32;
        pub fn body_read(handle: u32, to: *mut u8, room: usize, written: *mut usize) -> u32;
    }
}

/// The names that the interface gives its errors, by number.
const ERRORS: [&str; 14] = [
    "success",
    "invalid-handle",
    "memory-not-found",
    "memory-access-error",
    "buffer-too-small",
    "header-not-found",
    "utf8-error",
    "destination-not-allowed",
    "invalid-method",
    "invalid-encoding",
    "invalid-url",
    "request-error",
    "runtime-error",
    "too-many-sessions",
];

fn name(error: u32) -> String {
    match error {
        0 => "success".into(),
        error => format!("error {error} {}", ERRORS.get(error as usize).unwrap_or(&"unknown")),
    }
}

fn req(method: &[u8], url: &[u8], headers: &[u8], body: &[u8]) -> Result<(u16, u32), u32> {
    let (mut status, mut handle) = (0, 0);
    let error = unsafe {
        host::req(
            url.as_ptr(),
            url.len(),
            method.as_ptr(),
            method.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            &mut status,
            &mut handle,
        )
    };
    if error == 0 { Ok((status, handle)) } else { Err(error) }
}

fn read(handle: u32, to: &mut [u8]) -> Result<usize, u32> {
    let mut written = 0;
    let error = unsafe { host::body_read(handle, to.as_mut_ptr(), to.len(), &mut written) };
    if error == 0 { Ok(written) } else { Err(error) }
}

fn header(handle: u32, name: &str, room: usize) -> Result<Vec<u8>, u32> {
    let (mut to, mut written) = (vec![0; room], 0);
    let error =
        unsafe { host::header_get(handle, name.as_ptr(), name.len(), to.as_mut_ptr(), to.len(), &mut written) };
    to.truncate(written);
    if error == 0 { Ok(to) } else { Err(error) }
}

fn all_headers(handle: u32, room: usize) -> Result<String, u32> {
    let (mut to, mut written) = (vec![0; room], 0);
    let error = unsafe { host::headers_get_all(handle, to.as_mut_ptr(), to.len(), &mut written) };
    to.truncate(written);
    if error == 0 { Ok(String::from_utf8(to).unwrap()) } else { Err(error) }
}

/// Status and body, or how far it came.
fn send(method: &str, url: &str, headers: &str, body: &str) -> String {
    let (status, handle) = match req(method.as_bytes(), url.as_bytes(), headers.as_bytes(), body.as_bytes()) {
        Ok(response) => response,
        Err(error) => return name(error),
    };
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    let end = loop {
        match read(handle, &mut buffer) {
            Ok(0) => break String::new(),
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(error) => break format!(", then {}", name(error)),
        }
    };
    assert_eq!(unsafe { host::close(handle) }, 0);
    shown(status, &text) + &end
}

fn shown(status: u16, body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        _ if body.len() > 2000 => format!("{status} and {} bytes", body.len()),
        Ok(text) => format!("{status} {text}").trim_end().to_owned(),
        Err(_) => format!("{status} {body:02x?}"),
    }
}

/// Opens responses and keeps them; then closes one, and asks once more.
fn open(count: &str, url: &str) -> String {
    let get = || req(b"GET", url.as_bytes(), b"", b"");
    let (mut open, mut refused) = (Vec::new(), String::new());
    for _ in 0..count.parse().unwrap() {
        match get() {
            Ok((_, handle)) => open.push(handle),
            Err(error) => refused = format!(", {}", name(error)),
        }
    }
    let closed = unsafe { host::close(open[0]) };
    assert_eq!(closed, 0);
    let again = get().map_or_else(name, |(status, _)| status.to_string());
    format!("{} open{refused}; with one closed {again}", open.len())
}

/// What handles do that are none, or not any more.
fn handles(url: &str) -> Vec<String> {
    let mut buffer = [0; 16];
    let all = |handle: u32, buffer: &mut [u8]| {
        [
            name(read(handle, buffer).err().unwrap_or(0)),
            name(header(handle, "date", 100).err().unwrap_or(0)),
            name(all_headers(handle, 100).err().unwrap_or(0)),
            name(unsafe { host::close(handle) }),
        ]
        .join(", ")
    };
    let (_, handle) = req(b"GET", url.as_bytes(), b"", b"").unwrap();
    unsafe { host::close(handle) };
    let (_, next) = req(b"GET", url.as_bytes(), b"", b"").unwrap();
    assert_ne!(handle, next);
    [handle, 0, next + 1, u32::MAX].map(|handle| all(handle, &mut buffer)).into()
}

/// What pointers do that lead out of the memory, and text that is none.
fn pointers(url: &str) -> Vec<String> {
    let (bad, big) = (0xffff_fff0 as *const u8, 0xffff_ffff_usize);
    let (url, get) = (url.as_bytes(), b"GET");
    let (mut status, mut handle, mut written) = (0_u16, 0_u32, 0_usize);
    let (ok, none) = (url.as_ptr(), std::ptr::null::<u8>());
    let mut of = |url: (*const u8, usize), method: (*const u8, usize), headers, body: (*const u8, usize), to: u32| {
        let headers: (*const u8, usize) = headers;
        let status: *mut u16 = if to & 1 == 0 { &mut status } else { 0xffff_ffff as *mut u16 };
        let handle: *mut u32 = if to & 2 == 0 { &mut handle } else { 0xffff_fffe as *mut u32 };
        name(unsafe {
            host::req(url.0, url.1, method.0, method.1, headers.0, headers.1, body.0, body.1, status, handle)
        })
    };
    let (url, get, empty) = ((ok, url.len()), (get.as_ptr(), 3), (none, 0));
    let text = b"\xff\xfe\xfd";
    let text = (text.as_ptr(), text.len());
    let mut results = vec![
        of((bad, 100), get, empty, empty, 0),
        of((ok, big), get, empty, empty, 0),
        of(url, (bad, 16), empty, empty, 0),
        of(url, get, (bad, 32), empty, 0),
        of(url, get, empty, (bad, big), 0),
        of(url, get, empty, empty, 1),
        of(url, get, empty, empty, 2),
        of(text, get, empty, empty, 0),
        of(url, text, empty, empty, 0),
        of(url, get, text, empty, 0),
    ];
    let (_, open) = req(b"GET", unsafe { std::slice::from_raw_parts(ok, url.1) }, b"", b"").unwrap();
    let out = 0xffff_ff00 as *mut u8;
    results.extend(
        unsafe {
            [
                host::body_read(open, out, 4096, &mut written),
                host::body_read(open, out, 16, 0xffff_fffe as *mut usize),
                host::headers_get_all(open, out, 4096, &mut written),
                host::headers_get_all(open, out, 0, &mut written),
                host::header_get(open, bad, 100, out, 16, &mut written),
                host::header_get(open, text.0, text.1, out, 16, &mut written),
            ]
        }
        .map(name),
    );
    results
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let text = match args[..] {
        ["send", method, url, headers, body] => send(method, url, headers, body),
        ["twice", url] => [(); 2].map(|()| send("GET", url, "", "")).join(" / "),
        ["upload", url, bytes] => send("POST", url, "", &"x".repeat(bytes.parse().unwrap())),
        ["open", count, url] => open(count, url),
        ["headers", url] => {
            let (status, handle) = req(b"GET", url.as_bytes(), b"", b"").unwrap();
            let one = |name_of: &str, room| match header(handle, name_of, room) {
                Ok(value) => String::from_utf8(value).unwrap(),
                Err(error) => name(error),
            };
            let all = all_headers(handle, 65536).unwrap_or_else(name);
            let listed = ["x-kind", "X-KIND", "absent", "not a name", "x-binary"].map(|name| one(name, 100)).join(", ");
            format!("{status}: {listed}, {}\n{all}", one("x-kind", 2))
        }
        ["handles", url] => handles(url).join("\n"),
        ["pointers", url] => pointers(url).join("\n"),
        _ => panic!("{args:?}"),
    };
    println!("{text}");
}
