//! One side of an encrypted connection, from bytes to bytes: what holds the socket reads, writes and locks.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Connection};

/// As much as one read of a socket asks for: four of TLS's largest records.
const SPACE: usize = 64 * 1024;

/// The state of both directions.
pub(crate) struct Session {
    connection: Connection,
    /// Met behind bytes that had to be delivered first.
    failure: Option<io::Error>,
}

impl Session {
    pub(crate) fn client(config: Arc<ClientConfig>, server: ServerName<'static>) -> Result<Session, rustls::Error> {
        let connection = rustls::ClientConnection::new(config, server)?;
        Ok(Session { connection: connection.into(), failure: None })
    }

    #[cfg(any(test, feature = "embedded"))]
    pub(crate) fn server(config: Arc<rustls::ServerConfig>) -> Result<Session, rustls::Error> {
        let connection = rustls::ServerConnection::new(config)?;
        Ok(Session { connection: connection.into(), failure: None })
    }

    /// Advances the handshake with what arrived; true once it is complete. What it wants to say, also that it failed, is
    /// for [`flush`](Session::flush).
    pub(crate) fn shake_hands(&mut self, inbox: &mut Inbox) -> Result<bool, rustls::Error> {
        while self.connection.is_handshaking() && !inbox.is_empty() {
            if let Err(error) = self.take(inbox) {
                return Err(match error.downcast::<rustls::Error>() {
                    Ok(error) => error,
                    Err(error) => rustls::Error::General(error.to_string()),
                });
            }
        }
        Ok(!self.connection.is_handshaking())
    }

    /// Appends what the session itself has to say.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(out)?;
        }
        Ok(())
    }

    /// Decrypts what arrived into `buffer`, as much as fits; `None` when more has to arrive first, 0 at the end.
    pub(crate) fn decrypt(&mut self, inbox: &mut Inbox, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.connection.reader().read(&mut buffer[filled..]) {
                Ok(0) => return Ok(Some(filled)),
                Ok(count) => {
                    filled += count;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if self.failure.is_some() || inbox.is_empty() {
                break;
            }
            self.failure = self.take(inbox).err();
        }
        match (filled, self.failure.take()) {
            (0, Some(failure)) => Err(failure),
            (0, None) => Ok(None),
            (filled, failure) => {
                self.failure = failure;
                Ok(Some(filled))
            }
        }
    }

    fn take(&mut self, inbox: &mut Inbox) -> io::Result<()> {
        let mut rest = &inbox.bytes[inbox.start..inbox.end];
        self.connection.read_tls(&mut rest)?;
        inbox.start = inbox.end - rest.len();
        match self.connection.process_new_packets() {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }

    /// Appends the first bytes of `plain` to `out`, encrypted; says how many.
    pub(crate) fn encrypt(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let count = self.connection.writer().write(plain)?;
        self.flush(out)?;
        if count == 0 && !plain.is_empty() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(count)
    }

    /// Appends the message that says that nothing more follows.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.connection.send_close_notify();
        self.flush(out)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("handshaking", &self.connection.is_handshaking()).finish_non_exhaustive()
    }
}

/// What arrived and was not decrypted yet. Takes memory at its first use.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Where to read into, to be followed by [`filled`](Inbox::filled). Everything must have been taken before.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        debug_assert!(self.is_empty());
        (self.start, self.end) = (0, 0);
        self.bytes.resize(SPACE, 0);
        &mut self.bytes
    }

    pub(crate) fn filled(&mut self, count: usize) {
        self.end = count;
    }
}

#[cfg(test)]
mod tests;
