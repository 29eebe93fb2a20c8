//! Fetching a blob, piece by piece
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs>).

use reqwest::header::CONTENT_RANGE;
use reqwest::{Method, Response, StatusCode};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::OciError;
use crate::manifest::artifact;
use crate::transport::retry::{self, Failure};
use crate::transport::{Ask, Place, Transport};

/// A blob, as a manifest describes it.
pub(crate) struct Wanted<'a> {
    /// Its name in errors.
    pub(crate) what: &'a str,
    pub(crate) digest: &'a str,
    /// In bytes.
    pub(crate) size: u64,
}

/// How much has come.
struct Progress<'a> {
    what: &'a str,
    size: u64,
    written: u64,
    hash: Sha256,
}

/// Writes a blob that has just the size and the digest that are wanted; never more than a piece of it is in memory. A
/// connection that breaks is made anew, and goes on where the last one ended.
///
/// By digest alone: a descriptor may carry addresses of its own, to which we have no reason to go.
pub(crate) async fn fetch(
    transport: &Transport,
    place: &Place<'_>,
    wanted: &Wanted<'_>,
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<(), OciError> {
    let Wanted { what, digest, size } = *wanted;
    let mut progress = Progress { what, size, written: 0, hash: Sha256::new() };
    let mut tries = 0;
    loop {
        tries += 1;
        let ask = Ask { skip: progress.written, ..Ask::new(Method::GET, format!("blobs/{digest}")) };
        let answer = transport.get(place, &ask).await?;
        let failure = match progress.take(answer, place, out).await {
            Ok(()) => break,
            Err(failure) => failure,
        };
        let Some(pause) = retry::pause(failure.again, tries) else { return Err(failure.error) };
        tracing::debug!(reference = %place.reference, at = progress.written, "going on in {pause:?}: {}", failure.error);
        tokio::time::sleep(pause).await;
    }
    out.flush().await.map_err(OciError::Write)?;
    let actual = artifact::digest(progress.hash);
    match actual == digest {
        true => Ok(()),
        false => Err(OciError::DigestMismatch { what: what.to_owned(), expected: digest.to_owned(), actual }),
    }
}

impl Progress<'_> {
    /// Takes from one answer as much as it gives.
    async fn take(
        &mut self,
        mut answer: Response,
        place: &Place<'_>,
        out: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Failure> {
        let odd = |problem: String| Failure::last(OciError::registry(place.reference, &problem));
        let start = self.start(&answer).map_err(odd)?;
        if let Some(announced) = answer.content_length().map(|length| start + length)
            && announced != self.size
        {
            let problem = format!("it sends {announced} bytes as {}, whose manifest says {}", self.what, self.size);
            return Err(odd(problem));
        }
        // A registry that knows no ranges begins anew: what we have is let pass.
        let mut known = self.written - start;
        loop {
            let piece = answer.chunk().await.map_err(|error| {
                let again = retry::of_http(&error);
                Failure { error: OciError::from_http(error, place.reference), again }
            })?;
            let Some(piece) = piece else { break };
            let passed = known.min(piece.len() as u64);
            known -= passed;
            let news = &piece[usize::try_from(passed).unwrap_or(piece.len())..];
            if self.written + news.len() as u64 > self.size {
                return Err(odd(format!("it sends more than the {} bytes of {}", self.size, self.what)));
            }
            out.write_all(news).await.map_err(|error| Failure::last(OciError::Write(error)))?;
            self.hash.update(news);
            self.written += news.len() as u64;
        }
        match self.written == self.size {
            true => Ok(()),
            false => Err(odd(format!("it sent only {} of the {} bytes of {}", self.written, self.size, self.what))),
        }
    }

    /// Where in the blob an answer begins.
    fn start(&self, answer: &Response) -> Result<u64, String> {
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(0);
        }
        let range = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let expected = format!("bytes {}-", self.written);
        match range.starts_with(&expected) {
            true => Ok(self.written),
            false => Err(format!("it was asked for {} from byte {} on and sent {range:?}", self.what, self.written)),
        }
    }
}
