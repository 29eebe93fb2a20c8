// npm run status: what of the stack is there and what runs, from the things themselves. Changes nothing.
import * as fs from "node:fs/promises";
import { agentFiles, readRecord } from "../steps/node/agent/agent";
import { approverFiles } from "../steps/node/certificates/approverFiles";
import { readRecordOf, runs, type DaemonRecord } from "../steps/node/daemon/daemon";
import { messageOf } from "../steps/lib/errors";
import { readOptional } from "../steps/lib/files";
import { run } from "../steps/lib/run";
import { filesOf, main, readOptions } from "./cli";
import { forcedSource } from "./toolchain/decide";
import { toolEnv, toolsAlready } from "./toolchain/environment";
import { exists, homeOf, type StackFiles } from "./stack/home";
import { inspect } from "./toolchain/inspect";
import { table } from "./lib/table";
import { readOutputs, type Outputs, type WorkloadOutput } from "./stack/outputs";
import { stackOutputs, type Env } from "./stack/pulumi";

/** Longest wait for one answer, in seconds. */
const ANSWER_SECONDS = 10;

/** One line of the table: kind of thing, name, state, where. */
type Line = [string, string, string, string];

/** What a command prints; its complaint when it fails. */
async function ask(argv: readonly string[], env: Env): Promise<{ ok: boolean; text: string }> {
    try {
        const { exitCode, stdout, stderr } = await run(argv, {
            env,
            allowFailure: true,
            timeoutSeconds: ANSWER_SECONDS,
        });
        if (exitCode === 0) return { ok: true, text: stdout.trim() };
        return { ok: false, text: stderr.trim().split("\n").pop() || `exit code ${exitCode}` };
    } catch (error) {
        return { ok: false, text: messageOf(error).split("\n")[0] };
    }
}

async function clusterLines(outputs: Outputs, env: Env): Promise<Line[]> {
    if (outputs.clusterName === undefined) return [];
    const [containers, server] = await Promise.all([
        ask(
            [
                "docker",
                "ps",
                "--all",
                "--filter",
                `label=io.x-k8s.kind.cluster=${outputs.clusterName}`,
                "--format",
                "{{.Names}}: {{.Status}}",
            ],
            env,
        ),
        ask(["kubectl", ...reaching(outputs), "version", "--output=json"], env),
    ]);
    const version = server.ok
        ? `Kubernetes ${(JSON.parse(server.text) as { serverVersion?: { gitVersion: string } }).serverVersion?.gitVersion}`
        : `the API server does not answer: ${server.text}`;
    return [
        [
            "cluster",
            outputs.clusterName,
            version,
            containers.text.replaceAll("\n", ", ") || "no container of it",
        ],
    ];
}

/** Arguments by which kubectl reaches the stack's cluster, and no other: it would take the user's own for none. */
function reaching({ kubeconfigFile }: Outputs): string[] {
    return ["--kubeconfig", kubeconfigFile ?? "(the stack has no kubeconfigFile)"];
}

/** One Kubernetes object, as `kubectl get` shows it, its header left out. */
async function shown(outputs: Outputs, env: Env, args: readonly string[]): Promise<string> {
    const argv = ["kubectl", ...reaching(outputs), "get", "--no-headers", ...args];
    const { text } = await ask(argv, env);
    return text.replace(/\s{2,}/g, "  ");
}

async function nodeLine(node: string, outputs: Outputs, files: StackFiles, env: Env): Promise<Line> {
    const agent = agentFiles(files.nodeDir(node));
    const columns =
        "--output=custom-columns=" +
        ":.status.conditions[?(@.type=='Ready')].reason,:.status.nodeInfo.kubeletVersion";
    const [record, state] = await Promise.all([
        readRecord(agent),
        shown(outputs, env, ["node", node, columns]),
    ]);
    if (!record) return ["node", node, state, `no agent of it in ${agent.stateDir}`];
    return ["node", node, state, `${await whereIs(record)}, log ${agent.logFile}`];
}

