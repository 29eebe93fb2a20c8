//! What only components of WASI 0.2 can ask for. What they share with modules is tested beside those.

use crate::support::{TOOLBOX, component, engine, exited, run, start};
use krustlet_runtime::Exit;

/// A component that exports `wasi:cli/run` with these imports; `body` is the function's, and its result 0 means well.
fn command(imports: &str, lowered: &str, with: &str, body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            {imports}
            (core module $libc (memory (export "memory") 1))
            (core instance $libc (instantiate $libc))
            (alias core export $libc "memory" (core memory $memory))
            {lowered}
            (core module $program
                {with}
                (import "libc" "memory" (memory 1))
                (func (export "run") (result i32) {body}))
            (core instance $host {exports})
            (core instance $program (instantiate $program
                (with "host" (instance $host)) (with "libc" (instance $libc))))
            (func $run (result (result)) (canon lift (core func $program "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.3" (instance $run)))"#,
        exports = exports(lowered),
    ))
    .unwrap()
}

/// `(export "name" (func $name))` for each `(core func $name` of the text.
fn exports(lowered: &str) -> String {
    let names = lowered.split("(core func $").skip(1).map(|rest| rest.split_whitespace().next().unwrap());
    names.map(|name| format!(r#"(export "{name}" (func ${name}))"#)).collect()
}

#[tokio::test]
async fn the_result_of_run_is_the_exit_code() {
    let engine = engine();
    for (result, code) in [(0, 0), (1, 1)] {
        let wasm = command("", "", "", &format!("i32.const {result}"));
        assert_eq!(run(&engine, &wasm, |_| {}).0.wait().await, exited(code));
    }
}

#[tokio::test]
async fn exit_gives_1_or_the_code_that_it_names() {
    let engine = engine();
    let imports = r#"(import "wasi:cli/exit@0.2.0" (instance $exit
        (export "exit" (func (param "status" (result))))
        (export "exit-with-code" (func (param "status-code" u8)))))"#;
    let lowered = r#"(core func $exit (canon lower (func $exit "exit")))
        (core func $code (canon lower (func $exit "exit-with-code")))"#;
    let with = r#"(import "host" "exit" (func $exit (param i32))) (import "host" "code" (func $code (param i32)))"#;
    for (call, code) in [
        ("$exit (i32.const 0)", 0),
        ("$exit (i32.const 1)", 1),
        ("$code (i32.const 42)", 42),
        ("$code (i32.const 255)", 255),
    ] {
        let wasm = command(imports, lowered, with, &format!("(call {call}) unreachable"));
        assert_eq!(run(&engine, &wasm, |_| {}).0.wait().await, exited(code), "{call}");
    }
    // A module's other codes become 1 on the way through the usual adapter, which knows well and not well alone.
    for (code, seen) in [(0, 0), (1, 1), (42, 1)] {
        let wasm = component(&start(&format!("(call $exit (i32.const {code}))")));
        assert_eq!(run(&engine, &wasm, |_| {}).0.wait().await, exited(seen), "proc_exit({code})");
    }
}

#[tokio::test]
async fn there_is_no_network() {
    let engine = engine();
    let network = r#"(import "wasi:sockets/network@0.2.0" (instance $network
        (export "network" (type (sub resource)))
        (type $error (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
            "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
            "address-not-bindable" "address-in-use" "remote-unreachable" "connection-refused" "connection-reset"
            "connection-aborted" "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
            "permanent-resolver-failure"))
        (export "error-code" (type (eq $error)))
        (type $family (enum "ipv4" "ipv6"))
        (export "ip-address-family" (type (eq $family)))))
        (alias export $network "network" (type $network-handle))
        (alias export $network "error-code" (type $error))
        (alias export $network "ip-address-family" (type $family))"#;
    let socket = |kind: &str| {
        format!(
            r#"{network}
            (import "wasi:sockets/{kind}@0.2.0" (instance $sockets (export "{kind}-socket" (type (sub resource)))))
            (alias export $sockets "{kind}-socket" (type $socket))
            (import "wasi:sockets/{kind}-create-socket@0.2.0" (instance $create
                (export "{kind}-socket" (type $s (eq $socket)))
                (export "error-code" (type $e (eq $error)))
                (export "ip-address-family" (type $f (eq $family)))
                (export "create-{kind}-socket"
                    (func (param "address-family" $f) (result (result (own $s) (error $e)))))))"#
        )
    };
    let lookup = format!(
        r#"{network}
        (import "wasi:sockets/instance-network@0.2.0" (instance $instance
            (export "network" (type $n (eq $network-handle)))
            (export "instance-network" (func (result (own $n))))))
        (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
            (export "network" (type $n (eq $network-handle)))
            (export "error-code" (type $e (eq $error)))
            (export "resolve-address-stream" (type $s (sub resource)))
            (export "resolve-addresses" (func (param "network" (borrow $n)) (param "name" string)
                (result (result (own $s) (error $e)))))))"#
    );
    // The result is at 0: whether it failed; at 4: the handle, or the error's number in the list above.
    let fails_with = |number: u8| {
        format!(
            "(if (i32.eqz (i32.load8_u (i32.const 0))) (then unreachable))
             (i32.ne (i32.load8_u (i32.const 4)) (i32.const {number}))"
        )
    };
    let (denied, unresolvable) = (fails_with(1), fails_with(20));
    let cases = [
        (
            socket("tcp"),
            r#"(core func $create (canon lower (func $create "create-tcp-socket") (memory $memory)))"#,
            r#"(import "host" "create" (func $create (param i32 i32)))"#,
            format!("(call $create (i32.const 0) (i32.const 0)) {denied}"),
        ),
        (
            socket("udp"),
            r#"(core func $create (canon lower (func $create "create-udp-socket") (memory $memory)))"#,
            r#"(import "host" "create" (func $create (param i32 i32)))"#,
            format!("(call $create (i32.const 1) (i32.const 0)) {denied}"),
        ),
        (
            lookup,
            r#"(core func $network (canon lower (func $instance "instance-network")))
               (core func $resolve (canon lower (func $lookup "resolve-addresses") (memory $memory)))"#,
            r#"(import "host" "network" (func $network (result i32)))
               (import "host" "resolve" (func $resolve (param i32 i32 i32 i32)))"#,
            format!(
                "(i32.store8 (i32.const 16) (i32.const 97))
                 (call $resolve (call $network) (i32.const 16) (i32.const 1) (i32.const 0)) {unresolvable}"
            ),
        ),
    ];
    for (imports, lowered, with, body) in cases {
        let wasm = command(&imports, lowered, with, &body);
        assert_eq!(run(&engine, &wasm, |_| {}).0.wait().await, exited(0), "{imports}");
    }
}

