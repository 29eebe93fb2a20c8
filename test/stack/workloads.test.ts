/** Workloads of every kind in one stack: they come up, roll out, and say what is wrong when they do not. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { noSchedules, schedules } from "../unit/components/workload/schedules";
import { root, StackUnderTest } from "./stackUnderTest";

const NODE = "krustlet-workloads";

type Item = Record<string, unknown> & { name: string };
interface Listed {
    items: {
        metadata: {
            name: string;
            uid: string;
            labels: { app: string };
            annotations?: Record<string, string>;
        };
        spec: { nodeName?: string };
        status: { phase?: string };
    }[];
}

const hello = { source: "workloads/hello-world" };
const clock = { source: "workloads/ticker" };
/** Nobody else in the suites listens there. */
const server = {
    source: "workloads/hello-http",
    kind: "Deployment",
    ports: [{ containerPort: 18190, name: "http" }],
    probes: { readiness: { httpGet: { path: "/" }, periodSeconds: 1 } },
    service: { port: 80 },
};
const origins = "alpha.wasi.krustlet.dev/allowed-domains";

void describe("workloads of every kind", { timeout: 1_800_000 }, () => {
    let stack: StackUnderTest;
    const workloads: Item[] = [
        { name: "each-node", kind: "DaemonSet", ...clock, limits: { memory: "64Mi", cpu: "100m" } },
        { name: "greets", ...server },
        { name: "idle", kind: "Deployment", replicas: 0, ...hello },
        { name: "nightly", kind: "CronJob", schedule: "0 3 * * *", ...hello },
        { name: "once", kind: "Job", ...hello },
        {
            ...{
                name: "pair",
                kind: "Deployment",
                replicas: 2,
                ...clock,
                allowedDomains: ["https://one.example"],
            },
            ...{ labels: { tier: "front" }, annotations: { "example.com/owner": "team a" } },
        },
        { name: "plain", ...clock, allowedDomains: ["https://one.example"] },
    ];
    const configure = (items: Item[]) =>
        stack.configure({
            clusterName: "krustlet-workloads",
            registryPort: 5116,
            nodes: [{ name: NODE, port: 3116 }],
            clusterPortMappings: [{ containerPort: 30190, hostPort: 18192 }],
            workloads: items,
        });
    const up = async (items: Item[]) => {
        await configure(items);
        return stack.npmRun("up");
    };
    const pods = async () =>
        (JSON.parse(await stack.kubectl("get", "pods", "--output", "json")) as Listed).items;
    const podsOf = async (app: string) => (await pods()).filter((pod) => pod.metadata.labels.app === app);
    const without = (name: string) => workloads.filter((one) => one.name !== name);

    before(async () => {
        stack = await StackUnderTest.create("workloads");
    });
    after(async () => {
        await stack.remove();
    });

    void it("come up together, and show their logs where there are any", async () => {
        const { stdout, stderr, exitCode } = await up(workloads);
        assert.equal(exitCode, 0, stdout + stderr);
        assert.match(
            stdout + stderr,
            /CronJob default\/wasm-nightly-cronjob-\w+ has not run yet; see its schedule/,
        );
        assert.match(
            stdout + stderr,
            /Deployment default\/wasm-idle-deployment-\w+ has no pods: its replicas are 0/,
        );
        assert.match(stdout, /\nHello, World!\n/);
        const labelled = JSON.parse(
            await stack.kubectl("get", "deployments,pods", "--selector", "tier=front", "--output", "json"),
        ) as Listed;
        assert.deepEqual(
            labelled.items.map(({ metadata }) => metadata.annotations?.["example.com/owner"]),
            ["team a", "team a", "team a"],
        );
        const found = (await pods()).map(({ metadata, spec, status }) => {
            return `${metadata.labels.app} ${spec.nodeName} ${status.phase}`;
        });
        assert.deepEqual(found.sort(), [
            `each-node ${NODE} Running`,
            `greets ${NODE} Running`,
            `once ${NODE} Succeeded`,
            `pair ${NODE} Running`,
            `pair ${NODE} Running`,
            `plain ${NODE} Running`,
        ]);
    });

    void it("do not change by themselves, nor by a refresh", async () => {
        const refresh = await stack.pulumi(`refresh --yes --stack ${stack.name} --expect-no-changes`);
        assert.equal(refresh.exitCode, 0, refresh.stdout + refresh.stderr);
        const preview = await stack.pulumi(`preview --stack ${stack.name} --expect-no-changes`);
        assert.equal(preview.exitCode, 0, preview.stdout + preview.stderr);
    });

    void it("roll out when only what they may reach has changed", async () => {
        const old = await pods();
        const changed = workloads.map((one) =>
            "allowedDomains" in one ? { ...one, allowedDomains: ["https://two.example"] } : one,
        );
        const { stdout, stderr, exitCode } = await up(changed);
        assert.equal(exitCode, 0, stdout + stderr);
        for (const { name } of workloads) {
            const now = (await podsOf(name)).filter(({ status }) => status.phase !== "Failed");
            const known = old
                .filter((pod) => pod.metadata.labels.app === name)
                .map((pod) => pod.metadata.uid);
            const kept = now.filter((pod) => known.includes(pod.metadata.uid));
            const rolls = name === "pair" || name === "plain";
            assert.equal(kept.length, rolls ? 0 : known.length, name);
            if (!rolls) continue;
            assert.equal(now.length, known.length, name);
            for (const pod of now)
                assert.equal(pod.metadata.annotations?.[origins], '["https://two.example"]');
        }
        const back = await up(workloads);
        assert.equal(back.exitCode, 0, back.stdout + back.stderr);
    });

    const ask = () =>
        stack.kubectl("get", "--raw", "/api/v1/namespaces/default/services/greets:80/proxy/you");

    void it("that answer requests are reached by their Service, and give their port to their successors", async () => {
        assert.equal(await ask(), "Hello, you!\n");
        const { workloads: told } = (await stack.outputs()) as { workloads: Record<string, object> };
        const { serviceName, url } = told.greets as Record<string, string>;
        assert.deepEqual([serviceName, url], ["greets", "http://greets.default.svc:80"]);

        const changed = { name: "greets", ...server, env: { GREETING: "Good day" } };
        const { stdout, stderr, exitCode } = await up([...without("greets"), changed]);
        assert.equal(exitCode, 0, stdout + stderr);
        assert.match(stdout + stderr, /Pods of the cluster reach it at http:\/\/greets\.default\.svc:80/);
        assert.equal(await ask(), "Good day, you!\n");
        assert.equal((await podsOf("greets")).length, 1);
        const back = await up(workloads);
        assert.equal(back.exitCode, 0, back.stdout + back.stderr);
        const taken = { ...changed, name: "same-port" };
        const refused = await up([...workloads, taken]);
        assert.notEqual(refused.exitCode, 0);
        assert.match(
            refused.stdout + refused.stderr,
            /ports\[0\]\.containerPort: 18190 is workloads\[\d\]'s: /,
        );
    });

    void it("and have a port of the nodes are reached at this host's port that leads there, which is their URL", async () => {
        const service = { port: 80, type: "NodePort", nodePort: 30190 };
        const exposed = await up([...without("greets"), { name: "greets", ...server, service }]);
        assert.equal(exposed.exitCode, 0, exposed.stdout + exposed.stderr);
        const { workloads: told } = (await stack.outputs()) as { workloads: Record<string, { url: string }> };
        assert.equal(told.greets.url, "http://localhost:18192");
        const { stdout } = await run([
            "curl",
            "--silent",
            "--fail",
            "--max-time",
            "10",
            `${told.greets.url}/you`,
        ]);
        assert.equal(stdout, "Hello, you!\n");
        const back = await up(workloads);
        assert.equal(back.exitCode, 0, back.stdout + back.stderr);
        await assert.rejects(
            run(["curl", "--silent", "--fail", "--max-time", "10", told.greets.url]),
            /exit code/,
        );
    });

    void it("get a Service back that is gone or was changed, and leave one of that name alone that is another's", async () => {
        const mended = async (said: RegExp) => {
            const { stdout, stderr, exitCode } = await up(workloads);
            assert.equal(exitCode, 0, stdout + stderr);
            assert.match(stdout + stderr, said);
            assert.equal(await ask(), "Hello, you!\n");
            const preview = await stack.pulumi(`preview --stack ${stack.name} --expect-no-changes`);
            assert.equal(preview.exitCode, 0, preview.stdout + preview.stderr);
        };
        const [pod] = await podsOf("greets");
        await stack.kubectl("delete", "service", "greets");
        await mended(/Service default\/greets, made \S+Z, is gone: it is made anew/);
        const nobody = JSON.stringify({ spec: { selector: { app: "nobody" } } });
        await stack.kubectl("patch", "service", "greets", "--patch", nobody);
        await mended(/Service default\/greets, made \S+Z, was changed by kubectl-patch/);
        assert.equal((await podsOf("greets"))[0].metadata.uid, pod.metadata.uid);

        await stack.kubectl("create", "service", "clusterip", "theirs", "--tcp=80");
        const theirs = () => stack.kubectl("get", "service", "theirs", "--output", "json");
        const before = await theirs();
        const taken = { name: "greets", ...server, service: { name: "theirs" } };
        const refused = await up([...without("greets"), taken]);
        assert.notEqual(refused.exitCode, 0);
        const why =
            /Service default\/theirs is there already, and is not this stack's \(kubectl-create \(\S+\) made it\): it is left as it is/;
        assert.match(refused.stdout + refused.stderr, why);
        assert.equal(await theirs(), before);
        assert.equal(await ask(), "Hello, you!\n");
    });

    void it("change their Service, hand it on in two updates, and give up one that is another's by now", async () => {
        const greets = (service: object) => [...without("greets"), { name: "greets", ...server, service }];
        const must = async (items: Item[]) => {
            const { stdout, stderr, exitCode } = await up(items);
            assert.equal(exitCode, 0, stdout + stderr);
            const preview = await stack.pulumi(`preview --stack ${stack.name} --expect-no-changes`);
            assert.equal(preview.exitCode, 0, preview.stdout + preview.stderr);
        };
        const refused = async (items: Item[], why: RegExp) => {
            const { stdout, stderr, exitCode } = await up(items);
            assert.notEqual(exitCode, 0);
            assert.match(stdout + stderr, why);
        };
        await must(greets({ port: 81 }));
        const heir = {
            name: "heir",
            ...server,
            ports: [{ containerPort: 18191 }],
            service: { name: "greets" },
        };
        await configure([...greets({ name: "greets-2" }), heir]);
        const moved = await stack.pulumi(`preview --stack ${stack.name}`);
        assert.match(
            moved.stdout + moved.stderr,
            /Service default\/greets is that of this stack's workload "greets", .*: remove it there first/,
        );

        /** Deletes this stack's own, and makes another one of its name; gives it as it is. */
        const stolen = async (name: string) => {
            await stack.kubectl("delete", "service", name);
            await stack.kubectl("create", "service", "clusterip", name, "--tcp=80");
            return theirs(name);
        };
        const theirs = (name: string) => stack.kubectl("get", "service", name, "--output", "json");
        const first = await stolen("greets");
        await refused(workloads, /Service default\/greets is there already, and is not this stack's/);
        await must(greets({ name: "greets-2" }));
        assert.equal(await theirs("greets"), first);
        const second = await stolen("greets-2");
        await must(without("greets"));
        assert.equal(await theirs("greets-2"), second);
        await stack.kubectl("delete", "service", "greets", "greets-2");
        await must(workloads);
        assert.equal(await ask(), "Hello, you!\n");
        // One that is this stack's goes with its workload.
        await must(without("greets"));
        const left = await stack.kubectl("get", "services", "--output", "name");
        assert.doesNotMatch(left, /greets/);
    });

    void it("that do not come up end the update with their events and log lines; the pod of before runs on", async () => {
        const [before] = await podsOf("plain");
        const broken = [
            ...without("plain"),
            { ...clock, name: "plain", restartPolicy: "Never", args: ["a", "word"] },
        ];
        const { stdout, stderr, exitCode } = await up(broken);
        const said = stdout + stderr;
        assert.equal(exitCode, 1, said);
        assert.match(
            said,
            /Pod default\/wasm-plain-pod-\w+: the pod has failed: container "plain" ended with/,
        );
        assert.match(said, /Events, the newest last:/);
        assert.match(said, /Log of container plain of pod wasm-plain-pod-\w+, the last lines:/);
        assert.match(said, /What to do: /);
        assert.ok((await podsOf("plain")).some((pod) => pod.metadata.uid === before.metadata.uid));
    });

    void it("are waited for again by the next update, and come up when they are mended", async () => {
        const again = await stack.npmRun("up");
        assert.equal(again.exitCode, 1, again.stdout + again.stderr);
        assert.match(again.stdout + again.stderr, /the pod has failed/);
        const { stdout, stderr, exitCode } = await up(workloads);
        assert.equal(exitCode, 0, stdout + stderr);
        const now = await podsOf("plain");
        assert.deepEqual(
            now.map(({ status }) => status.phase),
            ["Running"],
        );
    });

    void it("of another's manifest need one line", async () => {
        const names = (await stack.kubectl("get", "runtimeclasses", "--output", "name")).trim();
        assert.equal(names, "runtimeclass.node.k8s.io/krustlet-wasi");
    });

    void it("have the schedules that the API server takes, and no others", async () => {
        const file = path.join(stack.home, "schedules.json");
        const tried = async (all: readonly string[]) => {
            const items = all.map((schedule, index) => ({
                ...{ apiVersion: "batch/v1", kind: "CronJob", metadata: { name: `s-${index}` } },
                spec: {
                    schedule,
                    jobTemplate: {
                        spec: {
                            template: {
                                spec: { restartPolicy: "Never", containers: [{ name: "c", image: "i" }] },
                            },
                        },
                    },
                },
            }));
            await fs.writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
            const argv = [
                "kubectl",
                "--kubeconfig",
                stack.kubeconfig,
                "create",
                "--dry-run=server",
                "-f",
                file,
            ];
            const { stdout } = await run(argv, { allowFailure: true });
            return all.filter((_, index) => stdout.includes(`cronjob.batch/s-${index} created`));
        };
        assert.deepEqual(await tried(schedules), schedules);
        assert.deepEqual(await tried(noSchedules.map(([text]) => text)), []);
    });

    void it("and other components can be changed by transforms", async () => {
        const { artifacts } = (await stack.outputs()) as { artifacts: Record<string, string> };
        const folder = path.join(root, "test/stack/transforms");
        const pulumi = (command: string) =>
            stack.pulumi(`${command} --cwd ${folder} --stack transforms`, {
                TRANSFORMS_KUBECONFIG: stack.kubeconfig,
                TRANSFORMS_IMAGE: artifacts.once,
            });
        const must = async (command: string) => {
            const { stdout, stderr, exitCode } = await pulumi(command);
            assert.equal(exitCode, 0, stdout + stderr);
            return stdout;
        };
        try {
            await must("stack init");
            await must("up --yes --skip-preview");
            const outputs = JSON.parse(await must("stack output --json")) as {
                container: string;
                pod: string;
            };
            assert.equal(outputs.container, "krustlet-transforms");
            const label =
                '{{index .Config.Labels "example.com/team"}} {{index .Config.Labels "krustlet-stack.owner"}}';
            const { stdout } = await run(["docker", "inspect", "--format", label, outputs.container]);
            assert.match(stdout, /^a krustlet-transforms\/transforms\/[0-9a-f]{16}\n$/);
            const pod = JSON.parse(
                await stack.kubectl("get", "pod", outputs.pod, "--output", "json"),
            ) as Listed["items"][0];
            assert.equal(pod.metadata.annotations?.["example.com/team"], "a");
        } finally {
            await must("destroy --yes --skip-preview");
            await pulumi("stack rm --yes");
            await fs.rm(path.join(folder, "Pulumi.transforms.yaml"), { force: true });
        }
        assert.deepEqual(await podsOf("transformed"), []);
    });
});
