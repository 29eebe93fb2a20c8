// minikube, snap, microk8s, k3d and docker as scripts on PATH: each writes down how it was called, and answers as the real one's source
// has it, from a state that its own commands change.
import {
    chmodSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    rmSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import * as path from "node:path";
import { ApiServer, authority, client } from "../lib/apiServer";

/** What the scripts know. */
interface State {
    /** Clusters by name: whether they run, and k3d's labels. */
    clusters: Record<string, { running: boolean; labels?: Record<string, string> }>;
    /** Command lines that fail, by their beginning, and what they say. */
    failures: Record<string, string>;
    kubeconfig: string;
    gateway: string;
}

const script = `#!/usr/bin/env node
const fs = require("node:fs"), path = require("node:path");
const home = process.env.SCRIPTED_HOME;
const [, file, ...args] = process.argv;
const tool = path.basename(file);
const state = JSON.parse(fs.readFileSync(home + "/state.json", "utf8"));
const save = () => fs.writeFileSync(home + "/state.json", JSON.stringify(state));
const line = [tool, ...args].join(" ");
fs.appendFileSync(home + "/calls", line + "\\n");
const failure = Object.keys(state.failures).find((begin) => line.startsWith(begin));
if (failure) { console.error(state.failures[failure]); process.exit(1); }
const say = (value) => process.stdout.write(typeof value === "string" ? value : JSON.stringify(value));
const option = (name) => args.find((arg) => arg.startsWith("--" + name + "="))?.slice(name.length + 3);
const config = (name) => state.kubeconfig.replaceAll("CONTEXT", name);
const commands = {
    "minikube profile": () => {
        const valid = Object.entries(state.clusters).map(([Name, { running }]) => ({ Name, Status: running ? "OK" : "Stopped", Config: {}, Active: false }));
        say({ invalid: [], valid });
    },
    "minikube start": () => { state.clusters[option("profile")] = { running: true }; save(); console.log("* Done! kubectl is now configured"); },
    "minikube update-context": () => fs.writeFileSync(process.env.KUBECONFIG, config(option("profile"))),
    "minikube delete": () => {
        delete state.clusters[option("profile")]; save();
        fs.rmSync(process.env.MINIKUBE_HOME + "/.minikube/profiles/" + option("profile"), { recursive: true });
    },
    "snap list": () => say(
        "Name      Version  Rev  Tracking       Publisher    Notes\\nsnapd     2.75     1    latest/stable  canonical**  snapd\\n" +
            (state.clusters.microk8s ? "microk8s  v1.36.4  1    1.36/stable    canonical**  classic\\n" : ""),
    ),
    "snap install": () => { state.clusters.microk8s = { running: true }; save(); },
    "snap remove": () => { delete state.clusters.microk8s; save(); fs.rmSync(home + "/common", { recursive: true }); },
    "microk8s status": () => say(state.clusters.microk8s.running ? "microk8s:\\n  running: True\\n" : "microk8s:\\n  running: False\\n"),
    "microk8s start": () => { state.clusters.microk8s.running = true; save(); },
    "microk8s config": () => say(config("microk8s")),
    "k3d cluster": () => {
        const [, what, name] = args;
        if (what === "list") {
            say(Object.entries(state.clusters).map(([name, { running, labels }]) => ({
                name,
                nodes: ["server", "loadbalancer"].map((role) => ({
                    name: "k3d-" + name + "-" + role, role, runtimeLabels: labels, State: { Running: running, Status: running ? "running" : "exited" },
                })),
            })));
        } else if (what === "create") {
            const [key, value] = option("runtime-label").replace("@all", "").split("=");
            state.clusters[name] = { running: true, labels: { [key]: value } }; save();
        } else if (what === "start") { state.clusters[name].running = true; save(); }
        else { delete state.clusters[name]; save(); }
    },
    "k3d kubeconfig": () => say(config("k3d-" + args[2])),
    "docker ps": () => say("0123456789ab\\n"),
    "docker inspect": () => say([{ NetworkSettings: { Networks: { "k3d-demo": {} } } }]),
    "docker network": () => say([{ Name: args[2], IPAM: { Config: [{ Gateway: state.gateway }] } }]),
};
(commands[tool + " " + args[0]] ?? (() => process.exit(64)))();
`;

/** Address of this machine on a network, as a node of a cluster that runs right on it announces it. */
export const ownAddress =
    Object.values(networkInterfaces())
        .flat()
        .find((one) => one?.family === "IPv4" && !one.internal)?.address ?? "127.0.0.1";

export class ScriptedTools {
    readonly folder = mkdtempSync(path.join(tmpdir(), "krustlet-scripted-"));
    readonly api = new ApiServer();
    private readonly before = { ...process.env };
    /** Whether the cluster's node is Ready. */
    ready = true;

    /** Puts them on PATH, alone, with an API server that answers for every cluster. */
    async start(...tools: string[]): Promise<void> {
        await this.api.start();
        this.api.answer = (request, response) => {
            const node = {
                metadata: { name: "node", labels: {} },
                status: {
                    addresses: [{ type: "InternalIP", address: ownAddress }],
                    conditions: [
                        { type: "Ready", status: this.ready ? "True" : "False", message: "no network" },
                    ],
                },
            };
            const dead = { metadata: { name: "wasm", labels: { "kubernetes.io/arch": "wasm32-wasi" } } };
            const answers: Record<string, object> = {
                "/version": { gitVersion: "v1.36.4" },
                "/api/v1/namespaces/kube-system": { metadata: { uid: "cluster-uid" } },
                "/api/v1/nodes": { items: [node, dead] },
            };
            response.end(JSON.stringify(answers[request.url ?? ""] ?? {}));
        };
        const bin = path.join(this.folder, "bin");
        mkdirSync(bin);
        for (const tool of tools) {
            writeFileSync(path.join(bin, tool), script);
            chmodSync(path.join(bin, tool), 0o755);
        }
        symlinkSync(process.execPath, path.join(bin, "node"));
        const base64 = (pem: string) => Buffer.from(pem).toString("base64");
        const entry = (what: string, body: object) => [{ name: "CONTEXT", [what]: body }];
        this.write({
            clusters: {},
            failures: {},
            gateway: "172.20.0.1",
            kubeconfig: JSON.stringify({
                apiVersion: "v1",
                kind: "Config",
                clusters: entry("cluster", {
                    server: this.api.url,
                    "certificate-authority-data": base64(authority.certificate),
                }),
                users: entry("user", {
                    "client-certificate-data": base64(client.certificate),
                    "client-key-data": base64(client.privateKey),
                }),
                contexts: entry("context", { cluster: "CONTEXT", user: "CONTEXT" }),
                "current-context": "CONTEXT",
            }),
        });
        Object.assign(process.env, {
            PATH: `${bin}:/usr/bin:/bin`,
            SCRIPTED_HOME: this.folder,
            MINIKUBE_HOME: this.folder,
        });
    }

    async stop(): Promise<void> {
        process.env = this.before;
        await this.api.stop();
        rmSync(this.folder, { recursive: true });
    }

    private write(state: State): void {
        writeFileSync(path.join(this.folder, "state.json"), JSON.stringify(state));
    }

    change(change: (state: State) => void): void {
        const state = this.state;
        change(state);
        this.write(state);
    }

    get state(): State {
        return JSON.parse(readFileSync(path.join(this.folder, "state.json"), "utf8")) as State;
    }

    /** The command lines since the last call of this. */
    calls(): string[] {
        const file = path.join(this.folder, "calls");
        if (!existsSync(file)) return [];
        const text = readFileSync(file, "utf8");
        rmSync(file);
        return text.trim().split("\n");
    }
}
