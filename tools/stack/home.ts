import { randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { pathToFileURL } from "node:url";
import * as yaml from "js-yaml";
import { readOptional, writePrivate } from "../../steps/lib/files";

/**
 * The home folder of the stacks (`KRUSTLET_STACK_HOME`, by default `~/.local/state/krustlet-stack`): all that a run leaves
 * besides the cache; the program puts the nodes' folders and the cluster's kubeconfig into it too.
 */
export interface Home {
    /** The folder itself, mode 0700. */
    dir: string;
    /** PULUMI_HOME: plugins, and which stack is selected in which project folder. */
    pulumi: string;
    /** State of the stacks: Pulumi's local backend. */
    backend: string;
    /** Encrypts the secrets in that state. A random line, mode 0600. */
    passphrase: string;
    /** Log files of the last runs, mode 0600. */
    logs: string;
    /** What kubectl remembers of clusters' APIs. */
    kubectlCache: string;
}

export function homeOf(env: NodeJS.ProcessEnv = process.env): Home {
    const dir = path.resolve(
        env.KRUSTLET_STACK_HOME || path.join(os.homedir(), ".local", "state", "krustlet-stack"),
    );
    return {
        dir,
        pulumi: path.join(dir, "pulumi"),
        backend: path.join(dir, "backend"),
        passphrase: path.join(dir, "passphrase"),
        logs: path.join(dir, "logs"),
        kubectlCache: path.join(dir, "kubectl-cache"),
    };
}

/** One stack of one project, and its files in the home folder. */
export interface StackFiles {
    project: string;
    stack: string;
    /** Folder of the project: where Pulumi.yaml is. */
    cwd: string;
    /** The project's own `Pulumi.<stack>.yaml`; it need not exist. */
    config: string;
    /** Folder that holds a copy of Pulumi.yaml and of the configuration, with the encryption salt. */
    configDir: string;
    /** That copy of the configuration. */
    configCopy: string;
    /** Names what a run may have deleted, until Pulumi has looked for it. */
    maybeDeleted: string;
    /** The state file, written by Pulumi. */
    state: string;
    /** Folder in which that backend tells of each run. */
    history: string;
    /** Folder of Pulumi's locks of the stack. */
    locks: string;
    /** What Pulumi printed when a command was run last. */
    logOf(command: "up" | "down"): string;
    /** Folder of a node of the stack, where the program puts it unless its configuration says otherwise. */
    nodeDir(node: string): string;
}

export function stackFiles(home: Home, project: string, stack: string, cwd: string): StackFiles {
    const configDir = path.join(home.dir, "config", project);
    return {
        project,
        stack,
        cwd,
        config: path.join(cwd, `Pulumi.${stack}.yaml`),
        configDir,
        configCopy: path.join(configDir, `Pulumi.${stack}.yaml`),
        maybeDeleted: path.join(configDir, `${stack}.maybe-deleted.json`),
        state: path.join(home.backend, ".pulumi", "stacks", project, `${stack}.json`),
        history: path.join(home.backend, ".pulumi", "history", project, stack),
        locks: path.join(home.backend, ".pulumi", "locks", "organization", project, stack),
        logOf: (command) => path.join(home.logs, `${project}-${stack}-${command}.log`),
        nodeDir: (node) => path.join(home.dir, "nodes", `${project}-${stack}-${node}`),
    };
}

/** The project's name, from the text of its Pulumi.yaml. */
export function projectName(pulumiYaml: string): string {
    const match = /^name:[ \t]*["']?([A-Za-z0-9_.-]+)["']?[ \t]*(?:#.*)?$/m.exec(pulumiYaml);
    if (!match) throw new Error("Pulumi.yaml has no name");
    return match[1];
}

/** Throws unless the text can be the name of a stack. It becomes part of file names. */
export function checkStackName(stack: string): void {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/.test(stack)) {
        throw new Error(
            `"${stack}" cannot be the name of a stack: use letters, digits, "-", "_" and ".", for example dev`,
        );
    }
}

export async function exists(file: string): Promise<boolean> {
    return fs.access(file).then(
        () => true,
        () => false,
    );
}

/** Is there any stack in the backend? */
export async function hasStacks(home: Home): Promise<boolean> {
    const stacks = path.join(home.backend, ".pulumi", "stacks");
    const entries = await fs.readdir(stacks, { recursive: true }).catch(() => [] as string[]);
    return entries.some((name) => name.endsWith(".json"));
}

/** Makes the home folder with what every stack needs. Safe to run again, and by two runs at once. */
export async function ensureHome(home: Home): Promise<void> {
    for (const dir of [home.dir, home.pulumi, home.backend, home.logs]) {
        await fs.mkdir(dir, { recursive: true, mode: 0o700 });
    }
    await ensurePassphrase(home);
}

/**
 * Makes the passphrase when there is none: 32 random bytes in a file that only the user can read. It takes its name when
 * it is complete, and never replaces another one: without the first, the state's secrets could not be read again.
 */
async function ensurePassphrase(home: Home): Promise<void> {
    const found = await readOptional(home.passphrase);
    if (found !== undefined) {
        if (found.trim() === "") {
            throw new Error(
                `${home.passphrase} is empty. Put the passphrase back that the stacks were made with.`,
            );
        }
        return;
    }
    if (await hasStacks(home)) {
        throw new Error(
            `${home.passphrase} is gone, but ${home.backend} holds stacks whose secrets it protects. ` +
                "Put it back from a backup. If it is lost: remove the stacks' clusters by hand (`kind delete cluster`), " +
                "then delete that backend folder.",
        );
    }
    const temporary = `${home.passphrase}.${process.pid}-${randomBytes(4).toString("hex")}`;
    try {
        await fs.writeFile(temporary, `${randomBytes(32).toString("base64url")}\n`, {
            mode: 0o600,
            flag: "wx",
        });
        await fs.link(temporary, home.passphrase).catch((error: NodeJS.ErrnoException) => {
            if (error.code !== "EEXIST") throw error;
        });
    } finally {
        await fs.rm(temporary, { force: true });
    }
}

/** Environment that makes `pulumi` work on this home folder; undefined: must not be set. */
export function pulumiEnv(home: Home): Record<string, string | undefined> {
    return {
        PULUMI_HOME: home.pulumi,
        PULUMI_BACKEND_URL: pathToFileURL(home.backend).href,
        PULUMI_CONFIG_PASSPHRASE_FILE: home.passphrase,
        // Pulumi prefers this one to the file.
        PULUMI_CONFIG_PASSPHRASE: undefined,
        PULUMI_SKIP_UPDATE_CHECK: "true",
        // No offers of help from a service at the end of each run.
        PULUMI_SUPPRESS_NEO_LINK: "true",
    };
}

/** A stack's configuration file as an object; undefined when it is no YAML mapping, which Pulumi itself will say best. */
function readConfig(text: string): Record<string, unknown> | undefined {
    try {
        const parsed = yaml.load(text, { schema: yaml.CORE_SCHEMA }) ?? {};
        return typeof parsed === "object" && !Array.isArray(parsed)
            ? (parsed as Record<string, unknown>)
            : undefined;
    } catch {
        return undefined;
    }
}

/** The encryption salt in a stack's configuration file: its secrets are encrypted with this and the home's passphrase. */
export function saltOf(config: string | undefined): string | undefined {
    const salt = config === undefined ? undefined : readConfig(config)?.encryptionsalt;
    return typeof salt === "string" ? salt : undefined;
}

/**
 * The configuration that `npm run up` works with: the project's own, with the encryption salt that Pulumi wrote into the
 * copy before, unless the project's file has one. The salt belongs to this machine's passphrase, so it is kept out of the
 * committed file.
 */
export function mergeConfig(config: string, previousCopy: string | undefined): string {
    const salt = saltOf(previousCopy);
    const parsed = readConfig(config);
    if (salt === undefined || parsed === undefined || saltOf(config) !== undefined) return config;
    return yaml.dump({ encryptionsalt: salt, ...parsed }, { schema: yaml.CORE_SCHEMA, lineWidth: -1 });
}

/** Writes a file that only the user can read, and the folder that it is in. */
async function writeInHome(file: string, content: string): Promise<void> {
    await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writePrivate(file, content);
}

/** Makes the copy of the project's configuration anew. */
export async function refreshConfigCopy(files: StackFiles): Promise<void> {
    const merged = mergeConfig(
        (await readOptional(files.config)) ?? "",
        await readOptional(files.configCopy),
    );
    await writeInHome(files.configCopy, merged);
    await writeInHome(
        path.join(files.configDir, "Pulumi.yaml"),
        await fs.readFile(path.join(files.cwd, "Pulumi.yaml"), "utf8"),
    );
}
