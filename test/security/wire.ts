// A client of the log port, as anybody could be one: with the certificate that it is given, or with none.
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import * as https from "node:https";
import * as tls from "node:tls";
import { load } from "js-yaml";
import { run } from "../../steps/lib/run";
import { answerOf } from "../node/lib/api";
import { underTest } from "../node/underTest";

/** A certificate and its key, both PEM. */
export interface Credential {
    certificate: string;
    privateKey: string;
}

/** What came back: an answer over HTTP, or that there was none. */
export type Reply = { status: number; text: string } | { refused: string };

interface Kubeconfig {
    clusters: { cluster: { "certificate-authority-data": string } }[];
    users: { user: { "client-certificate-data"?: string; "client-key-data"?: string; token?: string } }[];
}

const decoded = (base64: string | undefined) => Buffer.from(base64 ?? "", "base64").toString("utf8");

export function readKubeconfig(file: string): { authority: string; token?: string } & Credential {
    const { clusters, users } = load(readFileSync(file, "utf8")) as Kubeconfig;
    const { user } = users[0];
    return {
        authority: decoded(clusters[0].cluster["certificate-authority-data"]),
        token: user.token,
        certificate: decoded(user["client-certificate-data"]),
        privateKey: decoded(user["client-key-data"]),
    };
}

/** What the API server shows to kubelets. */
export async function apiServersCredential(): Promise<Credential> {
    const inControlPlane = async (file: string) => {
        const argv = ["docker", "exec", `${underTest().clusterName}-control-plane`, "cat"];
        return (await run([...argv, `/etc/kubernetes/pki/${file}`], { timeoutSeconds: 30 })).stdout;
    };
    return {
        certificate: await inControlPlane("apiserver-kubelet-client.crt"),
        privateKey: await inControlPlane("apiserver-kubelet-client.key"),
    };
}

/** GET from the node's port, whose own certificate must be the cluster's for this node. */
export function ask(path: string, credential?: Credential): Promise<Reply> {
    const { node, kubeconfigFile } = underTest();
    const options: https.RequestOptions = {
        host: node.nodeIp,
        port: node.port,
        path,
        agent: false,
        ca: readKubeconfig(kubeconfigFile).authority,
        servername: node.nodeName,
        cert: credential?.certificate,
        key: credential?.privateKey,
        timeout: 10_000,
    };
    return new Promise((resolve, reject) => {
        const request = https.request(options, (response) => {
            answerOf(response).then(resolve, reject);
        });
        request.on("timeout", () => request.destroy(new Error(`GET ${path}: no answer within 10 s`)));
        request.on("error", (error: NodeJS.ErrnoException) => {
            // OpenSSL's words for an alert of the server, or a connection that it closed after one.
            const alert = error.code?.startsWith("ERR_SSL_") || error.code === "ECONNRESET";
            if (alert) resolve({ refused: error.code ?? error.message });
            else reject(error);
        });
        request.end();
    });
}

/** The certificate that whoever listens there shows. Nothing of it is verified. */
export function shownCertificate(host: string, port: number): Promise<X509Certificate> {
    return new Promise((resolve, reject) => {
        const socket = tls.connect({ host, port, rejectUnauthorized: false, timeout: 10_000 }, () => {
            const certificate = socket.getPeerX509Certificate();
            socket.destroy();
            if (certificate) resolve(certificate);
            else reject(new Error(`${host}:${port} shows no certificate`));
        });
        socket.on("timeout", () => socket.destroy(new Error(`${host}:${port} does not answer within 10 s`)));
        socket.on("error", reject);
    });
}

/** Whether a certificate is the cluster's, for a node of this name and address. */
export function isVerified(certificate: X509Certificate, name: string, address: string): boolean {
    const authority = new X509Certificate(readKubeconfig(underTest().kubeconfigFile).authority);
    return (
        certificate.verify(authority.publicKey) &&
        certificate.checkHost(name) !== undefined &&
        certificate.checkIP(address) !== undefined
    );
}
