//! What a PKCS #10 request (RFC 2986) asks for: everything in it, in a form to compare.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::alg_id;

use crate::der::{self, Element, Fault, Reader};

const COMMON_NAME: &str = "2.5.4.3";
const ORGANIZATION: &str = "2.5.4.10";
const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
const SUBJECT_ALT_NAME: &str = "2.5.29.17";
/// Tag of the attributes, which stand last.
const ATTRIBUTES: u8 = 0xa0;

/// A request, read whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// Subject in its order: attribute (`CN`, `O`, or an object identifier) and value.
    pub subject: Vec<(String, String)>,
    /// Names of the certificate: `DNS:krustlet`, `IP:172.18.0.1`, `URI:…`, `email:…`, `other`.
    pub alternative_names: Vec<String>,
    /// Attributes and extensions apart from the subject alternative names, as object identifiers.
    pub others: Vec<String>,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// `P-256`, or the name of another kind of key.
    pub key_type: String,
    /// Whether it was signed by its own key, which must be of P-256, with SHA-256.
    pub signature_verifies: bool,
}

impl Request {
    /// Reads a request in PEM.
    ///
    /// # Errors
    /// What is not exactly one request in DER: whoever signs it must not be able to read it differently.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Fault> {
        let der = der_of(pem).ok_or("it is not one certificate request in PEM")?;
        let mut all = Reader::new(&der);
        let mut parts = all.within(der::SEQUENCE)?;
        all.end()?;
        let info = parts.one(der::SEQUENCE)?;
        let algorithm = parts.one(der::SEQUENCE)?;
        let signature = der::bits(parts.one(der::BIT_STRING)?.content)?;
        parts.end()?;

        let mut fields = Reader::new(info.content);
        if fields.one(der::INTEGER)?.content != [0] {
            return Err("it is of another version than 1".into());
        }
        let subject = subject(fields.within(der::SEQUENCE)?)?;
        let key = Key::read(fields.one(der::SEQUENCE)?)?;
        // RFC 2986 has them always; some leave out what would be empty.
        let attributes = if fields.is_empty() { None } else { Some(fields.within(ATTRIBUTES)?) };
        fields.end()?;
        let Asked { names, others } = attributes.map_or_else(|| Ok(Asked::default()), Asked::read)?;
        let is_own = key.is_p256() && algorithm.content == alg_id::ECDSA_SHA256.as_ref();
        Ok(Self {
            subject,
            alternative_names: names,
            others,
            signature_verifies: is_own && verifies(key.bits, info.raw, signature),
            key_type: key.kind()?,
            public_key: key.raw.to_vec(),
        })
    }
}

/// The one block of a text in PEM, with nothing before it and nothing but line ends after it.
fn der_of(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?.replace("\r\n", "\n");
    let inner = text.strip_prefix("-----BEGIN CERTIFICATE REQUEST-----\n")?;
    let inner = inner.trim_end().strip_suffix("\n-----END CERTIFICATE REQUEST-----")?;
    STANDARD.decode(inner.replace('\n', "")).ok()
}

/// A SubjectPublicKeyInfo (RFC 5280, 4.1).
struct Key<'a> {
    raw: &'a [u8],
    algorithm: &'a [u8],
    bits: &'a [u8],
}

impl<'a> Key<'a> {
    fn read(element: Element<'a>) -> Result<Self, Fault> {
        let mut fields = Reader::new(element.content);
        let algorithm = fields.one(der::SEQUENCE)?.content;
        let bits = der::bits(fields.one(der::BIT_STRING)?.content)?;
        fields.end()?;
        Ok(Self { raw: element.raw, algorithm, bits })
    }

    fn is_p256(&self) -> bool {
        self.algorithm == alg_id::ECDSA_P256.as_ref()
    }

    fn kind(&self) -> Result<String, Fault> {
        let known = [
            (alg_id::ECDSA_P256, "P-256"),
            (alg_id::ECDSA_P384, "P-384"),
            (alg_id::ECDSA_P521, "P-521"),
            (alg_id::RSA_ENCRYPTION, "RSA"),
            (alg_id::ED25519, "Ed25519"),
        ];
        match known.iter().find(|(id, _)| self.algorithm == id.as_ref()) {
            Some((_, name)) => Ok((*name).into()),
            None => der::identifier(Reader::new(self.algorithm).one(der::OBJECT_IDENTIFIER)?.content),
        }
    }
}

