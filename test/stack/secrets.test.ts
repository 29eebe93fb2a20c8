/** No secret of a stack is anywhere but in its own file: not in the state, a log, Pulumi's most verbose output, a command line. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { run, type RunResult } from "../../steps/lib/run";
import { withTestRegistry, type TestRegistry } from "../parts";
import { commandLines } from "./commandLines";
import { root, StackUnderTest } from "./stackUnderTest";

const LOGIN = { username: "probe", password: "probe-password" };
const REGISTRY: TestRegistry = {
    name: "krustlet-secrets-registry",
    port: 5106,
    // bcrypt of the password above, as `htpasswd -B` writes it.
    htpasswd: `${LOGIN.username}:$2b$05$920xD3zbUkOp8f7p.F5EFefQNrDGFv417CS/Q/CgcypIOfzvqQcWm`,
};
const NODE = "krustlet-secrets";

/** The files that secrets are for: 0600, each for its readers. All others are searched. */
const keepers = [
    /\/nodes\/[^/]+\/(kubeconfig|bootstrap\.kubeconfig|approver\.kubeconfig|data\/config\/\w+\.key)$/,
    /\/kubeconfig\/krustlet-stack-/,
    /\/(docker|login)\/config\.json$/,
];

/** Secrets by what they are. Text of any of them, at any place, is a leak. */
class Secrets {
    readonly known = new Map<string, string>();

    add(what: string, secret: string | undefined): void {
        if (secret !== undefined && secret.length >= 12) this.known.set(secret, what);
    }

    /** All that a text of a kubeconfig or of a key holds. */
    addFrom(what: string, text: string): void {
        for (const [, token] of text.matchAll(/\btoken"?: *"?([A-Za-z0-9._-]{12,})/g)) {
            this.add(`token of ${what}`, token);
            // The half of a bootstrap token that is secret, and the part of a JSON Web Token that is its signature.
            this.add(`token of ${what}`, token.split(".").at(-1));
        }
        for (const [, data] of text.matchAll(/client-key-data: "?([A-Za-z0-9+/=]+)/g)) {
            this.add(`client-key-data of ${what}`, middle(data));
            this.addFrom(what, Buffer.from(data, "base64").toString("utf8"));
        }
        const pem = /-----BEGIN [A-Z ]*PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END/g;
        for (const [, body] of text.matchAll(pem)) {
            for (const line of body.split(/\s+/)) this.add(`private key of ${what}`, line.slice(0, 40));
        }
    }

    /** What of it a text holds. */
    in(content: Buffer): string[] {
        return [...this.known].filter(([secret]) => content.includes(secret)).map(([, what]) => what);
    }
}

/** A part that tells one key from another: its beginning is the same for all of a kind. */
function middle(text: string): string {
    const from = Math.floor(text.length / 2);
    return text.slice(from, from + 40);
}

/** Looks at files that are there for a moment, again and again, until it is told to stop. */
class Observer {
    private over = false;
    private readonly looking: Promise<void>;

    constructor(secrets: Secrets, nodes: string) {
        this.looking = this.look(secrets, nodes);
    }

    private async look(secrets: Secrets, nodes: string): Promise<void> {
        while (!this.over) {
            await collect(secrets, nodes);
            await sleep(20);
        }
    }

