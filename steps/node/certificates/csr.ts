import { createPublicKey, verify, type KeyObject } from "node:crypto";
import type { GeneralName } from "@peculiar/asn1-x509";

/** What a PKCS #10 request asks for: everything in it, in a form to compare. */
export interface ParsedRequest {
    /** Subject in its order: attribute (`CN`, `O`, or an object identifier) and value. */
    subject: { attribute: string; value: string }[];
    /** Names of the certificate: `DNS:krustlet`, `IP:172.18.0.1`, `URI:…`, `email:…`, `other`. */
    alternativeNames: string[];
    /** Attributes and extensions apart from the subject alternative names, as object identifiers. */
    others: string[];
    /** SubjectPublicKeyInfo, DER. */
    publicKey: Buffer;
    /** `P-256`, or the name of another kind of key. */
    keyType: string;
    /** Whether it was signed by its own key. */
    signatureVerifies: boolean;
}

// RFC 5280 and RFC 2985
const oid = {
    commonName: "2.5.4.3",
    organization: "2.5.4.10",
    extensionRequest: "1.2.840.113549.1.9.14",
    subjectAltName: "2.5.29.17",
    ecdsaWithSha256: "1.2.840.10045.4.3.2",
};
const attributeNames: Record<string, string> = { [oid.commonName]: "CN", [oid.organization]: "O" };

// A tenth of a second and more, which a step pays only when there is a request to read.
async function parser() {
    const [{ AsnConvert }, { CertificationRequest }, { Extensions, SubjectAlternativeName }] =
        await Promise.all([
            import("@peculiar/asn1-schema"),
            import("@peculiar/asn1-csr"),
            import("@peculiar/asn1-x509"),
        ]);
    return { AsnConvert, CertificationRequest, Extensions, SubjectAlternativeName };
}

/** Loads what reads requests. */
export async function preloadParser(): Promise<void> {
    await parser();
}

/**
 * Reads a PKCS #10 request (PEM). Throws on what is not exactly one request in DER: whoever signs it must not be able to read
 * it differently.
 */
export async function parseRequest(pem: string): Promise<ParsedRequest> {
    const { AsnConvert, CertificationRequest, Extensions, SubjectAlternativeName } = await parser();
    const match =
        /^-----BEGIN CERTIFICATE REQUEST-----\n([A-Za-z0-9+/=\n]+)-----END CERTIFICATE REQUEST-----\s*$/.exec(
            pem.replace(/\r\n/g, "\n"),
        );
    if (!match) throw new Error("it is not one certificate request in PEM");
    const der = Buffer.from(match[1], "base64");
    const csr = AsnConvert.parse(der, CertificationRequest);
    if (!Buffer.from(AsnConvert.serialize(csr)).equals(der)) throw new Error("it is not in canonical DER");
    const info = csr.certificationRequestInfo;
    const signed = Buffer.from(csr.certificationRequestInfoRaw ?? AsnConvert.serialize(info));
    const publicKey = Buffer.from(AsnConvert.serialize(info.subjectPKInfo));
    const key = createPublicKey({ key: publicKey, format: "der", type: "spki" });

    const attributes = [...(info.attributes ?? [])];
    const extensions = attributes
        .filter(({ type }) => type === oid.extensionRequest)
        .flatMap(({ values }) => values.flatMap((value) => [...AsnConvert.parse(value, Extensions)]));
    const names = extensions.filter(({ extnID }) => extnID === oid.subjectAltName);
    return {
        subject: [...info.subject].flatMap((relative) =>
            [...relative].map(({ type, value }) => ({
                attribute: attributeNames[type] ?? type,
                value: value.toString(),
            })),
        ),
        alternativeNames: names.flatMap(({ extnValue }) =>
            [...AsnConvert.parse(extnValue, SubjectAlternativeName)].map(nameOf),
        ),
        others: [
            ...attributes.map(({ type }) => type).filter((type) => type !== oid.extensionRequest),
            ...extensions.map(({ extnID }) => extnID).filter((id) => id !== oid.subjectAltName),
            // A second one of either could be read by some and overlooked by others.
            ...attributes
                .filter(({ type }) => type === oid.extensionRequest)
                .slice(1)
                .map(({ type }) => type),
            ...names.slice(1).map(({ extnID }) => extnID),
        ],
        publicKey,
        keyType: keyTypeOf(key),
        signatureVerifies:
            csr.signatureAlgorithm.algorithm === oid.ecdsaWithSha256 &&
            key.asymmetricKeyType === "ec" &&
            verify("sha256", signed, key, Buffer.from(csr.signature)),
    };
}

function keyTypeOf(key: KeyObject): string {
    const curve = key.asymmetricKeyDetails?.namedCurve;
    if (key.asymmetricKeyType === "ec" && curve === "prime256v1") return "P-256";
    return `${key.asymmetricKeyType ?? "unknown"}${curve ? ` ${curve}` : ""}`;
}

function nameOf(name: GeneralName): string {
    if (name.dNSName !== undefined) return `DNS:${name.dNSName}`;
    if (name.iPAddress !== undefined) return `IP:${name.iPAddress}`;
    if (name.uniformResourceIdentifier !== undefined) return `URI:${name.uniformResourceIdentifier}`;
    if (name.rfc822Name !== undefined) return `email:${name.rfc822Name}`;
    return "other";
}

/** The SubjectPublicKeyInfo (DER) of a public key in PEM; undefined when it is none. */
export function publicKeyOf(pem: string | undefined): Buffer | undefined {
    try {
        return pem === undefined ? undefined : createPublicKey(pem).export({ format: "der", type: "spki" });
    } catch {
        return undefined;
    }
}
