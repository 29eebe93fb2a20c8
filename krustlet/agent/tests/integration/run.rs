//! `krustlet-wasi run` with real programs.

use std::fs;

use crate::support::{Cli, PROBES, Server, module};
use rustix::process::Signal;

/// `krustlet-wasi run FLAGS PROGRAM -- ARGS`
fn run(flags: &[&str], program: &str, args: &[&str]) -> Cli {
    Cli::new([&["run"], flags, &[program, "--"], args].concat())
}

#[test]
fn a_program_gets_its_name_its_arguments_and_the_variables_that_are_named() {
    for program in PROBES.iter() {
        let args = ["args", "env", "A", "env", "B", "env", "C", "env", "HOME", "stdin"];
        let command = run(&["-e", "A=1=2", "--env=B=", "-e", "C"], program.to_str().unwrap(), &args);
        let (code, out, err) = command.env("C", "of the caller").end();
        let wanted =
            format!("probe\n{}\nA=1=2\nB=\nC=of the caller\nHOME is not set\nstdin: 0 bytes\n", args.join("\n"));
        assert_eq!((code, out.as_str(), err.as_str()), (0, wanted.as_str(), ""), "{program:?}");
    }
}

#[test]
fn both_streams_and_the_exit_code_are_the_programs() {
    assert_eq!(
        run(&[], module(), &["both", "4", "exit", "42"]).end(),
        (42, "out 1\nout 3\n".into(), "err 2\nerr 4\n".into())
    );
    // A component's `wasi:cli/exit` knows success and failure.
    assert_eq!(run(&[], PROBES[1].to_str().unwrap(), &["exit", "42"]).end(), (1, String::new(), String::new()));
}

#[test]
fn a_trap_and_the_end_of_memory_are_told() {
    for program in PROBES.iter() {
        let program = program.to_str().unwrap();
        let (code, out, err) = run(&[], program, &["print", "before", "trap"]).end();
        assert_eq!((code, out.as_str()), (134, "before\n"));
        assert!(err.starts_with("krustlet-wasi: the program trapped: ") && err.contains("unreachable"), "{err}");

        let (code, _, err) = run(&["--memory-limit=32Mi"], program, &["alloc", "64"]).end();
        assert_eq!(code, 137, "{err}");
        assert!(err.starts_with("krustlet-wasi: the program ran out of memory: ") && err.contains("33554432"), "{err}");
    }
}

#[test]
fn folders_are_what_is_named_and_read_only_where_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let host = folder.path().to_str().unwrap();
    fs::write(folder.path().join("a"), "A\n").unwrap();
    for program in PROBES.iter() {
        let program = program.to_str().unwrap();
        let dirs = [format!("--dir={host}::/rw"), format!("--dir={host}::/ro:ro")];
        let dirs = [dirs[0].as_str(), dirs[1].as_str()];
        assert_eq!(
            run(&dirs, program, &["cat", "/ro/a", "write", "/rw/b", "B", "cat", "/ro/b"]).end(),
            (0, "A\nB\n".into(), String::new())
        );
        assert_eq!(fs::read_to_string(folder.path().join("b")).unwrap(), "B\n");
        fs::remove_file(folder.path().join("b")).unwrap();

        let (code, _, err) = run(&dirs, program, &["write", "/ro/b", "B"]).end();
        assert_eq!(code, if program == module() { 74 } else { 1 }, "{err}");
        assert!(err.starts_with("probe: write: "), "{err}");
        assert!(!folder.path().join("b").exists());
        assert_ne!(run(&[], program, &["ls", "/"]).end().0, 0, "without --dir there are no files");
    }
}

