//! The connection below SMTP: bounded, and without buffered input before TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Limit of the bytes that a server may send on one connection, TLS included.
const READ_MAX_BYTES: usize = 256 * 1024;
/// The first byte of a TLS handshake (RFC 8446, 5.1); no SMTP command begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// Reads byte by byte until TLS begins. So no plain-text input stays in a buffer and counts as sent under TLS
/// (CVE-2011-0411: answers injected after that to STARTTLS).
pub struct Bounded<S> {
    stream: S,
    peer: SocketAddr,
    left: usize,
    tls: bool,
}

impl<S> Bounded<S> {
    /// Wraps a connection to `peer`.
    pub const fn new(stream: S, peer: SocketAddr) -> Self {
        Self { stream, peer, left: READ_MAX_BYTES, tls: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if this.tls {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let mut byte = [0];
            let mut one = ReadBuf::new(&mut byte);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut one))?;
            buf.put_slice(one.filled());
        }
        match this.left.checked_sub(buf.filled().len() - before) {
            Some(left) => this.left = left,
            None => return Poll::Ready(Err(io::Error::other("the server says too much"))),
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.tls |= bytes.first() == Some(&TLS_HANDSHAKE);
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> AsyncTokioStream for Bounded<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<S> fmt::Debug for Bounded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("peer", &self.peer).finish_non_exhaustive()
    }
}
