//! Whom a client trusts when it encrypts.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::protocol::tls::Session;

/// Whom a client trusts, and who it is.
#[derive(Debug, PartialEq)]
pub(crate) struct Trust {
    /// `None` trusts anybody.
    pub(crate) roots: Option<Vec<CertificateDer<'static>>>,
    pub(crate) identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    /// In place of the host that is connected to.
    pub(crate) server_name: Option<ServerName<'static>>,
}

/// How the connections of a client are encrypted. Equal for equal trust.
#[derive(Clone)]
pub(crate) struct TlsOptions {
    config: Arc<ClientConfig>,
    trust: Arc<Trust>,
}

impl PartialEq for TlsOptions {
    fn eq(&self, other: &TlsOptions) -> bool {
        self.trust == other.trust
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trust { roots, identity, server_name } = &*self.trust;
        f.debug_struct("Tls")
            .field("roots", &roots.as_ref().map(Vec::len))
            .field("identity", &identity.is_some())
            .field("server_name", server_name)
            .finish()
    }
}

impl TlsOptions {
    /// Says what is wrong with the roots or the identity.
    pub(crate) fn new(trust: Trust) -> Result<TlsOptions, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &trust.roots {
            Some(roots) => {
                let mut store = RootCertStore::empty();
                let (added, _) = store.add_parsable_certificates(roots.iter().cloned());
                if added == 0 {
                    return Err("none of the roots is a certificate that can be read".to_owned());
                }
                builder.with_root_certificates(store)
            }
            None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        };
        let config = match &trust.identity {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| format!("the identity cannot be used: {error}"))?,
            None => builder.with_no_client_auth(),
        };
        Ok(TlsOptions { config: Arc::new(config), trust: Arc::new(trust) })
    }

    pub(crate) fn trusts_anybody(&self) -> bool {
        self.trust.roots.is_none()
    }

    /// Begins a connection to `addr`, of the form `host:port`.
    pub(super) fn session(&self, addr: &str) -> Result<Session, String> {
        let name = match &self.trust.server_name {
            Some(name) => name.clone(),
            None => {
                let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
                server_name(host).ok_or_else(|| format!("{host} is no name that a certificate can have"))?
            }
        };
        Session::client(self.config.clone(), name).map_err(|error| error.to_string())
    }
}

/// A DNS name or an address, which may stand in brackets. For an address no name is sent to the server (SNI), as in Java.
pub(crate) fn server_name(host: &str) -> Option<ServerName<'static>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(ip) => Some(ServerName::IpAddress(ip.into())),
        Err(_) => ServerName::try_from(host.to_owned()).ok(),
    }
}

/// Takes any certificate, but not a peer that lacks its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
