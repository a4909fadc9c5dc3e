use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::protocol::pem;
use crate::remoting::{TlsOptions, Trust, server_name};

/// How a client encrypts its connections, all of them: to name servers, brokers and their second ports.
///
/// A server must show a certificate that one of the roots vouches for and that names the host or address the client
/// connects to, after the [`address_map`](crate::ClientBuilder::address_map). Where Java's client accepts any certificate
/// and never looks at names, this one accepts what Java does only when told so by
/// [`insecure_accept_any_server`](Tls::insecure_accept_any_server). Never does it fall back to an unencrypted connection.
///
/// TLS 1.2 and 1.3. Files are read and everything is checked when the client is built. Discovery of name servers stays
/// plain HTTP: give the [name servers](crate::ClientBuilder::name_servers) where that matters; wrong ones have no valid
/// certificate.
///
/// ```no_run
/// # fn main() -> rocketmq_blocking::Result<()> {
/// use rocketmq_blocking::{Client, Tls};
///
/// let tls = Tls::new().roots_file("/etc/mq/authority.pem").identity_files("/etc/mq/client.pem", "/etc/mq/client.key");
/// let client = Client::builder().name_servers("mq.example.com:9876").tls(tls).connect()?;
/// # client.close()
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "it does nothing until a client is built with it"]
pub struct Tls {
    roots: Vec<Source>,
    identity: Option<(Source, Source)>,
    server_name: Option<String>,
    insecure: bool,
}

/// Where PEM text is.
#[derive(Clone)]
enum Source {
    File(PathBuf),
    /// What it is called in errors, and the text, which may be a secret.
    Given(&'static str, Arc<[u8]>),
}

impl Source {
    fn file(path: impl AsRef<Path>) -> Source {
        Source::File(path.as_ref().to_owned())
    }

    fn read<T>(&self, parse: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T> {
        match self {
            Source::File(path) => {
                let wrong = |reason: String| Error::invalid(format!("tls: {}: {reason}", path.display()));
                let text = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
                parse(&text).map_err(wrong)
            }
            Source::Given(what, text) => parse(text).map_err(|reason| Error::invalid(format!("tls: {what}: {reason}"))),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Given(what, _) => f.write_str(what),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("roots", &self.roots)
            .field("identity", &self.identity)
            .field("server_name", &self.server_name)
            .field("insecure", &self.insecure)
            .finish()
    }
}

impl Tls {
    /// Trusts the authorities that the platform trusts, and has no client certificate.
    pub fn new() -> Tls {
        Tls::default()
    }

    /// Trusts the authorities in a PEM file in place of the platform's; several may be given (Java:
    /// `tls.client.trustCertPath`).
    pub fn roots_file(mut self, path: impl AsRef<Path>) -> Tls {
        self.roots.push(Source::file(path));
        self
    }

    /// As [`roots_file`](Tls::roots_file), with the file's text.
    pub fn roots_pem(mut self, certificates: impl AsRef<[u8]>) -> Tls {
        self.roots.push(Source::Given("roots_pem", certificates.as_ref().into()));
        self
    }

    /// Shows servers that ask for it a certificate: a PEM file with the chain, the client's own first, and one with the
    /// key, unencrypted, as PKCS#8, PKCS#1 or SEC1 (Java: `tls.client.certPath`, `tls.client.keyPath`).
    pub fn identity_files(mut self, certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Tls {
        self.identity = Some((Source::file(certificates), Source::file(key)));
        self
    }

    /// As [`identity_files`](Tls::identity_files), with the files' texts.
    pub fn identity_pem(mut self, certificates: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Tls {
        let certificates = Source::Given("the certificates of identity_pem", certificates.as_ref().into());
        self.identity = Some((certificates, Source::Given("the key of identity_pem", key.as_ref().into())));
        self
    }

    /// Wants this name, or address, in every server's certificate in place of the one that is connected to: for clusters
    /// whose brokers share a certificate and advertise addresses that are not in it.
    pub fn server_name(mut self, name: impl Into<String>) -> Tls {
        self.server_name = Some(name.into());
        self
    }

    /// **Insecure**: encrypts, but to whoever answers. Any certificate is accepted, expired, self-signed or of anybody else,
    /// so whoever can redirect connections reads and changes everything. It is what Java's client does by default. Logged
    /// as a warning when the client is built.
    pub fn insecure_accept_any_server(mut self) -> Tls {
        self.insecure = true;
        self
    }

    /// Reads the files.
    pub(super) fn options(&self) -> Result<TlsOptions> {
        let roots = if self.insecure { None } else { Some(self.roots()?) };
        let identity = match &self.identity {
            Some((certificates, key)) => Some((certificates.read(pem::certificates)?, key.read(pem::key)?)),
            None => None,
        };
        let wrong_name =
            |name: &String| Error::invalid(format!("tls: server_name {name:?}: a host name or address is needed"));
        let server_name = match &self.server_name {
            Some(name) => Some(server_name(name).ok_or_else(|| wrong_name(name))?),
            None => None,
        };
        TlsOptions::new(Trust { roots, identity, server_name }).map_err(|reason| {
            let sources = self.identity.iter().flat_map(|(certificates, key)| [certificates, key]).chain(&self.roots);
            let named: Vec<String> = sources.map(|source| format!("{source:?}")).collect();
            Error::invalid(format!("tls: {reason} ({})", named.join(", ")))
        })
    }

    fn roots(&self) -> Result<Vec<rustls::pki_types::CertificateDer<'static>>> {
        let mut roots = Vec::new();
        for source in &self.roots {
            roots.extend(source.read(pem::certificates)?);
        }
        if !self.roots.is_empty() {
            return Ok(roots);
        }
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            log::warn!("tls: a root certificate of the platform is left out: {error}");
        }
        if found.certs.is_empty() {
            return Err(Error::invalid("tls: this platform has no root certificates; give some with roots_file"));
        }
        Ok(found.certs)
    }
}
