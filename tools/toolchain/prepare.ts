import { run } from "../../steps/lib/run";
import { WASI_TARGETS } from "../../steps/workload/target";
import { dockerProblem, problemMessage, rustProblem, type Host, type Problem } from "./advice";
import { AIRGAP_NAME, airgapPrerequisites, ensureDocker, makeTool, type AirgapTool } from "../sources/airgap";
import { buildAgent } from "../sources/agent";
import { forcedSource } from "./decide";
import { readyAlready, toolEnv, type ReadyTool } from "./environment";
import { ensureHome, homeOf, type Home } from "../stack/home";
import { inspectHost } from "./host";
import { readyImages } from "../sources/images";
import { inspect, TOOLS, type InspectedTool, type Inspection, type ToolName } from "./inspect";
import { ChecksumError } from "../lib/download";
import type { Reporter } from "../../common/report";
import { fetchRelease } from "../sources/official";
import { allOrFirstError, oneAfterTheOther, type Plan } from "./plan";
import { installPlugin } from "../sources/plugins";
import { canBuild, SourceChoice } from "../sources/source";
import { PLUGINS, type PluginName } from "../../common/versions";

/** What `prepareTools` made ready. */
export interface Toolchain {
    home: Home;
    /** Environment to run `pulumi`, `kubectl` and the steps with, on top of one's own; undefined: must not be set. */
    env: Record<string, string | undefined>;
    tools: Record<ToolName, ReadyTool>;
}

/** What the tools are wanted for: `destroy` needs neither images nor builds, and does what it can without Docker. */
export interface PrepareOptions {
    purpose?: "up" | "destroy";
    env?: NodeJS.ProcessEnv;
}

/**
 * Makes every tool ready that the stack needs, and the home folder. With all of it there already it takes well under a
 * second. What is missing and only the user can mend is told in one message, before anything is changed.
 */
export async function prepareTools(report: Reporter, options: PrepareOptions = {}): Promise<Toolchain> {
    const { purpose = "up", env = process.env } = options;
    const forced = forcedSource(env);
    const [inspection, host] = await Promise.all([
        inspect(forced, { remember: true }, env),
        inspectHost(env),
    ]);
    const choice = new SourceChoice(forced, env);
    const problems = await problemsOf(inspection, host, choice, purpose);
    if (problems.length > 0) throw new Error(problemMessage(problems));

    const home = homeOf(env);
    await ensureHome(home);
    const make = { report, logDir: home.logs };
    const plan: Plan = { inspection, choice, report, make, inTurn: oneAfterTheOther(), builds: new Map() };
    const tools = readyTools(plan, home);
    const { agent } = inspection.rust;
    if (purpose === "destroy") {
        await allOrFirstError([tools, dockerIfPossible(plan, dockerProblem(inspection.docker, host))]);
        return finish(await tools, agent?.cached ? agent.dir : undefined);
    }
    const work = [tools, readyAgent(plan), readyImages(plan), readyWasiTargets(plan)] as const;
    const [, agentDir] = await allOrFirstError(work);
    return finish(await tools, agentDir);

    async function finish(
        ready: Record<ToolName, ReadyTool>,
        agentDir: string | undefined,
    ): Promise<Toolchain> {
        await tellAirgap(plan, ready);
        return { home, tools: ready, env: toolEnv(home, ready, agentDir, env) };
    }
}

/** What only the user can mend, before anything is changed. */
async function problemsOf(
    inspection: Inspection,
    host: Host,
    choice: SourceChoice,
    purpose: "up" | "destroy",
): Promise<Problem[]> {
    const { node, registry } = inspection.images;
    const lacksTool = TOOLS.some((name) => inspection.tools[name].decision.from === "get");
    const lacksImage = purpose === "up" && [node, registry].some((image) => image.state === "absent");
    const problems =
        purpose === "up" ? [dockerProblem(inspection.docker, host), rustProblem(inspection.rust)] : [];
    if (lacksTool || lacksImage) {
        const { source, because } = await choice.get();
        if (source === "airgap") problems.push(...(await airgapProblems(because)));
    }
    return problems.filter((problem) => problem !== undefined);
}

/** Starts Docker where that is possible; else what needs no Docker goes on. */
async function dockerIfPossible(plan: Plan, problem: Problem | undefined): Promise<void> {
    if (plan.inspection.docker.daemon) return;
    if (!problem) return ensureDocker(plan.make);
    plan.report.warn(
        `${problem.what}: containers cannot be removed now. ${problem.todo}, then run this again.`,
    );
}

