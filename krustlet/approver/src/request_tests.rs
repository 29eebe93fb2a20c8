//! Is a request read whole, and only when there is one way to read it?

use rcgen::{CertificateParams, CustomExtension, DnType, SanType};
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use crate::der;
use crate::request::Request;
use crate::testing::*;

#[test]
fn it_is_read_whole() {
    let request = Request::from_pem(pem(&serving_parts().der()).as_bytes()).unwrap();
    assert_eq!(
        request,
        Request {
            subject: vec![("O".into(), "system:nodes".into()), ("CN".into(), "system:node:krustlet".into())],
            alternative_names: vec!["DNS:krustlet".into(), "IP:172.18.0.1".into()],
            others: vec![],
            public_key: spki(&KEYS.serving),
            key_type: "P-256".into(),
            signature_verifies: true,
        }
    );
}

/// The same request with its outer length in more bytes than it needs: allowed in BER, not in DER.
fn in_ber(der: &[u8]) -> Vec<u8> {
    assert_eq!(der[1] & 0xf0, 0x80);
    [&[0x30, der[1] + 1, 0], &der[2..]].concat()
}

#[test]
fn what_can_be_read_in_two_ways_is_not_read() {
    let good = client_parts().der();
    let text = pem(&good);
    let named = serving_parts().der();
    let within = |from: &[u8], to: &[u8]| {
        let at = named.windows(from.len()).position(|window| window == from).unwrap();
        assert_eq!(from.len(), to.len());
        pem(&[&named[..at], to, &named[at + from.len()..]].concat())
    };
    let no_pem = "it is not one certificate request in PEM";
    let table = [
        ("nothing", String::new(), no_pem),
        ("two requests", format!("{text}{text}"), no_pem),
        ("text before it", format!("x\n{text}"), no_pem),
        ("a certificate's label", text.replace("CERTIFICATE REQUEST", "CERTIFICATE"), no_pem),
        ("what is no base64", text.replacen("MI", "M?", 1), no_pem),
        ("bytes after it", pem(&[good.as_slice(), &[0]].concat()), "there is more in it than there should be"),
        ("a cut", pem(&good[..good.len() - 5]), "it is cut off"),
        ("a length in BER", pem(&in_ber(&good)), "it has a length that is not minimal"),
        ("another version", within(&[2, 1, 0, 0x30], &[2, 1, 1, 0x30]), "it is of another version than 1"),
        ("a bit too few in the signature", within(&[3, 0x42, 0], &[3, 0x42, 1]), "it has a bit string of broken bytes"),
        (
            "a name in a string of another kind",
            within(&tlv(der::UTF8_STRING, b"system:nodes"), &tlv(0x1e, b"system:nodes")),
            "it has a name in a string of kind 0x1e",
        ),
    ];
    for (what, text, fault) in table {
        assert_eq!(Request::from_pem(text.as_bytes()).unwrap_err(), fault, "{what}");
    }
    assert!(Request::from_pem(text.replace('\n', "\r\n").as_bytes()).is_ok());
}

#[test]
fn an_extension_that_says_that_it_is_not_critical_is_not_canonical() {
    let extension = |critical: u8| {
        let parts = [oid("2.5.29.19"), tlv(der::BOOLEAN, &[critical]), tlv(der::OCTET_STRING, &[0x30, 0])];
        tlv(der::SET, &seq(&[seq(&parts)]))
    };
    for (critical, fault) in [(0xff, None), (0, Some("it is not in canonical DER"))] {
        let attribute = seq(&[oid("1.2.840.113549.1.9.14"), extension(critical)]);
        let subject = seq(&[]);
        let info = seq(&[tlv(der::INTEGER, &[0]), subject, spki(&KEYS.client), tlv(0xa0, &attribute)]);
        let all = seq(&[info, seq(&[oid("1.2.840.10045.4.3.2")]), tlv(der::BIT_STRING, &[0])]);
        assert_eq!(Request::from_pem(pem(&all).as_bytes()).err().as_deref(), fault, "{critical}");
    }
}

#[test]
fn each_value_of_an_extension_request_counts() {
    let names =
        |name: &str| seq(&[seq(&[oid("2.5.29.17"), tlv(der::OCTET_STRING, &seq(&[tlv(0x82, name.as_bytes())]))])]);
    let both = tlv(der::SET, &[names("krustlet"), names("kubernetes")].concat());
    let attribute = seq(&[oid("1.2.840.113549.1.9.14"), both]);
    let info = seq(&[tlv(der::INTEGER, &[0]), seq(&[]), spki(&KEYS.client), tlv(0xa0, &attribute)]);
    let all = seq(&[info, seq(&[oid("1.2.840.10045.4.3.2")]), tlv(der::BIT_STRING, &[0])]);
    // What others pass over.
    let (_, theirs) = X509CertificationRequest::from_der(&all).unwrap();
    assert_eq!(theirs.requested_extensions().unwrap().count(), 1);
    let request = Request::from_pem(pem(&all).as_bytes()).unwrap();
    assert_eq!(request.alternative_names, ["DNS:krustlet", "DNS:kubernetes"]);
    assert_eq!(request.others, ["1.2.840.113549.1.9.14", "2.5.29.17"]);
}

#[test]
fn a_length_in_ber_is_not_taken_though_another_reader_takes_it() {
    let ber = in_ber(&client_parts().der());
    assert!(X509CertificationRequest::from_der(&ber).is_ok());
    assert!(Request::from_pem(pem(&ber).as_bytes()).is_err());
}

/// A request of another maker's is read as another reader reads it.
#[test]
fn it_reads_what_others_make_as_others_read_it() {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "system:node:Zürich");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "x");
    params.subject_alt_names = vec![
        SanType::DnsName("n".try_into().unwrap()),
        SanType::IpAddress("2001:db8::1".parse().unwrap()),
        SanType::Rfc822Name("a@b.c".try_into().unwrap()),
    ];
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 311], vec![5, 0])];
    let key = new_key();
    let text = params.serialize_request(&key).unwrap().pem().unwrap();
    let ours = Request::from_pem(text.as_bytes()).unwrap();

    let (_, outer) = x509_parser::pem::parse_x509_pem(text.as_bytes()).unwrap();
    let (_, theirs) = X509CertificationRequest::from_der(&outer.contents).unwrap();
    let info = &theirs.certification_request_info;
    let subject: Vec<_> = info.subject.iter_attributes().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(ours.subject.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), subject);
    assert_eq!(ours.public_key, info.subject_pki.raw);
    assert_eq!(theirs.requested_extensions().unwrap().count(), 2);
    assert_eq!(ours.alternative_names, ["DNS:n", "IP:2001:db8::1", "email:a@b.c"]);
    assert_eq!(ours.others, ["1.3.6.1.4.1.311"]);
    assert!(ours.signature_verifies);
}
