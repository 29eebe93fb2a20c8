import { isOf, keyOf } from "../../lib/claim";
import type { PullSecretInput } from "../../contract";
import type { Logins } from "./logins";
import { labelHash } from "../../lib/kube/kube";
import {
    dnsLabel,
    nullable,
    object,
    objectName,
    optional,
    owner,
    registry,
    secret,
    text,
} from "../../lib/schema";

/** Input of createPullSecret and deletePullSecret. */
export const pullSecretInput = object<PullSecretInput>({
    kubeconfigFile: text,
    owner,
    namespace: dnsLabel,
    name: objectName,
    registry,
    dockerConfigFile: optional(text),
    // What tells one login from another, or null where there is none.
    fingerprint: secret(nullable(text)),
    because: optional(text),
});

/** https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets */
const configKey = ".dockerconfigjson";

const ownerLabel = "krustlet-stack/pull-secret-of";
const ownerAnnotation = "krustlet-stack/owner";

/** A Secret of the API server: the parts that say whose it is, and what is in it. */
export interface FoundSecret {
    type?: string;
    metadata: { annotations?: Record<string, string> };
    data?: Record<string, string>;
}

/** Where the API server has the Secrets of a namespace. */
export function secretsPath({ namespace }: Pick<PullSecretInput, "namespace">): string {
    return `/api/v1/namespaces/${namespace}/secrets`;
}

/** The Secret that pods pull with. */
export function pullSecret({ name, namespace, owner, registry }: PullSecretInput, auths: Logins) {
    const config = Buffer.from(JSON.stringify({ auths })).toString("base64");
    return {
        apiVersion: "v1",
        kind: "Secret",
        type: "kubernetes.io/dockerconfigjson",
        metadata: {
            name,
            namespace,
            labels: { [ownerLabel]: labelHash(keyOf(owner)) },
            annotations: { [ownerAnnotation]: owner, "krustlet-stack/registry": registry },
        },
        data: { [configKey]: config },
    };
}

/** Whether a Secret was made by this stack. */
export function isOwn(secret: FoundSecret, { owner }: Pick<PullSecretInput, "owner">): boolean {
    return (
        secret.type === "kubernetes.io/dockerconfigjson" &&
        isOf(secret.metadata.annotations?.[ownerAnnotation], owner)
    );
}

/** The logins in a Secret; undefined: what is in it is none of ours. */
export function loginsIn({ data }: FoundSecret): Logins | undefined {
    try {
        const config = Buffer.from(data?.[configKey] ?? "", "base64").toString("utf8");
        return (JSON.parse(config) as { auths?: Logins }).auths;
    } catch {
        return undefined;
    }
}