async function airgapProblems(because: string): Promise<Problem[]> {
    return (await airgapPrerequisites()).map((missing) => ({
        what: `official releases cannot be had (${because}), and the tools cannot be built from packages either: ${missing}`,
        todo: "Install it, or let this machine reach github.com, dl.k8s.io and Docker Hub",
    }));
}

/** Says at each run which parts are air-gapped builds. */
async function tellAirgap(plan: Plan, tools: Record<ToolName, ReadyTool>): Promise<void> {
    const { node, registry } = plan.inspection.images;
    const names = [
        ...Object.values(tools)
            .filter((tool) => tool.from === "airgap")
            .map((tool) => tool.name),
        ...[node, registry]
            .filter((image) => image.state === "airgap")
            .map(({ image }) => `image ${image.name}`),
    ];
    if (names.length === 0) return;
    const { because } = plan.choice.made ? await plan.choice.get() : { because: undefined };
    plan.report.warn(
        `Air-gapped builds are in use${because ? ` (${because})` : ""}: ${names.join(", ")}. They are made from package ` +
            "registries; the Node.js language host and the plugin command are stand-ins for Pulumi's own (airgap/README.md).",
    );
}

async function readyTools(plan: Plan, home: Home): Promise<Record<ToolName, ReadyTool>> {
    const ready = await allOrFirstError(TOOLS.map((name) => readyTool(plan.inspection.tools[name], plan)));
    const tools = Object.fromEntries(ready.map((tool) => [tool.name, tool])) as Record<ToolName, ReadyTool>;
    for (const name of Object.keys(PLUGINS) as PluginName[]) {
        await installPlugin(name, tools[`plugin-${name}`].dir, home.pulumi);
    }
    return tools;
}

async function readyTool(tool: InspectedTool, plan: Plan): Promise<ReadyTool> {
    const { name, decision } = tool;
    const already = readyAlready(name, decision);
    if (already) return already;
    if (decision.passedOver)
        plan.report.note(`${decision.passedOver}: another one is got, yours stays as it is`);
    const { source } = await plan.choice.get();
    if (source === "official") {
        const dir = await officialRelease(tool, plan);
        if (dir !== undefined) return { name, from: "official", dir };
    }
    return { name, from: "airgap", dir: await airgapBuild(AIRGAP_NAME[name], plan) };
}

/** Several plugins come out of one build. */
function airgapBuild(tool: AirgapTool, plan: Plan): Promise<string> {
    const begun = plan.builds.get(tool) ?? plan.inTurn(() => makeTool(tool, plan.make));
    plan.builds.set(tool, begun);
    return begun;
}

/** The official release, or undefined when it cannot be had and an air-gapped build may take its place. */
async function officialRelease(tool: InspectedTool, plan: Plan): Promise<string | undefined> {
    try {
        if (!tool.release) throw new Error(`there is none for ${process.platform} on ${process.arch}`);
        return await fetchRelease(tool.name, tool.release, plan.report);
    } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (error instanceof ChecksumError || plan.choice.forced || !(await canBuild())) {
            throw new Error(`The official release of ${tool.name} cannot be used: ${message}`, {
                cause: error,
            });
        }
        plan.report.warn(
            `The official release of ${tool.name} cannot be had (${message}). It is built from packages instead.`,
        );
        return undefined;
    }
}

async function readyAgent(plan: Plan): Promise<string> {
    const { rustcText, agent } = plan.inspection.rust;
    if (agent?.cached) return agent.dir;
    return buildAgent(rustcText ?? "", plan.make.logDir, plan.report);
}

/** Without rustup only the first of them must be there (advice.ts): the others are for projects that ask for them. */
async function readyWasiTargets(plan: Plan): Promise<void> {
    const { rustup, wasiTargets } = plan.inspection.rust;
    const missing = WASI_TARGETS.filter((target) => !wasiTargets.includes(target));
    if (missing.length === 0 || !rustup) return;
    const progress = plan.report.start(`Rust target ${missing.join(" and ")}`);
    try {
        await run(["rustup", "target", "add", ...missing], { timeoutSeconds: 600 });
        progress.done();
    } catch (error) {
        progress.fail(`\`rustup target add ${missing.join(" ")}\` failed`);
        throw error;
    }
}
