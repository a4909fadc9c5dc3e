//! Certificates and keys in PEM form.

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Returns all certificates, at least one; or what is wrong.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
    if found.is_empty() { Err("no certificate in PEM form".to_owned()) } else { Ok(found) }
}

/// Returns the first private key, which must not be encrypted; or what is wrong. No text of it is in the reason.
pub(crate) fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound if text.windows(9).any(|part| part == b"ENCRYPTED") => {
            "the private key is encrypted; one without a password is needed".to_owned()
        }
        pem::Error::NoItemsFound => "no private key in PEM form".to_owned(),
        error => wrong(&error),
    })
}

/// Some of the reader's own words quote what was read.
fn wrong(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "damaged PEM: a section has no end",
        pem::Error::IllegalSectionStart { .. } => "damaged PEM: a section does not begin as it should",
        pem::Error::Base64Decode(_) => "damaged PEM: not base64",
        _ => "damaged PEM",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_without_its_contents() {
        assert_eq!(certificates(b"hello").unwrap_err(), "no certificate in PEM form");
        let cut = b"-----BEGIN CERTIFICATE-----\nMIIC\n";
        assert_eq!(certificates(cut).unwrap_err(), "damaged PEM: a section has no end");
        let cases = [
            ("", "no private key in PEM form"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n", "is encrypted"),
            ("-----BEGIN PRIVATE KEY-----\nhush-hush!!\n-----END PRIVATE KEY-----\n", "not base64"),
        ];
        for (text, reason) in cases {
            let said = key(text.as_bytes()).unwrap_err();
            assert!(said.contains(reason) && !said.contains("hush"), "{said}");
        }
    }
}
