// The cluster that the provider was configured for, or why it cannot be reached.
import { textAt, type Props } from "../lib/values";
import { KubeClient, NoMatchError } from "./client";
import { activeNamespace, connection, loadAmbientKubeconfig, loadKubeconfig } from "./kubeconfig";
import type { GroupVersionKind } from "./kinds";
import { isNamespaced, kindOfObject } from "./kinds";
import type { Settings } from "./settings";

export interface Cluster {
    client?: KubeClient;
    /** Set when there is no client. */
    unreachable?: string;
    /** Where objects without a namespace go; "" when the kubeconfig could not be read. */
    defaultNamespace: string;
}

/** Never throws: an operation that needs the cluster does, with the reason that is kept here. */
export async function reachCluster(settings: Settings): Promise<Cluster> {
    const { overrides } = settings;
    let defaultNamespace = overrides.namespace ?? "";
    let config;
    try {
        config = settings.kubeconfig === "" ? loadAmbientKubeconfig() : loadKubeconfig(settings.kubeconfig);
        defaultNamespace = activeNamespace(config, overrides);
    } catch (err) {
        const why = err instanceof Error ? err.message.split("\n")[0] : String(err); // further lines quote the contents
        return {
            defaultNamespace,
            unreachable: `failed to parse kubeconfig data in \`kubernetes:config:kubeconfig\`- ${why}`,
        };
    }
    let client: KubeClient;
    try {
        client = new KubeClient(connection(config, overrides));
    } catch (err) {
        const why = `unable to load Kubernetes client configuration from kubeconfig file: ${(err as Error).message}`;
        return { defaultNamespace, unreachable: why };
    }
    try {
        // An anonymous client may not read this, so it tells bad credentials too.
        await client.request("GET", "/api/v1");
    } catch (err) {
        client.close();
        const why = `unable to load schema information from the API server: ${(err as Error).message}`;
        return { defaultNamespace, unreachable: why };
    }
    return { client, defaultNamespace };
}

/** Whether the API server knows the object's kind. */
export async function kindExists(cluster: Cluster, object: Props): Promise<boolean> {
    try {
        await cluster.client?.mapping(textAt(object, "apiVersion"), textAt(object, "kind"));
        return cluster.client !== undefined;
    } catch {
        return false; // the request that needs it says why
    }
}

/** Whether objects of the kind have a namespace. A kind that nobody knows yet is taken to have one. */
export async function namespacedKind(cluster: Cluster, gvk: GroupVersionKind): Promise<boolean> {
    const known = isNamespaced(gvk);
    if (known !== undefined || cluster.client === undefined) {
        return known ?? true;
    }
    const apiVersion = gvk.group === "" ? gvk.version : `${gvk.group}/${gvk.version}`;
    try {
        return (await cluster.client.mapping(apiVersion, gvk.kind)).namespaced;
    } catch (err) {
        if (err instanceof NoMatchError) {
            return true;
        }
        throw err;
    }
}

export function namespacedObject(cluster: Cluster, object: Props): Promise<boolean> {
    return namespacedKind(cluster, kindOfObject(object));
}
