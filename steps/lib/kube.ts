import { createHash } from "node:crypto";
import { StepError } from "./errors";
import { expandHome, readOptional } from "./files";
import { run, RunError } from "./run";

/** An answer of the API server other than success, or none at all. */
export class KubeError extends StepError {
    constructor(
        message: string,
        /** Reason as Kubernetes names it (`NotFound`, `Conflict`, …); `Gone` and `Unreachable` when nothing answered. */
        readonly reason: string,
        options?: ErrorOptions,
    ) {
        super(message, options);
    }
}

/** One change that a watch tells of. */
export interface WatchEvent<T> {
    type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
    object: T;
}

/**
 * The API server, by kubectl's raw requests: no discovery, no cache in the user's home folder, one small process each.
 * Bodies travel by standard input, the credential by a private file.
 */
export class Kube {
    constructor(
        private readonly kubeconfigFile: string,
        private readonly requestTimeoutSeconds = 10,
    ) {}

    async get<T>(path: string): Promise<T> {
        return JSON.parse(await this.request(["get", "--raw", path])) as T;
    }

    /** As `get`, for what is no JSON: a container's log. */
    getText(path: string): Promise<string> {
        return this.request(["get", "--raw", path]);
    }

    /** As `get`; undefined when there is no such object. */
    async find<T>(path: string): Promise<T | undefined> {
        try {
            return await this.get<T>(path);
        } catch (error) {
            if (error instanceof KubeError && error.reason === "NotFound") return undefined;
            throw error;
        }
    }

    async create(path: string, body: object): Promise<void> {
        await this.request(["create", "--raw", path, "-f", "-"], body);
    }

    /** As `create`, for what answers with more than what was sent: `serviceaccounts/<name>/token`, say. */
    async post<T>(path: string, body: object): Promise<T> {
        return JSON.parse(await this.request(["create", "--raw", path, "-f", "-"], body)) as T;
    }

    async replace(path: string, body: object): Promise<void> {
        await this.request(["replace", "--raw", path, "-f", "-"], body);
    }

    /** Deletes an object, or all that a selector in `path` names; what is not there is fine. */
    async delete(path: string): Promise<void> {
        try {
            await this.request(["delete", "--raw", path]);
        } catch (error) {
            if (!(error instanceof KubeError && error.reason === "NotFound")) throw error;
        }
    }

    /**
     * Hands every object at `path` and each change of one to `onEvent`, until that returns a value or the time is up
     * (undefined). The server ends a watch now and then; it is begun anew, so `onEvent` may see an object again.
     */
    async watch<T, R>(
        path: string,
        timeoutSeconds: number,
        onEvent: (event: WatchEvent<T>) => Promise<R | undefined>,
        signal?: AbortSignal,
    ): Promise<R | undefined> {
        const deadline = Date.now() + timeoutSeconds * 1000;
        const query = path.includes("?") ? "&" : "?";
        while (Date.now() < deadline && !signal?.aborted) {
            const seconds = Math.ceil((deadline - Date.now()) / 1000);
            const found = await this.watchOnce(
                `${path}${query}watch=1&timeoutSeconds=${seconds}`,
                seconds,
                onEvent,
                signal,
            );
            if (found !== undefined) return found;
        }
        return undefined;
    }

