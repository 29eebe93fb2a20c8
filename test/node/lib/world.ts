// What a test file works with: the API server, what runs there, and a namespace of its own.
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { agentFiles } from "../../../steps/node/agent/agent";
import { run, type RunResult } from "../../../steps/lib/run";
import { Api, pathOf, Watched, type KubeObject } from "./api";
import { podOf, statusOf, type KubeEvent, type Pod, type PodParts } from "./pod";
import { underTest } from "../underTest";

/** How long a condition may take that a test does not say more of, in seconds. */
const PATIENCE = 40;

export interface LogOptions {
    container?: string;
    previous?: boolean;
}

/** Where a test's pods run. */
export interface Place {
    nodeName: string;
    nodeIp: string;
    /** The node under test; else kind's own, whose kubelet it is held to. */
    wasm: boolean;
}

/** A file of a pod on its node. */
interface PodFile {
    name: string;
    /** Octal. */
    mode: string;
}

export class World {
    private constructor(
        readonly api: Api,
        readonly pods: Watched<Pod>,
        readonly events: Watched<KubeEvent>,
        /** The namespace of this test file. */
        readonly namespace: string,
        readonly place: Place,
    ) {}

    /** Connects, and makes the namespace. Pods are put on the node under test, or on the one that is named. */
    static async open(namespace: string, nodeName = underTest().node.nodeName): Promise<World> {
        const api = new Api(underTest().kubeconfigFile);
        const { status } = await api.get<NodeObject>(`/api/v1/nodes/${nodeName}`);
        const nodeIp = status.addresses.find(({ type }) => type === "InternalIP")?.address ?? "";
        const pods = new Watched<Pod>(api, "/api/v1/pods");
        const events = new Watched<KubeEvent>(api, "/api/v1/events");
        const wasm = nodeName === underTest().node.nodeName;
        const world = new World(api, pods, events, namespace, { nodeName, nodeIp, wasm });
        await world.makeNamespace(namespace);
        await Promise.all([pods.start(), events.start()]);
        return world;
    }

    async makeNamespace(name: string): Promise<void> {
        await this.api.create({ kind: "Namespace", metadata: { name } });
        // Pods are refused until the controller has made it.
        await this.until(`the default service account of namespace ${name}`, async () => {
            const answer = await this.api.request("GET", pathOf("ServiceAccount", name, "default"));
            return answer.status === 200 ? true : undefined;
        });
    }

    /** Deletes the namespace, and waits until its pods are gone from the API server: what comes next finds the node free of them. */
    async close(): Promise<void> {
        try {
            await this.removePods(this.namespace);
            await this.api.delete(pathOf("Namespace", undefined, this.namespace));
        } finally {
            // An open watch would keep this process for ever.
            await Promise.all([this.pods.stop(), this.events.stop()]);
            this.api.close();
        }
    }

    /** Deletes every pod of a namespace at once, and waits until they are gone. */
    async removePods(namespace: string): Promise<void> {
        await this.api.delete(pathOf("Pod", namespace), 1);
        await this.until(`the end of the pods in ${namespace}`, () =>
            this.pods.all().some((pod) => pod.metadata.namespace === namespace) ? undefined : true,
        );
    }

    /** Makes a pod in this namespace. */
    async start(name: string, parts: PodParts): Promise<Pod> {
        return (await this.api.create(podOf(this.namespace, name, parts, this.place.nodeName))) as Pod;
    }

    /** Makes an object in this namespace. */
    make<T extends KubeObject>(object: T): Promise<T> {
        return this.api.create({
            ...object,
            metadata: { ...object.metadata, namespace: this.namespace },
        });
    }

    remove(pod: Pod, gracePeriodSeconds?: number): Promise<void> {
        return this.api.delete(pathOf("Pod", pod.metadata.namespace, pod.metadata.name), gracePeriodSeconds);
    }

