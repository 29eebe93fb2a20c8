import { CN, newKey, O } from "../unit/steps/node/makeCsr";
import { adminFile, bootstrapFile, group, nodeName, request, subject } from "./approvalUnderTest";

/** What, the request, with which kubeconfig and as whom it is filed, and why it is denied. */
export type Forgery = [string, object, string, string[], RegExp];

/**
 * Ten requests that bear the node's name and are not the node's, each by somebody whom the API server lets file it. As the node
 * only for serving certificates: a client's, kube-controller-manager would approve first.
 */
export function forgeries(nodeIp: string): Forgery[] {
    const asNode = [`--as=system:node:${nodeName}`, "--as-group=system:nodes"];
    const stranger = [
        "--as=system:bootstrap:000000",
        `--as-group=${group}`,
        "--as-group=system:bootstrappers",
    ];
    const key = newKey();
    const client = (wrong: Parameters<typeof request>[3]) => request("client", nodeIp, key, wrong);
    const serving = (...names: object[]) => request("serving", nodeIp, key, { parts: { names } });
    const [dns, ip] = [{ dNSName: nodeName }, { iPAddress: nodeIp }];
    const name = `krustlet-${nodeName}-client-first`;
    const other: [string, string][] = [
        [O, "system:nodes"],
        [CN, "system:node:other"],
    ];
    const [own, admin] = [bootstrapFile, adminFile];
    return [
        [
            "filed first under our name",
            client({ name }),
            admin,
            stranger,
            /requester is system:bootstrap:000000, not system:bootstrap:[a-z0-9]{6}/,
        ],
        ["for a foreign key, with our token", client({}), own, [], /its public key is not the one/],
        [
            "with an extra organization",
            client({ parts: { subject: [...subject, [O, "system:masters"]] } }),
            own,
            [],
            /subject is .*O=system:masters, not /,
        ],
        [
            "for another node",
            client({ parts: { subject: other } }),
            own,
            [],
            /subject is .*CN=system:node:other, not /,
        ],
        [
            "for ten years",
            client({ spec: { expirationSeconds: 315_360_000 } }),
            own,
            [],
            /expirationSeconds is 315360000, not between/,
        ],
        [
            "for a server too",
            client({ spec: { usages: ["digital signature", "client auth", "server auth"] } }),
            own,
            [],
            /usages are .*server auth, not /,
        ],
        [
            "to another signer",
            client({ spec: { signerName: "example.com/signer" } }),
            own,
            [],
            /signer is example\.com\/signer, not one of/,
        ],
        [
            "for `kubernetes`",
            serving({ dNSName: "kubernetes" }, ip),
            admin,
            asNode,
            /names are DNS:kubernetes, IP:[\d.]+, not /,
        ],
        ["for `*`", serving({ dNSName: "*" }, ip), admin, asNode, /names are DNS:\*, IP:[\d.]+, not /],
        [
            "for another's address",
            serving(dns, { iPAddress: "10.9.9.9" }),
            admin,
            asNode,
            /names are .*IP:10\.9\.9\.9, not /,
        ],
    ];
}
