// Objects that the cases mount and refer to.
import type { KubeObject } from "../lib/api";
import type { Container } from "../lib/pod";

export function configMap(
    name: string,
    data: Record<string, string>,
    binaryData: Record<string, string> = {},
): KubeObject {
    return { kind: "ConfigMap", metadata: { name }, data, binaryData } as KubeObject;
}

export function secret(name: string, stringData: Record<string, string>, type = "Opaque"): KubeObject {
    return { kind: "Secret", metadata: { name }, type, stringData } as KubeObject;
}

/** A Secret with a login to a registry, as `kubectl create secret docker-registry` makes it. */
export function registryLogin(
    name: string,
    registry: string,
    username: string,
    password: string,
): KubeObject {
    const auth = Buffer.from(`${username}:${password}`).toString("base64");
    const config = JSON.stringify({ auths: { [registry]: { auth } } });
    return secret(name, { ".dockerconfigjson": config }, "kubernetes.io/dockerconfigjson");
}

/** Mounts of volumes by name: `{ data: "/data" }`. */
export function mounts(paths: Record<string, string>): Pick<Container, "volumeMounts"> {
    return {
        volumeMounts: Object.entries(paths).map(([name, mountPath]) => ({ name, mountPath })),
    };
}
