import * as path from "node:path";
import type { Decision, Source } from "./decide";
import { pulumiEnv, type Home } from "../stack/home";
import { TOOLS, type Inspection, type ToolName } from "./inspect";
import { cacheRoot } from "../../common/cache";
import { prependPath } from "../../common/find";

/** A tool that is ready. */
export interface ReadyTool {
    name: ToolName;
    from: "path" | Source;
    /** Folder that the program is in. */
    dir: string;
}

/** Tools that are ready, by name. */
export type ReadyTools = Partial<Record<ToolName, ReadyTool>>;

/** The tool as it is here already, or undefined when it must be got. */
export function readyAlready(name: ToolName, decision: Decision): ReadyTool | undefined {
    switch (decision.from) {
        case "path":
            return { name, from: "path", dir: path.dirname(decision.file) };
        case "cache":
            return { name, from: decision.source, dir: decision.dir };
        case "get":
            return undefined;
    }
}

/** All tools that are here already. */
export function toolsAlready(inspection: Inspection): ReadyTools {
    const ready = TOOLS.map((name) => readyAlready(name, inspection.tools[name].decision));
    return Object.fromEntries(ready.flatMap((tool) => (tool ? [[tool.name, tool]] : [])));
}

/** Folders of the programs that PATH does not supply by itself. */
export function toolDirs(tools: ReadyTools, agentDir: string | undefined): string[] {
    const programs = [tools.pulumi, tools.kind, tools.kubectl].filter((tool) => tool && tool.from !== "path");
    return [agentDir, ...programs.map((tool) => tool?.dir)].filter((dir) => dir !== undefined);
}

/** Environment, besides PATH, to run `pulumi` and the steps with; undefined: must not be set. */
export function engineEnv(
    home: Home,
    tools: ReadyTools,
    env: NodeJS.ProcessEnv = process.env,
): Record<string, string | undefined> {
    const airgapped = Object.values(tools).some((tool) => tool.from === "airgap");
    return {
        // The program puts the nodes' folders and the kubeconfig into the same home.
        KRUSTLET_STACK_HOME: home.dir,
        ...pulumiEnv(home),
        // By default that is a folder in ~/.kube, which belongs to the user.
        KUBECACHEDIR: home.kubectlCache,
        // There Node.js from 22.1 on keeps what it has compiled of the program and of each step.
        NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE || path.join(cacheRoot(env), "node-compiled"),
        // Where the plugins are made here, the engine must not ask the Internet for others.
        ...(airgapped ? { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" } : {}),
    };
}

/** Environment to run `pulumi`, `kubectl` and the steps with; undefined: must not be set. */
export function toolEnv(
    home: Home,
    tools: ReadyTools,
    agentDir: string | undefined,
    env: NodeJS.ProcessEnv = process.env,
): Record<string, string | undefined> {
    return { ...engineEnv(home, tools, env), PATH: prependPath(toolDirs(tools, agentDir), env.PATH ?? "") };
}

/** What `npm run env` sets besides: the kubeconfig of a stack that is up. */
export function userEnv(kubeconfigFile: string | undefined): Record<string, string> {
    return kubeconfigFile === undefined ? {} : { KUBECONFIG: kubeconfigFile };
}

/** What `npm run env` tells the user: plain `pulumi` in that shell is not the user's own any more. */
export function environmentNotice(home: Home): string {
    return [
        `In this shell Pulumi now has the backend, home and passphrase of ${home.dir}: your other stacks and your login are not seen in it.`,
        "To leave it, close the shell, or open one for it first: `bash`, then the same line, then `exit`.",
        "",
    ].join("\n");
}
