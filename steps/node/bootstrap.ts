import { isOf, keyOf } from "../lib/claim";
import { randomInt } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { BootstrapTokenInput, BootstrapTokenOutput } from "../contract";
import { expandHome, readOptional, writePrivate } from "../lib/files";
import { claimFolder, ownerOf } from "./folder";
import { clusterFrom } from "./daemon/onNetwork";
import { labelHash, withKube, type ClusterEntry, type Kube } from "../lib/kube/kube";
import { newKubeconfig, userField } from "../lib/kube/kubeconfig";
import { bootstrapGroup, nodeName, object, optional, owner, text, tokenSeconds } from "../lib/schema";
import { orUndo } from "../lib/step";

/** Input of createBootstrapToken and deleteBootstrapToken. */
export const bootstrapTokenInput = object<BootstrapTokenInput>({
    kubeconfigFile: text,
    owner,
    nodeName,
    group: bootstrapGroup,
    tokenTtlSeconds: tokenSeconds,
    file: text,
    network: optional(text),
});

const secrets = "/api/v1/namespaces/kube-system/secrets";
const tokenLabel = "krustlet-stack/bootstrap-token-of";

/** The two parts of a bootstrap token. */
export interface Token {
    /** 6 of a-z0-9: names the Secret and the user; no secret. */
    id: string;
    /** 16 of a-z0-9 */
    secret: string;
}

/** A token from the system's source of random numbers. */
export function newToken(): Token {
    const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
    const random = (length: number) =>
        Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join("");
    return { id: random(6), secret: random(16) };
}

/** User name of whoever holds the token. */
export function usernameOf(tokenId: string): string {
    return `system:bootstrap:${tokenId}`;
}

/** The Secret that makes a token known to the API server: for authentication alone. */
export function tokenSecret(
    token: Token,
    input: Omit<BootstrapTokenInput, "kubeconfigFile">,
    expiresAt: string,
) {
    return {
        apiVersion: "v1",
        kind: "Secret",
        type: "bootstrap.kubernetes.io/token",
        metadata: {
            name: `bootstrap-token-${token.id}`,
            namespace: "kube-system",
            labels: { [tokenLabel]: labelHash(keyOf(input.owner), input.nodeName) },
        },
        stringData: {
            description: `Lets Krustlet node ${input.nodeName} of ${input.owner} ask for its certificate`,
            "token-id": token.id,
            "token-secret": token.secret,
            expiration: expiresAt,
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": input.group,
        },
    };
}

/** The kubeconfig that a node bootstraps with. */
export function bootstrapKubeconfig(cluster: ClusterEntry, token: Token): string {
    return newKubeconfig({ name: "bootstrap", fields: { token: `${token.id}.${token.secret}` } }, cluster);
}

/** Id of the token in a bootstrap kubeconfig; undefined when it holds none. */
export function tokenIdIn(kubeconfig: string | undefined): string | undefined {
    return /^([a-z0-9]{6})\.[a-z0-9]{16}$/.exec(userField(kubeconfig, "token") ?? "")?.[1];
}

/** Makes a token for the node and writes its bootstrap kubeconfig; tokens that the node had before are revoked. */
export async function makeBootstrapToken(input: BootstrapTokenInput): Promise<BootstrapTokenOutput> {
    const file = expandHome(input.file);
    const folder = dirname(file);
    const claimed = await claimFolder(folder, input);
    return orUndo(
        async () => {
            const cluster = await clusterFrom(input.network, input.kubeconfigFile);
            const token = newToken();
            const expiresAt = new Date(Date.now() + input.tokenTtlSeconds * 1000)
                .toISOString()
                .replace(/\.\d+Z$/, "Z");
            await withKube(input.kubeconfigFile, (kube) =>
                orUndo(
                    async () => {
                        await revokeTokens(kube, input);
                        await kube.create(secrets, tokenSecret(token, input, expiresAt));
                        await writePrivate(file, bootstrapKubeconfig(cluster, token));
                    },
                    () => revokeTokens(kube, input),
                ),
            );
            return { file: input.file, username: usernameOf(token.id), expiresAt };
        },
        async () => {
            await rm(file, { force: true });
            if (claimed) await removeIfOnlyClaimed(folder);
        },
    );
}

/** Revokes every token of the node, known from a file or not. */
export function revokeTokens(
    kube: Kube,
    { owner, nodeName }: { owner: string; nodeName: string },
): Promise<void> {
    return kube.delete(
        `${secrets}?labelSelector=${encodeURIComponent(`${tokenLabel}=${labelHash(keyOf(owner), nodeName)}`)}`,
    );
}

/**
 * Ends what a node joins with: revokes its tokens, then removes its bootstrap kubeconfig. In this order, so that where the
 * file has gone no token is left. A file in a folder that is not the node's is left alone.
 */
export async function endBootstrap(
    kube: Kube,
    whose: { owner: string; nodeName: string },
    bootstrapFile: string | undefined,
): Promise<void> {
    await revokeTokens(kube, whose);
    if (bootstrapFile === undefined) return;
    const file = expandHome(bootstrapFile);
    const found = await ownerOf(dirname(file));
    if (isOf(found?.owner, whose.owner) && found?.nodeName === whose.nodeName)
        await rm(file, { force: true });
}

/** Removes a node's folder when it holds the owner's mark alone. */
export async function removeIfOnlyClaimed(folder: string): Promise<void> {
    const left = await readdir(folder).catch(() => []);
    if (left.length === 1 && left[0] === "owner.json") await rm(folder, { recursive: true });
}

/** Whether the token of a bootstrap kubeconfig can still be used, with a minute to spare. */
export async function tokenServes(kube: Kube, file: string): Promise<boolean> {
    const id = tokenIdIn(await readOptional(file));
    if (id === undefined) return false;
    const found = await kube.find<{ data?: { expiration?: string } }>(`${secrets}/bootstrap-token-${id}`);
    const expiration = Buffer.from(found?.data?.expiration ?? "", "base64").toString("utf8");
    return Date.parse(expiration) > Date.now() + 60_000;
}
