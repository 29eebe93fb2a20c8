//! The commands that have to do with files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::mem::forget;
use std::process::exit;
use std::thread::sleep;
use std::time::Duration;

/// Prints a file. A line end is added where the last line has none.
pub fn cat(file: &str) -> io::Result<()> {
    print(&fs::read(file)?)
}

fn print(content: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(content)?;
    if !content.is_empty() && !content.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Prints the names in a folder. As for every `ls`, those that begin with a dot are hidden: how a volume keeps its versions
/// apart is its own affair.
pub fn ls(folder: &str) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let slash = if fs::metadata(entry.path())?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    names.iter().for_each(|name| println!("{name}"));
    Ok(())
}

/// Writes a file anew.
pub fn write(file: &str, text: &str) -> io::Result<()> {
    fs::write(file, format!("{text}\n"))
}

/// Adds a line to a file.
pub fn append(file: &str, text: &str) -> io::Result<()> {
    writeln!(OpenOptions::new().create(true).append(true).open(file)?, "{text}")
}

/// Writes a file of so many mebibytes.
pub fn fill(file: &str, mebibytes: usize) -> io::Result<()> {
    let mut out = fs::File::create(file)?;
    let block = vec![b'x'; 1 << 16];
    for _ in 0..mebibytes * 16 {
        out.write_all(&block)?;
    }
    Ok(())
}

/// Makes so many empty files in a folder.
pub fn litter(folder: &str, count: usize) -> io::Result<()> {
    (0..count).try_for_each(|index| fs::File::create(format!("{folder}/{index}")).map(drop))
}

/// Makes so many folders, each in the one before.
pub fn nest(mut folder: String, count: usize) -> io::Result<()> {
    for _ in 0..count {
        folder.push_str("/n");
        fs::create_dir(&folder)?;
    }
    Ok(())
}

/// Opens a file so often, and keeps it open.
pub fn open(file: &str, count: usize) -> io::Result<()> {
    fs::write(file, "")?;
    for _ in 0..count {
        forget(fs::File::open(file)?);
    }
    Ok(())
}

/// Prints a file whenever its content is another than before. A file that is gone for a moment is waited for.
pub fn watch(file: &str, interval: Duration) -> io::Result<()> {
    let mut known = fs::read(file)?;
    print(&known)?;
    loop {
        sleep(interval);
        if let Ok(content) = fs::read(file)
            && content != known
        {
            print(&content)?;
            known = content;
        }
    }
}

/// Counts how often this was called with the same file; ends the program while that is less than `wanted`.
pub fn attempt(file: &str, wanted: u64) -> io::Result<()> {
    let before: u64 = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let attempt = before + 1;
    fs::write(file, format!("{attempt}\n"))?;
    println!("attempt {attempt}");
    if attempt < wanted {
        exit(1);
    }
    Ok(())
}
