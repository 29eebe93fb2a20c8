//! Header blocks of SPDY: names and values, compressed by zlib as one stream for a connection, which begins with a dictionary that both
//! sides know (SPDY protocol, draft 3, 2.6.10).

use std::io::{self, ErrorKind};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// Words of the dictionary, each of which has its length before it there.
const WORDS: &str = concat!(
    "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|accept-ranges|",
    "age|allow|authorization|cache-control|connection|content-base|content-encoding|content-language|",
    "content-length|content-location|content-md5|content-range|content-type|date|etag|expect|expires|from|",
    "host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|location|",
    "max-forwards|pragma|proxy-authenticate|proxy-authorization|range|referer|retry-after|server|te|trailer|",
    "transfer-encoding|upgrade|user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|",
    "HTTP/1.1|url|public|set-cookie|keep-alive|origin",
);

/// The rest of it.
const REST: &str = concat!(
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505",
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized",
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable",
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT",
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,",
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.",
);

fn dictionary() -> Vec<u8> {
    let mut all = Vec::new();
    for word in WORDS.split('|') {
        all.extend(u32::try_from(word.len()).unwrap_or_default().to_be_bytes());
        all.extend(word.as_bytes());
    }
    all.extend(REST.as_bytes());
    all
}

/// How far back a compressed stream may refer.
const WINDOW: usize = 1 << 15;

/// How much all names and values of a block may be.
const MOST: usize = 8 << 10;

/// A frame's names and values.
pub type Headers = Vec<(String, String)>;

/// Reads the header blocks of a connection, in their order.
pub struct HeaderReader {
    /// The last of what was decompressed, and where it goes on.
    window: Vec<u8>,
    at: usize,
    inflate: Box<DecompressorOxide>,
    begun: bool,
}

impl HeaderReader {
    /// For a connection that begins.
    pub fn new() -> Self {
        let mut window = dictionary();
        let at = window.len();
        window.resize(WINDOW, 0);
        Self { window, at, inflate: Box::default(), begun: false }
    }

    /// Reads the next one. After an error there is no next one.
    ///
    /// # Errors
    /// It is no such block, or too large.
    pub fn read(&mut self, mut block: &[u8]) -> io::Result<Headers> {
        if !self.begun {
            block = after_zlib_header(block)?;
            self.begun = true;
        }
        parse(&self.decompress(block)?)
    }

    fn decompress(&mut self, mut block: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let (status, read, written) =
                decompress(&mut self.inflate, block, &mut self.window, self.at, TINFL_FLAG_HAS_MORE_INPUT);
            all.extend(&self.window[self.at..self.at + written]);
            self.at = (self.at + written) % WINDOW;
            block = &block[read..];
            if all.len() > MOST {
                return Err(bad("headers are too large"));
            }
            match status {
                TINFLStatus::NeedsMoreInput if block.is_empty() => return Ok(all),
                TINFLStatus::HasMoreOutput => {}
                _ => return Err(bad("headers are not compressed as they should be")),
            }
        }
    }
}

/// What comes after the beginning of a zlib stream with our dictionary, or without one.
fn after_zlib_header(block: &[u8]) -> io::Result<&[u8]> {
    let (&[method, flags], rest) = block.split_first_chunk().ok_or_else(|| bad("headers are cut off"))?;
    let checked = (u16::from(method) << 8 | u16::from(flags)) % 31 == 0;
    if method & 0xf != 8 || !checked {
        return Err(bad("headers are not compressed by zlib"));
    }
    match flags & 0x20 {
        0 => Ok(rest),
        // Which dictionary: there is only one.
        _ => rest.get(4..).ok_or_else(|| bad("headers are cut off")),
    }
}

fn parse(mut text: &[u8]) -> io::Result<Headers> {
    let count = take_number(&mut text)?;
    let mut headers = Headers::new();
    for _ in 0..count {
        let name = take_text(&mut text)?;
        headers.push((name, take_text(&mut text)?));
    }
    if text.is_empty() { Ok(headers) } else { Err(bad("headers have something behind them")) }
}

fn take_number(text: &mut &[u8]) -> io::Result<u32> {
    let (number, rest) = text.split_first_chunk().ok_or_else(|| bad("headers are cut off"))?;
    *text = rest;
    Ok(u32::from_be_bytes(*number))
}

fn take_text(text: &mut &[u8]) -> io::Result<String> {
    let length = take_number(text)? as usize;
    let (found, rest) = text.split_at_checked(length).ok_or_else(|| bad("headers are cut off"))?;
    *text = rest;
    String::from_utf8(found.into()).map_err(|_| bad("headers are not text"))
}

/// A block without any header, as it stands behind others: whoever only says yes compresses nothing.
pub fn empty_block(first: bool) -> Vec<u8> {
    // A zlib stream that names no dictionary; then a block of four bytes as they are, which are the number of headers; then an empty
    // one, after which a reader gives out what it has without asking for more.
    let stored = [0, 4, 0, !4, !0, 0, 0, 0, 0, 0, 0, 0, !0, !0];
    if first { [&[0x78, 0x01], &stored[..]].concat() } else { stored.into() }
}

/// An error of a client that does not keep to the protocol.
pub fn bad(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// What moby/spdystream sends first for a stream `error` of port 8080, request 0, then for a stream `data` of it.
#[cfg(test)]
pub const SENT: [&[u8]; 2] = [
    b"\x78\xf9\xe3\xc6\xa7\xc2\x02\x25\x3a\x70\x3a\x2b\x29\x4a\x4d\xcc\x85\x16\x25\xac\xa9\xa0\x80\x86\x14\xcb\x45\xe0\x1c\x60\
      \x61\x60\x61\xc0\xc0\xc0\xc0\x59\x04\x89\xc6\x4c\x50\xf2\x66\x34\x00\x00\x00\x00\xff\xff",
    b"\xc2\xaa\x19\x54\x0e\x25\x12\xd6\x0b\x00\x00\x00\xff\xff",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_dictionary_has_its_length() {
        assert_eq!(dictionary().len(), 1423);
    }

    #[test]
    fn what_clients_send_is_read() {
        let mut reader = HeaderReader::new();
        for (sent, kind) in SENT.iter().zip(["error", "data"]) {
            let mut headers = reader.read(sent).unwrap();
            headers.sort();
            let wanted = [("port", "8080"), ("requestid", "0"), ("streamtype", kind)];
            assert_eq!(headers, wanted.map(|(name, value)| (name.to_string(), value.to_string())));
        }
    }

    #[test]
    fn our_own_empty_blocks_are_read() {
        let mut reader = HeaderReader::new();
        for first in [true, false, false] {
            assert_eq!(reader.read(&empty_block(first)).unwrap(), []);
        }
    }

    #[test]
    fn a_block_that_grows_without_an_end_is_refused() {
        let zeros = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 1 << 20], 9);
        let error = HeaderReader::new().read(&zeros).unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5)) {
            let mut reader = HeaderReader::new();
            let _ = reader.read(SENT[0]);
            for block in blocks {
                let _ = reader.read(&block);
            }
        }
    }
}
