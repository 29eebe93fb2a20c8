// Reading a kubeconfig as client-go does: contents or a path, the active context, and its cluster and credentials.
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as yaml from "js-yaml";

interface Named<T> {
    name: string;
    body: T;
}

export interface Cluster {
    server?: string;
    "certificate-authority"?: string;
    "certificate-authority-data"?: string;
    "insecure-skip-tls-verify"?: boolean;
    "tls-server-name"?: string;
    "proxy-url"?: string;
}

interface User {
    "client-certificate"?: string;
    "client-certificate-data"?: string;
    "client-key"?: string;
    "client-key-data"?: string;
    token?: string;
    tokenFile?: string;
    username?: string;
    password?: string;
    exec?: { command: string; args?: string[]; env?: { name: string; value: string }[]; apiVersion?: string };
    "auth-provider"?: unknown;
}

interface Context {
    cluster?: string;
    user?: string;
    namespace?: string;
}

export interface Kubeconfig {
    currentContext: string;
    clusters: Named<Cluster>[];
    users: Named<User>[];
    contexts: Named<Context>[];
    /** Where relative paths in it start. */
    directory: string;
}

/** How to reach and authenticate to one API server. */
export interface Connection {
    server: URL;
    ca?: Buffer;
    cert?: Buffer;
    key?: Buffer;
    insecure: boolean;
    serverName?: string;
    /** Value of the Authorization header; asked for each request, as tokens are renewed in their files. */
    authorization: () => Promise<string | undefined>;
    /** Namespace of the context; "default" without one. */
    namespace: string;
}

/**
 * Reads a kubeconfig given as contents (YAML or JSON) or as a path, in which a leading ~ is the home folder. As with the official
 * plugin, a path is one only while there is a file: else it is taken for contents, which it is not.
 */
export function loadKubeconfig(pathOrContents: string): Kubeconfig {
    const expanded = pathOrContents.replace(/^~(?=$|\/)/, os.homedir());
    const isFile = !expanded.includes("\n") && fs.existsSync(expanded);
    return parseKubeconfig(
        isFile ? fs.readFileSync(expanded, "utf8") : pathOrContents,
        isFile ? path.dirname(path.resolve(expanded)) : process.cwd(),
    );
}

/** The kubeconfig that kubectl would take: the files of $KUBECONFIG, first entry of a name wins, else ~/.kube/config. */
export function loadAmbientKubeconfig(): Kubeconfig {
    const files = (process.env.KUBECONFIG || path.join(os.homedir(), ".kube", "config"))
        .split(path.delimiter)
        .filter((file) => file !== "" && fs.existsSync(file));
    const all = files.map(loadKubeconfig);
    return {
        currentContext: all.find((config) => config.currentContext !== "")?.currentContext ?? "",
        clusters: all.flatMap((config) => config.clusters),
        users: all.flatMap((config) => config.users),
        contexts: all.flatMap((config) => config.contexts),
        directory: all[0]?.directory ?? process.cwd(),
    };
}

function parseKubeconfig(text: string, directory: string): Kubeconfig {
    const raw: unknown = yaml.load(text);
    if (raw === undefined || raw === null) {
        return { currentContext: "", clusters: [], users: [], contexts: [], directory };
    }
    if (typeof raw !== "object" || Array.isArray(raw)) {
        throw new Error("it is no kubeconfig: neither an existing file nor a YAML or JSON object");
    }
    const config = raw as Record<string, unknown>;
    const named = <T>(list: string, key: string): Named<T>[] =>
        ((config[list] ?? []) as Record<string, unknown>[]).map((entry) => ({
            name: String(entry.name),
            body: (entry[key] ?? {}) as T,
        }));
    const current = config["current-context"];
    return {
        currentContext: typeof current === "string" ? current : "",
        clusters: named<Cluster>("clusters", "cluster"),
        users: named<User>("users", "user"),
        contexts: named<Context>("contexts", "context"),
        directory,
    };
}

