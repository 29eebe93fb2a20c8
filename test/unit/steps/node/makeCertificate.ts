import { randomBytes, sign } from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
    AlgorithmIdentifier,
    AttributeTypeAndValue,
    AttributeValue,
    BasicConstraints,
    Certificate,
    ExtendedKeyUsage,
    Extension,
    Extensions,
    GeneralName,
    Name,
    RelativeDistinguishedName,
    SubjectAlternativeName,
    SubjectPublicKeyInfo,
    TBSCertificate,
    Validity,
    Version,
} from "@peculiar/asn1-x509";
import { CN, newKey, O, spki, type KeyPair } from "./makeCsr";

export interface CertificateParts {
    /** Key of the certificate. Default: a new one. */
    key?: KeyPair;
    /** Common name. */
    commonName: string;
    /** Organization. Default: none. */
    organization?: string;
    names?: Partial<GeneralName>[];
    /** Who signs it. Default: its own key. */
    issuer?: Issued;
    /** Whether it may sign others. Default: false. */
    authority?: boolean;
    /** Default: an hour ago. */
    notBefore?: Date;
    /** Default: in an hour. */
    notAfter?: Date;
}

/** A certificate with its key. */
export interface Issued {
    key: KeyPair;
    subject: Name;
    /** PEM */
    certificate: string;
    /** PEM, PKCS #8 */
    privateKey: string;
}

const ecdsaWithSha256 = new AlgorithmIdentifier({ algorithm: "1.2.840.10045.4.3.2" });
const serverAuth = "1.3.6.1.5.5.7.3.1";
const clientAuth = "1.3.6.1.5.5.7.3.2";

/** A certificate of any content, for a server and a client alike. */
export function makeCertificate(parts: CertificateParts): Issued {
    const key = parts.key ?? newKey();
    const hour = 3_600_000;
    const subject = new Name(
        [...(parts.organization === undefined ? [] : [[O, parts.organization]]), [CN, parts.commonName]].map(
            ([type, utf8String]) =>
                new RelativeDistinguishedName([
                    new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String }) }),
                ]),
        ),
    );
    const extension = (extnID: string, value: unknown, critical = false) =>
        new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
    const extensions = [
        extension("2.5.29.19", new BasicConstraints({ cA: parts.authority ?? false }), true),
        ...(parts.authority ? [] : [extension("2.5.29.37", new ExtendedKeyUsage([serverAuth, clientAuth]))]),
        ...(parts.names
            ? [
                  extension(
                      "2.5.29.17",
                      new SubjectAlternativeName(parts.names.map((name) => new GeneralName(name))),
                  ),
              ]
            : []),
    ];
    // Positive, and without a leading zero that DER would not have.
    const serialNumber = Buffer.concat([Buffer.from([1]), randomBytes(15)]);
    const body = new TBSCertificate({
        version: Version.v3,
        serialNumber: new Uint8Array(serialNumber).buffer,
        signature: ecdsaWithSha256,
        issuer: parts.issuer?.subject ?? subject,
        validity: new Validity({
            notBefore: parts.notBefore ?? new Date(Date.now() - hour),
            notAfter: parts.notAfter ?? new Date(Date.now() + hour),
        }),
        subject,
        subjectPublicKeyInfo: AsnConvert.parse(spki(key), SubjectPublicKeyInfo),
        extensions: new Extensions(extensions),
    });
    const signer = parts.issuer?.key ?? key;
    const signature = sign("sha256", Buffer.from(AsnConvert.serialize(body)), signer.privateKey);
    const certificate = new Certificate({
        tbsCertificate: body,
        signatureAlgorithm: ecdsaWithSha256,
        signatureValue: new Uint8Array(signature).buffer,
    });
    const lines =
        Buffer.from(AsnConvert.serialize(certificate))
            .toString("base64")
            .match(/.{1,64}/g) ?? [];
    return {
        key,
        subject,
        certificate: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
        privateKey: key.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    };
}
