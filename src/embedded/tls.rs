//! Encrypted connections, seen from the server.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::error::{Error, Result};
use crate::protocol::pem;
use crate::protocol::tls::{Inbox, Session};

/// How the servers of a cluster encrypt, given to [`ClusterBuilder::tls`](super::ClusterBuilder::tls).
///
/// As Apache's, they look at the first byte of a connection. Unless they are [`permissive`](ServerTls::permissive), one
/// that is not of TLS makes them close it without an answer (`tls.server.mode=enforcing`).
#[derive(Clone)]
#[must_use = "it does nothing until a cluster is built with it"]
pub struct ServerTls {
    certificates: Arc<[u8]>,
    key: Arc<[u8]>,
    client_roots: Option<Arc<[u8]>>,
    permissive: bool,
}

impl ServerTls {
    /// Takes the servers' certificate, followed by its chain, and its unencrypted key, both in PEM form. They are looked at
    /// when the cluster starts.
    pub fn pem(certificates: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> ServerTls {
        let (certificates, key) = (certificates.as_ref().into(), key.as_ref().into());
        ServerTls { certificates, key, client_roots: None, permissive: false }
    }

    /// Demands a certificate of every client, issued by one of these authorities, in PEM form
    /// (`tls.server.need.client.auth=require`).
    pub fn client_roots_pem(mut self, certificates: impl AsRef<[u8]>) -> ServerTls {
        self.client_roots = Some(certificates.as_ref().into());
        self
    }

    /// Takes unencrypted connections too (`tls.server.mode=permissive`).
    pub fn permissive(mut self) -> ServerTls {
        self.permissive = true;
        self
    }

    pub(super) fn ready(&self) -> Result<Ready> {
        self.config()
            .map(|config| Ready { config: Arc::new(config), permissive: self.permissive })
            .map_err(|reason| Error::invalid(format!("tls: {reason}")))
    }

    fn config(&self) -> Result<ServerConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.client_roots {
            Some(text) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(pem::certificates(text)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| error.to_string())?)
            }
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = (pem::certificates(&self.certificates)?, pem::key(&self.key)?);
        builder.with_single_cert(chain, key).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("client_roots", &self.client_roots.is_some())
            .field("permissive", &self.permissive)
            .finish_non_exhaustive()
    }
}

/// The same, checked.
#[derive(Clone)]
pub(super) struct Ready {
    config: Arc<ServerConfig>,
    permissive: bool,
}

impl Ready {
    pub(super) fn takes_plain(&self) -> bool {
        self.permissive
    }
}

/// The state of one encrypted connection, locked to encrypt and to decrypt, never while the socket is read or written.
#[derive(Debug)]
pub(super) struct Encrypted {
    session: Mutex<Session>,
    /// Of whoever reads, who takes it out meanwhile.
    inbox: Mutex<Inbox>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Encrypted {
    /// Shakes hands; shutting the socket down ends it.
    pub(super) fn accept(mut stream: &TcpStream, tls: &Ready) -> io::Result<Encrypted> {
        let mut session = Session::server(tls.config.clone()).map_err(io::Error::other)?;
        let mut inbox = Inbox::default();
        loop {
            let advanced = session.shake_hands(&mut inbox);
            let mut out = Vec::new();
            session.flush(&mut out)?;
            stream.write_all(&out)?;
            if advanced.map_err(io::Error::other)? {
                return Ok(Encrypted { session: Mutex::new(session), inbox: Mutex::new(inbox) });
            }
            match stream.read(inbox.space())? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => inbox.filled(count),
            }
        }
    }

    pub(super) fn read(&self, mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inbox = std::mem::take(&mut *lock(&self.inbox));
        let result = loop {
            match lock(&self.session).decrypt(&mut inbox, buffer) {
                Ok(Some(count)) => break Ok(count),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
            match stream.read(inbox.space()) {
                Ok(0) => break Ok(0),
                Ok(count) => inbox.filled(count),
                Err(error) => break Err(error),
            }
        };
        *lock(&self.inbox) = inbox;
        result
    }

    pub(super) fn write(&self, mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
        let (mut rest, mut out) = (bytes, Vec::new());
        while !rest.is_empty() {
            out.clear();
            let count = lock(&self.session).encrypt(rest, &mut out)?;
            stream.write_all(&out)?;
            rest = &rest[count..];
        }
        Ok(())
    }
}
