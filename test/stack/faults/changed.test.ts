/** Changes of a stack that stands: what fails leaves the old running, what is another thing is made anew, and the rest is left alone. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { NODE_IMAGE } from "../../../common/versions";
import { REGISTRY_IMAGE } from "../../../components/defaults";
import { gatewayOf, network } from "../../../steps/lib/docker";
import { run } from "../../../steps/lib/run";
import { removeTestCluster } from "../../killedRun";
import { StackUnderTest, type StackConfig } from "../stackUnderTest";
import { docker, FaultyStack } from "./faultsUnderTest";

const NAME = "acceptance-changed";
const CLUSTER = "krustlet-changed";
const OTHER = `${CLUSTER}-too`;
const NODE = "krustlet-changed-a";
/** As another version of Kubernetes would be: the same under another name. */
const clusterImage = `${NODE_IMAGE.name}:acceptance-changed`;
const registryImage = `${REGISTRY_IMAGE}-acceptance-changed`;

void describe("a stack that is changed", { timeout: 1_800_000 }, () => {
    let faulty: FaultyStack;
    const node = { name: NODE, port: 3111 };
    const config: StackConfig = {
        clusterName: CLUSTER,
        registryPort: 5111,
        nodes: [node],
        workloads: [
            { name: "clock", kind: "Deployment", source: "workloads/ticker" },
            { name: "hello-wasm", source: "workloads/hello-world" },
        ],
    };

    before(async () => {
        faulty = await FaultyStack.create(NAME, CLUSTER);
        await removeTestCluster(OTHER);
        await faulty.configure(config);
        await faulty.up();
        await faulty.stack.kubectl("create", "configmap", "mine", "--from-literal=a=b");
    });
    after(() => faulty.stack.remove());

    const kubectl = (...args: string[]) => faulty.stack.kubectl(...args);
    const mine = () => kubectl("get", "configmap", "mine", "--output=jsonpath={.data.a}");
    /** What an update does to each resource that it does not leave as it is: `updated`, `created`, `replaced` or `deleted` by name. */
    const done = (up: string) =>
        new Map(
            [...up.matchAll(/^ *(?:~|\+|\+-|-) +\S+ (wasm\S*) (updated|created|replaced|deleted)\b/gm)].map(
                ([, name, what]) => [name, what],
            ),
        );

    void it("one of the node that fails leaves it running, and is mended by taking it back", async () => {
        const pid = faulty.agent(NODE);
        await faulty.configure({ ...config, nodes: [{ ...node, trustedCaFile: "/nonexistent/ca.pem" }] });
        const failed = await faulty.stack.npmRun("up");
        assert.equal(failed.exitCode, 1, failed.stdout + failed.stderr);
        assert.match(failed.stdout + failed.stderr, /nonexistent/);
        faulty.agent(NODE);
        await faulty.configure(config);
        await faulty.up();
        assert.ok(faulty.agent(NODE) > 0 && pid > 0);
        assert.match(await kubectl("get", "node", NODE), / Ready /);
        await faulty.preview("--expect-no-changes");
    });
    /** Puts a Deployment of the user's on all Wasm nodes alike; returns on which nodes its pods are. */
    const spread = async () => {
        const image = await kubectl("get", "pods", "--output=jsonpath={.items[0].spec.containers[0].image}");
        const labels = { app: "spread" };
        const template = {
            metadata: { labels },
            spec: {
                nodeSelector: { "kubernetes.io/arch": "wasm32-wasi" },
                tolerations: [{ key: "kubernetes.io/arch", operator: "Exists" }],
                topologySpreadConstraints: [
                    {
                        maxSkew: 1,
                        topologyKey: "kubernetes.io/hostname",
                        whenUnsatisfiable: "ScheduleAnyway",
                        labelSelector: { matchLabels: labels },
                    },
                ],
                containers: [{ name: "spread", image, args: ["600000"] }],
                terminationGracePeriodSeconds: 1,
            },
        };
        const spec = { replicas: 4, selector: { matchLabels: labels }, template };
        const object = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "spread" }, spec };
        const file = `${faulty.stack.home}/spread.json`;
        await fs.writeFile(file, JSON.stringify(object));
        await kubectl("apply", `--filename=${file}`);
        await kubectl("rollout", "status", "deployment/spread", "--timeout=60s");
    };
    const nodesOf = async (app: string) =>
        (await kubectl("get", "pods", `--selector=app=${app}`, "--output=jsonpath={.items[*].spec.nodeName}"))
            .split(" ")
            .sort();

    void it("another node and workload touch nothing that was there; removing them drains the node, and touches them alone", async () => {
        const pid = faulty.agent(NODE);
        const second = { name: "krustlet-changed-b", port: 3112 };
        const more = { name: "more", kind: "Deployment", source: "workloads/ticker", replicas: 0 };
        const workloads = [...(config.workloads as object[]), more];
        await faulty.configure({ ...config, nodes: [node, second], workloads });
        const up = await faulty.up();
        // One that runs nothing is no failure.
        assert.match(up, /Deployment default\/wasm-more-deployment-\S+ has no pods: its replicas are 0/);
        const made = done(up);
        for (const theirs of [/krustlet-changed-b/, /^wasm-more/])
            assert.ok([...made.keys()].some((name) => theirs.test(name)));
        for (const [name, what] of made) {
            assert.match(name, /krustlet-changed-b|^wasm-more/);
            assert.equal(what, "created");
        }
        await spread();
        assert.deepEqual(await nodesOf("spread"), [NODE, NODE, second.name, second.name]);
        await faulty.configure(config);
        const removed = await faulty.up();
        const evicted = [...removed.matchAll(/pod default\/spread-\S+ is evicted from node "(\S+)"/g)];
        assert.deepEqual(
            evicted.map(([, from]) => from),
            [second.name, second.name],
        );
        await kubectl("rollout", "status", "deployment/spread", "--timeout=60s");
        assert.deepEqual(await nodesOf("spread"), [NODE, NODE, NODE, NODE]);
        await kubectl("delete", "deployment", "spread");
        const gone = done(removed);
        assert.equal(gone.size, made.size);
        for (const [name, what] of gone) {
            assert.match(name, /krustlet-changed-b|^wasm-more/);
            assert.equal(what, "deleted");
        }
        assert.equal(
            await kubectl("get", "nodes", "--output=name"),
            `node/${NODE}\nnode/${faulty.controlPlane}\n`,
        );
        assert.equal(faulty.agent(NODE), pid);
        await faulty.preview("--expect-no-changes");
    });
    void it("a node that gets another name takes its port over, and the old one goes", async () => {
        const renamed = "krustlet-changed-renamed";
        await faulty.configure({ ...config, nodes: [{ name: renamed, port: 3111 }] });
        await faulty.up();
        const nodes = (await kubectl("get", "nodes", "--output=name")).trim().split("\n").sort();
        assert.deepEqual(nodes, [`node/${faulty.controlPlane}`, `node/${renamed}`]);
        // None is left that would be taken for running on the old one.
        assert.deepEqual(await nodesOf("clock"), [renamed]);
        await faulty.preview("--expect-no-changes");
        await faulty.configure(config);
        await faulty.up();
        assert.equal(await mine(), "b");
    });
    void it("another port and address of the node start its agent anew, in the same place, with a certificate for it", async () => {
        // Of Docker's own network, from which kind's nodes reach this host too.
        const bridge = await network("bridge");
        assert.ok(bridge);
        const ip = gatewayOf(bridge);
        await faulty.configure({ ...config, nodes: [{ ...node, port: 3113, ip }] });
        const made = done(await faulty.up());
        assert.equal(made.get(`wasm-${NODE}-agent`), "updated");
        for (const [name, what] of made) assert.equal(what, "updated", name);
        const address = '--output=jsonpath={.status.addresses[?(@.type=="InternalIP")].address}';
        assert.equal(await kubectl("get", "node", NODE, address), ip);
        await faulty.preview("--expect-no-changes");
        await faulty.configure(config);
        await faulty.up();
    });
    void it("another port and image of the registry make that anew, and what was pushed is pushed there", async () => {
        // As another version would be.
        const recipe = `FROM ${REGISTRY_IMAGE}\nLABEL version=other\n`;
        await run(["docker", "build", "--quiet", `--tag=${registryImage}`, "-"], { input: recipe });
        await faulty.configure({ ...config, registryPort: 5112, registryImage });
        const made = done(await faulty.up());
        assert.equal(made.get("wasm-registry-container"), "replaced");
        const container = `krustlet-stack-${NAME}-registry`;
        assert.equal(
            await docker("inspect", container, "--format={{.Image}}"),
            await docker("image", "inspect", registryImage, "--format={{.Id}}"),
        );
        assert.equal(made.get("wasm-cluster-kind"), undefined);
        const catalog = await fetch("http://localhost:5112/v2/_catalog");
        assert.deepEqual(((await catalog.json()) as { repositories: string[] }).repositories, [
            "clock",
            "hello-wasm",
        ]);
        await faulty.preview("--expect-no-changes");
        await faulty.configure(config);
        await faulty.up();
        assert.equal(await mine(), "b");
    });
    void it("on another host every command stops with both hosts' names, and changes nothing", async () => {
        const { stdout: text } = await faulty.stack.pulumi(`stack export --stack ${NAME}`);
        const file = `${faulty.stack.home}/state.json`;
        const away = text.replace(
            /(\\"host\\":\{\\"id\\":\\")[0-9a-f]{32}(\\",\\"name\\":\\")[^"\\]+/g,
            `$1${"0".repeat(32)}$2elsewhere`,
        );
        assert.notEqual(away, text);
        await fs.writeFile(file, away);
        await faulty.stack.pulumi(`stack import --stack ${NAME} --file ${file}`);
        const words =
            /was made on host "elsewhere" by user "[^"]+", and this is host "[^"]+" by user "[^"]+": run it there/;
        for (const command of ["up", "down"] as const) {
            const { stdout, stderr, exitCode } = await faulty.stack.npmRun(command);
            assert.equal(exitCode, 1, stdout + stderr);
            assert.match(stdout + stderr, words);
        }
        assert.match(await kubectl("get", "node", NODE), / Ready /);
        await fs.writeFile(file, text);
        await faulty.stack.pulumi(`stack import --stack ${NAME} --file ${file}`);
    });
    void it("another state's stack of the same name is told whose things these are, and touches none", async () => {
        await faulty.up();
        const other = await StackUnderTest.create(NAME);
        try {
            await other.configure({
                ...config,
                registryPort: 5113,
                nodes: [{ name: "krustlet", port: 3114 }],
            });
            const up = await other.npmRun("up");
            assert.equal(up.exitCode, 1, up.stdout + up.stderr);
            // Whatever of the first one's the second would come upon first.
            assert.match(
                up.stdout + up.stderr,
                /exists and belongs to krustlet-stack\/acceptance-changed \(claim [0-9a-f]{16}\)/,
            );
            const down = await other.npmRun("down");
            assert.equal(down.exitCode, 0, down.stdout + down.stderr);
        } finally {
            await fs.rm(other.home, { recursive: true, force: true });
        }
        await faulty.configure(config);
        assert.equal(await mine(), "b");
        await faulty.preview("--expect-no-changes");
    });
    void it("another name, image or number of nodes of the cluster makes everything in it anew, and the preview says what is lost", async () => {
        const image = `${NODE_IMAGE.name}:${NODE_IMAGE.tag}`;
        await docker("tag", image, clusterImage);
        await faulty.configure({ ...config, clusterImage });
        assert.match(
            await faulty.preview(),
            new RegExp(
                `cluster "${CLUSTER}" will be made anew, and all that is in it is lost \\(image: "${image}\\S*" → "${clusterImage}"\\)`,
            ),
        );
        const clusterNodes = [{ role: "control-plane" }, { role: "worker" }];
        await faulty.configure({ ...config, clusterName: OTHER, clusterImage, clusterNodes });
        assert.match(
            await faulty.preview(),
            new RegExp(
                `cluster "${CLUSTER}" will be made anew, and all that is in it is lost \\(.*name: "${CLUSTER}" → "${OTHER}".*nodes: .* → .*worker.*\\)`,
            ),
        );
        const made = done(await faulty.up());
        assert.equal(made.get("wasm-cluster-kind"), "replaced");
        assert.equal(made.get("wasm-registry-container"), undefined);
        assert.match(await kubectl("get", "node", `${OTHER}-worker`), / Ready /);
        await faulty.preview("--expect-no-changes");
    });
    void it("down leaves nothing", () => faulty.down());
    after(() => docker("image", "rm", clusterImage, registryImage));
});