    private async watchOnce<T, R>(
        path: string,
        seconds: number,
        onEvent: (event: WatchEvent<T>) => Promise<R | undefined>,
        signal?: AbortSignal,
    ): Promise<R | undefined> {
        const done = new AbortController();
        const stop = () => {
            done.abort();
        };
        signal?.addEventListener("abort", stop);
        let found: R | undefined;
        let failure: Error | undefined;
        // Events are handled one after the other, in their order.
        let handled = Promise.resolve();
        const handle = async (line: string) => {
            if (found !== undefined || failure !== undefined) return;
            try {
                const event = JSON.parse(line) as WatchEvent<T>;
                if (event.type === "ADDED" || event.type === "MODIFIED") found = await onEvent(event);
            } catch (error) {
                failure = error instanceof Error ? error : new Error(String(error));
            }
            if (found !== undefined || failure !== undefined) done.abort();
        };
        const argv = ["kubectl", `--kubeconfig=${this.kubeconfigFile}`, "get", "--raw", path];
        try {
            const result = await run(argv, {
                env: kubectlEnvironment,
                timeoutSeconds: seconds + 5,
                allowFailure: true,
                signal: done.signal,
                mergeOutput: true,
                onLine: (line) => {
                    if (line.startsWith("{")) handled = handled.then(() => handle(line));
                },
            });
            await handled;
            if (failure !== undefined) throw failure;
            if (found === undefined && !done.signal.aborted && result.exitCode !== 0) {
                throw kubeError(new RunError(argv, result, `exit code ${result.exitCode}`));
            }
            return found;
        } finally {
            signal?.removeEventListener("abort", stop);
        }
    }

    private async request(args: string[], body?: object): Promise<string> {
        const limits = [`--request-timeout=${this.requestTimeoutSeconds}s`];
        try {
            const result = await run(["kubectl", `--kubeconfig=${this.kubeconfigFile}`, ...limits, ...args], {
                env: kubectlEnvironment,
                input: body ? JSON.stringify(body) : undefined,
                timeoutSeconds: this.requestTimeoutSeconds + 5,
            });
            return result.stdout;
        } catch (error) {
            throw error instanceof RunError ? kubeError(error) : error;
        }
    }
}

// A user's kubectl preferences could change what a command does.
const kubectlEnvironment = { KUBERC: "off", KUBECONFIG: undefined };

/** How kubectl puts it that it came to no answer. Nothing listens, or another cluster does; or there may be one that is busy. */
const connectionFailures: [RegExp, string][] = [
    [/connection refused|was refused|no such host|no route to host|unknown authority/i, "Gone"],
    [
        /timeout|deadline exceeded|EOF|connection reset|network is unreachable|unable to connect to the server/i,
        "Unreachable",
    ],
];

/** What kubectl's error means. */
export function kubeError(error: RunError): Error {
    const output = error.result.stderr.trim();
    const reason = /Error from server \((\w+)\)|\((?=Unauthorized\))(\w+)\)$/m
        .exec(output)
        ?.slice(1)
        .find(Boolean);
    if (reason) return new KubeError(output, reason, { cause: error });
    for (const [pattern, kind] of connectionFailures) {
        const line = output.split("\n").pop() ?? "";
        if (pattern.test(line))
            return new KubeError(`the API server does not answer: ${line}`, kind, { cause: error });
    }
    return error;
}

/** Runs `use` with the cluster that a kubeconfig file leads to. */
export async function withKube<T>(
    kubeconfigFile: string,
    use: (kube: Kube) => Promise<T>,
    requestTimeoutSeconds = 10,
): Promise<T> {
    await readKubeconfig(kubeconfigFile);
    return use(new Kube(expandHome(kubeconfigFile), requestTimeoutSeconds));
}

/** The admin kubeconfig is not where it should be. */
export class NoKubeconfig extends StepError {
    constructor(readonly file: string) {
        super(
            `kubeconfigFile: there is no ${file}, the cluster's admin kubeconfig; \`pulumi up\` (\`npm run up\`) on the stack ` +
                "that made the cluster writes it again; for a kind cluster of your own, " +
                `\`(umask 077; kind get kubeconfig --name CLUSTER >${file})\` does`,
        );
    }
}

/** The content of a kubeconfig file. Throws NoKubeconfig where there is none: kubectl would go to no cluster, or to another. */
async function readKubeconfig(kubeconfigFile: string): Promise<string> {
    const file = expandHome(kubeconfigFile);
    const text = await readOptional(file);
    if (text === undefined) throw new NoKubeconfig(file);
    return text;
}

