//! Encrypted connections, according to `sslmode` and `sslrootcert` in the URL, which have the same meaning as for `psql`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::postgres::config::SslMode;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The URL's parameters about encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TlsParameters {
    /// `sslmode`.
    pub(super) mode: Option<String>,
    /// `sslrootcert`.
    pub(super) authorities: Option<PathBuf>,
}

/// The resulting setup of connections.
#[derive(Clone)]
pub(super) struct TlsSetup {
    pub(super) mode: SslMode,
    /// `None`: never encrypted.
    pub(super) connector: Option<MakeRustlsConnect>,
}

impl std::fmt::Debug for TlsSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSetup")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Which certificates are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// Any: the connection is encrypted, but the server is not verified.
    Anybody,
    /// Those of the CAs, whatever the server's name.
    Authority,
    /// Those of the CAs that are for the server's name.
    Name,
}

impl TlsParameters {
    /// The setup for these parameters.
    ///
    /// # Errors
    /// The problem with the parameters, or with the file of the CAs.
    pub(super) fn setup(&self) -> Result<TlsSetup, String> {
        let (mode, trust) = match (self.mode.as_deref(), &self.authorities) {
            (Some("disable"), _) => {
                return Ok(TlsSetup {
                    mode: SslMode::Disable,
                    connector: None,
                });
            }
            (None | Some("prefer"), _) => (SslMode::Prefer, Trust::Anybody),
            (Some("require"), None) => (SslMode::Require, Trust::Anybody),
            (Some("require" | "verify-ca"), Some(_)) => (SslMode::Require, Trust::Authority),
            (Some("verify-full"), Some(_)) => (SslMode::Require, Trust::Name),
            (Some(mode @ ("verify-ca" | "verify-full")), None) => {
                return Err(format!(
                    "sslmode={mode} needs sslrootcert=FILE, the certificates of the authorities that are trusted"
                ));
            }
            (Some(other), _) => {
                return Err(format!(
                    "there is no sslmode={other}; there are disable, prefer, require, verify-ca and verify-full"
                ));
            }
        };
        let provider = Arc::new(ring::default_provider());
        let any_name = |authorities| AnyName {
            provider: Arc::clone(&provider),
            authorities,
        };
        let verifier: Arc<dyn ServerCertVerifier> = match (trust, &self.authorities) {
            (Trust::Anybody, _) | (_, None) => Arc::new(any_name(None)),
            (Trust::Authority, Some(file)) => Arc::new(any_name(Some(authorities(file, &provider)?))),
            (Trust::Name, Some(file)) => authorities(file, &provider)?,
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(TlsSetup {
            mode,
            connector: Some(MakeRustlsConnect::new(config)),
        })
    }
}

/// Trusts the CAs in a file.
fn authorities(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let shown = file.display();
    let unreadable = |error: &dyn std::fmt::Display| format!("sslrootcert {shown}: {error}");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| unreadable(&error))
}

/// Accepts certificates for any name: those of the CAs, or any if there are no CAs. It is always verified that the
/// server has the certificate's key.
#[derive(Debug)]
struct AnyName {
    provider: Arc<CryptoProvider>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        match authorities.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
