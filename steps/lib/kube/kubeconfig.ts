// What is in a kubeconfig file, read by a YAML parser. No error repeats anything that may be secret: a parser's own words would.
import type { load } from "js-yaml";
import { StepError } from "../errors";
import { expandHome, readOptional } from "../files";

/** An entry of one of a kubeconfig's three lists: its name, and what stands under it. */
interface Entry {
    name: string;
    body: Record<string, unknown>;
}

/** A kubeconfig as it stands: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ */
export interface Kubeconfig {
    currentContext: string;
    clusters: Entry[];
    contexts: Entry[];
    users: Entry[];
    /** Names of all its fields. */
    fields: string[];
}

/** Where a context leads: its cluster's fields and its user's. */
export interface ContextParts {
    cluster: Fields;
    user: Fields;
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

/** Reads a kubeconfig file. Throws NoKubeconfig where there is none. */
export async function readKubeconfig(kubeconfigFile: string): Promise<Kubeconfig> {
    const file = expandHome(kubeconfigFile);
    const text = await readOptional(file);
    if (text === undefined) throw new NoKubeconfig(file);
    const config = parseKubeconfig(text);
    if (config instanceof Error) throw new StepError(`kubeconfigFile: ${file} ${config.message}`);
    return config;
}

/** The kubeconfig that a text is; an error that goes on after the file's name when it is none. */
export function parseKubeconfig(text: string): Kubeconfig | Error {
    let value: unknown;
    try {
        value = parseYaml(text);
    } catch (error) {
        const line = (error as { mark?: { line?: number } }).mark?.line;
        const where = line === undefined ? "" : ` (line ${line + 1})`;
        return new Error(`cannot be read as YAML${where}; it must be a kubeconfig`);
    }
    if (!isObject(value))
        return new Error("is no kubeconfig: it must be an object with clusters and contexts");
    const current = value["current-context"] ?? "";
    const lists = [
        entriesOf(value, "clusters", "cluster"),
        entriesOf(value, "contexts", "context"),
        entriesOf(value, "users", "user"),
    ];
    const broken = lists.find((list) => list instanceof Error);
    if (broken instanceof Error) return broken;
    if (typeof current !== "string") return new Error("is no kubeconfig: its current-context must be a name");
    const [clusters, contexts, users] = lists as Entry[][];
    return { currentContext: current, clusters, contexts, users, fields: Object.keys(value) };
}

/** JSON is YAML; what is JSON needs no parser of YAML, which takes some 20 ms to load. */
function parseYaml(text: string): unknown {
    if (text.trimStart().startsWith("{")) {
        try {
            return JSON.parse(text) as unknown;
        } catch {
            // YAML of that form, perhaps.
        }
    }
    // Only here: most of a step's life is its start.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const yaml = require("js-yaml") as { load: typeof load; CORE_SCHEMA: never };
    return yaml.load(text, { schema: yaml.CORE_SCHEMA });
}

function isObject(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function entriesOf(config: Record<string, unknown>, list: string, key: string): Entry[] | Error {
    const wrong = new Error(
        `is no kubeconfig: its ${list} must be a list of entries with a name and a ${key}`,
    );
    const entries = config[list] ?? [];
    if (!Array.isArray(entries)) return wrong;
    const found: Entry[] = [];
    for (const entry of entries as unknown[]) {
        if (!isObject(entry) || typeof entry.name !== "string") return wrong;
        const body = entry[key] ?? {};
        if (!isObject(body)) return wrong;
        found.push({ name: entry.name, body });
    }
    return found;
}

/** Where a context of a kubeconfig leads, by default its current one. `file` is its name in errors. */
export function contextOf(config: Kubeconfig, file: string, context?: string): ContextParts {
    const name = context ?? config.currentContext;
    const fault = (what: string) => new StepError(`kubeconfigFile: ${file} ${what}`);
    if (name === "") throw fault("has no current context; `kubectl config use-context NAME` sets one");
    const found = named(config.contexts, name);
    if (found === undefined) {
        const names = config.contexts.map((one) => one.name).join(", ") || "none";
        throw fault(`has no context "${name}"; it has: ${names}`);
    }
    const of = new Fields(found, `context "${name}"`, file);
    const clusterName = of.text("cluster") ?? "";
    const userName = of.text("user") ?? "";
    const cluster = named(config.clusters, clusterName);
    if (cluster === undefined)
        throw fault(`has no cluster "${clusterName}", which its context "${name}" names`);
    const user = named(config.users, userName);
    if (user === undefined && userName !== "")
        throw fault(`has no user "${userName}", which its context "${name}" names`);
    return {
        cluster: new Fields(cluster, `cluster "${clusterName}"`, file),
        user: new Fields(user ?? {}, `user "${userName}"`, file),
    };
}

function named(entries: Entry[], name: string): Record<string, unknown> | undefined {
    return entries.find((entry) => entry.name === name)?.body;
}

/** The fields of an entry of a kubeconfig, each made sure of when it is asked for. */
export class Fields {
    constructor(
        private readonly body: Record<string, unknown>,
        private readonly entry: string,
        /** The file that it stands in: relative paths begin at its folder. */
        readonly file: string,
    ) {}

    /** A text; undefined where there is none, or an empty one. */
    text(field: string): string | undefined {
        const value = this.body[field] ?? "";
        if (typeof value !== "string") throw this.fault(`${field} must be a text`);
        return value === "" ? undefined : value;
    }

    flag(field: string): boolean {
        const value = this.body[field] ?? false;
        if (typeof value !== "boolean") throw this.fault(`${field} must be true or false`);
        return value;
    }

    texts(field: string): string[] {
        const value = this.body[field] ?? [];
        if (!Array.isArray(value) || value.some((one) => typeof one !== "string"))
            throw this.fault(`${field} must be a list of texts`);
        return value as string[];
    }

    /** The fields below a field; undefined where there are none. */
    below(field: string): Fields | undefined {
        const value = this.body[field] ?? undefined;
        if (value === undefined) return undefined;
        if (!isObject(value)) throw this.fault(`${field} must be an object`);
        return new Fields(value, `${this.entry}: ${field}`, this.file);
    }

    /** The fields of each object in a list. */
    list(field: string): Fields[] {
        const value = this.body[field] ?? [];
        if (!Array.isArray(value) || !value.every(isObject))
            throw this.fault(`${field} must be a list of objects`);
        return value.map((one) => new Fields(one, `${this.entry}: ${field}`, this.file));
    }

    /** Whatever stands there. */
    raw(field: string): unknown {
        return this.body[field];
    }

    fault(what: string): StepError {
        return new StepError(`kubeconfigFile: ${this.file}, ${this.entry}: ${what}`);
    }
}

/** The text of a kubeconfig with one user, in JSON, which is YAML: no parser of that is needed to read it. */
export function newKubeconfig(
    user: { name: string; fields: object },
    cluster: { server: string; certificateAuthorityData: string },
): string {
    const { server, certificateAuthorityData } = cluster;
    const config = {
        apiVersion: "v1",
        kind: "Config",
        clusters: [
            { name: "cluster", cluster: { server, "certificate-authority-data": certificateAuthorityData } },
        ],
        users: [{ name: user.name, user: user.fields }],
        contexts: [{ name: user.name, context: { cluster: "cluster", user: user.name } }],
        "current-context": user.name,
    };
    return `${JSON.stringify(config, null, 2)}\n`;
}

/** What the first user of a kubeconfig has in a field; undefined where the text is no kubeconfig, or has no such thing. */
export function userField(text: string | undefined, field: string): string | undefined {
    const config = text === undefined ? undefined : parseKubeconfig(text);
    if (config === undefined || config instanceof Error) return undefined;
    const value = config.users.at(0)?.body[field];
    return typeof value === "string" ? value : undefined;
}

/** Whether a text is a kubeconfig of the cluster, context and user of that one name and of nothing else; so is an empty text. */
export function isOnlyOf(text: string, name: string): boolean {
    if (text.trim() === "") return true;
    const config = parseKubeconfig(text);
    if (config instanceof Error) return false;
    const { clusters, contexts, users, currentContext, fields } = config;
    const known = ["apiVersion", "kind", "preferences", "current-context", "clusters", "contexts", "users"];
    return (
        clusters.length === 1 &&
        [...clusters, ...contexts, ...users].every((entry) => entry.name === name) &&
        ["", name].includes(currentContext) &&
        fields.every((field) => known.includes(field))
    );
}