/** How long a cluster may be too busy to answer before it is taken to serve no more, in seconds. */
const busySeconds = 15;

/**
 * Deletes what is left in a cluster that may be gone already: with it everything in it has gone too, and nothing is left to
 * do. One that is there but does not answer is tried again for a while; it must not keep anybody from removing the rest.
 */
export async function ifClusterAnswers(
    kubeconfigFile: string,
    use: (kube: Kube) => Promise<void>,
    note: (line: string) => void,
): Promise<void> {
    const deadline = Date.now() + busySeconds * 1000;
    for (;;) {
        try {
            return await withKube(kubeconfigFile, use, 4);
        } catch (error) {
            // It goes with the cluster.
            if (error instanceof NoKubeconfig)
                return note(`nothing is deleted in the cluster: there is no ${error.file} to reach it by`);
            if (!(
                error instanceof KubeError && ["Gone", "Unreachable", "Unauthorized"].includes(error.reason)
            ))
                throw error;
            if (error.reason !== "Unreachable") {
                return note(`nothing is deleted in the cluster, which is gone: ${error.message}`);
            }
            if (Date.now() > deadline) {
                return note(
                    `nothing is deleted in the cluster, which has not answered for ${busySeconds} s: ${error.message}`,
                );
            }
        }
    }
}

/** The parts of a kubeconfig that lead to the cluster, without any credential. */
export interface ClusterEntry {
    server: string;
    /** PEM certificates, base64. */
    certificateAuthorityData: string;
}

/** Where the current context of a kubeconfig file leads. */
export async function clusterOf(kubeconfigFile: string): Promise<ClusterEntry> {
    const entry = onlyCluster(await readKubeconfig(kubeconfigFile));
    return entry ?? (await currentCluster(expandHome(kubeconfigFile)));
}

/** The cluster of a kubeconfig that has one alone, in the form that kind and kubectl write. */
export function onlyCluster(kubeconfig: string): ClusterEntry | undefined {
    const values = (key: string) => [
        ...kubeconfig.matchAll(new RegExp(`^[ -]*${key}: *"?([^"\\s#]+)"?$`, "gm")),
    ];
    const [servers, authorities] = [values("server"), values("certificate-authority-data")];
    const clusters = [...kubeconfig.matchAll(/^[ -]*cluster:\s*$/gm)];
    if (servers.length !== 1 || authorities.length !== 1 || clusters.length !== 1) return undefined;
    return { server: servers[0][1], certificateAuthorityData: authorities[0][1] };
}

/** As kubectl, which knows all of YAML, understands the file. */
async function currentCluster(file: string): Promise<ClusterEntry> {
    const argv = ["kubectl", `--kubeconfig=${file}`, "config", "view"];
    argv.push("--minify", "--flatten", "--raw", "-o", "json");
    let stdout: string;
    try {
        ({ stdout } = await run(argv, { env: kubectlEnvironment, timeoutSeconds: 10 }));
    } catch (error) {
        // kubectl's own words may quote the file's content.
        throw error instanceof RunError && error.result.exitCode !== 127
            ? new StepError(
                  `kubeconfigFile: kubectl cannot read ${file}; it must be a kubeconfig with a current context`,
              )
            : error;
    }
    const view = JSON.parse(stdout) as {
        clusters?: { cluster: { server?: string; "certificate-authority-data"?: string } }[];
    };
    const cluster = view.clusters?.[0]?.cluster;
    if (!cluster?.server || !cluster["certificate-authority-data"]) {
        throw new StepError(
            `kubeconfigFile: the current context of ${file} names no server with a certificate authority`,
        );
    }
    return { server: cluster.server, certificateAuthorityData: cluster["certificate-authority-data"] };
}

/** A label's value that stands for a text of any form: Kubernetes allows few characters in one. */
export function labelHash(...parts: string[]): string {
    return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 32);
}
