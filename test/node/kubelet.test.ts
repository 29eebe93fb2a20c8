/** What a kubelet does, on kind's own node: what is expected of the Wasm node is what the real one does. */
import { after, before, describe, it } from "node:test";
import { pass } from "../steps/runStep";
import { kubeletTests } from "./cases/kubelet";
import { runCase, type Case, type Story } from "./runCase";
import { underTest } from "./underTest";
import { timeOf, World } from "./lib/world";

/** How many run at a time: a container costs more than a module. */
const AT_A_TIME = 12;

/**
 * What runc says where the control groups are of version 1 and the machine is busy: the container did not start, and that says nothing
 * of the kubelet.
 */
const RUNTIME_FAILED = /OCI runtime create failed: .*unable to freeze/;

/** How many stories may be told once more for it. */
const MOST_REPEATED = 5;

describe("pods of a kubelet", { concurrency: AT_A_TIME, timeout: 600_000 }, () => {
    let world: World;
    /** For those of which the runtime failed. */
    let again: World;

    before(async () => {
        const { clusterName, node, kindNodeName } = underTest();
        const { kubeconfigFile, owner } = node;
        // It gives no logs without one.
        await pass("approveKubeletCertificates", { kubeconfigFile, clusterName, owner, timeoutSeconds: 120 });
        world = await World.open("kubelet", kindNodeName);
        again = await World.open("kubelet-again", kindNodeName);
    });
    after(async () => {
        const ends = await Promise.allSettled([world.close(), again.close()]);
        for (const end of ends) if (end.status === "rejected") throw end.reason;
    });

    const run = (test: Case | Story, where: World) =>
        "run" in test ? test.run(where) : runCase(where, test);

    /** Whether the runtime has failed since then: of which of the pods that run beside each other, a story's failure does not tell. */
    const runtimeFailed = (since: number) =>
        world.events
            .all()
            .some(
                ({ metadata, message }) =>
                    timeOf(metadata.creationTimestamp) >= since - 1000 && RUNTIME_FAILED.test(message ?? ""),
            );
    let repeated = 0;

    for (const test of kubeletTests()) {
        it(test.name, async () => {
            const begun = Date.now();
            try {
                await run(test, world);
            } catch (error) {
                if (!runtimeFailed(begun) || ++repeated > MOST_REPEATED) throw error;
                console.log(`once more, for the runtime failed meanwhile: ${test.name}: ${String(error)}`);
                await run(test, again);
            }
        });
    }
});