fn verifies(key: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    let algorithms = CryptoProvider::get_default().map(|provider| provider.signature_verification_algorithms.all);
    algorithms.unwrap_or_default().iter().any(|one| {
        one.public_key_alg_id() == alg_id::ECDSA_P256
            && one.signature_alg_id() == alg_id::ECDSA_SHA256
            && one.verify_signature(key, signed, signature).is_ok()
    })
}

fn subject(mut names: Reader) -> Result<Vec<(String, String)>, Fault> {
    let mut found = Vec::new();
    while !names.is_empty() {
        let mut relative = names.within(der::SET)?;
        while !relative.is_empty() {
            let mut pair = relative.within(der::SEQUENCE)?;
            let id = der::identifier(pair.one(der::OBJECT_IDENTIFIER)?.content)?;
            let value = text(pair.any()?)?;
            pair.end()?;
            let attribute = match id.as_str() {
                COMMON_NAME => "CN".into(),
                ORGANIZATION => "O".into(),
                _ => id,
            };
            found.push((attribute, value));
        }
    }
    Ok(found)
}

fn text(element: Element) -> Result<String, Fault> {
    match element.tag {
        der::UTF8_STRING | der::PRINTABLE_STRING | der::IA5_STRING => {
            String::from_utf8(element.content.to_vec()).map_err(|_| "it has a name that is no text".into())
        }
        tag => Err(format!("it has a name in a string of kind {tag:#04x}")),
    }
}

/// What the attributes ask for.
#[derive(Default)]
struct Asked {
    names: Vec<String>,
    others: Vec<String>,
}

impl Asked {
    fn read(mut attributes: Reader) -> Result<Self, Fault> {
        let mut asked = Self::default();
        // A second one of either could be read by some and overlooked by others.
        let (mut requests, mut name_lists) = (0, 0);
        while !attributes.is_empty() {
            let mut pair = attributes.within(der::SEQUENCE)?;
            let id = der::identifier(pair.one(der::OBJECT_IDENTIFIER)?.content)?;
            let mut values = pair.within(der::SET)?;
            pair.end()?;
            if id != EXTENSION_REQUEST {
                asked.others.push(id);
                continue;
            }
            while !values.is_empty() {
                requests += 1;
                if requests > 1 {
                    asked.others.push(id.clone());
                }
                asked.extensions(values.within(der::SEQUENCE)?, &mut name_lists)?;
            }
        }
        Ok(asked)
    }

    fn extensions(&mut self, mut extensions: Reader, name_lists: &mut u32) -> Result<(), Fault> {
        while !extensions.is_empty() {
            let mut fields = extensions.within(der::SEQUENCE)?;
            let id = der::identifier(fields.one(der::OBJECT_IDENTIFIER)?.content)?;
            let mut value = fields.any()?;
            if value.tag == der::BOOLEAN {
                // What is not critical does not say so in DER.
                if value.content != [0xff] {
                    return Err("it is not in canonical DER".into());
                }
                value = fields.any()?;
            }
            fields.end()?;
            if value.tag != der::OCTET_STRING {
                return Err("it has an extension without a value".into());
            }
            if id != SUBJECT_ALT_NAME {
                self.others.push(id);
                continue;
            }
            *name_lists += 1;
            if *name_lists > 1 {
                self.others.push(id);
            }
            let mut all = Reader::new(value.content);
            let mut names = all.within(der::SEQUENCE)?;
            all.end()?;
            while !names.is_empty() {
                self.names.push(name(names.any()?));
            }
        }
        Ok(())
    }
}

/// A GeneralName (RFC 5280, 4.2.1.6), with the tags that it has there.
fn name(element: Element) -> String {
    let text = || String::from_utf8_lossy(element.content);
    match element.tag {
        0x81 => format!("email:{}", text()),
        0x82 => format!("DNS:{}", text()),
        0x86 => format!("URI:{}", text()),
        0x87 => match (<[u8; 4]>::try_from(element.content), <[u8; 16]>::try_from(element.content)) {
            (Ok(address), _) => format!("IP:{}", IpAddr::from(address)),
            (_, Ok(address)) => format!("IP:{}", IpAddr::from(address)),
            _ => "other".into(),
        },
        _ => "other".into(),
    }
}
