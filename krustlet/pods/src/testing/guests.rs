//! The guests of the tests, written as text.

/// `exit-CODE`, `nap-CODE` (a second, then that code), `doze-CODE` (three), `sleep`, `spin`, `grow-PAGES` (takes so much memory besides
/// its first page, then sleeps), `garbage` (no module); `serve-STATUS`, which answers all requests so; `slow-STATUS`, which computes for a
/// second before, `long-STATUS`, for five, and `stuck-STATUS`, for an hour; `ask-HOST`, which asks that host by HTTP and exits with 100 and
/// the last two digits of the status, or with the number of the error; `component-RESULT`, which may listen, and ends at once
/// well (0) or not (1), or never (`spin`).
pub fn guest(name: &str) -> Option<Vec<u8>> {
    let sleep = |nanos: u64| {
        format!(
            "(i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const {nanos}))
             (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))"
        )
    };
    let exit = |code: &str| format!("(call $exit (i32.const {code}))");
    let body = match name.split_once('-') {
        Some(("exit", code)) => exit(code),
        Some(("nap", code)) => sleep(1_000_000_000) + &exit(code),
        Some(("doze", code)) => sleep(3_000_000_000) + &exit(code),
        Some(("grow", pages)) => format!("(drop (memory.grow (i32.const {pages})))") + &sleep(3_600_000_000_000),
        Some(("serve", status)) => return Some(wat::parse_str(server(status, 0)).unwrap()),
        Some(("stuck", status)) => return Some(wat::parse_str(server(status, 3_600_000_000_000)).unwrap()),
        Some(("long", status)) => return Some(wat::parse_str(server(status, 5_000_000_000)).unwrap()),
        Some(("slow", status)) => return Some(wat::parse_str(server(status, 1_000_000_000)).unwrap()),
        Some(("ask", host)) => return Some(wat::parse_str(client(host)).unwrap()),
        Some(("component", result)) => return Some(wat::parse_str(component(result)).unwrap()),
        None if name == "sleep" => sleep(3_600_000_000_000),
        None if name == "garbage" => return Some(b"no module".to_vec()),
        None if name == "spin" => "(loop $forever (br $forever))".into(),
        _ => return None,
    };
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") {body}))"#
    );
    Some(wat::parse_str(text).unwrap())
}

fn client(host: &str) -> String {
    let url = format!("http://{host}/");
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_experimental_http" "req"
                (func $req (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "GET{url}")
            (func (export "_start") (local $error i32)
                (local.set $error (call $req (i32.const 67) (i32.const {length}) (i32.const 64) (i32.const 3)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 16)))
                (if (local.get $error) (then (call $exit (local.get $error))))
                (call $exit (i32.add (i32.const 100) (i32.rem_u (i32.load16_u (i32.const 8)) (i32.const 100))))))"#,
        length = url.len(),
    )
}

/// A component that exports `wasi:cli/run`.
fn component(result: &str) -> String {
    let body = match result {
        "spin" => "(loop $forever (br $forever)) (unreachable)".to_owned(),
        result => format!("(i32.const {result})"),
    };
    format!(
        r#"(component
            (core module $m (func (export "run") (result i32) {body}))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $cli (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $cli)))"#
    )
}

/// A component that exports `wasi:http/incoming-handler`, and answers after so many nanoseconds.
fn server(status: &str, nanos: u64) -> String {
    format!(
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
            (import "wasi:http/types@0.2.0" (instance $types
                (export "fields" (type $fields (sub resource)))
                (export "incoming-request" (type $request (sub resource)))
                (export "outgoing-response" (type $response (sub resource)))
                (export "response-outparam" (type $outparam (sub resource)))
                (type $d (record (field "rcode" (option string)) (field "info-code" (option u16))))
                (export "DNS-error-payload" (type $dns (eq $d)))
                (type $t (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
                (export "TLS-alert-received-payload" (type $tls (eq $t)))
                (type $f (record (field "field-name" (option string)) (field "field-size" (option u32))))
                (export "field-size-payload" (type $field (eq $f)))
                (type $e (variant (case "DNS-timeout") (case "DNS-error" $dns) (case "destination-not-found")
                    (case "destination-unavailable") (case "destination-IP-prohibited") (case "destination-IP-unroutable")
                    (case "connection-refused") (case "connection-terminated") (case "connection-timeout")
                    (case "connection-read-timeout") (case "connection-write-timeout") (case "connection-limit-reached")
                    (case "TLS-protocol-error") (case "TLS-certificate-error") (case "TLS-alert-received" $tls)
                    (case "HTTP-request-denied") (case "HTTP-request-length-required")
                    (case "HTTP-request-body-size" (option u64)) (case "HTTP-request-method-invalid")
                    (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
                    (case "HTTP-request-header-section-size" (option u32)) (case "HTTP-request-header-size" (option $field))
                    (case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $field)
                    (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
                    (case "HTTP-response-header-size" $field) (case "HTTP-response-body-size" (option u64))
                    (case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $field)
                    (case "HTTP-response-transfer-coding" (option string)) (case "HTTP-response-content-coding" (option string))
                    (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error")
                    (case "loop-detected") (case "configuration-error") (case "internal-error" (option string))))
                (export "error-code" (type $error (eq $e)))
                (export "[constructor]fields" (func (result (own $fields))))
                (export "[constructor]outgoing-response" (func (param "headers" (own $fields)) (result (own $response))))
                (export "[method]outgoing-response.set-status-code"
                    (func (param "self" (borrow $response)) (param "status-code" u16) (result (result))))
                (export "[static]response-outparam.set"
                    (func (param "param" (own $outparam)) (param "response" (result (own $response) (error $error)))))))
            (alias export $types "incoming-request" (type $request))
            (alias export $types "response-outparam" (type $outparam))
            (core module $libc (memory (export "memory") 1))
            (core instance $libc (instantiate $libc))
            (alias core export $libc "memory" (core memory $memory))
            (core func $now (canon lower (func $clock "now")))
            (core func $fields (canon lower (func $types "[constructor]fields")))
            (core func $response (canon lower (func $types "[constructor]outgoing-response")))
            (core func $status (canon lower (func $types "[method]outgoing-response.set-status-code")))
            (core func $set (canon lower (func $types "[static]response-outparam.set") (memory $memory)))
            (core module $program
                (import "host" "now" (func $now (result i64)))
                (import "host" "fields" (func $fields (result i32)))
                (import "host" "response" (func $response (param i32) (result i32)))
                (import "host" "status" (func $status (param i32 i32) (result i32)))
                (import "host" "set" (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
                (func (export "handle") (param $request i32) (param $out i32) (local $answer i32) (local $until i64)
                    (local.set $until (i64.add (call $now) (i64.const {nanos})))
                    (loop $wait (br_if $wait (i64.lt_u (call $now) (local.get $until))))
                    (local.set $answer (call $response (call $fields)))
                    (drop (call $status (local.get $answer) (i32.const {status})))
                    (call $set (local.get $out) (i32.const 0) (local.get $answer)
                        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
            (core instance $program (instantiate $program (with "host" (instance
                (export "now" (func $now)) (export "fields" (func $fields)) (export "response" (func $response))
                (export "status" (func $status)) (export "set" (func $set))))))
            (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
                (canon lift (core func $program "handle")))
            (instance $handler (export "handle" (func $handle)))
            (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    )
}
