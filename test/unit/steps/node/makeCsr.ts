import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import { Attributes, CertificationRequest, CertificationRequestInfo } from "@peculiar/asn1-csr";
import {
    AlgorithmIdentifier,
    Attribute,
    AttributeTypeAndValue,
    AttributeValue,
    Extension,
    Extensions,
    GeneralName,
    Name,
    RelativeDistinguishedName,
    SubjectAlternativeName,
    SubjectPublicKeyInfo,
} from "@peculiar/asn1-x509";

export interface KeyPair {
    publicKey: KeyObject;
    privateKey: KeyObject;
}

/** A key as the agent makes it. */
export function newKey(namedCurve = "P-256"): KeyPair {
    return generateKeyPairSync("ec", { namedCurve });
}

/** SubjectPublicKeyInfo, DER. */
export function spki(key: KeyPair): Buffer {
    return key.publicKey.export({ format: "der", type: "spki" });
}

export interface CsrParts {
    key: KeyPair;
    /** Attribute's object identifier and value. */
    subject: [string, string][];
    names?: Partial<GeneralName>[];
    /** Signs in place of the key. */
    signer?: KeyPair;
    /** More extensions: object identifiers, each critical. */
    extensions?: string[];
    /** More attributes: object identifiers. */
    attributes?: string[];
    /** Puts the names into a second extension request as well. */
    namesTwice?: Partial<GeneralName>[];
    /** Breaks the signature's last byte. */
    corrupt?: boolean;
}

export const CN = "2.5.4.3";
export const O = "2.5.4.10";
const extensionRequest = "1.2.840.113549.1.9.14";

/** A PKCS #10 request in PEM, of any content. */
export function makeCsr(parts: CsrParts): string {
    const subject = parts.subject.map(
        ([type, value]) =>
            new RelativeDistinguishedName([
                new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String: value }) }),
            ]),
    );
    const san = (names: Partial<GeneralName>[]) =>
        new Extension({
            extnID: "2.5.29.17",
            critical: false,
            extnValue: new OctetString(
                AsnConvert.serialize(new SubjectAlternativeName(names.map((name) => new GeneralName(name)))),
            ),
        });
    const others = (parts.extensions ?? []).map(
        (extnID) =>
            new Extension({ extnID, critical: true, extnValue: new OctetString(new Uint8Array([5, 0])) }),
    );
    const requested = [...(parts.names ? [san(parts.names)] : []), ...others];
    const request = (extensions: Extension[]) =>
        new Attribute({ type: extensionRequest, values: [AsnConvert.serialize(new Extensions(extensions))] });
    const attributes = [
        ...(requested.length > 0 ? [request(requested)] : []),
        ...(parts.namesTwice ? [request([san(parts.namesTwice)])] : []),
        ...(parts.attributes ?? []).map(
            (type) => new Attribute({ type, values: [new Uint8Array([5, 0]).buffer] }),
        ),
    ];
    const info = new CertificationRequestInfo({
        subject: new Name(subject),
        subjectPKInfo: AsnConvert.parse(spki(parts.key), SubjectPublicKeyInfo),
        attributes: new Attributes(attributes),
    });
    const signer = parts.signer ?? parts.key;
    const signature = sign("sha256", Buffer.from(AsnConvert.serialize(info)), signer.privateKey);
    if (parts.corrupt) signature[signature.length - 1] ^= 1;
    const csr = new CertificationRequest({
        certificationRequestInfo: info,
        signatureAlgorithm: new AlgorithmIdentifier({ algorithm: "1.2.840.10045.4.3.2" }),
        signature: new Uint8Array(signature).buffer,
    });
    return toPem(Buffer.from(AsnConvert.serialize(csr)));
}

export function toPem(der: Buffer): string {
    const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join("\n")}\n-----END CERTIFICATE REQUEST-----\n`;
}