    /** Looks again and again until there is something to return. Never waits without an end. */
    async until<T>(
        what: string,
        look: () => T | undefined | Promise<T | undefined>,
        options: { seconds?: number; explain?: () => string | Promise<string> } = {},
    ): Promise<T> {
        const seconds = options.seconds ?? PATIENCE;
        const deadline = Date.now() + seconds * 1000;
        for (;;) {
            const found = await look();
            if (found !== undefined) return found;
            if (Date.now() > deadline) {
                const why = options.explain ? `\n${await options.explain()}` : "";
                throw new Error(`${what}: not within ${seconds} s${why}`);
            }
            await sleep(100);
        }
    }

    /** Waits until a pod, as the API server has it, is what `test` asks for. */
    async untilPod(pod: Pod, what: string, test: (now: Pod) => boolean, seconds = PATIENCE): Promise<Pod> {
        const uid = pod.metadata.uid ?? "";
        return this.until(
            `pod ${pod.metadata.name}: ${what}`,
            () => {
                const now = this.pods.versions(uid).at(-1);
                return now !== undefined && test(now) ? now : undefined;
            },
            { seconds, explain: () => this.describe(pod) },
        );
    }

    untilRunning(pod: Pod, seconds = PATIENCE): Promise<Pod> {
        return this.untilPod(
            pod,
            "running",
            ({ status }) =>
                status.phase === "Running" &&
                (status.containerStatuses ?? []).every(({ state }) => state?.running !== undefined),
            seconds,
        );
    }

    untilEnded(pod: Pod, seconds = PATIENCE): Promise<Pod> {
        return this.untilPod(
            pod,
            "ended",
            ({ status }) => status.phase === "Succeeded" || status.phase === "Failed",
            seconds,
        );
    }

    /** Waits until the API server has no such pod any more; how long that took from `since`, in seconds. */
    async untilGone(pod: Pod, since: number, seconds = PATIENCE): Promise<number> {
        const uid = pod.metadata.uid ?? "";
        const at = await this.until(`pod ${pod.metadata.name}: gone`, () => this.pods.goneAt(uid), {
            seconds,
            explain: () => this.describe(pod),
        });
        return (at - since) / 1000;
    }

    /** All states that a container was seen in, without repetitions, the newest last. */
    history<T>(pod: Pod, look: (now: Pod) => T | undefined): T[] {
        const found = this.pods.versions(pod.metadata.uid ?? "").flatMap((version) => look(version) ?? []);
        const texts = found.map((one) => JSON.stringify(one));
        return found.filter((_, index) => texts[index] !== texts[index - 1]);
    }

    /** The events of a pod that the node's agent sent, in their order. */
    eventsOf(pod: Pod): KubeEvent[] {
        const time = ({ eventTime, firstTimestamp, metadata }: KubeEvent) =>
            Date.parse(eventTime ?? firstTimestamp ?? metadata.creationTimestamp ?? "");
        return this.events
            .all()
            .filter(({ involvedObject }) => involvedObject.uid === pod.metadata.uid)
            .filter(({ reportingComponent, source }) =>
                [reportingComponent, source?.component].every((name) => name !== "default-scheduler"),
            )
            .sort((one, other) => time(one) - time(other));
    }

    /** A container's log. An answer other than success is returned as its text. */
    async log(pod: Pod, { container = "main", previous = false }: LogOptions = {}): Promise<string> {
        const { namespace, name } = pod.metadata;
        const query = `container=${container}${previous ? "&previous=true" : ""}`;
        const answer = await this.api.request("GET", `${pathOf("Pod", namespace, name)}/log?${query}`);
        return answer.text;
    }

    /** Waits until a container's log is what `test` asks for, and returns it. */
    untilLog(
        pod: Pod,
        what: string,
        test: (log: string) => boolean,
        options: LogOptions & { seconds?: number } = {},
    ): Promise<string> {
        let log = "";
        return this.until(
            `log of pod ${pod.metadata.name}: ${what}`,
            async () => {
                log = await this.log(pod, options);
                return test(log) ? log : undefined;
            },
            { seconds: options.seconds, explain: () => `${log}\n${this.describe(pod)}` },
        );
    }

