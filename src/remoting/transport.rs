use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long one write may block. Short, because a caller may be the one who writes; what remains is the writer thread's.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_millis(50);

/// An established stream of bytes to a server.
///
/// Reading and writing go on at the same time from different threads; one thread at a time reads, and one writes. An
/// encrypted transport has one state for both directions, which it locks for memory operations and never across the
/// socket's own I/O.
pub(crate) trait Transport: Send + Sync + fmt::Debug {
    /// Reads some bytes; `WouldBlock` or `TimedOut` when the read timeout passes without any.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes some bytes; `WouldBlock` or `TimedOut` when not one could be written for a while.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// How many bytes it has taken that the kernel has not; another write, of nothing if need be, goes on with them.
    fn backlog(&self) -> usize {
        0
    }

    /// Bounds the reads that follow; `None` blocks until there is something.
    fn read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Ends both directions and wakes whoever reads.
    fn shutdown(&self);
}

/// A plain TCP stream.
#[derive(Debug)]
pub(crate) struct Plain {
    stream: TcpStream,
}

impl Plain {
    pub(crate) fn connect(addr: SocketAddr, timeout: Duration) -> io::Result<Plain> {
        let stream = TcpStream::connect_timeout(&addr, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        Ok(Plain { stream })
    }
}

impl Transport for Plain {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buffer)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.stream).write(bytes)
    }

    fn read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn shutdown(&self) {
        // An error means that the peer was faster.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Whether an error only says that nothing happened within the timeout.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