export interface Overrides {
    context?: string;
    cluster?: string;
    namespace?: string;
}

function find<T>(list: Named<T>[], name: string | undefined): T | undefined {
    return list.find((entry) => entry.name === name)?.body;
}

/** The cluster entry in use, or undefined when the config names none. */
export function activeCluster(config: Kubeconfig, overrides: Overrides): Cluster | undefined {
    const context = find(config.contexts, overrides.context || config.currentContext);
    return context && find(config.clusters, overrides.cluster || context.cluster);
}

/** The namespace that objects without one go to. */
export function activeNamespace(config: Kubeconfig, overrides: Overrides): string {
    const context = find(config.contexts, overrides.context || config.currentContext);
    return overrides.namespace || context?.namespace || "default";
}

/** Everything needed to connect; throws an error that says what the kubeconfig lacks. */
export function connection(config: Kubeconfig, overrides: Overrides): Connection {
    const contextName = overrides.context || config.currentContext;
    const context = find(config.contexts, contextName);
    if (context === undefined) {
        throw new Error(
            contextName === ""
                ? "invalid configuration: no configuration has been provided, no current context is set"
                : `context "${contextName}" does not exist`,
        );
    }
    const clusterName = overrides.cluster || context.cluster;
    const cluster = find(config.clusters, clusterName);
    if (cluster?.server === undefined) {
        throw new Error(
            `cluster "${clusterName}" of context "${contextName}" has no server in this kubeconfig`,
        );
    }
    if (cluster["proxy-url"] !== undefined) {
        throw new Error("this air-gapped stand-in of the kubernetes plugin serves no proxy-url");
    }
    const user = find(config.users, context.user) ?? {};
    if (user["auth-provider"] !== undefined) {
        throw new Error("this air-gapped stand-in of the kubernetes plugin serves no auth-provider");
    }
    const bytes = (data: string | undefined, file: string | undefined): Buffer | undefined => {
        if (data !== undefined) {
            return Buffer.from(data, "base64");
        }
        return file === undefined ? undefined : fs.readFileSync(path.resolve(config.directory, file));
    };
    const issued = user.exec ? execCredential(user.exec) : undefined;
    return {
        server: new URL(cluster.server),
        ca: bytes(cluster["certificate-authority-data"], cluster["certificate-authority"]),
        cert: bytes(user["client-certificate-data"], user["client-certificate"]),
        key: bytes(user["client-key-data"], user["client-key"]),
        insecure: cluster["insecure-skip-tls-verify"] === true,
        serverName: cluster["tls-server-name"],
        namespace: activeNamespace(config, overrides),
        authorization: async () => {
            const token = user.tokenFile
                ? fs.readFileSync(path.resolve(config.directory, user.tokenFile), "utf8").trim()
                : (user.token ?? (await issued));
            if (token) {
                return `Bearer ${token}`;
            }
            return user.username === undefined
                ? undefined
                : `Basic ${Buffer.from(`${user.username}:${user.password ?? ""}`).toString("base64")}`;
        },
    };
}

/** Asks a credential plugin for a token. */
function execCredential(exec: NonNullable<User["exec"]>): Promise<string> {
    const env = { ...process.env, ...Object.fromEntries((exec.env ?? []).map((e) => [e.name, e.value])) };
    const answer = new Promise<string>((resolve, reject) => {
        execFile(exec.command, exec.args ?? [], { env }, (err, stdout, stderr) => {
            if (err) {
                reject(
                    new Error(`credential plugin ${exec.command} failed: ${stderr.trim() || err.message}`),
                );
                return;
            }
            const credential = JSON.parse(stdout) as { status?: { token?: string } };
            if (credential.status?.token) {
                resolve(credential.status.token);
            } else {
                reject(new Error(`credential plugin ${exec.command} gave no token`));
            }
        });
    });
    answer.catch(() => undefined); // reported by the first request, which waits for it too
    return answer;
}