#[test]
fn requests_go_to_allowed_origins_and_nowhere_else() {
    let server = Server::start();
    let url = format!("{}/fact", server.origin);
    for program in PROBES.iter() {
        let program = program.to_str().unwrap();
        let before = server.asked();
        let (code, out, err) = run(&["-a", &server.origin], program, &["get", &url]).end();
        assert_eq!((code, out.as_str(), err.as_str()), (0, "200 hello\n", ""));
        assert_eq!(server.asked(), before + 1);

        // A whole URL stands for its origin, and that is said.
        let (_, out, err) = run(&["-a", &url], program, &["get", &url]).end();
        assert!(err.contains("not the path") && err.contains(&server.origin), "{err}");
        assert!(out.starts_with("200 "), "{out}");

        let before = server.asked();
        for flags in [&[][..], &["-a", "https://127.0.0.1"], &["-a", "http://127.0.0.1:9"]] {
            let (code, out, _) = run(flags, program, &["get", &url]).end();
            assert_eq!(code, 0);
            assert!(out.starts_with("no answer: "), "{out}");
        }
        assert_eq!(server.asked(), before, "what is refused is not sent");

        let two = ["get-both", &url, &url];
        let (_, out, _) = run(&["-a", &server.origin, "--max-concurrent-requests=1"], program, &two).end();
        let lines: Vec<_> = out.lines().collect();
        assert!(matches!(lines[..], ["200 hello", refused] if refused.starts_with("no answer: ")), "{out}");
        let (_, out, _) = run(&["-a", &server.origin, "--max-concurrent-requests=2"], program, &two).end();
        assert_eq!(out, "200 hello\n200 hello\n");
    }
}

#[test]
fn output_comes_as_it_is_written_and_signals_end_the_program_whatever_it_does() {
    for program in PROBES.iter() {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            for then in [&["loop"][..], &["sleep", "600000"]] {
                let running = run(&[], program.to_str().unwrap(), &[&["print", "here"], then].concat()).begin();
                assert_eq!(running.first, "here\n");
                assert_eq!(running.signal(signal), code);
            }
        }
    }
}

#[test]
fn what_cannot_be_started_is_128_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.wasm");
    fs::write(&text, "no module").unwrap();
    let table = [
        ("/no/such/file", "cannot read /no/such/file: "),
        ("./hello.wasm", "cannot read ./hello.wasm: "),
        ("Not A Reference", "there is no file Not A Reference, and it is no reference of a registry either: "),
        (text.to_str().unwrap(), "text.wasm cannot run here: "),
        // Port 1 is nobody's.
        ("127.0.0.1:1/a:v1", "there is no file 127.0.0.1:1/a:v1, and it cannot be pulled: "),
    ];
    for (program, wanted) in table {
        let (code, out, err) = run(&[], program, &[]).end();
        assert_eq!((code, out.as_str()), (128, ""), "{err}");
        assert!(err.starts_with("krustlet-wasi: ") && err.contains(wanted), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    let (code, _, err) = run(&["-e", "NONE"], module(), &[]).end();
    assert_eq!(code, 128);
    assert!(err.contains("NONE is not set here"), "{err}");
    let (code, _, err) = run(&["-a", "catfact.ninja"], module(), &[]).end();
    assert_eq!(code, 2);
    assert!(err.contains("give scheme://host"), "{err}");
}

#[test]
fn nothing_is_left_behind() {
    let command = run(&[], module(), &["print", "x"]);
    let home = command.home.path().to_owned();
    // The folder goes when the command does: it is looked at before.
    let keep = tempfile::tempdir().unwrap();
    let command = command.env("HOME", keep.path().to_str().unwrap());
    assert_eq!(command.end().0, 0);
    assert_eq!(fs::read_dir(keep.path()).unwrap().count(), 0);
    assert!(!home.exists());
}

#[test]
fn without_the_subcommand_it_is_the_node_agent() {
    let (code, out, err) = Cli::new(["--node-name=Bad", "--node-ip=127.0.0.1", "-p", "3000"]).end();
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.starts_with("krustlet-wasi: --node-name: \"Bad\" is no node name"), "{err}");
    let (code, _, err) = Cli::new(["--port=3000", "run", "a.wasm"]).end();
    assert_eq!(code, 2);
    assert!(err.contains("'run' cannot be used with '--port"), "{err}");
    let (code, out, _) = Cli::new(["run", "--help"]).end();
    assert_eq!(code, 0);
    for word in ["--allowed-origin", "--dir <HOST::GUEST[:ro]>", "Exit code: the program's own", "krustlet-wasi run -a"]
    {
        assert!(out.contains(word), "{out}");
    }
}
