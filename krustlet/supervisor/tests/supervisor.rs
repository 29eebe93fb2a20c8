//! The real program over real ones.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

type Outcome = Result<(), Box<dyn Error>>;

fn supervisor(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_krustlet-supervisor"));
    command.args(["--", "/bin/sh", "-c", script]).stderr(Stdio::null());
    command
}

/// A program that writes its id into a file, a line for each run, and stays.
fn that_stays(file: &Path) -> String {
    format!("echo $$ >>'{}'; exec sleep 1000", file.display())
}

fn runs(file: &Path, wanted: usize) -> Result<Vec<i32>, Box<dyn Error>> {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        let found: Vec<i32> = text.lines().map(str::parse).collect::<Result<_, _>>()?;
        if found.len() >= wanted {
            return Ok(found);
        }
        if begun.elapsed() > Duration::from_secs(5) {
            return Err(format!("{} runs of {wanted}", found.len()).into());
        }
        sleep(Duration::from_millis(10));
    }
}

fn tell(id: i32, signal: Signal) -> Outcome {
    Ok(kill_process(Pid::from_raw(id).ok_or("no such id")?, signal)?)
}

fn end(child: &mut Child) -> Result<Option<i32>, Box<dyn Error>> {
    tell(child.id().try_into()?, Signal::TERM)?;
    Ok(child.wait()?.code())
}

#[test]
fn what_is_killed_comes_back_within_five_seconds() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("runs");
    let mut child = supervisor(&that_stays(&file)).spawn()?;
    let first = runs(&file, 1)?;
    tell(first[0], Signal::KILL)?;
    let both = runs(&file, 2)?;
    assert_ne!(both[0], both[1]);
    assert_eq!(end(&mut child)?, Some(0));
    Ok(())
}

#[test]
fn told_to_end_it_ends_the_program_first() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("runs");
    let mut child = supervisor(&that_stays(&file)).spawn()?;
    let first = runs(&file, 1)?;
    assert_eq!(end(&mut child)?, Some(0));
    assert!(tell(first[0], Signal::KILL).is_err(), "it has gone");
    assert_eq!(runs(&file, 1)?.len(), 1, "and did not come back");
    Ok(())
}

#[test]
fn what_is_printed_goes_into_the_file_that_is_named() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (file, runs_file) = (folder.path().join("log"), folder.path().join("runs"));
    fs::write(&file, "before\n")?;
    let mut flag = OsString::from("--log-file=");
    flag.push(&file);
    let script = format!("echo out; echo err >&2; {}", that_stays(&runs_file));
    let mut child = Command::new(env!("CARGO_BIN_EXE_krustlet-supervisor"))
        .arg(&flag)
        .args(["--", "/bin/sh", "-c", &script])
        .spawn()?;
    let first = runs(&runs_file, 1)?;
    tell(first[0], Signal::KILL)?;
    runs(&runs_file, 2)?;
    assert_eq!(end(&mut child)?, Some(0));
    let text = fs::read_to_string(&file)?;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    assert_eq!(&lines[..3], ["before", "out", "err"]);
    assert!(lines[3].ends_with("was ended by signal 9; it is started again in 100 ms"), "{text}");
    let mut none = Command::new(env!("CARGO_BIN_EXE_krustlet-supervisor"));
    let output = none.args(["--log-file=/nonexistent/log", "--", "/bin/true"]).output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr)?.contains("/nonexistent/log"));
    Ok(())
}

#[test]
fn what_cannot_run_is_an_error_at_once() -> Outcome {
    let begun = Instant::now();
    assert_eq!(supervisor("exit 7").status()?.code(), Some(7));
    let mut none = Command::new(env!("CARGO_BIN_EXE_krustlet-supervisor"));
    let output = none.args(["--", "/nonexistent/program"]).output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr)?.contains("/nonexistent/program"));
    let mut bare = Command::new(env!("CARGO_BIN_EXE_krustlet-supervisor"));
    assert_eq!(bare.stderr(Stdio::null()).status()?.code(), Some(2));
    assert!(begun.elapsed() < Duration::from_secs(5));
    Ok(())
}
