// What a Wasm node cannot give is refused, and the pod's status and an event say what and why.
import type { KubeObject } from "../lib/api";
import { podOf, probe, type Container, type Pod, type PodSpec } from "../lib/pod";
import { becomes, type Case, type Story } from "../runCase";

const REASON = "UnsupportedOnWasmNode";

function refused(
    what: string,
    message: RegExp,
    parts: { main?: Partial<Container>; spec?: Partial<PodSpec> },
): Case {
    return {
        name: `refused: ${what}`,
        args: ["print", "never"],
        ...parts,
        expect: {
            phase: "Failed",
            reason: REASON,
            message,
            conditions: { ContainersReady: "False PodFailed", Ready: "False PodFailed" },
            events: [REASON],
            notes: [new RegExp(`^Warning ${REASON}: .*${message.source}`)],
        },
    };
}

const exec = { exec: { command: ["true"] } };

export const refusalCases: readonly Case[] = [
    refused("an HTTPS probe", /startupProbe/, {
        main: { startupProbe: { httpGet: { path: "/", port: 80, scheme: "HTTPS" } } },
    }),
    refused("an exec probe", /livenessProbe/, { main: { livenessProbe: exec } }),
    refused("a probe of a sidecar", /sidecar/, {
        spec: {
            initContainers: [probe("sidecar", [], { restartPolicy: "Always", readinessProbe: exec })],
        },
    }),
    refused("a postStart hook", /postStart|lifecycle/, { main: { lifecycle: { postStart: exec } } }),
    refused("a preStop hook", /preStop|lifecycle/, { main: { lifecycle: { preStop: exec } } }),
    refused("hostNetwork", /hostNetwork/, { spec: { hostNetwork: true } }),
    refused("hostPID", /hostPID/, { spec: { hostPID: true } }),
    refused("hostIPC", /hostIPC/, { spec: { hostIPC: true } }),
    refused("shareProcessNamespace", /shareProcessNamespace/, { spec: { shareProcessNamespace: true } }),
    refused("a port of the host", /hostPort/, { main: { ports: [{ containerPort: 80, hostPort: 8080 }] } }),
    refused("a working directory", /workingDir/, { main: { workingDir: "/tmp" } }),
    refused("a privileged container", /privileged/, { main: { securityContext: { privileged: true } } }),
    refused("an nfs volume", /volume shared/, {
        spec: { volumes: [{ name: "shared", nfs: { server: "192.0.2.1", path: "/" } }] },
    }),
    refused("an emptyDir in memory", /volume memory.*medium Memory/, {
        spec: { volumes: [{ name: "memory", emptyDir: { medium: "Memory" } }] },
    }),
    refused("a file of the host", /volume file.*folders only/, {
        spec: { volumes: [{ name: "file", hostPath: { path: "/etc/hostname", type: "File" } }] },
    }),
    refused("a csi volume", /volume driver/, {
        spec: { volumes: [{ name: "driver", csi: { driver: "csi.example.com" } }] },
    }),
    refused(
        "several things at once, in one message",
        /hostNetwork.*livenessProbe|livenessProbe.*hostNetwork/,
        {
            main: { livenessProbe: exec },
            spec: { hostNetwork: true },
        },
    ),
];

export const refusalStories: readonly Story[] = [
    {
        name: "refused: a pod of a ReplicaSet waits instead of failing, or another would take its place at once, for ever",
        async run(world) {
            const labels = { app: "replaced" };
            const { metadata, spec } = podOf(world.namespace, "replaced", {
                labels,
                spec: { hostNetwork: true },
            });
            await world.make({
                kind: "ReplicaSet",
                metadata: { name: "replaced" },
                spec: {
                    replicas: 1,
                    selector: { matchLabels: labels },
                    template: {
                        metadata: { labels: metadata.labels },
                        spec: { ...spec, restartPolicy: "Always" },
                    },
                },
            } as KubeObject);
            const ours = () =>
                world.pods.all().filter(({ metadata: { namespace, labels: its } }) => {
                    return namespace === world.namespace && its?.app === "replaced";
                });
            const pod = await world.until<Pod>("the ReplicaSet's pod", () => ours()[0]);
            await becomes(world, pod, {
                phase: "Pending",
                notes: [new RegExp(`^Warning ${REASON}: .*hostNetwork`)],
            });
            const names = ours().map((one) => one.metadata.name);
            if (names.length !== 1) throw new Error(`there are several: ${names.join(", ")}`);
            await world.api.delete(`/apis/apps/v1/namespaces/${world.namespace}/replicasets/replaced`);
        },
    },
];
