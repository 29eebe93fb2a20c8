/**
 * Logins of registries as docker keeps them: https://docs.docker.com/reference/cli/docker/login/. What is read here goes into a
 * Secret of the cluster or into a fingerprint, and nowhere else.
 */
import { scryptSync } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";
import { isMissing, StepError } from "../lib/errors";
import { expandHome, readOptional } from "../lib/files";
import { run, RunError } from "../lib/run";

/** One login in docker's config file; docker leaves an empty one where a credential helper keeps it. */
export interface AuthEntry {
    /** Base64 of `user:password`. */
    auth?: string;
    username?: string;
    password?: string;
    /** A refresh token of an OAuth2 registry, in the place of a password. */
    identitytoken?: string;
    registrytoken?: string;
}

/** The parts of docker's config file that are about logins. */
export interface DockerConfig {
    auths?: Record<string, AuthEntry | null>;
    credsStore?: string;
    credHelpers?: Record<string, string>;
}

/** What docker calls its own registry among the logins. */
const HUB_KEY = "https://index.docker.io/v1/";

/** The registry (host or host:port) that a key of the config is for. Docker Hub has several names. */
export function registryOfKey(key: string): string {
    const host = key
        .replace(/^https?:\/\//, "")
        .split("/")[0]
        .toLowerCase();
    return ["index.docker.io", "registry-1.docker.io"].includes(host) ? "docker.io" : host;
}

/** The logins for a registry that stand in the file itself, by their keys: a key may name a part of the registry alone. */
export function loginsInFile(config: DockerConfig, registry: string): Record<string, AuthEntry> {
    const wanted = registryOfKey(registry);
    const found: Record<string, AuthEntry> = {};
    for (const [key, entry] of Object.entries(config.auths ?? {})) {
        if (entry === null || registryOfKey(key) !== wanted) continue;
        const { auth, username, password, identitytoken, registrytoken } = entry;
        const filled = Object.entries({ auth, username, password, identitytoken, registrytoken }).filter(
            ([, value]) => typeof value === "string" && value !== "",
        );
        if (filled.length > 0) found[key] = withToken(Object.fromEntries(filled));
    }
    return found;
}

/** The credential helper (`gcloud` of `docker-credential-gcloud`) that is asked for a registry. */
export function helperOf(config: DockerConfig, registry: string): string | undefined {
    const wanted = registryOfKey(registry);
    const own = Object.entries(config.credHelpers ?? {}).find(([key]) => registryOfKey(key) === wanted);
    return own?.[1] ?? config.credsStore;
}

/** The login that a credential helper printed; undefined when it has none. */
export function loginOfHelper(stdout: string): AuthEntry | undefined {
    const { Username, Secret } = JSON.parse(stdout) as { Username?: unknown; Secret?: unknown };
    if (typeof Username !== "string" || typeof Secret !== "string" || Secret === "") return undefined;
    if (Username === "<token>") return withToken({ identitytoken: Secret });
    return { auth: base64(`${Username}:${Secret}`) };
}

/**
 * A login that any kubelet can use. None of them knows a refresh token, but the registry that gives them out to docker, Azure's,
 * takes one as the password of this user: https://learn.microsoft.com/azure/container-registry/container-registry-authentication
 */
function withToken(entry: AuthEntry): AuthEntry {
    if (entry.identitytoken === undefined) return entry;
    return {
        identitytoken: entry.identitytoken,
        auth: base64(`00000000-0000-0000-0000-000000000000:${entry.identitytoken}`),
    };
}

function base64(text: string): string {
    return Buffer.from(text).toString("base64");
}

/** The error for a docker config file that is named and is not there. */
export function noDockerConfig(file: string): StepError {
    return new StepError(
        `dockerConfigFile: ${file} does not exist; \`docker --config <folder> login <registry>\` writes such a file`,
    );
}

/** The config file's content; undefined when there is no such file. An error repeats nothing of it. */
async function readConfig(file: string | undefined): Promise<DockerConfig | undefined> {
    const folder = process.env.DOCKER_CONFIG || join(homedir(), ".docker");
    const path = file === undefined ? join(folder, "config.json") : expandHome(file);
    const text = await readOptional(path);
    if (text === undefined) {
        if (file === undefined) return undefined;
        throw noDockerConfig(file);
    }
    try {
        const config = JSON.parse(text) as unknown;
        if (typeof config === "object" && config !== null && !Array.isArray(config)) return config;
    } catch {
        // What JSON.parse says may quote the text.
    }
    throw new StepError(
        `dockerConfigFile: ${path} is not the JSON object that docker writes; mend it or log in anew`,
    );
}

/** Every login for a registry, by key, as `auths` of a Secret wants them; undefined: there is none. */
export async function loginsOf(
    registry: string,
    file: string | undefined,
): Promise<Record<string, AuthEntry> | undefined> {
    const config = await readConfig(file);
    if (config === undefined) return undefined;
    const helper = helperOf(config, registry);
    const kept = helper === undefined ? undefined : await askHelper(helper, registry);
    if (kept !== undefined) return { [keyOf(registry)]: kept };
    const found = loginsInFile(config, registry);
    return Object.keys(found).length === 0 ? undefined : found;
}

/** Under which name docker, and so a credential helper, keeps a registry's login. */
function keyOf(registry: string): string {
    return registryOfKey(registry) === "docker.io" ? HUB_KEY : registry;
}

/** https://github.com/docker/docker-credential-helpers#development: the registry on standard input, the login as JSON. */
async function askHelper(helper: string, registry: string): Promise<AuthEntry | undefined> {
    if (!/^[A-Za-z0-9][\w.-]*$/.test(helper)) {
        throw new StepError("dockerConfigFile: it names a credential helper that is no program's name");
    }
    const program = `docker-credential-${helper}`;
    try {
        const { stdout } = await run([program, "get"], { input: `${keyOf(registry)}\n`, timeoutSeconds: 60 });
        return loginOfHelper(stdout);
    } catch (error) {
        if (isMissing(error)) {
            throw new StepError(
                `dockerConfigFile: the login for ${registry} is with ${program}, which is not on PATH; install it, or remove ` +
                    "it from credHelpers and credsStore",
            );
        }
        // Its standard output may hold the login, so only the words that all helpers use are looked for in it.
        if (error instanceof RunError && /credentials not found/i.test(error.result.stdout)) return undefined;
        const reason = error instanceof RunError ? error.reason : "it did not print JSON";
        throw new StepError(
            `dockerConfigFile: ${program} could not tell the login for ${registry} (${reason}); run \`${program} get\` to see why`,
        );
    }
}

/**
 * A text that changes with the logins. Slow to make on purpose: whoever comes by it can try no more than some ten passwords a
 * second against it. The salt makes it another one in each stack.
 */
export function fingerprintOf(logins: Record<string, AuthEntry>, salt: string): string {
    const sorted = Object.entries(logins)
        .map(([key, entry]) => [key, Object.entries(entry).sort()])
        .sort(([a], [b]) => (a < b ? -1 : 1));
    // 2^15 and 8: 32 MiB of memory.
    return scryptSync(JSON.stringify(sorted), salt, 32, { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 }).toString(
        "base64",
    );
}
