//! A guest of the tests, of WASI 0.3: does what its arguments say and prints what came of it, in the words of `toolbox.rs`. It asks the host by
//! the interfaces of 0.3 alone, as the standard library has those of 0.2.

mod calls;
mod files;

use std::pin::pin;
use std::task::Poll;

use wasip3::cli::{environment, exit, stderr, stdin, stdout};
use wasip3::clocks::{monotonic_clock, system_clock};
use wasip3::filesystem::types::ErrorCode;
use wasip3::random::random;
use wasip3::wit_bindgen::yield_async;
use wasip3::wit_stream;

wasip3::cli::command::export!(Toolbox);

struct Toolbox;

impl wasip3::exports::cli::run::Guest for Toolbox {
    async fn run() -> Result<(), ()> {
        let args = environment::get_arguments();
        let args: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
        match run(&args).await {
            Ok(text) => {
                println(&text).await;
                Ok(())
            }
            Err(error) => {
                println(&format!("error: {}", told(&error))).await;
                Err(())
            }
        }
    }
}

/// As the standard library says it.
fn told(error: &ErrorCode) -> String {
    match error {
        ErrorCode::NoEntry => "entity not found".into(),
        ErrorCode::Access | ErrorCode::NotPermitted | ErrorCode::ReadOnly => "permission denied".into(),
        ErrorCode::Unsupported => "unsupported".into(),
        ErrorCode::Loop => "filesystem loop or indirection limit (e.g. symlink loop)".into(),
        other => format!("{other:?}"),
    }
}

async fn println(text: &str) {
    write(format!("{text}\n").into()).await.unwrap();
}

async fn write(bytes: Vec<u8>) -> Result<(), wasip3::cli::types::ErrorCode> {
    let (mut to, from) = wit_stream::new();
    let end = stdout::write_via_stream(from);
    to.write_all(bytes).await;
    drop(to);
    end.await
}

async fn sleep(milliseconds: u64) {
    monotonic_clock::wait_for(milliseconds * 1_000_000).await;
}

/// Goes on when both have ended.
async fn both(one: impl Future<Output = ()>, two: impl Future<Output = ()>) {
    let (mut one, mut two) = (pin!(one), pin!(two));
    let mut ended = [false; 2];
    std::future::poll_fn(|context| {
        ended[0] = ended[0] || one.as_mut().poll(context).is_ready();
        ended[1] = ended[1] || two.as_mut().poll(context).is_ready();
        if ended == [true; 2] { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn run(args: &[&str]) -> Result<String, ErrorCode> {
    match args {
        ["greet-and-stay"] => {
            println("Hello, World!").await;
            sleep(3_600_000).await;
            Ok("done".into())
        }
        ["env", name] => {
            let env = environment::get_environment();
            Ok(env.into_iter().find(|(known, _)| known == name).map_or("unset".into(), |(_, value)| value))
        }
        ["stdin"] => {
            let (stream, end) = stdin::read_via_stream();
            let text = String::from_utf8(stream.collect().await).unwrap();
            end.await.unwrap();
            Ok(format!("{text:?}"))
        }
        ["random"] => {
            assert_eq!(random::get_random_bytes(100).len(), 100);
            Ok(random::get_random_u64().to_string())
        }
        ["clocks"] => {
            let start = monotonic_clock::now();
            sleep(20).await;
            let slept = monotonic_clock::now() - start;
            assert!((20_000_000..10_000_000_000).contains(&slept), "{slept}");
            Ok(system_clock::now().seconds.to_string())
        }
        ["allocate", megabytes] => {
            let mut blocks = Vec::new();
            for done in 1..=megabytes.parse::<usize>().unwrap() {
                blocks.push(vec![1_u8; 1 << 20]);
                println(&done.to_string()).await;
            }
            sleep(3_600_000).await;
            Ok(format!("{}", blocks.len()))
        }
        ["recurse"] => Ok(recurse(1).to_string()),
        ["recurse-with-output"] => Ok(recurse_with_call(1).to_string()),
        // What the toolbox of the other versions has no words for.
        ["exit", "well"] => end(|| exit::exit(Ok(()))),
        ["exit", "badly"] => end(|| exit::exit(Err(()))),
        ["exit", code] => end(|| exit::exit_with_code(code.parse().unwrap())),
        ["fail"] => Err(ErrorCode::Io),
        ["trap"] => panic!("it was asked for"),
        ["spin"] => spin(),
        ["spin-beside"] => {
            both(sleep(3_600_000), async { spin() }).await;
            Ok("done".into())
        }
        ["yield"] => loop {
            yield_async().await;
        },
        ["write-for-ever"] => {
            let (mut to, from) = wit_stream::new();
            let _end = stdout::write_via_stream(from);
            loop {
                to.write_all(vec![b'x']).await;
            }
        }
        ["large", bytes] => {
            write(vec![b'x'; bytes.parse().unwrap()]).await.unwrap();
            Ok(String::new())
        }
        ["try-print"] => Ok(format!("{:?}", write(b"x".to_vec()).await).to_lowercase()),
        ["orderly"] => {
            for (index, letter) in ["a", "b", "c", "d"].into_iter().enumerate() {
                let (mut to, from) = wit_stream::new();
                let write = if index % 2 == 0 { stdout::write_via_stream } else { stderr::write_via_stream };
                let end = write(from);
                to.write_all(letter.into()).await;
                drop(to);
                end.await.unwrap();
            }
            Ok(String::new())
        }
        ["calls", count] => Ok(calls::sleeps(count.parse().unwrap()).await),
        ["streams", count] => Ok(calls::streams(count.parse().unwrap())),
        ["sockets"] => Ok(calls::sockets().await),
        _ => files::run(args).await,
    }
}

fn end(exit: impl FnOnce()) -> ! {
    exit();
    unreachable!("the program has ended")
}

fn spin() -> ! {
    loop {
        std::hint::black_box(0);
    }
}

/// Never returns by itself, and is no loop to the compiler.
fn recurse(depth: u64) -> u64 {
    if std::hint::black_box(depth) == 0 { 0 } else { recurse(depth + 1) + std::hint::black_box(1) }
}

/// Calls the host at each depth.
fn recurse_with_call(depth: u64) -> u64 {
    assert!(!environment::get_arguments().is_empty());
    if std::hint::black_box(depth) == 0 { 0 } else { recurse_with_call(depth + 1) + std::hint::black_box(1) }
}