#[tokio::test]
async fn a_trap_in_a_component_is_one_of_its_container() {
    let wasm = command("", "", "", "unreachable");
    let status = run(&engine(), &wasm, |_| {}).0.wait().await;
    assert_eq!(status.reason, Exit::Trapped("wasm trap: wasm `unreachable` instruction executed".into()));
}

/// Two components in one, which pass a text from one's memory to the other's by code that the engine makes.
#[tokio::test]
async fn components_may_be_composed() {
    let wasm = wat::parse_str(
        r#"(component
            (component $inner
                (core module $m
                    (memory (export "memory") 1)
                    (global $free (mut i32) (i32.const 1024))
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                        (global.get $free) (global.set $free (i32.add (global.get $free) (local.get 3))))
                    (func (export "length") (param $at i32) (param $length i32) (result i32)
                        (i32.add (local.get $length) (i32.load8_u (local.get $at)))))
                (core instance $i (instantiate $m))
                (func (export "length") (param "text" string) (result u32)
                    (canon lift (core func $i "length") (memory (core memory $i "memory"))
                        (realloc (core func $i "realloc")))))
            (instance $inner (instantiate $inner))
            (component $outer
                (import "length" (func $length (param "text" string) (result u32)))
                (core module $libc (memory (export "memory") 1) (data (i32.const 8) "hello"))
                (core instance $libc (instantiate $libc))
                (core func $length (canon lower (func $length) (memory (core memory $libc "memory"))))
                (core module $main
                    (import "" "length" (func $length (param i32 i32) (result i32)))
                    (func (export "run") (result i32)
                        ;; 5 bytes, and "h" is 104.
                        (i32.ne (call $length (i32.const 8) (i32.const 5)) (i32.const 109))))
                (core instance $main (instantiate $main
                    (with "" (instance (export "length" (func $length))))))
                (func (export "run") (result (result)) (canon lift (core func $main "run"))))
            (instance $outer (instantiate $outer (with "length" (func $inner "length"))))
            (alias export $outer "run" (func $run))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#,
    )
    .unwrap();
    let engine = engine();
    assert_eq!(run(&engine, &wasm, |_| {}).0.wait().await, exited(0));
    // Both memories count.
    let (container, _) = run(&engine, &wasm, |spec| spec.memory_limit_bytes = Some(64 * 1024));
    let status = container.wait().await;
    let expected = "the memory limit is 65536 bytes, and the program asked for 131072 bytes";
    assert_eq!(status.reason, Exit::OutOfMemory(expected.into()));
}

#[test]
fn components_that_cannot_run_are_refused_by_what_they_are() {
    let engine = engine();
    let wat = |text: &str| wat::parse_str(text).unwrap();
    let toolbox = component(&TOOLBOX);
    let cases = [
        (
            wat("(component)"),
            "this component exports nothing, and neither wasi:cli/run nor wasi:http/incoming-handler of WASI 0.2, nor",
        ),
        (
            wat(r#"(component (import "wasi:keyvalue/store@0.2.0" (instance (export "open" (func)))))"#),
            "imports what a node does not provide: component imports instance `wasi:keyvalue/store@0.2.0`",
        ),
        (
            wat(r#"(component (instance $handler) (export "wasi:http/handler@0.4.0" (instance $handler)))"#),
            "exports wasi:http/handler@0.4.0, and neither wasi:cli/run",
        ),
        // Requests that are handed on to another component: there is none.
        (
            wat(r#"(component (import "wasi:http/handler@0.3.0" (instance (export "handle" (func async)))))"#),
            "imports what a node does not provide: component imports instance `wasi:http/handler@0.3.0`",
        ),
        (toolbox[..toolbox.len() - 1].to_vec(), "this WebAssembly module is not valid"),
        (b"\0asm\x0d\0\x01\0\xff".to_vec(), "this WebAssembly module is not valid"),
    ];
    for (wasm, expected) in cases {
        let error = engine.compile(&wasm).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
