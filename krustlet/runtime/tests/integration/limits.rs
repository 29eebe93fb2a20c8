//! What ends a guest that wants too much, and harms nobody else.

use std::sync::Arc;

use crate::support::{Memory, TOOLBOXES, args, both, component, engine, exited, hold_toolboxes, module, run, start};
use krustlet_runtime::{Exit, ExitStatus, RunSpec};

const PAGE: u64 = 64 * 1024;

fn out_of_memory(limit: u64, wanted: u64) -> ExitStatus {
    let message = format!("the memory limit is {limit} bytes, and the program asked for {wanted} bytes");
    ExitStatus { code: 137, reason: Exit::OutOfMemory(message) }
}

#[tokio::test]
async fn a_module_that_starts_with_more_memory_than_allowed_runs_out_of_it_at_once() {
    let huge = wat::parse_str(r#"(module (memory (export "memory") 65536) (func (export "_start")))"#).unwrap();
    let engine = engine();
    for wasm in [huge.clone(), component(&huge)] {
        let (container, _) = run(&engine, &wasm, |spec| spec.memory_limit_bytes = Some(64 << 20));
        assert_eq!(container.wait().await, out_of_memory(64 << 20, 4 << 30));
    }
    let page = start("");
    let limited = |bytes| run(&engine, &page, |spec| spec.memory_limit_bytes = Some(bytes)).0;
    assert_eq!(limited(PAGE).wait().await, exited(0));
    assert_eq!(limited(PAGE - 1).wait().await, out_of_memory(PAGE - 1, PAGE));
}

#[tokio::test]
async fn a_guest_that_grows_past_its_limit_is_ended() {
    // Were it told that there is no more, it would go on for ever.
    let greedy = start("(loop $more (drop (memory.grow (i32.const 1))) (br $more))");
    let engine = engine();
    for (kind, wasm) in both(&greedy) {
        let (container, _) = run(&engine, &wasm, |spec| spec.memory_limit_bytes = Some(1 << 20));
        assert_eq!(container.wait().await, out_of_memory(1 << 20, (1 << 20) + PAGE), "{kind}");
        assert_eq!(container.usage().memory_bytes, 0, "{kind}");
    }
}

#[tokio::test]
async fn a_program_that_allocates_is_ended_at_its_limit_and_not_before() {
    let engine = engine();
    for (kind, wasm) in TOOLBOXES.iter() {
        let (container, sink) = run(&engine, wasm, |spec| {
            spec.args = args(&["allocate", "100"]);
            spec.memory_limit_bytes = Some(20 << 20);
        });
        let status = container.wait().await;
        assert_eq!(status.code, 137, "{kind}");
        assert!(matches!(status.reason, Exit::OutOfMemory(_)), "{kind}: {status:?}");
        let allocated: usize = sink.text().lines().last().unwrap().parse().unwrap();
        assert!((16..20).contains(&allocated), "{kind}: {allocated} MiB");
    }
}

#[tokio::test]
async fn a_memorys_own_maximum_is_the_guests_own_affair() {
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 1 2)
            (func (export "_start")
                (if (i32.ne (memory.grow (i32.const 5)) (i32.const -1)) (then unreachable))
                (if (i32.ne (memory.grow (i32.const 1)) (i32.const 1)) (then unreachable))))"#,
    )
    .unwrap();
    let (container, _) = run(&engine(), &wasm, |spec| spec.memory_limit_bytes = Some(4 * PAGE));
    assert_eq!(container.wait().await, exited(0));
}

#[tokio::test]
async fn without_a_limit_the_end_is_that_of_the_address_space() {
    let wasm = start(
        "(if (i32.ne (memory.grow (i32.const 65536)) (i32.const -1)) (then unreachable))
         (if (i32.eq (memory.grow (i32.const 65535)) (i32.const -1)) (then unreachable))",
    );
    assert_eq!(run(&engine(), &wasm, |_| {}).0.wait().await, exited(0));
}

#[tokio::test]
async fn tables_do_not_grow_without_end() {
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 1) (table $a 1 funcref) (table $b 1 funcref)
            (func (export "_start")
                (if (i32.eq (table.grow $a (ref.null func) (i32.const 900000)) (i32.const -1)) (then unreachable))
                (if (i32.ne (table.grow $b (ref.null func) (i32.const 200000)) (i32.const -1)) (then unreachable))))"#,
    )
    .unwrap();
    assert_eq!(run(&engine(), &wasm, |_| {}).0.wait().await, exited(0));
}

#[tokio::test]
async fn endless_recursion_is_a_trap_even_where_the_host_is_called_at_its_end() {
    let engine = engine();
    let _held = hold_toolboxes(&engine);
    let expected = ExitStatus { code: 134, reason: Exit::Trapped("wasm trap: call stack exhausted".into()) };
    // Without memory of its own, so that nothing but the native stack can end it.
    let deep = module(
        r#"(func $deep (param i32)
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))
                (call $deep (i32.add (local.get 0) (i32.const 1))))
           (func (export "_start") (call $deep (i32.const 0)))"#,
    );
    let plain = module(r#"(func $deep (export "_start") (call $deep))"#);
    for wasm in [&deep, &plain] {
        for (kind, wasm) in both(wasm) {
            assert_eq!(run(&engine, &wasm, |_| {}).0.wait().await, expected, "{kind}");
        }
    }
    // Programs of a compiler have a stack in their memory as well, and may come to the end of that first.
    for (kind, wasm) in TOOLBOXES.iter() {
        for recursion in ["recurse", "recurse-with-output"] {
            let (container, _) = run(&engine, wasm, |spec| spec.args = args(&[recursion]));
            let status = container.wait().await;
            assert!(matches!(status.reason, Exit::Trapped(_)), "{kind} {recursion}: {status:?}");
        }
    }
}

/// A compiler that recursed with the nesting of its input would end the process.
#[tokio::test]
async fn deep_nesting_in_a_module_does_no_harm() {
    const DEPTH: usize = 5_000;
    let engine = engine();
    // Written as bytes: the parser of the text would recurse.
    for (name, opening) in [("block", &[0x02, 0x40][..]), ("loop", &[0x03, 0x40]), ("if", &[0x41, 1, 0x04, 0x40])] {
        let wasm = module_of(&[opening.repeat(DEPTH), vec![0x0b; DEPTH + 1]].concat());
        let module = tokio::task::spawn_blocking({
            let engine = engine.clone();
            move || engine.compile(&wasm)
        });
        let module = module.await.unwrap().unwrap();
        let container = engine.start(&module, RunSpec::new(Arc::new(Memory::default()))).unwrap();
        assert_eq!(container.wait().await, exited(0), "{name}");
    }
}

/// A module whose only function, `_start`, has this code.
fn module_of(code: &[u8]) -> Vec<u8> {
    fn leb(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let byte = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                bytes.push(byte);
                return bytes;
            }
            bytes.push(byte | 0x80);
        }
    }
    let function = [&[0][..], code].concat();
    let section = [&[1][..], &leb(function.len()), &function].concat();
    let mut wasm = b"\0asm\x01\0\0\0".to_vec();
    wasm.extend([1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 7, 10, 1, 6]);
    wasm.extend(b"_start\0\0");
    wasm.push(10);
    wasm.extend(leb(section.len()));
    wasm.extend(section);
    wasm
}
