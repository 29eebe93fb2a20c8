//! Files, by the descriptors of `wasi:filesystem`.

use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};
use wasip3::clocks::system_clock::Instant;
use wasip3::wit_stream;

use crate::{println, sleep};

type Result<T> = std::result::Result<T, ErrorCode>;

pub async fn run(args: &[&str]) -> Result<String> {
    let done = |result: Result<()>| result.map(|()| "done".to_owned());
    match args {
        ["read", path] => read(path).await,
        ["write", path, text] => {
            let file = open(path, OpenFlags::CREATE | OpenFlags::TRUNCATE, DescriptorFlags::WRITE).await?;
            let (mut to, from) = wit_stream::new();
            let end = file.write_via_stream(from, 0);
            to.write_all(text.as_bytes().to_vec()).await;
            drop(to);
            done(end.await)
        }
        ["append", path, text] => {
            let file = open(path, OpenFlags::empty(), DescriptorFlags::WRITE).await?;
            let (mut to, from) = wit_stream::new();
            let end = file.append_via_stream(from);
            to.write_all(text.as_bytes().to_vec()).await;
            drop(to);
            done(end.await)
        }
        ["list", path] => {
            let (stream, end) = folder(path).await?.read_directory();
            let mut names: Vec<_> = stream.collect().await.into_iter().map(|entry| entry.name).collect();
            end.await?;
            names.sort();
            Ok(names.join(" "))
        }
        ["mkdir", path] => {
            let (root, path) = place(path)?;
            done(root.create_directory_at(path).await)
        }
        ["rmdir", path] => {
            let (root, path) = place(path)?;
            done(root.remove_directory_at(path).await)
        }
        ["remove", path] => {
            let (root, path) = place(path)?;
            done(root.unlink_file_at(path).await)
        }
        ["rename", from, to] => {
            let ((old, from), (new, to)) = (place(from)?, place(to)?);
            done(old.rename_at(from, &new, to).await)
        }
        ["link", from, to] => {
            let ((old, from), (new, to)) = (place(from)?, place(to)?);
            done(old.link_at(PathFlags::empty(), from, &new, to).await)
        }
        ["symlink", to, path] => {
            let (root, path) = place(path)?;
            done(root.symlink_at((*to).to_owned(), path).await)
        }
        ["truncate", path] => done(open(path, OpenFlags::empty(), DescriptorFlags::READ).await?.set_size(0).await),
        ["touch", path] => {
            let file = open(path, OpenFlags::empty(), DescriptorFlags::READ).await?;
            let epoch = NewTimestamp::Timestamp(Instant { seconds: 0, nanoseconds: 0 });
            done(file.set_times(NewTimestamp::NoChange, epoch).await)
        }
        ["touch-at", path] => {
            let (root, path) = place(path)?;
            done(root.set_times_at(PathFlags::SYMLINK_FOLLOW, path, NewTimestamp::NoChange, NewTimestamp::Now).await)
        }
        ["watch", path, last] => watch(path, last).await,
        ["open-many", path, count] => {
            let mut files = Vec::new();
            for _ in 0..count.parse().unwrap() {
                files.push(open(path, OpenFlags::empty(), DescriptorFlags::READ).await?);
            }
            Ok(format!("{} files", files.len()))
        }
        ["long-path", path, letters] => {
            let long = format!("{path}/{}", "x/".repeat(letters.parse::<usize>().unwrap() / 2));
            let (root, long) = place(&long)?;
            let told = [
                root.open_at(PathFlags::empty(), long.clone(), OpenFlags::empty(), DescriptorFlags::READ).await.err(),
                root.stat_at(PathFlags::empty(), long.clone()).await.err(),
                root.set_times_at(PathFlags::empty(), long.clone(), NewTimestamp::Now, NewTimestamp::Now).await.err(),
                root.create_directory_at(long.clone()).await.err(),
                root.remove_directory_at(long.clone()).await.err(),
                root.unlink_file_at(long.clone()).await.err(),
                root.readlink_at(long.clone()).await.err(),
                root.metadata_hash_at(PathFlags::empty(), long.clone()).await.err(),
                root.rename_at("file".into(), &root, long.clone()).await.err(),
                root.link_at(PathFlags::empty(), long.clone(), &root, "new".into()).await.err(),
                root.symlink_at(long.clone(), "new".into()).await.err(),
            ];
            let mut told: Vec<_> = told.into_iter().map(|error| error.map_or("fine".into(), |error| crate::told(&error))).collect();
            told.dedup();
            Ok(told.join(", "))
        }
        // The longest listing that is begun and not read, as often as may be.
        ["keep-listings", path, count] => {
            let folder = folder(path).await?;
            let mut kept = Vec::new();
            for _ in 0..count.parse().unwrap() {
                let (mut stream, end) = folder.read_directory();
                match stream.next().await {
                    Some(_) => kept.push((stream, end)),
                    None => {
                        end.await?;
                    }
                }
            }
            Ok(format!("{} listings", kept.len()))
        }
        _ => Err(ErrorCode::Invalid),
    }
}

/// The folder that holds a path, of those that the program was given, and the path in it.
fn place(path: &str) -> Result<(Descriptor, String)> {
    let absolute = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let rest = |root: &str| {
        let rest = absolute.strip_prefix(root.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/').to_owned())
    };
    let roots = preopens::get_directories().into_iter();
    let fitting = roots.filter_map(|(folder, root)| Some((root.len(), folder, rest(&root)?)));
    let (_, folder, rest) = fitting.max_by_key(|(length, ..)| *length).ok_or(ErrorCode::NoEntry)?;
    Ok((folder, if rest.is_empty() { ".".into() } else { rest }))
}

async fn open(path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor> {
    let (root, path) = place(path)?;
    root.open_at(PathFlags::SYMLINK_FOLLOW, path, how, flags).await
}

async fn folder(path: &str) -> Result<Descriptor> {
    open(path, OpenFlags::DIRECTORY, DescriptorFlags::READ).await
}

async fn read(path: &str) -> Result<String> {
    let file = open(path, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let (stream, end) = file.read_via_stream(0);
    let text = stream.collect().await;
    end.await?;
    Ok(String::from_utf8(text).unwrap())
}

/// Prints what the file holds whenever it has changed, until it holds `last`.
async fn watch(path: &str, last: &str) -> Result<String> {
    let mut before = String::new();
    loop {
        let now = read(path).await?;
        if now != before {
            println(&now).await;
            before = now;
        }
        if before == last {
            return Ok("seen".into());
        }
        sleep(5).await;
    }
}
