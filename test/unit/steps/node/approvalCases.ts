// Certificate requests that are right, and those in which one thing is wrong.
import {
    decide,
    type CertificateSigningRequest,
    type Expectations,
} from "../../../../steps/node/certificates/approval";
import { readRequest } from "../../../../steps/node/certificates/certificateRequests";
import { CN, makeCsr, newKey, O, spki, type CsrParts } from "./makeCsr";

export const keys = { client: newKey(), serving: newKey(), foreign: newKey() };
const launchedAt = Date.parse("2026-01-01T00:00:10.500Z");
export const expected: Expectations = {
    nodeName: "krustlet",
    nodeIp: "172.18.0.1",
    bootstrapGroup: "system:bootstrappers:krustlet-stack:dev",
    bootstrapUsername: "system:bootstrap:abc123",
    publicKeys: { client: spki(keys.client), serving: spki(keys.serving) },
    launchedAt,
    durationSeconds: undefined,
    nodeTaken: false,
};
const subject: [string, string][] = [
    [O, "system:nodes"],
    [CN, "system:node:krustlet"],
];
export const clientParts: CsrParts = { key: keys.client, subject };
export const servingParts: CsrParts = {
    key: keys.serving,
    subject,
    names: [{ dNSName: "krustlet" }, { iPAddress: "172.18.0.1" }],
};

type Change = {
    spec?: Partial<CertificateSigningRequest["spec"]>;
    created?: string;
    status?: CertificateSigningRequest["status"];
};

function request(
    pem: string,
    base: CertificateSigningRequest["spec"],
    change: Change,
): CertificateSigningRequest {
    return {
        metadata: { name: "csr", creationTimestamp: change.created ?? "2026-01-01T00:00:11Z" },
        spec: { ...base, request: Buffer.from(pem).toString("base64"), ...change.spec },
        status: change.status,
    };
}

export function client(parts: Partial<CsrParts> = {}, change: Change = {}): CertificateSigningRequest {
    const base = {
        request: "",
        signerName: "kubernetes.io/kube-apiserver-client-kubelet",
        usages: ["digital signature", "client auth"],
        username: "system:bootstrap:abc123",
        groups: ["system:bootstrappers", "system:bootstrappers:krustlet-stack:dev", "system:authenticated"],
    };
    return request(makeCsr({ ...clientParts, ...parts }), base, change);
}

export function serving(parts: Partial<CsrParts> = {}, change: Change = {}): CertificateSigningRequest {
    const base = {
        request: "",
        signerName: "kubernetes.io/kubelet-serving",
        usages: ["digital signature", "server auth"],
        username: "system:node:krustlet",
        groups: ["system:nodes", "system:authenticated"],
    };
    return request(makeCsr({ ...servingParts, ...parts }), base, change);
}

/** What the node asks for when it renews its client certificate: as itself. */
export function renewal(parts: Partial<CsrParts> = {}, change: Change = {}): CertificateSigningRequest {
    const { username, groups } = serving().spec;
    return client(parts, { ...change, spec: { username, groups, ...change.spec } });
}

export async function decision(csr: CertificateSigningRequest, expectations = expected) {
    return decide(csr, await readRequest(csr), expectations);
}

const dns = (name: string) => ({ dNSName: name });
const ip = (address: string) => ({ iPAddress: address });
export const servingNames = [dns("krustlet"), ip("172.18.0.1")];
export const condition = (type: string) => ({
    conditions: [{ type, status: "True", reason: "R", message: "M" }],
});

