// The provider's own arguments: how they are checked, compared, and what they mean.
import type { CheckResult, DiffResult } from "../lib/provider";
import type { Props, Value } from "../lib/values";
import { equal, isUnknown, textOf, unwrap } from "../lib/values";
import type { Overrides } from "./kubeconfig";
import { activeCluster, loadKubeconfig } from "./kubeconfig";

export interface Settings {
    overrides: Overrides;
    /** Contents or path; "" means what kubectl would take. */
    kubeconfig: string;
    deleteUnreachable: boolean;
    skipUpdateUnreachable: boolean;
    serverSideApply: boolean;
    patchForce: boolean;
    upsert: boolean;
    configMapMutable: boolean;
    secretMutable: boolean;
}

/** Reads the arguments as the engine passes them to Configure, each with its environment variable as a fallback. */
export function readSettings(args: ReadonlyMap<string, string>): Settings {
    if (args.get("renderYamlToDirectory")) {
        throw new Error(
            "the air-gapped stand-in of the kubernetes plugin does not serve the argument renderYamlToDirectory",
        );
    }
    const flag = (name: string, variable: string, fallback = false): boolean => {
        const value = args.get(name) ?? process.env[variable];
        return value === undefined ? fallback : value === "true";
    };
    return {
        kubeconfig: args.get("kubeconfig") ?? "",
        overrides: {
            context: args.get("context"),
            cluster: args.get("cluster"),
            namespace: args.get("namespace"),
        },
        deleteUnreachable: flag("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE"),
        skipUpdateUnreachable: flag("skipUpdateUnreachable", "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE"),
        serverSideApply: flag("enableServerSideApply", "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY", true),
        patchForce: flag("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
        upsert: flag("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
        configMapMutable: flag("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
        secretMutable: flag("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
    };
}

/** The arguments as given, with what contradicts in them. */
export function checkSettings(news: Props): CheckResult {
    if (news.strictMode === "true" || news.strictMode === true) {
        const failures = ["kubeconfig", "context"]
            .filter((name) => news[name] === undefined || news[name] === "")
            .map((property) => ({
                property,
                reason: `strict mode requires Provider "${property}" argument`,
            }));
        return { inputs: news, failures };
    }
    return { inputs: news };
}

/**
 * What a change of the provider's arguments means for the objects made with it. They are replaced when the cluster is another
 * one: by clusterIdentifier where it is set before and after, else by the active cluster of the kubeconfig.
 */
export function diffSettings(olds: Props, news: Props): DiffResult {
    const keys = [...new Set([...Object.keys(olds), ...Object.keys(news)])].sort();
    const changed = keys.filter((key) => !key.startsWith("__") && !equal(plain(olds[key]), plain(news[key])));
    if (changed.length === 0) {
        return { changed: false };
    }
    const identity = "clusterIdentifier";
    const [before, after] = [olds[identity], news[identity]];
    const identified = before !== undefined && after !== undefined;
    const isSame = identified && !changed.includes(identity);
    const replaces = identified ? [identity] : [];
    const clusterKeys = ["kubeconfig", "context", "cluster"];
    const unknown = clusterKeys.find((key) => isUnknown(plain(news[key])));
    if (unknown !== undefined) {
        if (isSame) return { changed: true, diffs: [unknown] };
        // Whether it is another cluster cannot be told yet.
        return { changed: true, diffs: [unknown], replaces: [...replaces, unknown] };
    }
    // Read in any case, as the official one does: what cannot be read fails here, be it the old one.
    const [from, to] = [clusterOf(olds), clusterOf(news)];
    if (isSame) {
        return { changed: true, diffs: changed };
    }
    if (from !== undefined && to !== undefined && !equal(from, to)) {
        replaces.push(...clusterKeys.filter((key) => changed.includes(key)));
    }
    return { changed: true, diffs: changed, replaces };
}

function plain(value: Value | undefined): Value | undefined {
    return value === undefined ? undefined : unwrap(value);
}

function clusterOf(args: Props): Value | undefined {
    const kubeconfig = plain(args.kubeconfig);
    if (kubeconfig === undefined || kubeconfig === null || kubeconfig === "") {
        return undefined;
    }
    const text = (key: string): string | undefined => {
        const value = plain(args[key]);
        return typeof value === "string" ? value : undefined;
    };
    let config;
    try {
        config = loadKubeconfig(textOf(kubeconfig));
    } catch (err) {
        const why = err instanceof Error ? err.message.split("\n")[0] : String(err); // further lines quote the contents
        throw new Error(`failed to parse kubeconfig: ${why}`);
    }
    const cluster = activeCluster(config, { context: text("context"), cluster: text("cluster") });
    return cluster && { ...cluster };
}
