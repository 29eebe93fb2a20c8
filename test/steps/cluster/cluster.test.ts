import { rmSync, writeFileSync } from "node:fs";
import { after, before, describe } from "node:test";
import { pass, start } from "../runStep";
import { clusterInput, folder, parts } from "./clusterUnderTest";
import { allIsDeleted } from "./ending";
import { nodeJoins } from "./joining";
import { clusterIsMade } from "./making";

// One cluster for all: its parts depend on each other in this order, as in a stack.
describe("a cluster and its Wasm node, step by step", () => {
    before(async () => {
        await pass("deleteKindCluster", clusterInput);
        writeFileSync(
            clusterInput.mergeKubeconfigFile ?? "",
            "apiVersion: v1\nkind: Config\ncontexts:\n- name: mine\n  context: {cluster: c, user: u}\n",
        );
    });
    after(async () => {
        if (parts.node) await start("stopNode", JSON.stringify(parts.node));
        await start("deleteKindCluster", JSON.stringify(clusterInput));
        rmSync(folder, { recursive: true, force: true });
    });

    clusterIsMade();
    nodeJoins();
    allIsDeleted();
});
