// The network of the node image that is made here does what the official one's does: pods on two nodes reach each other by address, by
// Service and by name, the host and the API server reach them, and so does a node that kind has not made.
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { GO_ENVIRONMENT } from "../../common/go";
import { ROOT } from "../../common/root";
import { NODE_IMAGE } from "../../common/versions";
import { run } from "../../steps/lib/run";
import { createPlainCluster } from "../plainCluster";
import { until } from "../until";

const CLUSTER = "krustlet-network-test";
const CONTROL_PLANE = `${CLUSTER}-control-plane`;
const WORKER = `${CLUSTER}-worker`;
/** A container on kind's network whose pods' addresses are none of an interface's. */
const OTHER = `${CLUSTER}-other`;
const PROBE = "krustlet-stack/network-test:1";
const PORT = 8080;
const NODE_PORT = 30080;

const pod = (name: string, node: string) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: name } },
    spec: {
        nodeSelector: { "kubernetes.io/hostname": node },
        tolerations: [{ operator: "Exists" }],
        terminationGracePeriodSeconds: 0,
        containers: [{ name: "probe", image: PROBE, args: ["serve"] }],
    },
});
const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "server" },
    spec: {
        type: "NodePort",
        selector: { app: "server" },
        ports: [{ port: 80, targetPort: PORT, nodePort: NODE_PORT }],
    },
};

