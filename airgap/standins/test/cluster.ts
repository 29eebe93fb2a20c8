// The cluster that the kubernetes stand-in is tested against, and a namespace of its own in it.
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { KubeClient } from "../kubernetes/client";
import { connection, loadKubeconfig } from "../kubernetes/kubeconfig";
import { listAt, textAt, type Props } from "../lib/values";
import { PluginProcess } from "./harness";

/** Contents of the kubeconfig that KRUSTLET_TEST_KUBECONFIG names: an admin's, of a cluster that may be written to. */
export function testKubeconfig(): string {
    const file = process.env.KRUSTLET_TEST_KUBECONFIG;
    if (!file) {
        throw new Error("KRUSTLET_TEST_KUBECONFIG must name the kubeconfig of a cluster to test against");
    }
    return fs.readFileSync(file, "utf8");
}

/** A client beside the plugin, to look at what it did. */
export function testClient(): KubeClient {
    return new KubeClient(connection(loadKubeconfig(testKubeconfig()), {}));
}

export async function startPlugin(settings: Record<string, string> = {}): Promise<PluginProcess> {
    const plugin = await PluginProcess.start("kubernetes");
    const variables = { kubeconfig: testKubeconfig(), ...settings };
    await plugin.configure(
        Object.fromEntries(
            Object.entries(variables).map(([key, value]) => [`kubernetes:config:${key}`, value]),
        ),
    );
    return plugin;
}

export function urnOf(type: string, name = "thing"): string {
    return `urn:pulumi:dev::project::${type}::${name}`;
}

export interface Made {
    id: string;
    state: Props;
    inputs: Props;
}

/** Checks and creates. */
export async function make(
    plugin: PluginProcess,
    urn: string,
    args: Props,
    options: { timeoutSeconds?: number } = {},
): Promise<Made> {
    const { inputs, failures } = await plugin.check(urn, args);
    if (failures.length > 0) {
        throw new Error(failures.join("\n"));
    }
    return { inputs, ...(await plugin.create(urn, inputs, options)) };
}

/** Checks and updates what `make` made. */
export async function change(plugin: PluginProcess, urn: string, made: Made, args: Props): Promise<Made> {
    const { inputs } = await plugin.check(urn, args, made.inputs);
    return { id: made.id, inputs, state: await plugin.update(urn, made.id, made.state, inputs) };
}

/** Brings an image of this machine's Docker into the nodes of a kind cluster. */
export async function loadImage(client: KubeClient, image: string): Promise<void> {
    const nodes = listAt(await client.request("GET", "/api/v1/nodes"), "items");
    const archive = execFileSync("docker", ["save", image], { maxBuffer: 1024 * 1024 * 1024 });
    for (const node of nodes) {
        const name = textAt(node, "metadata", "name");
        execFileSync("docker", ["exec", "-i", name, "ctr", "-n", "k8s.io", "images", "import", "-"], {
            input: archive,
            stdio: ["pipe", "ignore", "inherit"],
        });
    }
}
