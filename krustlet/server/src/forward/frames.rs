//! Frames of SPDY/3.1, as far as port forwarding has them: <https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/>.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::headers::{HeaderReader, Headers, bad, empty_block};

const VERSION: u8 = 3;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;

const CONTROL: u8 = 0x80;
const FIN: u8 = 1;

/// The most that a control frame may have; clients of Kubernetes send some 100 bytes.
const MOST_CONTROL: usize = 16 << 10;
/// The most that a data frame may have; clients of Kubernetes send 32 KiB.
const MOST_DATA: usize = 256 << 10;

/// Why a stream is reset.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Reset {
    /// It is not as agreed.
    ProtocolError = 1,
    /// There is no such stream.
    InvalidStream = 2,
    /// There are too many.
    Refused = 3,
    /// It is of no use any more.
    Cancel = 5,
}

/// What a client may say.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A stream begins.
    Open { stream: u32, headers: Headers },
    /// A part of one; `fin`: its last.
    Data { stream: u32, fin: bool, bytes: Vec<u8> },
    /// A stream ends at once, whatever was on its way.
    Reset { stream: u32 },
    /// To be sent back as it is.
    Ping { id: u32 },
    /// Nothing more comes.
    GoAway,
    /// What says nothing to us: settings, windows, more headers of a stream.
    Other,
}

/// The next frame; `None`: the connection has ended between two.
///
/// # Errors
/// The connection breaks, or what comes is no frame, or too large.
pub async fn read(from: &mut (impl AsyncRead + Unpin), headers: &mut HeaderReader) -> io::Result<Option<Frame>> {
    let mut head = [0; 8];
    match from.read(&mut head).await? {
        0 => return Ok(None),
        some => from.read_exact(&mut head[some..]).await?,
    };
    let [first, second, third, fourth, flags, length @ ..] = head;
    let length = usize::from(length[0]) << 16 | usize::from(length[1]) << 8 | usize::from(length[2]);
    let control = first & CONTROL != 0;
    if length > if control { MOST_CONTROL } else { MOST_DATA } {
        return Err(bad("a frame is too large"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    if !control {
        let stream = u32::from_be_bytes([first, second, third, fourth]);
        return Ok(Some(Frame::Data { stream, fin: flags & FIN != 0, bytes }));
    }
    if (first & !CONTROL, second) != (0, VERSION) {
        return Err(bad("a frame is of another version"));
    }
    let number = || {
        let number = bytes.first_chunk().ok_or_else(|| bad("a frame is cut off"))?;
        Ok::<_, io::Error>(u32::from_be_bytes(*number))
    };
    // The highest bit of a stream's number says nothing.
    let stream = || Ok::<_, io::Error>(number()? & !(1 << 31));
    Ok(Some(match u16::from_be_bytes([third, fourth]) {
        SYN_STREAM => {
            // Behind the number: a stream that it belongs to, a priority, a slot.
            let block = bytes.get(10..).ok_or_else(|| bad("a frame is cut off"))?;
            Frame::Open { stream: stream()?, headers: headers.read(block)? }
        }
        RST_STREAM => Frame::Reset { stream: stream()? },
        PING => Frame::Ping { id: number()? },
        GOAWAY => Frame::GoAway,
        // Their headers are part of the one compressed stream. A client of ours has no reason for any.
        SYN_REPLY | 8 => return Err(bad("headers of a stream come when nobody asked")),
        _ => Frame::Other,
    }))
}

fn control(kind: u16, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut frame = vec![CONTROL, VERSION];
    frame.extend(kind.to_be_bytes());
    frame.extend(flags_and_length(0, length));
    parts.iter().for_each(|part| frame.extend(*part));
    frame
}

/// Ours are never as long as the 24 bits allow.
fn flags_and_length(flags: u8, length: usize) -> [u8; 4] {
    let length = u32::try_from(length).unwrap_or_default();
    (u32::from(flags) << 24 | length).to_be_bytes()
}

/// Says that a stream is taken. `first`: no other one was on this connection.
pub fn reply(stream: u32, first: bool) -> Vec<u8> {
    control(SYN_REPLY, &[&stream.to_be_bytes(), &empty_block(first)])
}

/// Ends a stream at once.
pub fn reset(stream: u32, why: Reset) -> Vec<u8> {
    control(RST_STREAM, &[&stream.to_be_bytes(), &(why as u32).to_be_bytes()])
}

/// What answers a ping.
pub fn ping(id: u32) -> Vec<u8> {
    control(PING, &[&id.to_be_bytes()])
}

/// A part of a stream; `fin`: its last.
pub fn data(stream: u32, fin: bool, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(8 + bytes.len());
    frame.extend(stream.to_be_bytes());
    frame.extend(flags_and_length(if fin { FIN } else { 0 }, bytes.len()));
    frame.extend(bytes);
    frame
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    async fn all(mut bytes: &[u8]) -> io::Result<Vec<Frame>> {
        let mut headers = HeaderReader::new();
        let mut frames = Vec::new();
        while let Some(frame) = read(&mut bytes, &mut headers).await? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        let bytes =
            [data(3, false, b"ab"), data(3, true, b""), ping(7), reset(5, Reset::Cancel), control(GOAWAY, &[&[0; 8]])]
                .concat();
        let wanted = [
            Frame::Data { stream: 3, fin: false, bytes: b"ab".into() },
            Frame::Data { stream: 3, fin: true, bytes: vec![] },
            Frame::Ping { id: 7 },
            Frame::Reset { stream: 5 },
            Frame::GoAway,
        ];
        assert_eq!(all(&bytes).await.unwrap(), wanted);
        let stream = [&3_u32.to_be_bytes()[..], &[0; 6], &empty_block(true)].concat();
        let opened = control(SYN_STREAM, &[&stream]);
        assert_eq!(all(&opened).await.unwrap(), [Frame::Open { stream: 3, headers: vec![] }]);
    }

    #[tokio::test]
    async fn what_is_no_frame_is_refused() {
        let table: [(Vec<u8>, &str); 5] = [
            (vec![0, 0, 0, 1, 0, 4, 0, 1], "too large"),
            (vec![0x80, 3, 0, 1, 0, 1, 0, 0], "too large"),
            (vec![0x80, 2, 0, 6, 0, 0, 0, 0], "another version"),
            (control(PING, &[&[0]]), "cut off"),
            (reply(1, true), "nobody asked"),
        ];
        for (bytes, wanted) in table {
            let error = all(&bytes).await.unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}, not {wanted}");
        }
        let cut = &ping(7)[..9];
        assert_eq!(all(cut).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