void describe("the network of the kind node image", { timeout: 600_000 }, () => {
    let folder: string;
    let kubeconfig: string;
    let removeCluster: () => Promise<void>;

    const kubectl = async (args: string[], input?: object) =>
        (
            await run(["kubectl", `--kubeconfig=${kubeconfig}`, ...args], {
                ...(input && { input: JSON.stringify(input) }),
                timeoutSeconds: 150,
            })
        ).stdout.trim();
    const apply = (items: object[]) =>
        kubectl(["apply", "--filename=-"], { apiVersion: "v1", kind: "List", items });
    const field = (what: string, jsonpath: string) =>
        kubectl(["get", ...what.split(" "), `--output=jsonpath={${jsonpath}}`]);
    const podAddress = (name: string) => field(`pod ${name}`, ".status.podIP");
    const nodeAddress = (name: string) =>
        field(`node ${name}`, '.status.addresses[?(@.type=="InternalIP")].address');
    /** What the program says in a pod. */
    const probe = (name: string, ...args: string[]) => kubectl(["exec", name, "--", "/probe", ...args]);
    /** The same of a Service, which is there some time after its pods are Ready. */
    const reached = (name: string, host: string) => async () =>
        (await probe(name, "get", `http://${host}`).catch(() => "")) || undefined;
    const docker = async (...args: string[]) => (await run(["docker", ...args])).stdout.trim();
    const routeOn = (node: string, range: string) => docker("exec", node, "ip", "route", "show", range);

    async function makeProbe(): Promise<void> {
        const go = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", path.join(folder, "probe"), "."];
        await run(go, { cwd: path.join(ROOT, "test/nodeImage/probe"), env: GO_ENVIRONMENT });
        await run(["tar", "-cf", "probe.tar", "probe"], { cwd: folder });
        await docker("import", '--change=ENTRYPOINT ["/probe"]', path.join(folder, "probe.tar"), PROBE);
        await run(["kind", "load", "docker-image", `--name=${CLUSTER}`, PROBE]);
    }

    before(async () => {
        folder = await fs.mkdtemp(path.join(os.tmpdir(), `${CLUSTER}-`));
        kubeconfig = path.join(folder, "kubeconfig");
        await run(["docker", "rm", "--force", OTHER], { allowFailure: true });
        removeCluster = await createPlainCluster(CLUSTER, kubeconfig, 1);
        await makeProbe();
        await apply([pod("client", CONTROL_PLANE), pod("server", WORKER), service]);
        await kubectl(["wait", "--for=condition=Ready", "pod/client", "pod/server", "--timeout=120s"]);
    });

    after(async () => {
        await run(["docker", "rm", "--force", OTHER], { allowFailure: true });
        await removeCluster();
        await docker("image", "rm", "--force", PROBE);
        await fs.rm(folder, { recursive: true, force: true });
    });

    void it("every part of it is ready on each node", async () => {
        for (const part of ["deployment/coredns", "daemonset/kube-proxy", "daemonset/pod-network"])
            await kubectl(["rollout", "status", part, "--namespace=kube-system", "--timeout=120s"]);
        assert.equal(await field("daemonset kube-proxy --namespace=kube-system", ".status.numberReady"), "2");
    });

    void it("a pod reaches one on another node by its address, and by its own", async () => {
        const [client, server] = [await podAddress("client"), await podAddress("server")];
        const seen = await probe("client", "get", `http://${server}:${PORT}`);
        assert.equal(seen, `server ${client} ${server}`);
    });

    void it("a pod reaches a Service by its address, from another node, from the same, and itself", async () => {
        const address = await field("service server", ".spec.clusterIP");
        const server = await podAddress("server");
        for (const name of ["client", "server"]) {
            const seen = await until(`the Service in pod ${name}`, reached(name, address), 30);
            assert.match(seen, /^server /, name);
            assert.ok(seen.endsWith(` ${server}`), seen);
        }
    });

    void it("a pod reaches a Service by its name", async () => {
        const [server, api] = [
            await field("service server", ".spec.clusterIP"),
            await field("service kubernetes", ".spec.clusterIP"),
        ];
        assert.equal(await probe("client", "lookup", "kubernetes.default.svc.cluster.local"), api);
        for (const name of ["client", "server"])
            assert.equal(await probe(name, "lookup", "server.default"), server, name);
        assert.match(await probe("client", "get", "http://server"), /^server /);
    });

    void it("the host reaches it by NodePort on every node", async () => {
        for (const node of [CONTROL_PLANE, WORKER]) {
            const response = await fetch(`http://${await nodeAddress(node)}:${NODE_PORT}`);
            assert.match(await response.text(), /^server /, node);
        }
    });

    void it("the API server reaches pod and Service", async () => {
        for (const what of [`pods/server:${PORT}`, "services/server:80"]) {
            const seen = await kubectl(["get", "--raw", `/api/v1/namespaces/default/${what}/proxy/`]);
            assert.match(seen, /^server /, what);
        }
    });

    void it("reaches the pods of a node that kind has not made, where it moves to, until it goes", async () => {
        const image = `${NODE_IMAGE.name}:${NODE_IMAGE.tag}`;
        const start = ["run", "--detach", `--name=${OTHER}`, `--hostname=${OTHER}`, "--network=kind"];
        await docker(...start, "--cap-add=NET_ADMIN", "--entrypoint=sleep", image, "infinity");
        await docker("cp", path.join(folder, "probe"), `${OTHER}:/probe`);
        await docker("exec", "--detach", OTHER, "/probe", "serve");
        const format = "{{.NetworkSettings.Networks.kind.IPAddress}}";
        const address = await docker("inspect", `--format=${format}`, OTHER);
        await apply([{ apiVersion: "v1", kind: "Node", metadata: { name: OTHER } }]);
        const range = await until(
            "its podCIDR",
            async () => (await field(`node ${OTHER}`, ".spec.podCIDR")) || undefined,
        );
        const setStatus = (what: string, status: object) =>
            kubectl([
                ...["patch", ...what.split(" "), "--subresource=status"],
                `--patch=${JSON.stringify({ status })}`,
            ]);
        const routed = (what: string, fits: (route: string) => boolean) =>
            until(what, async () => {
                const routes = await Promise.all([CONTROL_PLANE, WORKER].map((node) => routeOn(node, range)));
                return routes.every(fits) || undefined;
            });
        for (const at of [address.replace(/\d+$/, "250"), address]) {
            await setStatus(`node ${OTHER}`, { addresses: [{ type: "InternalIP", address: at }] });
            await routed(`a route by way of ${at}`, (route) => route.includes(` via ${at} `));
        }

        // No interface has these addresses: all of the range are the container's own.
        await docker("exec", OTHER, "ip", "route", "add", "local", range, "dev", "lo");
        for (const node of [CONTROL_PLANE, WORKER]) {
            const back = await field(`node ${node}`, ".spec.podCIDR");
            await docker("exec", OTHER, "ip", "route", "add", back, "via", await nodeAddress(node));
        }
        const podIP = range.replace(/0\/\d+$/, "9");
        for (const name of ["client", "server"]) {
            const seen = await probe(name, "get", `http://${podIP}:${PORT}`);
            assert.equal(seen, `${OTHER} ${await podAddress(name)} ${podIP}`);
        }

        const { spec, ...elsewhere } = pod("elsewhere", OTHER);
        const ports = [{ port: 80, targetPort: PORT }];
        await apply([
            { ...elsewhere, spec: { ...spec, nodeName: OTHER } },
            { ...service, metadata: { name: "elsewhere" }, spec: { selector: { app: "elsewhere" }, ports } },
        ]);
        const conditions = [{ type: "Ready", status: "True" }];
        await setStatus("pod elsewhere", { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions });
        const proxy = `/api/v1/namespaces/default/pods/elsewhere:${PORT}/proxy/`;
        const seen = await kubectl(["get", "--raw", proxy]);
        assert.equal(seen, `${OTHER} ${await nodeAddress(CONTROL_PLANE)} ${podIP}`);
        const byName = await until("its Service", reached("client", "elsewhere"));
        assert.equal(byName, `${OTHER} ${await podAddress("client")} ${podIP}`);

        await kubectl(["delete", "pod", "elsewhere", "--force", "--grace-period=0"]);
        await kubectl(["delete", "node", OTHER]);
        await routed("no route", (route) => route === "");
    });
});
