//! A connection's stream, with a look at what comes and goes.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::activity::Activity;

/// Notes what comes and goes. The stream is not its own, so that it can be looked at while nobody reads.
pub(super) struct Watched {
    pub(super) stream: Arc<TcpStream>,
    pub(super) activity: Arc<Activity>,
}

impl Watched {
    /// Writes as soon as there is room.
    fn write(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let written = loop {
            match self.stream.poll_write_ready(context) {
                Poll::Ready(Ok(())) => match write(&self.stream) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    written => break Poll::Ready(written),
                },
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.activity.state().wrote(written.is_ready(), Instant::now());
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = loop {
            ready!(self.stream.poll_read_ready(context))?;
            let mut some = None;
            let read = self.stream.try_io(Interest::READABLE, || {
                let room = into.remaining();
                let read = self.stream.try_read_buf(into)?;
                some = Some(read);
                // Where it was less than there is room for, there is no more, as tokio's own streams know: nobody need ask the system.
                if (1..room).contains(&read) { Err(ErrorKind::WouldBlock.into()) } else { Ok(read) }
            });
            match some.map_or(read, Ok) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => break read,
            }
        };
        if let Some(new) = into.filled().get(before..).filter(|new| !new.is_empty()) {
            self.activity.state().heard(new, Instant::now());
        }
        Poll::Ready(read.map(|_| ()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream| stream.try_write_vectored(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The system does not hold anything back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shutdown(&self.stream, Shutdown::Write).map_err(Into::into))
    }
}