/** What, the request, and the one reason that refuses it (or several, joined by "; "). */
export const refused: [string, CertificateSigningRequest, string | RegExp][] = [
    [
        "another signer",
        client({}, { spec: { signerName: "kubernetes.io/kube-apiserver-client" } }),
        "signer is kubernetes.io/kube-apiserver-client, not one of kubernetes.io/kube-apiserver-client-kubelet, kubernetes.io/kubelet-serving",
    ],
    [
        "the client's request to the serving signer",
        client({}, { spec: { signerName: "kubernetes.io/kubelet-serving" } }),
        /requester is system:bootstrap:abc123, not system:node:krustlet/,
    ],
    [
        "another token's user",
        client({}, { spec: { username: "system:bootstrap:zzz999" } }),
        "requester is system:bootstrap:zzz999, not system:bootstrap:abc123",
    ],
    [
        "an administrator in the token's place",
        client({}, { spec: { username: "kubernetes-admin" } }),
        "requester is kubernetes-admin, not system:bootstrap:abc123",
    ],
    [
        "nobody",
        client({}, { spec: { username: undefined } }),
        "requester is unknown, not system:bootstrap:abc123",
    ],
    [
        "kubeadm's bootstrap group",
        client(
            {},
            {
                spec: {
                    groups: [
                        "system:bootstrappers",
                        "system:bootstrappers:kubeadm:default-node-token",
                        "system:authenticated",
                    ],
                },
            },
        ),
        "requester's groups are system:bootstrappers, system:bootstrappers:kubeadm:default-node-token, system:authenticated, not system:bootstrappers:krustlet-stack:dev, system:bootstrappers, system:authenticated",
    ],
    [
        "a group too many",
        client({}, { spec: { groups: [...(client().spec.groups ?? []), "system:masters"] } }),
        /^requester's groups are .*system:masters, not /,
    ],
    [
        "a group twice in place of another",
        client(
            {},
            { spec: { groups: ["system:bootstrappers", "system:bootstrappers", "system:authenticated"] } },
        ),
        /^requester's groups are /,
    ],
    [
        "a renewal by another node",
        renewal({}, { spec: { username: "system:node:other" } }),
        /^requester is system:node:other, not system:bootstrap:abc123; requester's groups are /,
    ],
    [
        "a renewal by one of the node's name outside the nodes' group",
        renewal({}, { spec: { groups: ["system:authenticated"] } }),
        "requester's groups are system:authenticated, not system:nodes, system:authenticated",
    ],
    [
        "a renewal for another's key",
        renewal({ key: keys.foreign }),
        "its public key is not the one that the node's agent made",
    ],
    [
        "a renewal of more than the node's rights",
        renewal({ subject: [...subject, [O, "system:masters"]] }),
        /^subject is .*O=system:masters, not /,
    ],
    [
        "a renewal that was filed before the launch",
        renewal({}, { created: "2025-12-31T23:59:00Z" }),
        "it was filed at 2025-12-31T23:59:00Z, before the node was launched",
    ],
    [
        "the node's groups with the token's user",
        client({}, { spec: { groups: serving().spec.groups } }),
        /^requester's groups are system:nodes, system:authenticated, not system:bootstrappers:krustlet-stack:dev/,
    ],
    ["no groups", client({}, { spec: { groups: undefined } }), /^requester's groups are none, not /],
    [
        "the serving request by the bootstrap token",
        serving({}, { spec: { username: "system:bootstrap:abc123", groups: client().spec.groups } }),
        /requester is system:bootstrap:abc123, not system:node:krustlet; requester's groups are /,
    ],
    [
        "the serving request by another node",
        serving({}, { spec: { username: "system:node:other" } }),
        "requester is system:node:other, not system:node:krustlet",
    ],
    [
        "filed before the launch",
        client({}, { created: "2025-12-31T23:59:00Z" }),
        "it was filed at 2025-12-31T23:59:00Z, before the node was launched",
    ],
    ["no time of filing", client({}, { created: "" }), /^it was filed at .*, before the node was launched$/],
    [
        "too short a life",
        client({}, { spec: { expirationSeconds: 599 } }),
        "expirationSeconds is 599, not between 600 and 31622400",
    ],
    [
        "too long a life",
        client({}, { spec: { expirationSeconds: 315_360_000 } }),
        "expirationSeconds is 315360000, not between 600 and 31622400",
    ],
    [
        "a usage too many",
        client({}, { spec: { usages: ["digital signature", "client auth", "server auth"] } }),
        "usages are digital signature, client auth, server auth, not digital signature, client auth",
    ],
    [
        "a usage too few",
        client({}, { spec: { usages: ["client auth"] } }),
        "usages are client auth, not digital signature, client auth",
    ],
    [
        "the key encipherment of RSA",
        serving({}, { spec: { usages: ["digital signature", "key encipherment", "server auth"] } }),
        "usages are digital signature, key encipherment, server auth, not digital signature, server auth",
    ],
    [
        "the server's usage for the client",
        client({}, { spec: { usages: ["digital signature", "server auth"] } }),
        "usages are digital signature, server auth, not digital signature, client auth",
    ],
    [
        "another node's name",
        client({
            subject: [
                [O, "system:nodes"],
                [CN, "system:node:other"],
            ],
        }),
        "subject is O=system:nodes, CN=system:node:other, not CN=system:node:krustlet, O=system:nodes",
    ],
    [
        "a name that only begins with ours",
        client({
            subject: [
                [O, "system:nodes"],
                [CN, "system:node:krustlet2"],
            ],
        }),
        /^subject is /,
    ],
    [
        "an extra organization",
        client({ subject: [...subject, [O, "system:masters"]] }),
        "subject is O=system:nodes, CN=system:node:krustlet, O=system:masters, not CN=system:node:krustlet, O=system:nodes",
    ],
    [
        "another organization",
        client({
            subject: [
                [O, "system:masters"],
                [CN, "system:node:krustlet"],
            ],
        }),
        /^subject is /,
    ],
    ["no organization", client({ subject: [[CN, "system:node:krustlet"]] }), /^subject is /],
    ["two common names", client({ subject: [...subject, [CN, "system:node:other"]] }), /^subject is /],
    [
        "an organizational unit",
        client({ subject: [...subject, ["2.5.4.11", "x"]] }),
        /^subject is .*2\.5\.4\.11=x/,
    ],
    [
        "names in the client's request",
        client({ names: [dns("krustlet")] }),
        "names are DNS:krustlet, not none",
    ],
    [
        "`kubernetes` as a name",
        serving({ names: [dns("kubernetes"), ip("172.18.0.1")] }),
        "names are DNS:kubernetes, IP:172.18.0.1, not DNS:krustlet, IP:172.18.0.1",
    ],
    ["`*` as a name", serving({ names: [dns("*"), ip("172.18.0.1")] }), /^names are DNS:\*, /],
    ["a name too many", serving({ names: [...servingNames, dns("kubernetes.default.svc")] }), /^names are /],
    [
        "no address",
        serving({ names: [dns("krustlet")] }),
        "names are DNS:krustlet, not DNS:krustlet, IP:172.18.0.1",
    ],
    ["no name at all", serving({ names: undefined }), "names are none, not DNS:krustlet, IP:172.18.0.1"],
    [
        "another node's address",
        serving({ names: [dns("krustlet"), ip("172.18.0.2")] }),
        /^names are .*IP:172\.18\.0\.2/,
    ],
    ["the loopback address too", serving({ names: [...servingNames, ip("127.0.0.1")] }), /^names are /],
    [
        "the address as a DNS name",
        serving({ names: [dns("krustlet"), dns("172.18.0.1")] }),
        /^names are .*DNS:172\.18\.0\.1/,
    ],
    ["an IPv6 address", serving({ names: [...servingNames, ip("::1")] }), /^names are /],
    [
        "a URI",
        serving({ names: [...servingNames, { uniformResourceIdentifier: "spiffe://a/b" }] }),
        /^names are .*URI:spiffe:\/\/a\/b/,
    ],
    [
        "an e-mail address",
        serving({ names: [...servingNames, { rfc822Name: "a@b.c" }] }),
        /^names are .*email:a@b\.c/,
    ],
    [
        "another kind of name",
        serving({ names: [...servingNames, { registeredID: "1.2.3" }] }),
        /^names are .*other/,
    ],
    [
        "an authority's certificate (basic constraints)",
        client({ extensions: ["2.5.29.19"] }),
        "it asks for more: 2.5.29.19",
    ],
    [
        "an attribute of another kind",
        client({ attributes: ["1.2.840.113549.1.9.7"] }),
        "it asks for more: 1.2.840.113549.1.9.7",
    ],
    [
        "two extension requests",
        serving({ namesTwice: [] }),
        "it asks for more: 1.2.840.113549.1.9.14, 2.5.29.17",
    ],
    [
        "a key that is not the agent's",
        client({ key: keys.foreign }),
        "its public key is not the one that the node's agent made",
    ],
    [
        "the agent's serving key in the client's request",
        client({ key: keys.serving }),
        "its public key is not the one that the node's agent made",
    ],
    ["a signature of another key", client({ signer: keys.foreign }), "its own signature does not verify"],
    ["a broken signature", client({ corrupt: true }), "its own signature does not verify"],
    ["denied before", client({}, { status: condition("Denied") }), "it was decided before: Denied (R M)"],
    [
        "approved and denied before",
        client(
            {},
            {
                status: {
                    conditions: [...condition("Approved").conditions, ...condition("Denied").conditions],
                },
            },
        ),
        "it was decided before: Denied (R M)",
    ],
    ["failed before", client({}, { status: condition("Failed") }), "it was decided before: Failed (R M)"],
];
