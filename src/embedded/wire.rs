//! The socket of one connection, encrypted or not.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(feature = "tls")]
use std::sync::OnceLock;

#[cfg(feature = "tls")]
use super::tls::{Encrypted, Ready};

/// One thread at a time reads, and one writes.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    /// Set before anything is read or written.
    #[cfg(feature = "tls")]
    encrypted: OnceLock<Encrypted>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Wire {
        Wire {
            stream,
            #[cfg(feature = "tls")]
            encrypted: OnceLock::new(),
        }
    }

    /// Looks at the first byte, as Apache's servers do, and encrypts when the peer wants it; false when the peer is to be
    /// cut off without an answer. Blocks until the peer has said something, and through the handshake.
    #[cfg(feature = "tls")]
    pub(super) fn begin(&self, tls: &Ready) -> io::Result<bool> {
        /// The type of a TLS record of the handshake.
        const HANDSHAKE: u8 = 0x16;
        let mut first = [0];
        if self.stream.peek(&mut first)? == 0 {
            return Ok(false);
        }
        if first[0] != HANDSHAKE {
            if !tls.takes_plain() {
                // What is left unread would make the end a reset.
                let _ = (&self.stream).read(&mut [0; 4096])?;
            }
            return Ok(tls.takes_plain());
        }
        let encrypted = Encrypted::accept(&self.stream, tls)?;
        // Only here.
        let _ = self.encrypted.set(encrypted);
        Ok(true)
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(encrypted) = self.encrypted.get() {
            return encrypted.read(&self.stream, buffer);
        }
        (&self.stream).read(buffer)
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(encrypted) = self.encrypted.get() {
            return encrypted.write(&self.stream, bytes);
        }
        (&self.stream).write_all(bytes)
    }

    /// Ends both directions; the peer may have gone already.
    pub(super) fn shutdown(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
