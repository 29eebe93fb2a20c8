//! One entry of the compiled code cache: a file with its checksum.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

/// The first line of an entry. Its number changes with the layout.
const MAGIC: &[u8] = b"krustlet-wasi compiled code 1\n";
const CHECKSUM_BYTES: usize = 32;
const LENGTH_BYTES: usize = 2;

/// What Wasmtime wrote, and where: below the folder of its cache. Its own name for the file holds the engine's version,
/// its configuration, the processor's features and the program's bytes, so that no other engine would read it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) code: Vec<u8>,
}

impl Entry {
    /// Magic line; SHA-256 of all that follows; length of the path in two bytes, the lower first; path; code.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let path = self.path.to_str().ok_or_else(|| io::Error::other("a name is no text"))?;
        let length = u16::try_from(path.len()).map_err(io::Error::other)?;
        let mut hasher = Sha256::new();
        for part in [&length.to_le_bytes()[..], path.as_bytes(), &self.code] {
            hasher.update(part);
        }
        Ok([MAGIC, &hasher.finalize()[..], &length.to_le_bytes(), path.as_bytes(), &self.code].concat())
    }

    /// # Errors
    /// What is wrong with the bytes. Nothing of an entry is used before its checksum was found right.
    pub(super) fn decode(bytes: &[u8]) -> io::Result<Self> {
        let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not start as an entry does"))?;
        let (checksum, rest) = rest.split_at_checked(CHECKSUM_BYTES).ok_or_else(|| damaged("it is cut short"))?;
        if Sha256::digest(rest)[..] != *checksum {
            return Err(damaged("its checksum is wrong"));
        }
        let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or_else(|| damaged("it is cut short"))?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (path, code) = rest.split_at_checked(length).ok_or_else(|| damaged("it is cut short"))?;
        let path = PathBuf::from(str::from_utf8(path).map_err(|_| damaged("its name is no text"))?);
        // A file is made of it, so it must not lead anywhere else.
        if path.as_os_str().is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(damaged("its name leads out of the cache"));
        }
        Ok(Self { path, code: code.to_vec() })
    }
}

/// Whether a file of Wasmtime's cache holds this code. It is compressed there.
pub(super) fn holds(path: &Path, code: &[u8]) -> io::Result<bool> {
    let mut reader = BufReader::new(zstd::Decoder::new(File::open(path)?)?);
    let mut rest = code;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(rest.is_empty()),
            read => match rest.strip_prefix(&buffer[..read]) {
                Some(after) => rest = after,
                None => return Ok(false),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> Entry {
        Entry { path: path.into(), code: b"machine code".to_vec() }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let entry = entry("modules/wasmtime-48.0.8/abc_-");
        assert_eq!(Entry::decode(&entry.encode().unwrap()).unwrap(), entry);
    }

    #[test]
    fn every_change_of_a_byte_and_every_cut_is_noticed() {
        let bytes = entry("modules/a").encode().unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert!(Entry::decode(&changed).is_err(), "byte {index}");
            assert!(Entry::decode(&bytes[..index]).is_err(), "cut at {index}");
        }
        assert!(Entry::decode(&[&bytes[..], b"more"].concat()).is_err());
    }

    #[test]
    fn a_name_that_leads_out_is_refused_although_the_checksum_is_right() {
        for path in ["", "/etc/passwd", "../out", "modules/../../out", "."] {
            let error = Entry::decode(&entry(path).encode().unwrap()).unwrap_err();
            assert_eq!(error.to_string(), "its name leads out of the cache", "{path:?}");
        }
    }

    #[test]
    fn a_file_of_wasmtimes_is_known_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let code: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, zstd::encode_all(&code[..], 1).unwrap()).unwrap();
        assert!(holds(&path, &code).unwrap());
        assert!(!holds(&path, &code[..code.len() - 1]).unwrap());
        assert!(!holds(&path, &[&code[..], b"more"].concat()).unwrap());
        let mut changed = code.clone();
        changed[3_999_999] ^= 1;
        assert!(!holds(&path, &changed).unwrap());
    }
}
