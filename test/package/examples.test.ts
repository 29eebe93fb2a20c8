/** An example in a stranger's hands: the package installed by npm, brought up by the CLI as it stands, but for names and ports of its own. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { ownerLabel } from "../../steps/lib/docker";
import { removeTestCluster, removeTestContainers } from "../killedRun";
import { leftovers, type Leftovers } from "../stack/stackUnderTest";
import { packages, root, withParts } from "./packed";
import { Stranger } from "./stranger";

const cluster = "krustlet-package-http";
const packed = packages();
const example = path.join(root, "examples/http");

void describe("examples/http", { timeout: 720_000 }, () => {
    let stranger: Stranger;
    let atFirst: Leftovers;
    let outputs: Record<string, string>;
    const shell = async (script: string) =>
        (await stranger.run("sh", "-c", `export KUBECONFIG='${outputs.kubeconfigFile}'; ${script}`)).stdout;

    before(async () => {
        // Of a run that was killed: its nodes have the cluster's name in theirs, and its registry has the port.
        await removeTestCluster(cluster);
        await removeTestContainers([`name=${cluster}`, "label=krustlet-stack.node"]);
        await removeTestContainers(["publish=5098", `label=${ownerLabel}`]);
        atFirst = await leftovers();
        stranger = await Stranger.create("example-http", packed);
        const program = withParts(await fs.readFile(path.join(example, "index.ts"), "utf8"), {
            "krustlet-http": cluster,
            "krustlet-a": `${cluster}-a`,
            "krustlet-b": `${cluster}-b`,
            "5004": "5098",
            "hostPort = 8080": "hostPort = 18098",
            "../../workloads/": `${root}/workloads/`,
        });
        await stranger.write("index.ts", program);
        await fs.copyFile(path.join(example, "Pulumi.yaml"), path.join(stranger.folder, "Pulumi.yaml"));
        await stranger.install("npm", packed);
        await stranger.run("pulumi", "stack", "init", "dev");
    });
    after(() => stranger?.run("pulumi", "destroy", "--yes", "--skip-preview", "--stack", "dev"));

    void it("has the types of the package", async () => {
        const options = { module: "nodenext", moduleResolution: "nodenext" };
        assert.equal(await stranger.typeErrors(options, "index.ts"), "");
    });
    void it("comes up: this host reaches it, and the other program does by the name of its Service", async () => {
        await stranger.run("pulumi", "up", "--yes", "--skip-preview");
        const told = await stranger.run("pulumi", "stack", "output", "--json");
        outputs = JSON.parse(told.stdout) as Record<string, string>;
        assert.equal(await shell(`curl --silent --fail --max-time 10 ${outputs.url}/you`), "Hello, you!\n");
        assert.equal((await shell(outputs.callerLogs)).trim(), "200 Hello, you!");
    });
    void it("has the pods that its autoscaler wants, and an update leaves them alone", async () => {
        const all = "--selector=app=hello-http --for=jsonpath='{.status.readyReplicas}'=3 --timeout=120s";
        await shell(`kubectl wait deployment ${all}`);
        await stranger.run("pulumi", "preview", "--expect-no-changes");
        const budget =
            "kubectl get poddisruptionbudget hello-http --output=jsonpath='{.status.disruptionsAllowed}'";
        assert.equal(await shell(budget), "1");
    });
    void it("goes, and leaves nothing", async () => {
        await stranger.run("pulumi", "destroy", "--yes", "--skip-preview");
        assert.deepEqual(await leftovers(), atFirst);
    });
});
