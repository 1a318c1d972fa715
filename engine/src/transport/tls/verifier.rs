//! Judging the server's certificate as strictly as was asked for.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore,
    SignatureScheme,
};
use webpki::RawPublicKeyEntity;

use super::Verify;
use super::certificate::Certificate;

/// Checks what [`Verify`] says, and in every case that the server owns the certificate's key.
#[derive(Debug)]
pub(super) struct Verifier {
    verify: Verify,
    host: String,
    roots: RootCertStore,
    /// The trusted certificates themselves: one of them may be the server's own.
    own: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(
        verify: Verify,
        host: String,
        roots: RootCertStore,
        own: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self {
            verify,
            host,
            roots,
            own,
            algorithms,
        }
    }

    fn check_chain(
        &self,
        der: &CertificateDer<'_>,
        certificate: &Certificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.own.iter().any(|trusted| trusted == der) {
            return check_validity(certificate, now);
        }
        if let Ok(parsed) = ParsedCertificate::try_from(der) {
            return verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &self.roots,
                intermediates,
                now,
                self.algorithms.all,
            );
        }
        // Version 1, as `openssl x509 -req` makes them without extensions.
        check_validity(certificate, now)?;
        self.check_signed_by_root(certificate)
    }

    /// A certificate without extensions must be signed by a trusted root itself.
    fn check_signed_by_root(&self, certificate: &Certificate<'_>) -> Result<(), Error> {
        let signed = self.own.iter().any(|root| {
            let Ok(root) = Certificate::read(root) else {
                return false;
            };
            let key = root.key();
            let Ok(key) = RawPublicKeyEntity::try_from(&key) else {
                return false;
            };
            root.subject == certificate.issuer
                && self
                    .algorithms
                    .all
                    .iter()
                    .filter(|a| a.signature_alg_id().as_ref() == certificate.algorithm)
                    .any(|algorithm| {
                        key.verify_signature(*algorithm, certificate.signed, certificate.signature)
                            .is_ok()
                    })
        });
        if signed {
            Ok(())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
    }

    fn check_host(
        &self,
        der: &CertificateDer<'_>,
        certificate: &Certificate<'_>,
        name: &ServerName<'_>,
    ) -> Result<(), Error> {
        if certificate.has_alternative_names() {
            return verify_server_name(&ParsedCertificate::try_from(der)?, name);
        }
        // As libpq does for certificates from before alternative names.
        match certificate.common_name() {
            Some(common) if names_host(common, &self.host) => Ok(()),
            _ => Err(CertificateError::NotValidForName.into()),
        }
    }
}

/// Whether a name or a `*.` pattern means the host.
pub(super) fn names_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) if domain.contains('.') => host
            .split_once('.')
            .is_some_and(|(first, rest)| !first.is_empty() && rest.eq_ignore_ascii_case(domain)),
        Some(_) => false,
        None => pattern.eq_ignore_ascii_case(host),
    }
}

fn check_validity(certificate: &Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < certificate.not_before {
        Err(CertificateError::NotValidYet.into())
    } else if now > certificate.not_after {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}

fn read<'a>(der: &'a CertificateDer<'_>) -> Result<Certificate<'a>, Error> {
    Certificate::read(der).map_err(|_| CertificateError::BadEncoding.into())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = read(end_entity)?;
        if self.verify != Verify::Nothing {
            self.check_chain(end_entity, &certificate, intermediates, now)?;
        }
        if self.verify == Verify::Host {
            self.check_host(end_entity, &certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = read(cert)?.key();
        let key = RawPublicKeyEntity::try_from(&key)
            .map_err(|_| Error::from(CertificateError::BadEncoding))?;
        let algorithms = self
            .algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(PeerIncompatible::NoSignatureSchemesInCommon)?;
        let valid = algorithms.1.iter().any(|algorithm| {
            key.verify_signature(*algorithm, message, signed.signature())
                .is_ok()
        });
        if valid {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = read(cert)?.key();
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
