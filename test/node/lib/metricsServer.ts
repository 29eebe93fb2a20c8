// metrics-server, as its own manifest runs it, but as a process of this host: which the API server finds by a Service all the same.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import type { Reporter } from "../../../common/report";
import { programsOf } from "../../programs";
import { underTest } from "../underTest";
import { pathOf, type KubeObject } from "./api";
import type { World } from "./world";

const MODULE = path.join(__dirname, "..", "metricsServer");
const PORT = 18197;

/** The program, from the cache or built now: some minutes with nothing compiled before. */
export async function metricsServer(report?: Reporter): Promise<string> {
    const packages = ["sigs.k8s.io/metrics-server/cmd/metrics-server"];
    const dir = await programsOf("test-metrics-server", MODULE, packages, report);
    return path.join(dir, "metrics-server");
}

const GROUP = { group: "metrics.k8s.io", version: "v1beta1" };

/** Runs `use` while the cluster has a metrics-server. It believes no node whose certificate is not of the cluster's authority. */
export async function withMetricsServer<T>(world: World, folder: string, use: () => Promise<T>): Promise<T> {
    const { kubeconfigFile, node } = underTest();
    const authority = path.join(folder, "ca.crt");
    const { data } = await world.api.get<KubeObject & { data: Record<string, string> }>(
        pathOf("ConfigMap", "kube-system", "kube-root-ca.crt"),
    );
    await fs.writeFile(authority, data["ca.crt"]);
    const kubeconfig = (flag: string) => `--${flag}=${kubeconfigFile}`;
    const log = createWriteStream(path.join(folder, "metrics-server.log"));
    const server = spawn(
        await metricsServer(),
        [
            ...["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"].map(kubeconfig),
            `--bind-address=${node.nodeIp}`,
            `--secure-port=${PORT}`,
            `--cert-dir=${folder}`,
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-use-node-status-port",
            `--kubelet-certificate-authority=${authority}`,
            "--metric-resolution=15s",
        ],
        { stdio: ["ignore", "pipe", "pipe"] },
    );
    server.stdout.pipe(log);
    server.stderr.pipe(log);
    // Else it would end this process, which hears of it by what is not there.
    server.on("error", (error) => log.write(error.message));
    const name = "metrics-server";
    const apiService = {
        kind: "APIService",
        metadata: { name: `${GROUP.version}.${GROUP.group}` },
        spec: {
            ...GROUP,
            groupPriorityMinimum: 100,
            versionPriority: 100,
            insecureSkipTLSVerify: true,
            service: { name, namespace: world.namespace },
        },
    } as KubeObject;
    try {
        await world.make({
            kind: "Service",
            metadata: { name },
            spec: { ports: [{ name: "https", port: 443, targetPort: PORT }] },
        } as KubeObject);
        await world.make({
            kind: "EndpointSlice",
            metadata: { name, labels: { "kubernetes.io/service-name": name } },
            addressType: "IPv4",
            endpoints: [{ addresses: [node.nodeIp] }],
            ports: [{ name: "https", port: PORT, protocol: "TCP" }],
        } as KubeObject);
        await world.api.create(apiService);
        return await use();
    } finally {
        const ended = once(server, "exit");
        if (server.kill()) await ended;
        await world.api.delete(pathOf("APIService", undefined, apiService.metadata.name));
    }
}