/** What a node's program runs as, and whether it does. */
async function whereIs(record: DaemonRecord): Promise<string> {
    const what = record.container ? `container ${record.container.name}` : `process ${record.pid}`;
    // A daemon that does not answer is told of below.
    const ended = await runs(record).then(
        (does) => !does,
        () => false,
    );
    return ended ? `${what} HAS ENDED` : what;
}

/** What approves the renewals of a node's certificates. */
async function approverLine(node: string, files: StackFiles): Promise<Line> {
    const { pidFile, logFile, contactFile } = approverFiles(files.nodeDir(node));
    const [record, contact] = await Promise.all([readRecordOf(pidFile), readOptional(contactFile)]);
    if (!record) return ["approver", node, "none: renewals wait until `up` has finished", ""];
    const state = `last heard from the API server ${contact?.trim() ?? "never"}`;
    return ["approver", node, state, `${await whereIs(record)}, log ${logFile}`];
}

async function registryLine(address: string): Promise<Line> {
    const scheme = address.startsWith("localhost:") || address.startsWith("127.") ? "http" : "https";
    const [host] = address.split("/");
    const state = await fetch(`${scheme}://${host}/v2/`, {
        signal: AbortSignal.timeout(ANSWER_SECONDS * 1000),
    }).then(
        async ({ status, body }) => {
            // One that does not end would keep this process until the time is up.
            await body?.cancel().catch(() => undefined);
            // 401: it is there and wants a login.
            return status === 200 || status === 401 ? "answers" : `HTTP status ${status}`;
        },
        () => "does not answer",
    );
    return ["registry", address, state, ""];
}

async function workloadLine(workload: WorkloadOutput, outputs: Outputs, env: Env): Promise<Line> {
    const { kind, name, namespace, artifact, url } = workload;
    const state = await shown(outputs, env, [`${kind.toLowerCase()}/${name}`, "--namespace", namespace]);
    const where = [url, artifact].filter((one) => one !== undefined).join(", ");
    return [kind.toLowerCase(), `${namespace}/${name}`, state.replace(`${name}  `, ""), where];
}

async function status(): Promise<number> {
    const options = readOptions(process.argv.slice(2));
    const home = homeOf();
    const files = await filesOf(home, options);
    if (!(await exists(files.state))) {
        process.stdout.write(
            `There is no stack ${files.stack} in ${home.backend}. \`npm run up\` makes it.\n`,
        );
        return 0;
    }
    const inspection = await inspect(forcedSource(process.env), { remember: false });
    const tools = toolsAlready(inspection);
    if (!tools.pulumi || !tools.kubectl)
        throw new Error("pulumi or kubectl is missing: `npm run doctor` says more, `npm run up` gets them");
    const { agent } = inspection.rust;
    const env = toolEnv(home, tools, agent?.cached ? agent.dir : undefined);
    const outputs = readOutputs(await stackOutputs(files, env));
    const rows = await Promise.all([
        clusterLines(outputs, env),
        ...outputs.nodeNames.map((node) =>
            Promise.all([nodeLine(node, outputs, files, env), approverLine(node, files)]),
        ),
        ...(outputs.registryAddress ? [registryLine(outputs.registryAddress).then((line) => [line])] : []),
        ...outputs.workloads.map(async (workload) => [await workloadLine(workload, outputs, env)]),
    ]);
    const { mtime } = await fs.stat(files.state);
    const lines = [
        `Stack ${files.stack} of project ${files.project}, last changed ${mtime.toISOString()}`,
        "",
        rows.flat().length > 0
            ? table([["", "NAME", "STATE", "WHERE"], ...rows.flat()])
            : "It has nothing in it.",
        "",
        `State: ${files.state}`,
        ...(outputs.kubeconfigFile ? [`Kubeconfig: ${outputs.kubeconfigFile}`] : []),
        `Docker ${inspection.docker.problem ? `does not answer (${inspection.docker.problem})` : "answers"}; versions: npm run doctor`,
        `For plain pulumi and kubectl: eval "$(npm run -s env)"`,
    ];
    process.stdout.write(`${lines.join("\n")}\n`);
    return 0;
}

main(status);
