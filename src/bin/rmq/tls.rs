use std::path::PathBuf;

use clap::Args;
use rocketmq_blocking::Tls;

/// Whether connections are encrypted, and whom to trust. Each of these flags asks for it.
#[derive(Debug, Default, Args)]
pub(crate) struct TlsFlags {
    /// Encrypt connections (TLS), to servers whose certificate an authority trusted by this machine vouches for.
    #[arg(long)]
    tls: bool,

    /// Trust the authorities in this PEM file in place of the machine's; may be repeated.
    #[arg(long, value_name = "FILE")]
    tls_ca: Vec<PathBuf>,

    /// Show servers that ask for one this certificate: a PEM file with its chain, this client's first.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The key of the certificate: a PEM file, not encrypted.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Want this name in the certificates of all servers, in place of the name or address of each.
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,

    /// Insecure: encrypt, but accept any certificate, also of whoever redirects connections.
    #[arg(long)]
    tls_insecure: bool,
}

impl TlsFlags {
    /// What the flags ask for; `None` when there is none.
    pub(crate) fn settings(&self) -> Option<Tls> {
        if !self.is_wanted() {
            return None;
        }
        let mut tls = self.tls_ca.iter().fold(Tls::new(), Tls::roots_file);
        if let (Some(certificates), Some(key)) = (&self.tls_cert, &self.tls_key) {
            tls = tls.identity_files(certificates, key);
        }
        if let Some(name) = &self.tls_server_name {
            tls = tls.server_name(name.as_str());
        }
        Some(if self.tls_insecure { tls.insecure_accept_any_server() } else { tls })
    }

    pub(crate) fn is_wanted(&self) -> bool {
        let named = !self.tls_ca.is_empty() || self.tls_cert.is_some() || self.tls_server_name.is_some();
        self.tls || self.tls_insecure || named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_the_flags_asks_for_encryption() {
        assert!(TlsFlags::default().settings().is_none());
        for flags in [
            TlsFlags { tls: true, ..TlsFlags::default() },
            TlsFlags { tls_insecure: true, ..TlsFlags::default() },
            TlsFlags { tls_ca: vec!["ca.pem".into()], ..TlsFlags::default() },
            TlsFlags { tls_server_name: Some("mq".into()), ..TlsFlags::default() },
            TlsFlags { tls_cert: Some("c.pem".into()), tls_key: Some("k.pem".into()), ..TlsFlags::default() },
        ] {
            assert!(flags.settings().is_some(), "{flags:?}");
        }
    }
}
