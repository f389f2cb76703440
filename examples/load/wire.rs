//! The part of HTTP/1.1 that the generator needs, over persistent connections.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The largest message to read; a larger one is an error.
const MESSAGE_MAX_BYTES: usize = 64 * 1024;

/// One end of a connection, and what was read ahead.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    /// The message returned last, dropped at the next call.
    taken: usize,
}

/// A request or a response in the buffer of the connection.
pub struct Message<'a> {
    pub first_line: &'a str,
    pub body: &'a [u8],
}

impl Connection {
    pub fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(4096), taken: 0 })
    }

    pub async fn open(address: SocketAddr) -> Result<Self> {
        Self::new(TcpStream::connect(address).await?)
    }

    pub async fn write(&mut self, message: &[u8]) -> Result<()> {
        self.stream.write_all(message).await
    }

    /// Returns the next message, or nothing if the other side closed between messages.
    pub async fn next(&mut self) -> Result<Option<Message<'_>>> {
        self.read.drain(..self.taken);
        self.taken = 0;
        loop {
            if let Some((head, length)) = head(&self.read)? {
                let total = head + length;
                if self.read.len() >= total {
                    self.taken = total;
                    let line = self.read.split(|b| *b == b'\r').next().unwrap_or_default();
                    let first_line = std::str::from_utf8(line).map_err(|_| bad("the first line is not text"))?;
                    return Ok(Some(Message { first_line, body: &self.read[head..total] }));
                }
            }
            if self.read.len() > MESSAGE_MAX_BYTES {
                return Err(bad("the message is too large"));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return if self.read.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Sends a request and returns the status of its answer.
    pub async fn call(&mut self, request: &[u8]) -> Result<u16> {
        self.ask(request).await.map(|(status, _)| status)
    }

    /// Sends a request and returns the status and the body of its answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.write(request).await?;
        let answer = self.next().await?.ok_or(ErrorKind::UnexpectedEof)?;
        let status = answer.first_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or_else(|| bad("no status"))?, answer.body))
    }
}

/// Returns the end of the head and the length of the body, once the head is complete.
fn head(read: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4) else { return Ok(None) };
    let mut length = 0;
    for line in read[..end].split(|b| *b == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(bad("chunked bodies are not read here"));
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let number = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            length = number.ok_or_else(|| bad("the length is no number"))?;
        }
    }
    Ok(Some((end, length)))
}

/// The raw, still encoded value of a form's field.
pub fn field<'a>(form: &'a [u8], name: &str) -> Option<&'a [u8]> {
    form.split(|b| *b == b'&').find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

fn bad(reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}
