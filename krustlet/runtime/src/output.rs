//! Where a guest's standard output and standard error go.

use std::io;
use std::sync::Arc;

use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi_io::bytes::Bytes;

/// The two output streams of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output, file descriptor 1.
    Stdout,
    /// Standard error, file descriptor 2.
    Stderr,
}

/// Takes what a guest writes.
///
/// One sink serves both streams of a container, so that what the guest wrote first also arrives first.
pub trait LogSink: Send + Sync {
    /// Takes the bytes of one write, in the order in which the guest made its writes.
    ///
    /// A write of more than 4096 bytes arrives in pieces of at most that length. A piece is not a line: it may hold
    /// several, or a part of one. It is called on a thread that runs guests, so it must not wait for long: a write to a
    /// local file is fine, a network is not.
    ///
    /// # Errors
    ///
    /// The guest sees an error as a failed `fd_write`, with the errno of the operating system's error, or `EIO` where there is
    /// none; its container goes on.
    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()>;
}

/// One stream of a guest, as the WASI implementation wants it.
#[derive(Clone)]
pub(crate) struct Output {
    sink: Arc<dyn LogSink>,
    stream: Stream,
}

impl Output {
    pub(crate) fn new(sink: Arc<dyn LogSink>, stream: Stream) -> Self {
        Self { sink, stream }
    }

    fn take(&self, bytes: &[u8]) -> io::Result<()> {
        self.sink.write(self.stream, bytes)
    }
}

/// What a guest may write at once through the streams of WASI 0.2 and 0.3; preview 1 cuts at 4096 bytes before.
const PERMIT_BYTES: usize = 64 * 1024;

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // With the host's error inside, from which the guest's errno is made.
        self.take(&bytes).map_err(|error| StreamError::LastOperationFailed(error.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT_BYTES)
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl tokio::io::AsyncWrite for Output {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(PERMIT_BYTES)];
        std::task::Poll::Ready(self.take(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}