    async stop(): Promise<void> {
        this.over = true;
        await this.looking;
    }
}

/** The secrets in the files of the nodes that are for them. */
async function collect(secrets: Secrets, folder: string): Promise<void> {
    for (const file of await filesIn(folder)) {
        if (!keepers.some((keeper) => keeper.test(file))) continue;
        const text = await fs.readFile(file, "utf8").catch(() => "");
        secrets.addFrom(path.basename(file), text);
    }
}

async function filesIn(folder: string): Promise<string[]> {
    const entries = await fs.readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

void describe("the secrets of a stack", { timeout: 900_000 }, () => {
    const secrets = new Secrets();
    let stack: StackUnderTest;
    let verbose: string;
    let observer: Observer;
    let lines: string[];
    /** What Pulumi printed, by command. */
    const shown = new Map<string, RunResult>();
    /** Where those who push find the login. */
    const login = () => ({ DOCKER_CONFIG: path.join(stack.home, "login") });

    before(async () => {
        stack = await StackUnderTest.create("acceptance-secrets");
        verbose = path.join(stack.home, "verbose.log");
        const auth = Buffer.from(`${LOGIN.username}:${LOGIN.password}`).toString("base64");
        secrets.add("registry's password", LOGIN.password);
        secrets.add("registry's login", auth);
        const logins = path.join(login().DOCKER_CONFIG, "config.json");
        await fs.mkdir(path.dirname(logins), { mode: 0o700 });
        const auths = { [`localhost:${REGISTRY.port}`]: { auth } };
        await fs.writeFile(logins, JSON.stringify({ auths }), { mode: 0o600 });
        // As the Secret that pods pull with holds it; the agent has no login of its own.
        const held = Buffer.from(JSON.stringify({ auths })).toString("base64");
        secrets.add("registry's login in the pull Secret", held);
        await stack.configure({
            clusterName: "krustlet-secrets",
            registryAddress: `localhost:${REGISTRY.port}/team`,
            registryPlainHttp: true,
            nodes: [{ name: NODE, port: 3106, stateDir: path.join(stack.home, "nodes", NODE) }],
            workloads: [{ name: "hello-wasm", source: "workloads/hello-world" }],
        });
        await run([process.execPath, "tools/run.js", "up", "--tools-only", "--stack", stack.name], {
            cwd: root,
            env: { KRUSTLET_STACK_HOME: stack.home },
        });
        const created = await stack.pulumi(`stack init --no-select ${stack.name}`);
        assert.equal(created.exitCode, 0, created.stderr);

        observer = new Observer(secrets, path.join(stack.home, "nodes"));
        const observed = commandLines();
        const env = process.env as Record<string, string>;
        await withTestRegistry({ env }, REGISTRY, async () => {
            const up = `up --yes --skip-preview --stack ${stack.name} --logtostderr --logflow -v=9 >'${verbose}' 2>&1`;
            const { exitCode } = await stack.pulumi(up, login());
            const said = await fs.readFile(verbose, "latin1");
            assert.equal(exitCode, 0, said.slice(-5000));
            for (const command of [
                "stack export",
                "stack output --json",
                "preview --diff --json",
                "up --yes --skip-preview --diff --show-reads --show-sames",
            ])
                shown.set(command, await stack.pulumi(`${command} --stack ${stack.name}`, login()));
        });
        await observer.stop();
        lines = await observed();
        const { kubeconfigFile } = (await stack.outputs()) as { kubeconfigFile: string };
        assert.equal((await fs.stat(kubeconfigFile)).mode & 0o777, 0o600);
        assert.equal((await fs.stat(path.dirname(kubeconfigFile))).mode & 0o777, 0o700);
        secrets.addFrom("the admin kubeconfig", await fs.readFile(kubeconfigFile, "utf8"));
        await collect(secrets, path.join(stack.home, "nodes"));
    });
    after(async () => {
        await observer.stop();
        await stack.remove();
    });

    void it("are known to this test: else it would find nothing", async () => {
        const kinds = new Set(secrets.known.values());
        for (const what of [
            "registry's password",
            "registry's login",
            "registry's login in the pull Secret",
            "token of bootstrap.kubeconfig",
            "client-key-data of kubeconfig",
            "private key of kubeconfig",
            "private key of krustlet.key",
            "client-key-data of the admin kubeconfig",
            "private key of the admin kubeconfig",
            "token of approver.kubeconfig",
        ])
            assert.ok(kinds.has(what), `${what} is not among ${[...kinds].join(", ")}`);
        // And the search itself: the files that are for secrets do hold them.
        const kubeconfig = await fs.readFile(path.join(stack.home, "nodes", NODE, "kubeconfig"));
        assert.notDeepEqual(secrets.in(kubeconfig), []);
    });

    void it("are not in what Pulumi shows of the stack and of an update, in detail", () => {
        for (const [command, { stdout, stderr, exitCode }] of shown) {
            assert.equal(exitCode, 0, `${command}: ${stderr}${stdout}`);
            assert.match(stdout, /krustlet-secrets/, command);
            assert.deepEqual(secrets.in(Buffer.from(stdout + stderr)), [], command);
        }
        assert.equal(shown.size, 4);
    });

    void it("are not in Pulumi's log at its most verbose", async () => {
        const content = await fs.readFile(verbose);
        // It was verbose, and of this run.
        assert.ok(content.length > 100_000 && content.includes("createKindCluster"));
        // Pulumi's engine writes down every property that comes by, secret or not: none of these may come by.
        assert.deepEqual([...new Set(secrets.in(content))], []);
    });

    void it("are not on any command line", () => {
        for (const step of ["createKindCluster", "pushArtifact", "createPullSecret"])
            assert.ok(
                lines.some((line) => line.includes(step)),
                step,
            );
        const found = lines.filter((line) => secrets.in(Buffer.from(line)).length > 0);
        assert.deepEqual(found, []);
    });

    void it("are in no file of the stack but the ones that are for them: not in the state, nor in a log", async () => {
        const files = (await filesIn(stack.home)).filter(
            (file) => file !== verbose && !keepers.some((keeper) => keeper.test(file)),
        );
        for (const part of [/\/backend\/.*\.json$/, /\/agent\.log$/])
            assert.ok(
                files.some((file) => part.test(file)),
                String(part),
            );
        const found: string[] = [];
        for (const file of files)
            found.push(...secrets.in(await fs.readFile(file)).map((what) => `${what}: ${file}`));
        assert.deepEqual(found, []);
    });
});
