//! Encrypted connections: the transport, the handshake, and what a failed one is called.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::{AlertDescription, CertificateError};

use super::Deadline;
use super::connection::{Connection, Phase};
use super::transport::{Plain, Transport, WRITE_TIMEOUT, is_timeout};
use crate::error::Error;
use crate::protocol::tls::{Inbox, Session};

/// How long a failed write waits for the reader, which may be about to learn why.
const VERDICT: Duration = Duration::from_millis(200);

/// An encrypted stream. The session is locked to encrypt and to decrypt, never while the socket is read or written.
pub(super) struct Secure {
    socket: Arc<Plain>,
    session: Mutex<Session>,
    /// Of whoever reads, who takes it out meanwhile.
    inbox: Mutex<Inbox>,
    /// What is encrypted and the kernel has not taken; of whoever writes, who takes it out meanwhile.
    outgoing: Mutex<Option<Vec<u8>>>,
    /// Its length, between two writes.
    backlog: AtomicUsize,
    /// Reads have a time limit.
    timed: AtomicBool,
    over: Mutex<bool>,
    ended: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Secure {
    /// Shakes hands until `deadline`; shutting the socket down ends it sooner. The reason says what failed.
    pub(super) fn shake_hands(socket: Arc<Plain>, mut session: Session, deadline: Deadline) -> Result<Secure, String> {
        let (mut inbox, mut outgoing) = (Inbox::default(), Vec::new());
        let lost = |error: &io::Error| format!("the connection was lost during the handshake: {error}");
        loop {
            let advanced = session.shake_hands(&mut inbox);
            session.flush(&mut outgoing).map_err(|error| error.to_string())?;
            while !outgoing.is_empty() && !deadline.is_over(Instant::now()) {
                match send(&socket, &mut outgoing) {
                    // The server may have said more than that it hung up.
                    Err(error) if advanced.is_ok() => return Err(lost(&error)),
                    Err(_) => break,
                    Ok(()) => {}
                }
            }
            let complete = advanced.map_err(|error| reason_of(&error))?;
            let left = deadline.left(Instant::now());
            if left.is_zero() {
                let after = deadline.started().elapsed();
                return Err(format!(
                    "the server did not complete the handshake within {after:.1?}; does it speak TLS?"
                ));
            }
            if complete {
                break;
            }
            socket.read_timeout(Some(left)).map_err(|error| lost(&error))?;
            match socket.read(inbox.space()) {
                Ok(0) => {
                    return Err("the server closed the connection during the handshake; does it speak TLS?".to_owned());
                }
                Ok(count) => inbox.filled(count),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(lost(&error)),
            }
        }
        socket.read_timeout(None).map_err(|error| lost(&error))?;
        Ok(Secure {
            socket,
            session: Mutex::new(session),
            inbox: Mutex::new(inbox),
            outgoing: Mutex::new(Some(outgoing)),
            backlog: AtomicUsize::new(0),
            timed: AtomicBool::new(false),
            over: Mutex::new(false),
            ended: Condvar::new(),
        })
    }

    fn read_with(&self, inbox: &mut Inbox, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(count) = lock(&self.session).decrypt(inbox, buffer)? {
                return Ok(count);
            }
            match self.socket.read(inbox.space())? {
                0 => return Ok(0),
                count => inbox.filled(count),
            }
            if let Some(count) = lock(&self.session).decrypt(inbox, buffer)? {
                return Ok(count);
            }
            // Part of a record: to wait for the rest could take longer than the time limit.
            if self.timed.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
    }

    fn write_with(&self, outgoing: &mut Vec<u8>, bytes: &[u8]) -> io::Result<usize> {
        send(&self.socket, outgoing)?;
        let started = Instant::now();
        let mut taken = 0;
        while taken < bytes.len() && outgoing.is_empty() && (taken == 0 || started.elapsed() < WRITE_TIMEOUT) {
            let count = lock(&self.session).encrypt(&bytes[taken..], outgoing)?;
            match send(&self.socket, outgoing) {
                Ok(()) => taken += count,
                Err(error) if taken == 0 => return Err(error),
                // The kernel has what went before; the next write meets the error again.
                Err(_) => return Ok(taken),
            }
        }
        if taken == 0 && !bytes.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    /// Tells the server that the end is meant, if nobody is in the middle of a record.
    fn say_goodbye(&self) {
        let taken = lock(&self.outgoing).take();
        let Some(mut outgoing) = taken.filter(Vec::is_empty) else { return };
        if lock(&self.session).close(&mut outgoing).is_ok() {
            // A server that is gone, or does not read, misses nothing.
            let _ = send(&self.socket, &mut outgoing);
        }
    }
}

/// Gives the kernel what it takes of `outgoing` at once.
fn send(socket: &Plain, outgoing: &mut Vec<u8>) -> io::Result<()> {
    if outgoing.is_empty() {
        return Ok(());
    }
    match socket.write(outgoing) {
        Ok(count) => {
            outgoing.drain(..count);
            Ok(())
        }
        Err(error) if is_timeout(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Transport for Secure {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inbox = std::mem::take(&mut *lock(&self.inbox));
        let result = self.read_with(&mut inbox, buffer);
        *lock(&self.inbox) = inbox;
        result
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        // Taken for good by whoever shuts it down.
        let taken = lock(&self.outgoing).take();
        let Some(mut outgoing) = taken else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let result = self.write_with(&mut outgoing, bytes);
        self.backlog.store(outgoing.len(), Ordering::Relaxed);
        *lock(&self.outgoing) = Some(outgoing);
        if result.as_ref().is_err_and(|error| !is_timeout(error)) {
            let over = lock(&self.over);
            drop(self.ended.wait_timeout_while(over, VERDICT, |over| !*over));
        }
        result
    }

    fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    fn read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.timed.store(timeout.is_some(), Ordering::Relaxed);
        self.socket.read_timeout(timeout)
    }

    fn shutdown(&self) {
        *lock(&self.over) = true;
        self.ended.notify_all();
        self.say_goodbye();
        self.socket.shutdown();
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Connection {
    /// Encrypts a new connection if the client's are encrypted; on the connection's own thread. It gives up a little before
    /// `deadline`, so that a call which waits as long learns why.
    pub(super) fn secure(&self, socket: Plain, deadline: Deadline) -> Result<Arc<dyn Transport>, Error> {
        let socket = Arc::new(socket);
        let Some(tls) = &self.options.tls else { return Ok(socket) };
        let failed = |reason: String| Error::Tls { addr: self.addr.clone(), reason: reason.into() };
        let session = tls.session(&self.addr).map_err(failed)?;
        *lock(&self.handshake) = Some(socket.clone());
        // Whoever ended the connection before that did not see the socket.
        if self.is_gone() {
            return Err(failed("closed".to_owned()));
        }
        self.out().phase_to(Phase::Handshaking);
        let now = Instant::now();
        let limit = deadline.left(now).saturating_sub(self.options.connect_timeout / 10);
        let secure = Secure::shake_hands(socket, session, Deadline::from(now, limit));
        lock(&self.handshake).take();
        Ok(Arc::new(secure.map_err(failed)?))
    }

    /// What a server meant by ending a connection on which it had answered nothing, if it said so. Under TLS 1.3 a client
    /// believes itself connected before the server has seen the client's certificate.
    pub(super) fn refused(&self, error: &io::Error) -> Option<Error> {
        let Some(rustls::Error::AlertReceived(alert)) = error.get_ref()?.downcast_ref::<rustls::Error>() else {
            return None;
        };
        use AlertDescription as Alert;
        let of_handshake = matches!(
            *alert,
            Alert::HandshakeFailure
                | Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::DecryptError
                | Alert::CertificateRequired
        );
        let refused = of_handshake && !self.has_received();
        refused.then(|| Error::Tls { addr: self.addr.clone(), reason: alert_reason(*alert).into() })
    }
}

fn reason_of(error: &rustls::Error) -> String {
    use CertificateError as Wrong;
    match error {
        rustls::Error::AlertReceived(alert) => alert_reason(*alert),
        rustls::Error::InvalidMessage(_) => "the server answered something else than TLS".to_owned(),
        rustls::Error::InvalidCertificate(Wrong::UnknownIssuer) => {
            "the server's certificate was issued by an authority that is not among the roots".to_owned()
        }
        rustls::Error::InvalidCertificate(wrong @ (Wrong::NotValidForName | Wrong::NotValidForNameContext { .. })) => {
            format!("the server's certificate has other names: {wrong} (see Tls::server_name)")
        }
        rustls::Error::InvalidCertificate(wrong) => format!("the server's certificate is not valid: {wrong}"),
        other => other.to_string(),
    }
}

fn alert_reason(alert: AlertDescription) -> String {
    let advice = match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => "; it demands a client certificate",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => "; it does not accept the client's certificate, or the lack of one",
        _ => "",
    };
    format!("the server refused the handshake with the alert {alert:?}{advice}")
}

#[cfg(test)]
mod tests;
