//! The few fields of an X.509 certificate that rustls does not show: its signature's kind, its
//! validity, its key and the name in its subject. Bytes come from outside: reading never panics.

use ring::digest;
use rustls::pki_types::SubjectPublicKeyInfoDer;

/// One reason for all: what is not a certificate is not looked into further.
pub(super) type Read<T> = Result<T, NotACertificate>;

/// The bytes are not DER of an X.509 certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotACertificate;

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// `2.5.4.3`, the common name.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// `2.5.29.17`, the alternative names.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// A certificate's fields, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Certificate<'a> {
    bytes: &'a [u8],
    /// Everything that is signed.
    pub(super) signed: &'a [u8],
    /// Inside of the signature's `AlgorithmIdentifier`.
    pub(super) algorithm: &'a [u8],
    /// The signature.
    pub(super) signature: &'a [u8],
    /// Who signed it, DER.
    pub(super) issuer: &'a [u8],
    /// Whose it is, DER.
    pub(super) subject: &'a [u8],
    /// The key, DER of a `SubjectPublicKeyInfo`.
    pub(super) key: &'a [u8],
    /// Seconds since 1970 from which it holds.
    pub(super) not_before: i64,
    /// Seconds since 1970 until which it holds.
    pub(super) not_after: i64,
    extensions: Option<&'a [u8]>,
}

impl<'a> Certificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Read<Self> {
        let mut outer = Der(der);
        let mut parts = Der(outer.require(SEQUENCE)?);
        let signed = parts.whole(SEQUENCE)?;
        let algorithm = parts.require(SEQUENCE)?;
        // The first byte counts unused bits, of which a signature has none.
        let (_, signature) = parts
            .require(BIT_STRING)?
            .split_first()
            .ok_or(NotACertificate)?;

        let mut fields = Der(Der(signed).require(SEQUENCE)?);
        if fields.peek() == Some(VERSION) {
            fields.next()?;
        }
        fields.next()?; // serial number
        fields.require(SEQUENCE)?; // the signature's kind, again
        let issuer = fields.whole(SEQUENCE)?;
        let mut validity = Der(fields.require(SEQUENCE)?);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = fields.whole(SEQUENCE)?;
        let key = fields.whole(SEQUENCE)?;
        let mut extensions = None;
        while fields.peek().is_some() {
            let (tag, content, _) = fields.next()?;
            if tag == EXTENSIONS {
                extensions = Some(Der(content).require(SEQUENCE)?);
            }
        }
        Ok(Self {
            bytes: der,
            signed,
            algorithm,
            signature,
            issuer,
            subject,
            key,
            not_before,
            not_after,
            extensions,
        })
    }

    pub(super) fn key(&self) -> SubjectPublicKeyInfoDer<'a> {
        SubjectPublicKeyInfoDer::from(self.key)
    }

    /// The hash that `tls-server-end-point` binds to; `None` for kinds that define none.
    pub(super) fn end_point(&self) -> Option<Vec<u8>> {
        let oid = Der(self.algorithm).require(OBJECT_ID).ok()?;
        let hash = match oid {
            // md5, sha1 and sha256 with RSA; sha1 and sha256 with ECDSA: RFC 5929 lifts the weak
            // ones to SHA-256.
            [
                0x2a,
                0x86,
                0x48,
                0x86,
                0xf7,
                0x0d,
                0x01,
                0x01,
                0x04 | 0x05 | 0x0b,
            ]
            | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]
            | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02] => &digest::SHA256,
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c]
            | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03] => &digest::SHA384,
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d]
            | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04] => &digest::SHA512,
            _ => return None,
        };
        Some(digest::digest(hash, self.bytes).as_ref().to_vec())
    }

    /// Whether it names its hosts in the extension made for that.
    pub(super) fn has_alternative_names(&self) -> bool {
        let mut list = Der(self.extensions.unwrap_or_default());
        while let Ok(extension) = list.require(SEQUENCE) {
            if Der(extension).require(OBJECT_ID) == Ok(ALTERNATIVE_NAMES) {
                return true;
            }
        }
        false
    }

    /// The last common name in the subject, where it is plain text.
    pub(super) fn common_name(&self) -> Option<&'a str> {
        let mut names = Der(Der(self.subject).require(SEQUENCE).ok()?);
        let mut found = None;
        while let Ok((_, set, _)) = names.next() {
            let mut pair = Der(Der(set).require(SEQUENCE).ok()?);
            if pair.require(OBJECT_ID) == Ok(COMMON_NAME) {
                let (_, text, _) = pair.next().ok()?;
                found = std::str::from_utf8(text).ok();
            }
        }
        found
    }
}

/// What is left to read.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element: its tag, its content, and all of its bytes.
    fn next(&mut self) -> Read<(u8, &'a [u8], &'a [u8])> {
        let bytes = self.0;
        let (&tag, rest) = bytes.split_first().ok_or(NotACertificate)?;
        let (&first, mut rest) = rest.split_first().ok_or(NotACertificate)?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let digits = usize::from(first & 0x7f);
            if !(1..=4).contains(&digits) {
                return Err(NotACertificate);
            }
            let (number, after) = rest.split_at_checked(digits).ok_or(NotACertificate)?;
            length = number
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            rest = after;
        }
        let (content, after) = rest.split_at_checked(length).ok_or(NotACertificate)?;
        let whole = bytes
            .get(..bytes.len() - after.len())
            .ok_or(NotACertificate)?;
        self.0 = after;
        Ok((tag, content, whole))
    }

    fn require(&mut self, wanted: u8) -> Read<&'a [u8]> {
        match self.next()? {
            (tag, content, _) if tag == wanted => Ok(content),
            _ => Err(NotACertificate),
        }
    }

    fn whole(&mut self, wanted: u8) -> Read<&'a [u8]> {
        match self.next()? {
            (tag, _, whole) if tag == wanted => Ok(whole),
            _ => Err(NotACertificate),
        }
    }

    /// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` as seconds since 1970.
    fn time(&mut self) -> Read<i64> {
        let (tag, content, _) = self.next()?;
        let text = std::str::from_utf8(content).map_err(|_| NotACertificate)?;
        let format = match tag {
            // Years from 50 on are of the last century (RFC 5280, 4.1.2.5.1).
            UTC_TIME if text < "5" => format!("20{text}"),
            UTC_TIME => format!("19{text}"),
            GENERALIZED_TIME => text.to_owned(),
            _ => return Err(NotACertificate),
        };
        chrono::NaiveDateTime::parse_from_str(&format, "%Y%m%d%H%M%SZ")
            .map(|time| time.and_utc().timestamp())
            .map_err(|_| NotACertificate)
    }
}
