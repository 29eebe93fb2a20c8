/** The stack: what its configuration says, as one WasmStack. */
import { homedir } from "node:os";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { WasmStack } from "./components";
import { stackArgs } from "./components/stack/stackConfig";

const project = `${pulumi.getProject()}:`;
const config = Object.entries(pulumi.runtime.allConfig())
    .filter(([key]) => key.startsWith(project))
    .map(([key, value]) => [key.slice(project.length), value]);
// The names of those with a secret in them come beside their values: PULUMI_CONFIG_SECRET_KEYS is the SDK's own source.
const secretKeys = JSON.parse(process.env.PULUMI_CONFIG_SECRET_KEYS ?? "[]") as string[];

// `npm run up` keeps everything of a run in this folder; the default one is left to the components, which name it by `~`.
const home = process.env.KRUSTLET_STACK_HOME;
const ownHome = home && path.resolve(home) !== path.join(homedir(), ".local/state/krustlet-stack");

const stack = new WasmStack(
    "wasm",
    stackArgs({
        values: Object.fromEntries(config) as Record<string, string>,
        secretKeys: secretKeys.map((key) => key.slice(key.indexOf(":") + 1)),
        home: ownHome ? path.resolve(home) : undefined,
    }),
);

/** File of the cluster's admin kubeconfig: `export KUBECONFIG=$(pulumi stack output kubeconfigFile)`. */
export const kubeconfigFile = stack.kubeconfigFile;
export const clusterName = stack.clusterName;
export const nodeNames = stack.nodeNames;
export const registryAddress = stack.registryAddress;
/** Each workload's module, by digest. */
export const artifacts = stack.artifacts;
/** Kind, name, namespace and logs command of each workload. */
export const workloads = stack.workloads;
/** Shows the first workload's log. */
export const logsCommand = pulumi.all([kubeconfigFile, workloads]).apply(([file, all]) => {
    const first = Object.values(all)[0];
    return first && `KUBECONFIG='${file}' ${first.logsCommand}`;
});