    /** All that helps to see why a pod is not as it should be. */
    describe(pod: Pod): string {
        const uid = pod.metadata.uid ?? "";
        const now = this.pods.versions(uid).at(-1);
        const gone = this.pods.goneAt(uid) === undefined ? "" : " (gone)";
        const events = this.eventsOf(pod).map(
            ({ type, reason, message }) => `  ${type} ${reason}: ${message}`,
        );
        return [
            `pod ${pod.metadata.namespace}/${pod.metadata.name}${gone}: ${JSON.stringify(now?.status, null, 2)}`,
            `its events:\n${events.join("\n")}`,
            `of the agent's log:\n${agentLogOf(pod)}`,
        ].join("\n");
    }

    /** The files that the node keeps for a pod; links are not followed. */
    async filesOf({ metadata: { uid } }: Pod): Promise<PodFile[]> {
        const { nodeName, wasm } = this.place;
        const find = ["-type", "f", "-printf", "%f %m\\n"];
        const argv = wasm
            ? [
                  "find",
                  path.join(agentFiles(underTest().node.stateDir).dataDir, "pods"),
                  "-path",
                  `*_${uid}/*`,
              ]
            : ["docker", "exec", nodeName, "find", `/var/lib/kubelet/pods/${uid}`];
        // What goes meanwhile, or has gone, is none of them.
        const { stdout } = await run([...argv, ...find], { allowFailure: true, timeoutSeconds: 30 });
        const lines = stdout.split("\n").filter(Boolean);
        return lines.map((line) => {
            const at = line.lastIndexOf(" ");
            return { name: line.slice(0, at), mode: line.slice(at + 1) };
        });
    }

    kubectl(args: string[], options: { input?: string; timeoutSeconds?: number } = {}): Promise<RunResult> {
        return run(["kubectl", `--kubeconfig=${underTest().kubeconfigFile}`, ...args], {
            allowFailure: true,
            timeoutSeconds: 60,
            ...options,
        });
    }

    /** The Node that the pods are on. */
    nodeObject(): Promise<NodeObject> {
        return this.api.get(`/api/v1/nodes/${this.place.nodeName}`);
    }

    /** What the node itself answers, through the API server. */
    node(path: string, method = "GET"): ReturnType<Api["request"]> {
        return this.api.request(method, `/api/v1/nodes/${this.place.nodeName}/proxy/${path}`);
    }
}

/** What of a Node the tests look at. */
export interface NodeObject extends KubeObject {
    spec: { taints?: { key: string }[] };
    status: {
        addresses: { type: string; address: string }[];
        conditions: { type: string; status: string }[];
    };
}

/** The conditions of a Node that hold: `Ready`, and no pressure, as long as all is well. */
export const holding = ({ status: { conditions } }: NodeObject) =>
    conditions.filter(({ status }) => status === "True").map(({ type }) => type);

/** The last lines of the agent's log that name a pod. */
function agentLogOf(pod: Pod): string {
    try {
        const text = readFileSync(agentFiles(underTest().node.stateDir).logFile, "utf8");
        const lines = text.split("\n").filter((line) => line.includes(pod.metadata.name));
        return lines.slice(-10).join("\n");
    } catch {
        return "(no log)";
    }
}

/** Milliseconds since 1970 of a time that the API server wrote. */
export function timeOf(text: string | undefined): number {
    const time = Date.parse(text ?? "");
    if (Number.isNaN(time)) throw new Error(`${text ?? "nothing"} is no time`);
    return time;
}

/** How a container ended, when it has. */
export function terminationOf(pod: Pod, container = "main") {
    return statusOf(pod, container)?.state?.terminated;
}
